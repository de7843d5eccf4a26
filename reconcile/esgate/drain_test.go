package esgate

import (
	"slices"
	"testing"

	"github.com/esfleet/esfleet/spec"
)

var drainCases = []verdictCase{
	{"only a node that leaves is drained", Drain, "d1", func(_ *Health, t *Touch) { t.Leaving = []string{"d2"} }, RuleOnlyLeaving, "d1 is not to leave; what leaves: d2", false},
	{"yellow does not stop a drain", Drain, "d1", func(h *Health, _ *Touch) { h.kill("d3") }, "", "", false},

	{"as many nodes must stay as an index has copies", Drain, "d1", func(_ *Health, t *Touch) { t.Leaving = []string{"d1", "d2", "d3"} }, RuleDrainCopies, "2 copies of each shard, and 1 data node", true},
	{"as many and no more", Drain, "d1", func(_ *Health, t *Touch) { t.Leaving = []string{"d1", "d2"} }, "", "", false},
	{"nodes that are away do not stay", Drain, "d1", func(h *Health, t *Touch) { h.kill("d3"); h.kill("d2"); h.Status, t.Leaving = "yellow", []string{"d1"} }, RuleDrainCopies, "1 data node", true},
	{"some node must stay, even without an index", Drain, "d1", func(h *Health, t *Touch) { h.Indices, h.Shards, t.Leaving = nil, nil, []string{"d1", "d2", "d3", "d4"} }, RuleDrainCopies, "no data node would stay", true},
	{"two nodes on one host hold one copy", Drain, "d1", func(h *Health, t *Touch) { t.Leaving = []string{"d1", "d2"}; h.Node("d4").Host = "host-d3" }, RuleDrainCopies, "stay on 1 host", true},
	{"nodes whose hosts are not told are on hosts of their own", Drain, "d1", func(h *Health, t *Touch) {
		t.Leaving = []string{"d1", "d2"}
		h.Node("d3").Host, h.Node("d4").Host = "", ""
	}, "", "", false},
	{"masters hold no copies", Drain, "d1", func(_ *Health, t *Touch) { t.Leaving = []string{"d1", "d2", "d3", "m3"} }, RuleDrainCopies, "1 data node", true},

	{"the limit of shards per node must leave room", Drain, "d1", func(h *Health, _ *Touch) { h.Indices[0].PerNode = 2 }, RuleDrainShards, "8 copies and at most 2 on a node: 3 data nodes hold 6", true},
	{"a limit that just fits does", Drain, "d1", func(h *Health, t *Touch) { h.Indices[0].PerNode = 4; t.Leaving = []string{"d1", "d2"} }, "", "", false},
	{"the cluster's own limit must leave room too", Drain, "d1", func(h *Health, _ *Touch) { h.Transient = map[string]string{settingPerNode: "2"} }, RuleDrainShards, "the cluster has 8 copies", true},
	{"the cluster's own limit that just fits does", Drain, "d1", func(h *Health, _ *Touch) { h.Persistent = map[string]string{settingPerNode: "3"} }, "", "", false},
	{"no limit of the cluster is one that says so", Drain, "d1", func(h *Health, _ *Touch) { h.Persistent = map[string]string{settingPerNode: "-1"} }, "", "", false},

	{"the disks must have the room", Drain, "d1", func(h *Health, _ *Touch) {
		for _, n := range []string{"d2", "d3", "d4"} {
			h.Node(n).DiskFree = 16 << 30
		}
	}, RuleDrainDisk, "20.0 GiB must move, and 3 data nodes have room for 3.0 GiB", true},
	{"disks below the watermark do not take from the others", Drain, "d1", func(h *Health, _ *Touch) { h.Node("d2").DiskFree, h.Node("d3").DiskFree = 0, 0 }, "", "", false},
	{"room that just fits does", Drain, "d1", func(h *Health, _ *Touch) {
		h.Node("d2").DiskFree, h.Node("d3").DiskFree, h.Node("d4").DiskFree = 35<<30, 0, 0
	}, "", "", false},
	{"a byte less does not", Drain, "d1", func(h *Health, _ *Touch) {
		h.Node("d2").DiskFree, h.Node("d3").DiskFree, h.Node("d4").DiskFree = 35<<30-1, 0, 0
	}, RuleDrainDisk, "", true},
	{"what other leaving nodes hold counts", Drain, "d1", func(h *Health, t *Touch) {
		t.Leaving = []string{"d1", "d2"}
		h.Node("d3").DiskFree, h.Node("d4").DiskFree = 30<<30, 30<<30
	}, RuleDrainDisk, "40.0 GiB must move, and 2 data nodes have room for 30.0 GiB", true},
	{"disks that are not told have no room", Drain, "d1", func(h *Health, _ *Touch) {
		for i := range h.Nodes {
			h.Nodes[i].DiskFree, h.Nodes[i].DiskTotal = 0, 0
		}
	}, RuleDrainDisk, "", true},
	{"a watermark that was lowered counts", Drain, "d1", func(h *Health, _ *Touch) { h.Persistent = map[string]string{settingWatermark: "25%"} }, RuleDrainDisk, "room for 15.0 GiB", true},

	{"a node that is down may be kept from shards whatever fits", Drain, "d1", func(h *Health, _ *Touch) { h.kill("d1"); h.Indices[0].PerNode = 1 }, "", "", false},
	{"others that leave with it must fit", Drain, "d1", func(h *Health, t *Touch) { h.kill("d1"); t.Leaving = []string{"d1", "d2", "d3"} }, RuleDrainCopies, "1 data node", true},
	{"but not while it has what nobody else has", Drain, "d1", func(h *Health, _ *Touch) { h.kill("d1"); h.Status = "red" }, RuleRed, "", true},
	{"unless git gives that up", Drain, "d1", func(h *Health, t *Touch) { h.kill("d1"); h.Status, t.AcceptLoss = "red", []string{"i-d1"} }, "", "", false},
	{"a closed index that cannot be seen cannot be drained", Drain, "d1", func(h *Health, _ *Touch) {
		h.Indices = append(h.Indices, Index{Name: "old", Shards: 5, Replicas: 1, Closed: true})
	}, RuleClosed, "old", true},
	{"a closed index that is seen can", Drain, "d1", func(h *Health, _ *Touch) { h.Indices[0].Closed = true }, "", "", false},
	{"a master that leaves has nothing to drain", Drain, "d1", func(h *Health, t *Touch) {
		t.Node, t.Instance, t.Component, t.Leaving = "m1", "i-m1", spec.Master, []string{"m1"}
		h.Indices[0].PerNode = 1
	}, "", "", false},
	{"data nodes that leave with it must fit", Drain, "d1", func(_ *Health, t *Touch) {
		t.Node, t.Instance, t.Component, t.Leaving = "m1", "i-m1", spec.Master, []string{"m1", "d1", "d2", "d3"}
	}, RuleDrainCopies, "1 data node", true},
}

func TestTheWatermarkInForceIsAShareOrTheDefault(t *testing.T) {
	n := &Node{DiskTotal: 1000}
	for text, want := range map[string]int64{"": 150, "85%": 150, "0.85": 150, "90%": 100, "50%": 500, "0.5": 500, "100%": 0, "10gb": 150, "0": 150, "-5%": 150, "850%": 150, "NaN": 150, "x%": 150} {
		h := &Health{Transient: map[string]string{settingWatermark: text}}
		if got := keptFree(h, n); got < want-1 || got > want+1 {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestExcludedListsNamesInForceWithoutNeutralOnes(t *testing.T) {
	for _, c := range []struct {
		persistent, transient string
		want                  []string
	}{
		{"", "", nil}, {"d2,d1", "", []string{"d1", "d2"}}, {" d2 , d1 ,,d2", "", []string{"d1", "d2"}}, {"d1", "d3", []string{"d3"}},
		{"_none_", "", nil}, {"none_excluded,d1", "", []string{"d1"}}, {"", "d3", []string{"d3"}},
	} {
		h := &Health{Persistent: map[string]string{}, Transient: map[string]string{}}
		if c.persistent != "" {
			h.Persistent[settingExclude] = c.persistent
		}
		if c.transient != "" {
			h.Transient[settingExclude] = c.transient
		}
		if got := Excluded(h); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}
