package esgate

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

// A verdictCase starts from a state in which the touch is allowed, and changes it. rule is the one that must forbid it;
// "" means that it must still be allowed. says must be part of the reason.
type verdictCase struct {
	name   string
	kind   Kind
	node   string // d4 for Stop and Wipe means: drained before
	change func(*Health, *Touch)
	rule   string
	says   string
	hold   bool
}

// start is the allowed state of a case.
func (c *verdictCase) start() (*Health, Touch) {
	if c.node == "d4" && slices.Contains(ending, c.kind) {
		return emptied(c.kind)
	}
	h, t := healthy(), touch(c.kind, c.node)
	if c.kind == Stop && strings.HasPrefix(c.node, "m") {
		h.Nodes = append(h.Nodes, node("m4", "master"))
		t.Masters = 4
		h.VotingExclusions = []string{c.node}
	}
	return h, t
}

func allCases() []verdictCase {
	return slices.Concat(knowledgeCases, restartCases, upgradeCases, masterCases, drainCases, stopCases)
}

func TestEveryRuleForbidsWhatItNamesAndNoMore(t *testing.T) {
	for _, c := range allCases() {
		t.Run(c.name, func(t *testing.T) {
			h, touch := c.start()
			if v := Judge(h, touch); !v.OK {
				t.Fatalf("the case does not start from an allowed state: %+v", v)
			}
			c.change(h, &touch)
			v := Judge(h, touch)
			switch {
			case v.OK != (c.rule == "") || v.Rule != c.rule:
				t.Fatalf("got %+v, want rule %q", v, c.rule)
			case v.Hold != c.hold || v.Hold != (v.WayOut != ""):
				t.Fatalf("got %+v, want hold %v", v, c.hold)
			case !v.OK && v.Why == "" || !strings.Contains(v.Why, c.says):
				t.Fatalf("got %+v, want a reason with %q", v, c.says)
			}
		})
	}
}

func TestEveryRuleHasACaseThatItForbids(t *testing.T) {
	cases := allCases()
	for _, r := range Catalogue() {
		for _, k := range r.Kinds {
			covered := slices.ContainsFunc(cases, func(c verdictCase) bool { return c.rule == r.Name })
			if !covered {
				t.Errorf("no case shows rule %s forbid anything", r.Name)
				break
			}
			if !slices.Contains(every, k) {
				t.Errorf("rule %s applies to %q, which is no kind", r.Name, k)
			}
		}
	}
}

func TestAHealthyClusterForbidsNothing(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		node string
	}{{Commit, ""}, {Join, ""}, {Restart, "d1"}, {Restart, "m1"}, {Restart, "m2"}, {Drain, "d1"}} {
		if v := Judge(healthy(), touch(c.kind, c.node)); v != (Verdict{OK: true}) {
			t.Errorf("%s %s: %+v", c.kind, c.node, v)
		}
	}
	for _, k := range ending {
		if v := Judge(emptied(k)); v != (Verdict{OK: true}) {
			t.Errorf("%s: %+v", k, v)
		}
	}
}

func TestTheZeroValuesForbid(t *testing.T) {
	if v := Judge(nil, Touch{}); v.OK || v.Rule != RuleTouch {
		t.Errorf("got %+v", v)
	}
	for _, k := range asked {
		for _, h := range []*Health{nil, {}} {
			if v := Judge(h, Touch{Kind: k, Node: "d1"}); v.OK || v.Rule != RuleUnknown {
				t.Errorf("%s: got %+v", k, v)
			}
		}
	}
}

func TestAReasonIsOneBoundedLineWhateverTheNamesAre(t *testing.T) {
	evil := "\x1b[31m\nx\u202e" + strings.Repeat("long", 500)
	h, touch := healthy(), touch(Restart, "d1")
	h.Indices[0].Name = evil
	for i := range h.Shards {
		s := &h.Shards[i]
		s.Index = evil
		if s.Node != "d1" {
			s.State = Initializing
		}
	}
	for _, change := range []func(){
		func() {},
		func() { h.Why, h.Known = evil, false },
		func() { h.Known, h.Name = true, evil },
		func() { h.Name, touch.Kind = "logs", Kind(evil) },
		func() { touch.Kind, touch.Instance = Restart, evil },
	} {
		change()
		v := Judge(h, touch)
		text := v.Why + v.WayOut
		if v.OK || len([]rune(v.Why)) > maxText+1 || len([]rune(v.WayOut)) > maxText+1 {
			t.Errorf("%+v", v)
		}
		for _, r := range text {
			if !unicode.IsPrint(r) && r != '…' {
				t.Errorf("%U in %q", r, text)
			}
		}
	}
}

func TestLongListsNameTheFirstThree(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{nil, "none"}, {[]string{"a"}, "a"}, {[]string{"a", "b", "c"}, "a, b, c"}, {[]string{"a", "b", "c", "d", "e"}, "a, b, c and 2 more"}, {[]string{""}, `""`},
	} {
		if got := several(c.names); got != c.want {
			t.Errorf("%q: got %q, want %q", c.names, got, c.want)
		}
	}
}
