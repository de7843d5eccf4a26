package esgate

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
)

// elsewhere says where invariants are enforced that no rule here can see in one reading, or what of them is left to do
// there.
var elsewhere = map[int]string{
	3:  "reconcile/lease: one writer; reconcile/plan: a deployment that is not ours is waited for, never forced",
	7:  "reconcile: Judge is asked again with a new reading right before the write; here only the reading's age",
	8:  "reconcile/plan: settings left behind are taken back, the exclusion list is exactly what leaves",
	9:  "reconcile and marathonsink: one instance by name, once; here that the name is the judged one",
	10: "reconcile/plan: a turn ends only when the same instance is back on its host and volume",
	11: "reconcile/plan: a node that came back wrong stops the roll",
	13: "render: upgradeStrategy and checks; reconcile/plan: definitions and instances never change together",
	15: "reconcile/plan: scaling in and wiping are steps of their own, with the undo window between them",
	17: "reconcile/plan: the exclusion list is read, merged and written",
	18: "reconcile/plan: apps with volumes are deleted only for a cluster that git retires by name",
	22: "render/bootstrap: a blank master never forms a cluster whose uuid is recorded; spec refuses Elasticsearch 1",
	23: "reconcile/discovery: what is behind the proxy",
	26: "reconcile: every step leaves a state from which the next look goes on; shown by crashes at every call",
}

// whole are the invariants that the rules enforce without help from elsewhere.
var whole = []int{1, 2, 4, 5, 6, 12, 14, 16, 19, 20, 21, 24, 25}

func TestEveryInvariantIsARuleOrSaysWhereItIs(t *testing.T) {
	const all = 26
	enforced := map[int][]string{}
	for _, r := range Catalogue() {
		if len(r.Invariants) == 0 {
			t.Errorf("rule %s enforces no invariant", r.Name)
		}
		for _, n := range r.Invariants {
			if n < 1 || n > all {
				t.Errorf("rule %s enforces invariant %d, which does not exist", r.Name, n)
			}
			enforced[n] = append(enforced[n], r.Name)
		}
	}
	for n := 1; n <= all; n++ {
		switch {
		case slices.Contains(whole, n) == (elsewhere[n] != ""):
			t.Errorf("invariant %d must be enforced here or say where else", n)
		case slices.Contains(whole, n) && enforced[n] == nil:
			t.Errorf("no rule enforces invariant %d", n)
		}
	}
}

func TestTheCatalogueNamesEachRuleOnceAndInWords(t *testing.T) {
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	seen := map[string]bool{}
	for _, r := range Catalogue() {
		if !kebab.MatchString(r.Name) || seen[r.Name] {
			t.Errorf("%q is no name of a rule, or there twice", r.Name)
		}
		seen[r.Name] = true
		if r.Says == "" || len(r.Kinds) == 0 || len(r.Says) > 140 {
			t.Errorf("%s says %q of %v", r.Name, r.Says, r.Kinds)
		}
	}
}

func TestTheCatalogueIsACopy(t *testing.T) {
	before := fmt.Sprint(Catalogue())
	for _, r := range Catalogue() {
		r.Kinds[0], r.Invariants[0] = "x", 99
	}
	if after := fmt.Sprint(Catalogue()); after != before {
		t.Errorf("a reader changed the rules: %s", after)
	}
}
