package spec

import (
	"cmp"
	"slices"
	"strings"
)

// sorted orders Problems by place and drops repetitions: a fault in defaults is one fault, however many clusters inherit it.
func sorted(ps []Problem) []Problem {
	slices.SortFunc(ps, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column),
			strings.Compare(a.Field, b.Field), strings.Compare(a.What, b.What), strings.Compare(a.Fix, b.Fix))
	})
	return slices.Compact(ps)
}
