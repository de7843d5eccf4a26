package esgate

import (
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/spec"
)

// mixed is the middle of an upgrade: d3 and d4 are new, and the replicas of what is primary there have no node.
func mixed(h *Health, t *Touch) {
	t.Upgrading, t.Version = true, v819
	h.Node("d3").Version, h.Node("d4").Version = v819, v819
	h.Status, h.Unassigned = "yellow", 1
	s := &h.Shards[7] // the replica of orders[3], whose primary is on d4
	s.State, s.Node, s.Decider = Unassigned, "", deciderVersion
}

var upgradeCases = []verdictCase{
	{"yellow of mixed versions lets the upgrade go on", Restart, "d2", mixed, "", "", false},
	{"it does not without an upgrade", Restart, "d2", func(h *Health, t *Touch) { mixed(h, t); t.Upgrading = false }, RuleNotGreen, "", false},
	{"it does not if another decider refuses", Restart, "d2", func(h *Health, t *Touch) { mixed(h, t); h.Shards[7].Decider = "disk_threshold" }, RuleMixedVersions, "orders[3]", false},
	{"it does not if nobody was asked why", Restart, "d2", func(h *Health, t *Touch) { mixed(h, t); h.Shards[7].Decider = "" }, RuleMixedVersions, "orders[3]", false},
	{"it does not for a primary", Restart, "d2", func(h *Health, t *Touch) { mixed(h, t); h.Shards[7].Primary = true }, RuleMixedVersions, "orders[3]", false},
	{"it does not while a shard starts", Restart, "d2", func(h *Health, t *Touch) { mixed(h, t); h.Initializing = 1 }, RuleMixedVersions, "1 initializing", false},
	{"it does not while a shard is waited for", Restart, "d2", func(h *Health, t *Touch) { mixed(h, t); h.Delayed = 1 }, RuleMixedVersions, "1 delayed", false},
	{"it does not with a copy that is not listed", Restart, "d2", func(h *Health, t *Touch) { mixed(h, t); h.Unassigned = 2 }, RuleMixedVersions, "2 unassigned", false},
	{"yellow without a cause does not either", Restart, "d2", func(h *Health, t *Touch) {
		mixed(h, t)
		h.Shards[7].State, h.Shards[7].Node, h.Unassigned = Started, "d1", 0
	}, RuleMixedVersions, "", false},
	{"mixed versions do not excuse the last copy", Restart, "d4", mixed, RuleAnotherCopy, "orders[3]", false},
	{"mixed versions do not let a node be stopped", Stop, "d4", func(h *Health, t *Touch) {
		h.Shards[3].State, h.Shards[3].Node, h.Shards[3].Decider = Unassigned, "", deciderVersion
		h.Status, h.Unassigned, t.Upgrading = "yellow", 1, true
	}, RuleNotGreen, "", false},
	{"a crashed node is restarted in an upgrade", Restart, "d2", func(h *Health, t *Touch) { mixed(h, t); h.kill("d2") }, "", "", false},
	{"a single data node is upgraded while it misses replicas", Restart, "d1", func(h *Health, t *Touch) { single(h, t); t.Upgrading, t.Version = true, v819 }, "", "", false},

	{"a hop that is not allowed is not committed", Commit, "", func(_ *Health, t *Touch) { t.Version = spec.Version{Major: 9}; t.Upgrading = true }, RuleHop, "7.17.28 to 9.0.0", true},
	{"nor is one that only starts", Commit, "", func(_ *Health, t *Touch) { t.Version = spec.Version{Major: 9} }, RuleHop, "more than one step", true},
	{"the lowest running version decides", Commit, "", func(h *Health, t *Touch) {
		t.Upgrading, t.Version, h.Node("d1").Version = true, v819, spec.Version{Major: 7, Minor: 10, Patch: 2}
	}, RuleHop, "node d1: elasticsearch 7.10.2 to 8.19.21 is only possible from 7.17", true},
	{"no way back in the middle of an upgrade", Commit, "", func(h *Health, t *Touch) { t.Upgrading, h.Node("d1").Version = true, v819 }, RuleHop, "downgrade", true},
	{"a node whose version is not told is not upgraded", Commit, "", func(h *Health, _ *Touch) { h.Node("d1").Version = spec.Version{} }, RuleHop, "not known", true},
	{"no node restarts into a version that it may not have", Restart, "d1", func(_ *Health, t *Touch) { t.Version, t.Upgrading = spec.Version{Major: 7, Minor: 10}, true }, RuleHop, "downgrade", true},
	{"an allowed hop is committed", Commit, "", func(_ *Health, t *Touch) { t.Version, t.Upgrading = v819, true }, "", "", false},

	{"no version is committed while a snapshot runs", Commit, "", func(h *Health, t *Touch) { t.Version, h.Snapshotting = v819, true }, RuleSnapshotting, "", false},
	{"other definitions are", Commit, "", func(h *Health, _ *Touch) { h.Snapshotting = true }, "", "", false},
	{"a demanded snapshot must exist", Commit, "", func(_ *Health, t *Touch) { t.SnapshotWithin = time.Hour }, RuleSnapshot, "no successful snapshot", true},
	{"a demanded snapshot must be fresh", Commit, "", func(h *Health, t *Touch) {
		t.SnapshotWithin, h.LastSnapshot = time.Hour, noon.Add(-time.Hour-time.Second)
	}, RuleSnapshot, "1h0m1s old, more than 1h0m0s", true},
	{"a snapshot just fresh enough is", Commit, "", func(h *Health, t *Touch) { t.SnapshotWithin, h.LastSnapshot = time.Hour, noon.Add(-time.Hour) }, "", "", false},
	{"a snapshot ages in the middle of a roll without stopping it", Restart, "d1", func(_ *Health, t *Touch) { t.SnapshotWithin = time.Hour }, "", "", false},

	{"masters wait for data nodes in an upgrade", Restart, "m2", func(_ *Health, t *Touch) { t.Upgrading, t.Version = true, v819 }, RuleOrder, "d1, d2, d3 and 1 more", false},
	{"masters do not wait for a data node that leaves", Restart, "m2", func(h *Health, t *Touch) {
		t.Upgrading, t.Version, t.Leaving = true, v819, []string{"d1"}
		for _, n := range []string{"d2", "d3", "d4"} {
			h.Node(n).Version = v819
		}
	}, "", "", false},
	{"the elected master waits for the others", Restart, "m1", func(h *Health, t *Touch) {
		t.Upgrading, t.Version = true, v819
		for i := range h.Nodes {
			if h.Nodes[i].Name != "m1" && h.Nodes[i].Name != "m3" {
				h.Nodes[i].Version = v819
			}
		}
	}, RuleOrder, "m1 is the elected master: nodes that go before it still run an older version than 8.19.21: m3", false},
	{"the elected master goes last", Restart, "m1", func(h *Health, t *Touch) {
		t.Upgrading, t.Version = true, v819
		for i := range h.Nodes {
			if h.Nodes[i].Name != "m1" {
				h.Nodes[i].Version = v819
			}
		}
	}, "", "", false},
	{"without an upgrade the order is not of the rules", Restart, "m1", func(_ *Health, _ *Touch) {}, "", "", false},
}

func TestOnlyListedHopsAreRolling(t *testing.T) {
	const es, os = spec.ElasticsearchDist, spec.OpenSearchDist
	for _, c := range []struct {
		dist     spec.Distribution
		from, to string
		ok       bool
		says     string
	}{
		{es, "7.17.28", "7.17.28", true, ""}, {es, "7.10.2", "7.17.28", true, ""}, {es, "2.3.0", "2.4.6", true, ""},
		{es, "5.6.16", "6.0.0", true, ""}, {es, "5.6.0", "6.8.23", true, ""}, {es, "6.8.0", "7.17.28", true, ""}, {es, "7.17.0", "8.0.0", true, ""},
		{os, "1.3.0", "2.0.0", true, ""}, {os, "1.0.0", "1.3.20", true, ""}, {os, "2.1.0", "2.11.0", true, ""},
		{es, "5.5.3", "6.8.23", false, "upgrade to 5.6 first"}, {es, "6.7.2", "7.0.0", false, "upgrade to 6.8 first"}, {es, "7.16.3", "8.0.0", false, "upgrade to 7.17 first"},
		{os, "1.2.4", "2.0.0", false, "upgrade to 1.3 first"}, {os, "2.11.0", "3.0.0", false, "restore a snapshot"},
		{es, "1.7.6", "2.4.6", false, "stop the whole cluster"}, {es, "2.4.6", "5.6.16", false, "stop the whole cluster"}, {es, "2.4.6", "6.8.23", false, "more than one step"},
		{es, "5.6.16", "7.0.0", false, "upgrade to a version 6.x first"}, {es, "5.0.0", "8.0.0", false, "upgrade to 5.6 first"}, {es, "8.19.0", "9.0.0", false, "restore a snapshot"},
		{es, "8.0.0", "7.17.28", false, "downgrade"}, {es, "7.17.28", "7.17.27", false, "downgrade"}, {es, "7.17.0", "7.16.9", false, "downgrade"},
		{"", "7.17.0", "8.0.0", false, "more than one step"}, {es, "0.0.0", "8.0.0", false, "not known"}, {es, "8.0.0", "0.0.0", false, "not known"},
	} {
		ok, why := Hop(version(t, c.from), version(t, c.to), c.dist)
		if ok != c.ok || ok != (why == "") || !strings.Contains(why, c.says) {
			t.Errorf("%s %s to %s: got %v, %q; want %v with %q", c.dist, c.from, c.to, ok, why, c.ok, c.says)
		}
	}
}

func version(t *testing.T, s string) (v spec.Version) {
	t.Helper()
	for i, p := range strings.Split(s, ".") {
		n := number(p)
		*[]*int{&v.Major, &v.Minor, &v.Patch}[i] = n
	}
	if v.String() != s {
		t.Fatalf("%s is no version", s)
	}
	return v
}

func TestMixedVersionsIsYellowForNothingElse(t *testing.T) {
	h, touch := healthy(), touch(Restart, "d2")
	if MixedVersions(h) || MixedVersions(&Health{}) {
		t.Error("a green or unknown cluster is not mixed")
	}
	mixed(h, &touch)
	if !MixedVersions(h) {
		t.Error("an upgrade's yellow is")
	}
	h.Status = "red"
	if MixedVersions(h) {
		t.Error("red is more")
	}
}
