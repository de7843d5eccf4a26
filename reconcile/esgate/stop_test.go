package esgate

import (
	"testing"
	"time"
)

// gone is the state after d4 died while it held shards, and all of them were recovered elsewhere. It still counts.
func gone(h *Health, t *Touch) {
	h.lose("d4")
	h.Persistent = nil
	t.Data = 4
}

// lost is the state after d4 died with copies that nobody else has.
func lost(h *Health, t *Touch) {
	gone(h, t)
	h.Status, h.Unassigned = "red", 1
	h.Shards[6].State, h.Shards[6].Node = Unassigned, ""
	t.Drained = time.Time{}
}

// given is lost, and git gives d4's copies up.
func given(h *Health, t *Touch) {
	lost(h, t)
	t.AcceptLoss = []string{"i-d9", "i-d4"}
}

var stopCases = []verdictCase{
	{"only a node that leaves is stopped", Stop, "d4", func(_ *Health, t *Touch) { t.Leaving = nil }, RuleOnlyLeaving, "d4 is not to leave; what leaves: none", false},
	{"only a node that leaves is wiped", Wipe, "d4", func(_ *Health, t *Touch) { t.Leaving = []string{"d3"} }, RuleOnlyLeaving, "", false},

	{"nothing is stopped in a yellow cluster", Stop, "d4", func(h *Health, _ *Touch) { h.Status = "yellow" }, RuleNotGreen, "yellow", false},
	{"nothing is wiped in a yellow cluster", Wipe, "d4", func(h *Health, _ *Touch) { h.Status = "yellow" }, RuleNotGreen, "yellow", true},
	{"nothing is stopped while a copy is unassigned anywhere", Stop, "d4", func(h *Health, _ *Touch) { h.Unassigned = 1 }, RuleNotGreen, "1 unassigned", false},
	{"nothing is wiped in a red cluster", Wipe, "d4", func(h *Health, _ *Touch) { h.Status = "red" }, RuleRed, "", true},
	{"nothing is stopped while a data node is away", Stop, "d4", func(h *Health, _ *Touch) { h.lose("d3"); h.Shards, h.Indices = nil, nil }, RuleComplete, "3 of 4 data nodes", false},
	{"nothing is wiped while a data node is away", Wipe, "d4", func(h *Health, _ *Touch) { h.lose("d3"); h.Shards, h.Indices = nil, nil }, RuleComplete, "2 of 3 data nodes", false},
	{"nothing is stopped with allocation off", Stop, "d4", func(h *Health, _ *Touch) { h.Transient = map[string]string{settingAllocation: "none"} }, RuleAllocation, "", true},

	{"a node with a shard is not stopped", Stop, "d4", func(h *Health, _ *Touch) { h.Shards[0].Node = "d4" }, RuleEmpty, "1 copy on d4 (orders[0])", false},
	{"the source of a move is not stopped", Stop, "d4", func(h *Health, _ *Touch) {
		s := &h.Shards[0]
		s.Node, s.State, s.To = "d4", Relocating, "d2"
	}, RuleEmpty, "orders[0]", false},
	{"the target of a move is not stopped", Stop, "d4", func(h *Health, _ *Touch) { h.Shards[0].State, h.Shards[0].To = Relocating, "d4" }, RuleEmpty, "orders[0]", false},
	{"a node where a copy starts is not stopped", Stop, "d4", func(h *Health, _ *Touch) { h.Shards[0].State, h.Shards[0].Node = Initializing, "d4" }, RuleEmpty, "orders[0]", false},
	{"an empty node is stopped while others move", Stop, "d4", func(h *Health, _ *Touch) { h.Shards[0].State, h.Shards[0].To, h.Relocating = Relocating, "d3", 1 }, "", "", false},

	{"a node that could get shards again is not stopped", Stop, "d4", func(h *Health, _ *Touch) { h.Persistent = nil }, RuleExcluded, "d4 is not in", false},
	{"nor is one that another setting lets in", Stop, "d4", func(h *Health, _ *Touch) { h.Transient = map[string]string{settingExclude: "d3"} }, RuleExcluded, "(d3)", false},
	{"a volume is not wiped while its node could get shards", Wipe, "d4", func(h *Health, _ *Touch) { h.Persistent = nil }, RuleExcluded, "", false},

	{"empty once is no proof", Stop, "d4", func(_ *Health, t *Touch) { t.Drained = time.Time{} }, RuleProven, "not seen empty before", false},
	{"empty twice within a moment is none", Stop, "d4", func(_ *Health, t *Touch) { t.Drained = t.Drained.Add(time.Second) }, RuleProven, "29s before this reading; 30s must lie between", false},
	{"empty in the future is none", Wipe, "d4", func(_ *Health, t *Touch) { t.Drained = noon.Add(time.Hour) }, RuleProven, "", false},
	{"an older reading does not prove more because time passes", Stop, "d4", func(h *Health, t *Touch) { t.Drained = h.At; t.Now, t.MaxAge = noon.Add(time.Hour), 2*time.Hour }, RuleProven, "", false},

	{"a member is not wiped", Wipe, "d4", func(h *Health, _ *Touch) { h.Nodes = append(h.Nodes, node("d4", "data")) }, RuleStillMember, "still a member", false},
	{"not even if git gives its copies up", Wipe, "d4", func(h *Health, t *Touch) {
		h.Nodes = append(h.Nodes, node("d4", "data"))
		t.AcceptLoss = []string{"i-d4"}
	}, RuleStillMember, "", false},
	{"a member that holds shards is not stopped if git gives its copies up", Stop, "d4", func(h *Health, t *Touch) {
		h.Shards[0].Node = "d4"
		t.AcceptLoss = []string{"i-d4"}
	}, RuleEmpty, "", false},

	{"a closed index that cannot be seen may lie on the node", Stop, "d4", func(h *Health, _ *Touch) {
		h.Indices = append(h.Indices, Index{Name: "old", Shards: 5, Closed: true})
	}, RuleClosed, "old", true},
	{"or on its volume", Wipe, "d4", func(h *Health, _ *Touch) { h.Indices = append(h.Indices, Index{Name: "old", Shards: 5, Closed: true}) }, RuleClosed, "old", true},

	{"a node that is gone is given up when the cluster is green without it", Stop, "d4", gone, "", "", false},
	{"not at the first sight of that", Stop, "d4", func(h *Health, t *Touch) { gone(h, t); t.Drained = time.Time{} }, RuleProven, "", false},
	{"not if another one is away too", Stop, "d4", func(h *Health, t *Touch) { gone(h, t); t.Data = 5 }, RuleComplete, "3 of 5", false},
	{"but if that one is given up in git too, neither waits for the other", Stop, "d4", func(h *Health, t *Touch) { gone(h, t); t.Data, t.GoneData = 5, 1 }, "", "", false},
	{"nor for a master that is given up", Stop, "d4", func(h *Health, t *Touch) { gone(h, t); t.Masters, t.GoneMasters = 4, 1 }, "", "", false},
	{"a member waits for both", Stop, "d4", func(_ *Health, t *Touch) { t.Masters, t.GoneMasters = 4, 1 }, RuleComplete, "3 of 4 masters", false},
	{"not if nobody misses it: it could run under another name", Stop, "d4", func(h *Health, t *Touch) { gone(h, t); t.Data = 3 }, RuleComplete, "none of the expected nodes is missing", false},
	{"not with copies that nobody else has", Stop, "d4", lost, RuleRed, "orders[3]", true},
	{"not with copies that others lack", Stop, "d4", func(h *Health, t *Touch) { lost(h, t); h.Status = "yellow" }, RuleNotGreen, "", true},
	{"others may still be recovering them", Stop, "d4", func(h *Health, t *Touch) { lost(h, t); h.Status, h.Initializing = "yellow", 1 }, RuleNotGreen, "", false},
	{"it is given up with its copies if git says so", Stop, "d4", given, "", "", false},
	{"git must name this very instance", Stop, "d4", func(h *Health, t *Touch) { given(h, t); t.AcceptLoss = []string{"i-d3"} }, RuleRed, "orders[3]", true},
	{"no instance is not a name", Stop, "d4", func(h *Health, t *Touch) { given(h, t); t.Instance, t.AcceptLoss = "", []string{""} }, RuleRed, "", true},
	{"not while another node is away: its copies may be meant", Stop, "d4", func(h *Health, t *Touch) { given(h, t); t.Data = 5 }, RuleComplete, "3 of 5", false},
	{"not while a copy may still come back", Stop, "d4", func(h *Health, t *Touch) { given(h, t); h.Initializing = 1 }, RuleAtRest, "1 initializing", false},
	{"its volume is wiped after that", Wipe, "d4", func(h *Health, t *Touch) { given(h, t); t.Data = 3 }, "", "", false},
	{"but not while another node is away", Wipe, "d4", given, RuleComplete, "3 of 4", false},
}

func TestEmptyMeansNoShardHereAndNoneMissingAnywhere(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Health)
		want   bool
	}{
		{"drained", func(*Health) {}, true},
		{"unknown", func(h *Health) { h.Known = false }, false},
		{"a copy", func(h *Health) { h.Shards[0].Node = "d4" }, false},
		{"source", func(h *Health) { h.Shards[0].Node, h.Shards[0].State = "d4", Relocating }, false},
		{"target", func(h *Health) { h.Shards[0].To = "d4" }, false},
		{"unassigned counted", func(h *Health) { h.Unassigned = 1 }, false},
		{"unassigned listed", func(h *Health) { h.Shards[0].Node, h.Shards[0].State = "", Unassigned }, false},
	} {
		h, _ := emptied(Stop)
		c.change(h)
		if Empty(h, "d4") != c.want {
			t.Errorf("%s: want %v", c.name, c.want)
		}
	}
}
