package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxProblems is how many are kept; nobody reads more, and a hostile commit must not fill the memory with them.
const maxProblems = 1000

// A report collects Problems. A fault in defaults is one fault, however many clusters inherit it.
type report struct {
	list    []Problem
	seen    map[Problem]struct{}
	dropped int
	// added counts every call, repetitions too: what is equal before and after a cluster was read without fault.
	added int
}

func (r *report) problem(pos Pos, field, what, fix string) {
	r.add(Problem{Pos: pos, Field: field, What: what, Fix: fix})
}

func (r *report) add(p Problem) {
	r.added++
	if _, twice := r.seen[p]; twice {
		return
	}
	if len(r.list) == maxProblems {
		r.dropped++
		return
	}
	if r.seen == nil {
		r.seen = map[Problem]struct{}{}
	}
	r.seen[p] = struct{}{}
	r.list = append(r.list, p)
}

// sorted is every Problem by place.
func (r *report) sorted() []Problem {
	out := slices.Clone(r.list)
	slices.SortFunc(out, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column),
			strings.Compare(a.Field, b.Field), strings.Compare(a.What, b.What), strings.Compare(a.Fix, b.Fix))
	})
	if r.dropped > 0 {
		out = append(out, Problem{Pos: Pos{File: "fleet.yaml"}, What: fmt.Sprintf("%d more problems are not shown", r.dropped), Fix: "fix these first"})
	}
	return out
}
