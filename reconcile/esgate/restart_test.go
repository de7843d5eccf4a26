package esgate

import "github.com/esfleet/esfleet/spec"

// single makes a cluster of one master and one data node, whose replicas have no place.
func single(h *Health, t *Touch) {
	for _, n := range []string{"d2", "d3", "d4", "m2", "m3"} {
		h.lose(n)
	}
	h.Status, h.Unassigned = "yellow", 4
	for i := range h.Shards {
		s := &h.Shards[i]
		s.Node = "d1"
		if !s.Primary {
			s.Node, s.State = "", Unassigned
		}
	}
	t.Masters, t.Data = 1, 1
}

// more adds an index of one shard, with a replica if there is a second node.
func (h *Health) more(index string, nodes ...string) {
	h.Indices = append(h.Indices, Index{Name: index, Shards: 1, Replicas: len(nodes) - 1})
	for i, n := range nodes {
		h.Shards = append(h.Shards, Shard{Index: index, Primary: i == 0, State: Started, Node: n, Bytes: 1 << 30})
	}
}

var restartCases = []verdictCase{
	{"red: no healthy node is restarted", Restart, "d1", func(h *Health, _ *Touch) { h.kill("d3"); h.kill("d4") }, RuleRed, "orders[2]", false},
	{"red: no definition is committed", Commit, "", func(h *Health, _ *Touch) { h.Status = "red" }, RuleRed, "red", false},
	{"red: nothing is drained", Drain, "d1", func(h *Health, _ *Touch) { h.Status = "red" }, RuleRed, "red", false},
	{"red: the only node outside may be started", Restart, "d1", func(h *Health, _ *Touch) {
		h.kill("d1")
		h.Shards[1].State, h.Shards[1].Node, h.Status = Unassigned, "", "red"
	}, "", "", false},
	{"yellow: a definition may be committed", Commit, "", func(h *Health, _ *Touch) { h.kill("d3") }, "", "", false},

	{"a node that leaves is not restarted", Restart, "d1", func(_ *Health, t *Touch) { t.Leaving = []string{"d2", "d1"} }, RuleLeaving, "drained", false},
	{"a node that leaves may be started when it is down", Restart, "d1", func(h *Health, t *Touch) { h.kill("d1"); t.Leaving = []string{"d1"} }, "", "", false},

	{"no data node is restarted while another is away", Restart, "d1", func(h *Health, _ *Touch) { h.kill("d3") }, RuleComplete, "3 of 4 data nodes", false},
	{"nor while one is away that held nothing", Restart, "d1", func(_ *Health, t *Touch) { t.Data = 5 }, RuleComplete, "4 of 5 data nodes", false},
	{"no data node is restarted while a master is away", Restart, "d1", func(h *Health, _ *Touch) { h.lose("m3") }, RuleComplete, "2 of 3 masters", false},
	{"no master is restarted while another is away", Restart, "m1", func(h *Health, _ *Touch) { h.lose("m3") }, RuleComplete, "2 of 3 masters", false},
	{"no ingest node is restarted while another is away", Restart, "d1", func(h *Health, t *Touch) {
		h.Nodes = append(h.Nodes, node("x1", spec.Ingest))
		t.Node, t.Instance, t.Component, t.Peers = "x1", "i-x1", spec.Ingest, 2
	}, RuleComplete, "1 of 2 ingest nodes", false},
	{"a crashed data node is restarted if it is the only one away", Restart, "d1", func(h *Health, _ *Touch) { h.kill("d1") }, "", "", false},
	{"a crashed master is restarted if it is the only one away", Restart, "m2", func(h *Health, _ *Touch) { h.lose("m2") }, "", "", false},
	{"a crashed ingest node is restarted if it is the only one away", Restart, "d1", func(_ *Health, t *Touch) {
		t.Node, t.Instance, t.Component, t.Peers = "x1", "i-x1", spec.Ingest, 1
	}, "", "", false},
	{"a crashed ingest node is restarted if nobody counts its peers", Restart, "d1", func(_ *Health, t *Touch) {
		t.Node, t.Instance, t.Component = "x1", "i-x1", spec.Ingest
	}, "", "", false},
	{"a crashed node waits if another one is away", Restart, "d1", func(h *Health, _ *Touch) { h.kill("d1"); h.lose("d2"); h.Shards = nil; h.Indices = nil }, RuleComplete, "2 of 4", false},
	{"a crashed data node waits if a master is away", Restart, "d1", func(h *Health, _ *Touch) { h.kill("d1"); h.lose("m3") }, RuleComplete, "2 of 3 masters", false},
	{"a crashed master waits if a data node is away", Restart, "m2", func(h *Health, _ *Touch) { h.lose("m2"); h.kill("d1") }, RuleComplete, "3 of 4 data nodes", false},
	{"a node that nobody misses is not known by that name", Restart, "d1", func(_ *Health, t *Touch) { t.Node, t.Instance = "d-1", "" }, RuleComplete, "none of the expected nodes is missing", false},
	{"a crashed node is restarted while shards recover, tasks pend and a snapshot runs", Restart, "d1", func(h *Health, _ *Touch) {
		h.kill("d1")
		h.Initializing, h.Relocating, h.Delayed, h.PendingTasks, h.Snapshotting = 2, 1, 3, 4, true
		h.Transient = map[string]string{settingAllocation: "primaries"}
	}, "", "", false},

	{"yellow: no member is restarted", Restart, "d1", func(h *Health, _ *Touch) { h.Status = "yellow" }, RuleNotGreen, "yellow", false},
	{"green with an unassigned copy in the list is not green", Restart, "d1", func(h *Health, _ *Touch) { h.Shards[5].State, h.Shards[5].Node = Unassigned, "" }, RuleNotGreen, "1 unassigned", false},
	{"green with an unassigned copy in the count is not green", Restart, "d1", func(h *Health, _ *Touch) { h.Unassigned = 1 }, RuleNotGreen, "1 unassigned", false},
	{"a single declared data node may miss its replicas", Restart, "d1", func(h *Health, t *Touch) { single(h, t) }, "", "", false},
	{"so may its cluster's master", Restart, "m1", func(h *Health, t *Touch) { single(h, t) }, "", "", false},
	{"a single data node with a missing primary waits", Restart, "d1", func(h *Health, t *Touch) { single(h, t); h.Shards[0].State, h.Shards[0].Node = Unassigned, "" }, RuleNotGreen, "yellow", false},
	{"a single data node with a copy that is counted but not listed waits", Restart, "d1", func(h *Health, t *Touch) { single(h, t); h.Unassigned = 5 }, RuleNotGreen, "yellow", false},
	{"a data node that is alone by accident waits for the others", Restart, "d1", func(h *Health, t *Touch) { single(h, t); t.Data, t.Masters = 2, 1 }, RuleComplete, "1 of 2", false},

	{"a shard that starts is waited for", Restart, "d1", func(h *Health, _ *Touch) { h.Initializing = 1 }, RuleAtRest, "1 initializing", false},
	{"a shard that starts in the list too", Restart, "m1", func(h *Health, _ *Touch) { h.Shards[5].State = Initializing }, RuleAtRest, "1 initializing", false},
	{"a shard that moves too", Restart, "d1", func(h *Health, _ *Touch) { h.Relocating = 1 }, RuleAtRest, "1 relocating", false},
	{"a shard that moves in the list too", Restart, "d1", func(h *Health, _ *Touch) { h.Shards[5].State = Relocating }, RuleAtRest, "1 relocating", false},
	{"a shard whose node is expected back too", Restart, "d1", func(h *Health, _ *Touch) { h.Delayed = 1 }, RuleAtRest, "1 delayed", false},
	{"a shard that is looked for too", Restart, "d1", func(h *Health, _ *Touch) { h.InFlightFetch = 1 }, RuleAtRest, "1 looked for", false},

	{"a task that waits at the master is waited for", Restart, "d1", func(h *Health, _ *Touch) { h.PendingTasks = 1 }, RulePending, "1 task ", false},

	{"a snapshot that runs is waited for", Restart, "d1", func(h *Health, _ *Touch) { h.Snapshotting = true }, RuleSnapshotting, "snapshot", false},

	{"allocation switched off is put right first", Restart, "d1", func(h *Health, _ *Touch) { h.Persistent = map[string]string{settingAllocation: "none"} }, RuleAllocation, "is none", true},
	{"transient settings win", Restart, "d1", func(h *Health, _ *Touch) {
		h.Persistent, h.Transient = map[string]string{settingAllocation: "all"}, map[string]string{settingAllocation: "primaries"}
	}, RuleAllocation, "is primaries", true},
	{"also where they put it right", Restart, "d1", func(h *Health, _ *Touch) {
		h.Persistent, h.Transient = map[string]string{settingAllocation: "none"}, map[string]string{settingAllocation: "ALL"}
	}, "", "", false},
	{"a drain would not end with allocation off", Drain, "d1", func(h *Health, _ *Touch) { h.Transient = map[string]string{settingAllocation: "none"} }, RuleAllocation, "", true},

	{"the last copy stays up", Restart, "d2", func(h *Health, _ *Touch) { h.more("tmp", "d2", "d2") }, RuleAnotherCopy, "tmp[0] has no other started copy", false},
	{"a copy without replicas stays up until somebody decides", Restart, "d1", func(h *Health, _ *Touch) { h.more("tmp", "d1") }, RuleAnotherCopy, "no replicas", true},
	{"the source of a move counts as a copy", Restart, "d2", func(h *Health, _ *Touch) { h.Shards[0].State, h.Shards[0].To = Relocating, "d3" }, RuleAtRest, "", false},

	{"a host with more nodes than replicas is not touched", Restart, "d1", func(h *Health, _ *Touch) { h.Node("d2").Host = "host-d1" }, RuleHost, "host host-d1 runs 2 data nodes (d1, d2), index orders has 1 replica", true},
	{"a host with as many nodes as replicas is", Restart, "d1", func(h *Health, _ *Touch) {
		h.Node("d2").Host = "host-d1"
		h.Indices[0].Replicas = 2
		for i := range 4 {
			h.Shards = append(h.Shards, Shard{Index: "orders", Number: i, State: Started, Node: []string{"d3", "d4", "d1", "d2"}[i]})
		}
	}, "", "", false},
	{"an index without replicas outlives no host", Restart, "d1", func(h *Health, _ *Touch) { h.more("tmp", "d3") }, RuleHost, "tmp has 0 replicas", true},
	{"a closed index does not count there", Restart, "d1", func(h *Health, _ *Touch) {
		h.Indices = append(h.Indices, Index{Name: "old", Shards: 5, Closed: true})
	}, "", "", false},
	{"a master beside a data node does not count there", Restart, "d1", func(h *Health, _ *Touch) { h.Node("m1").Host = "host-d1" }, "", "", false},
	{"hosts that are not told are not compared", Restart, "d1", func(h *Health, _ *Touch) { h.Node("d1").Host, h.Node("d2").Host = "", "" }, "", "", false},
}
