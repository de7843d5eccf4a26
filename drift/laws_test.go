package drift

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// A mutation is one change of a live definition: of a leaf, of a member, of an item.
type mutation struct {
	pattern string // healthChecks[].path
	what    string // changed, removed or added
	doc     marathon.Doc
}

// mutations lists every single change of a definition: each value changed, each member removed, each object and list
// given one thing more.
func mutations(doc marathon.Doc) []mutation {
	var out []mutation
	change := func(pattern, what string, apply, undo func()) {
		apply()
		out = append(out, mutation{pattern, what, reread(doc)})
		undo()
	}
	var walk func(pattern string, v any, set func(any))
	walk = func(pattern string, v any, set func(any)) {
		switch x := v.(type) {
		case map[string]any:
			change(join(pattern, "zz"), "added", func() { x["zz"] = "x" }, func() { delete(x, "zz") })
			for _, k := range slices.Sorted(maps.Keys(x)) {
				v, p := x[k], join(pattern, k)
				change(p, "removed", func() { delete(x, k) }, func() { x[k] = v })
				walk(p, v, func(w any) { x[k] = w })
			}
		case []any:
			change(pattern+"[]", "added", func() { set(append(slices.Clone(x), any("zz"))) }, func() { set(x) })
			for i, v := range x {
				change(pattern+"[]", "removed", func() { set(slices.Delete(slices.Clone(x), i, i+1)) }, func() { set(x) })
				walk(pattern+"[]", v, func(w any) { x[i] = w })
			}
		default:
			change(pattern, "changed", func() { set(other(v)) }, func() { set(v) })
		}
	}
	walk("", doc, nil)
	return out
}

func other(v any) any {
	switch x := v.(type) {
	case string:
		return x + "x"
	case bool:
		return !x
	case json.Number:
		f, _ := x.Float64()
		return json.Number(fmt.Sprint(f + 1))
	}
	return "x"
}

// reread sends a definition through JSON, as the wire does.
func reread(doc marathon.Doc) marathon.Doc {
	raw, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var out marathon.Doc
	if err := d.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

// allowed are the only changes of live that are no difference, each with its reason.
var allowed = []struct {
	reason string
	is     func(p pair, m mutation, v marathon.Version) bool
}{
	{"the server's own words and residency are no part of a definition", func(_ pair, m mutation, v marathon.Version) bool {
		return hasRow(topLevel(m.pattern), Drop, v)
	}},
	{"a value that is the default may as well be absent", func(p pair, m mutation, v marathon.Version) bool {
		return m.what == "removed" && (hasRow(m.pattern, Fill, v) || hasRow(m.pattern, EmptyIsAbsent, v)) &&
			text(withoutPorts(Normalise(m.doc, v))) == text(withoutPorts(Normalise(p.Live, v)))
	}},
	{"the server chooses a number where git says 0 or nothing", func(p pair, m mutation, v marathon.Version) bool {
		return m.what != "added" && hasRow(m.pattern, Assigned, v) && !strings.Contains(text(p.Put), text(json.Number(assignedNumber(p, m))))
	}},
	{"the server chooses the role where git says nothing", func(p pair, m mutation, v marathon.Version) bool {
		return hasRow(m.pattern, Adopt, v) && p.Put[m.pattern] == nil
	}},
}

// assignedNumber is the live number before the mutation: a port that git itself names may not be changed unseen.
func assignedNumber(p pair, m mutation) string {
	number := "none"
	for _, x := range []string{"portDefinitions", "container"} {
		was, is := p.Live[x], m.doc[x]
		if text(was) != text(is) {
			number = firstDifferentNumber(was, is)
		}
	}
	return number
}

func firstDifferentNumber(a, b any) string {
	switch x := a.(type) {
	case map[string]any:
		for k, v := range x {
			if s := firstDifferentNumber(v, b.(map[string]any)[k]); s != "" {
				return s
			}
		}
	case []any:
		for i, v := range x {
			if s := firstDifferentNumber(v, b.([]any)[i]); s != "" {
				return s
			}
		}
	case json.Number:
		if a != b {
			return string(x)
		}
	}
	return ""
}

// withoutPorts sets the numbers aside that the server chooses by itself.
func withoutPorts(doc marathon.Doc) marathon.Doc {
	for _, r := range rows {
		if r.Rule == Assigned {
			visit(doc, compiled[r.Path], func(holder map[string]any, key string) { delete(holder, key) })
		}
	}
	return doc
}

func hasRow(pattern string, rule Rule, v marathon.Version) bool {
	return slices.ContainsFunc(rows, func(r Row) bool { return r.Path == pattern && r.Rule == rule && r.In(v) })
}

func TestAnySingleChangeOfLiveIsReported(t *testing.T) {
	for _, c := range corpora {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			reported, excused := 0, make([]int, len(allowed))
			for _, p := range corpus(t, c.file) {
				for _, m := range mutations(reread(p.Live)) {
					if !compareDocs(spec.Data, p.Put, m.doc, c.version).Empty() {
						reported++
						continue
					}
					why := slices.IndexFunc(allowed, func(a struct {
						reason string
						is     func(pair, mutation, marathon.Version) bool
					}) bool {
						return a.is(p, m, c.version)
					})
					if why < 0 {
						t.Errorf("%s: %s %s is not reported", p.Name, m.pattern, m.what)
						continue
					}
					excused[why]++
				}
			}
			t.Logf("%d changes reported", reported)
			for i, a := range allowed {
				t.Logf("%d not: %s", excused[i], a.reason)
			}
			if reported < 3900 {
				t.Errorf("only %d changes were tried", reported)
			}
		})
	}
}

// definition draws a definition made of parts of accepted ones.
func definition(pairs []pair) *rapid.Generator[marathon.Doc] {
	return rapid.Custom(func(t *rapid.T) marathon.Doc {
		doc := marathon.Doc{}
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(pairs)-1), 1, 4).Draw(t, "parts") {
			maps.Copy(doc, reread(pairs[i].Put))
		}
		doc["id"] = "/g/c/app"
		return doc
	})
}

// served is what a server shows of a definition: defaults, ports of its choice, its own words, sets in any order.
func served(doc marathon.Doc, v marathon.Version, seed int64) marathon.Doc {
	out := reread(Normalise(doc, v))
	chance := rand.New(rand.NewSource(seed))
	for _, r := range rows {
		if !r.In(v) {
			continue
		}
		visit(out, compiled[r.Path], func(holder map[string]any, key string) {
			switch l, _ := holder[key].([]any); {
			case r.Rule == Set:
				chance.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
			case r.Rule == Assigned && holder[key] == json.Number("0"):
				holder[key] = json.Number(fmt.Sprint(10000 + chance.Intn(1000)))
			case r.Rule == Adopt && holder[key] == nil:
				holder[key] = "chosen"
			case r.Rule == Drop && r.When == "":
				holder[key] = "the server's"
			case r.Rule == EmptyIsAbsent && holder[key] == nil && chance.Intn(2) == 0:
				holder[key] = map[string]any{}
			}
		})
	}
	return out
}

func TestApplyThenDiffIsEmptyForAnyDefinition(t *testing.T) {
	for _, c := range corpora {
		pairs := corpus(t, c.file)
		t.Run(c.file, rapid.MakeCheck(func(t *rapid.T) {
			doc := definition(pairs).Draw(t, "definition")
			live := served(doc, c.version, rapid.Int64().Draw(t, "seed"))
			if d := compareDocs(spec.Data, doc, live, c.version); !d.Empty() {
				t.Fatalf("live %s\ndiffers: %+v", text(live), d.Differences)
			}
		}))
	}
}

func TestNormalisingTwiceIsNormalisingOnceAndChangesNoArgument(t *testing.T) {
	for _, c := range corpora {
		pairs := corpus(t, c.file)
		t.Run(c.file, rapid.MakeCheck(func(t *rapid.T) {
			doc := definition(pairs).Draw(t, "definition")
			before := text(doc)
			once := Normalise(doc, c.version)
			if twice := Normalise(once, c.version); text(once) != text(twice) {
				t.Fatalf("once  %s\ntwice %s", text(once), text(twice))
			}
			if text(doc) != before {
				t.Fatalf("the argument was changed:\n%s\n%s", before, text(doc))
			}
		}))
	}
}

func TestTheOrderOfSetsMeansNothingAndEqualInputsGiveEqualBytes(t *testing.T) {
	pairs := corpus(t, "corpus-1.11.jsonl")
	v := at(1, 11, 24)
	rapid.Check(t, func(t *rapid.T) {
		git, by := definition(pairs).Draw(t, "git"), definition(pairs).Draw(t, "live")
		one := served(by, v, rapid.Int64().Draw(t, "seed"))
		two := reread(one)
		for _, key := range []string{"constraints", "healthChecks", "dependencies", "acceptedResourceRoles"} {
			if l, ok := two[key].([]any); ok {
				slices.Reverse(l)
			}
		}
		a, b := asJSON(t, compareDocs(spec.Data, git, one, v)), asJSON(t, compareDocs(spec.Data, reread(git), two, v))
		if a != b {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

func asJSON(t interface{ Fatal(...any) }, d *Drift) string {
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
