package drift

import (
	"slices"
	"strings"
	"sync"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// Normalise is a definition as a Marathon of this version would show it after taking it, in one form for each meaning:
// ids absolute, numbers by value, defaults filled in, older spellings replaced, sets sorted, what the server adds of its
// own removed. doc is not changed. Two definitions mean the same to Marathon if their normalised forms are equal,
// but for the values that the server chooses itself (rules Assigned and Adopt).
func Normalise(doc marathon.Doc, v marathon.Version) marathon.Doc {
	out, _ := normaliserFor(v).apply(doc, wanted)
	return out
}

// A side is whose definition it is.
type side bool

const (
	wanted side = true
	live   side = false
)

// A normaliser holds the rows of one version.
type normaliser struct {
	version marathon.Version
	rows    []Row
}

// normaliserFor is made once for each version: of a cluster's comparison it would be a tenth.
func normaliserFor(v marathon.Version) *normaliser {
	if n, ok := normalisers.Load(v); ok {
		return n.(*normaliser)
	}
	n := &normaliser{version: v, rows: make([]Row, 0, len(rows))}
	for _, r := range rows {
		if r.In(v) {
			n.rows = append(n.rows, r)
		}
	}
	kept, _ := normalisers.LoadOrStore(v, n)
	return kept.(*normaliser)
}

var normalisers sync.Map // by marathon.Version; nobody changes one

// apply makes the canonical copy and says how many values it filled in.
func (n *normaliser) apply(doc marathon.Doc, s side) (out map[string]any, filled int) {
	out = canonicalDoc(doc, 8) // for the defaults that most definitions get; few objects within get any
	for i := range n.rows {
		filled += n.applyRow(out, &n.rows[i], s)
	}
	return out, filled
}

func (n *normaliser) applyRow(doc map[string]any, r *Row, s side) (filled int) {
	if s == live && (r.Rule == Ignore || r.Rule == Force) {
		return 0
	}
	if r.Rule == Convert {
		conversions[r.Path](doc, n.version)
		return 0
	}
	visit(doc, compiled[r.Path], func(holder map[string]any, key string) {
		if r.When != "" && !conditions[r.When](doc, holder) {
			return
		}
		old, there := holder[key]
		switch r.Rule {
		case Drop, Ignore:
			if there {
				delete(holder, key)
			}
		case Force:
			holder[key] = r.Value
		case Fill:
			if !there {
				holder[key] = clone(r.Value)
				filled++
			}
		case EmptyIsAbsent:
			if there && isEmpty(old) {
				delete(holder, key)
			}
		case Set:
			if l, _ := old.([]any); len(l) > 1 {
				holder[key] = sortedSet(l)
			}
		}
	})
	return filled
}

// adopt puts live's choices into the wanted definition where git leaves the choice to the server.
func (n *normaliser) adopt(want, have map[string]any) (adopted int) {
	for i := range n.rows {
		switch r := &n.rows[i]; r.Rule {
		case Adopt:
			if v, ok := have[r.Path]; ok && want[r.Path] == nil {
				want[r.Path] = v
				adopted++
			}
		case Assigned:
			adopted += adoptNumbers(want, have, compiled[r.Path])
		}
	}
	return adopted
}

func adoptNumbers(want, have map[string]any, p []step) (adopted int) {
	for _, s := range p[:len(p)-1] {
		if !s.list {
			want, _ = want[s.key].(map[string]any)
			have, _ = have[s.key].(map[string]any)
			continue
		}
		w, _ := want[s.key].([]any)
		h, _ := have[s.key].([]any)
		key := p[len(p)-1].key
		for i := range min(len(w), len(h)) {
			wi, _ := w[i].(map[string]any)
			hi, _ := h[i].(map[string]any)
			if n, ok := hi[key].(int64); ok && wi[key] == int64(0) {
				wi[key] = n
				adopted++
			}
		}
	}
	return adopted
}

// A step is one segment of a Row's path.
type step struct {
	key  string
	list bool
}

// compiled holds every Row's path in steps.
var compiled = func() map[string][]step {
	out := map[string][]step{}
	for _, r := range rows {
		var p []step
		for key := range strings.SplitSeq(r.Path, ".") {
			k, list := strings.CutSuffix(key, "[]")
			p = append(p, step{k, list})
		}
		out[r.Path] = p
	}
	return out
}()

// visit calls f with each object that holds, or could hold, the last key of the path.
func visit(m map[string]any, p []step, f func(holder map[string]any, key string)) {
	if m == nil {
		return
	}
	if len(p) == 1 {
		f(m, p[0].key)
		return
	}
	if !p[0].list {
		next, _ := m[p[0].key].(map[string]any)
		visit(next, p[1:], f)
		return
	}
	items, _ := m[p[0].key].([]any)
	for _, item := range items {
		next, _ := item.(map[string]any)
		visit(next, p[1:], f)
	}
}

// sortedSet orders a set by its items' text and leaves duplicates out.
func sortedSet(l []any) []any {
	keys := make([]string, len(l))
	byKey := make(map[string]any, len(l))
	for i, v := range l {
		keys[i] = text(v)
		byKey[keys[i]] = v
	}
	slices.Sort(keys)
	out := make([]any, 0, len(l))
	for _, k := range slices.Compact(keys) {
		out = append(out, byKey[k])
	}
	return out
}
