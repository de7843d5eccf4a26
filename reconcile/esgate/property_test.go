package esgate

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/esfleet/esfleet/spec"
	"pgregory.net/rapid"
)

// aState draws a cluster that may be well or not, and a touch of it. The reading fits together; everything that the
// rules look at takes good and bad values.
func aState(t *rapid.T) (*Health, Touch) {
	h := &Health{Asked: true, Known: true, At: noon.Add(-time.Second), Name: "logs", UUID: "u1", Master: "m1"}
	data, masters := rapid.IntRange(1, 5).Draw(t, "data"), rapid.IntRange(0, 4).Draw(t, "masters")
	if masters == 0 {
		h.Master = "d1" // the data nodes elect among themselves
	}
	for i := range masters {
		h.Nodes = append(h.Nodes, node(fmt.Sprintf("m%d", i+1), spec.Master))
	}
	for i := range data {
		n := node(fmt.Sprintf("d%d", i+1), spec.Data)
		n.MasterEligible = masters == 0
		if rapid.IntRange(0, 9).Draw(t, "host") == 0 {
			n.Host = "shared"
		}
		n.DiskFree = int64(rapid.SampledFrom([]int{10, 30, 80, 80}).Draw(t, "free")) << 30
		h.Nodes = append(h.Nodes, n)
	}
	for i := range h.Nodes {
		if rapid.IntRange(0, 7).Draw(t, "version") == 0 {
			h.Nodes[i].Version = v819
		}
	}
	for x := range rapid.IntRange(0, 3).Draw(t, "indices") {
		drawIndex(t, h, fmt.Sprintf("x%d", x), data)
	}
	switch c := stateOf(h); {
	case slices.ContainsFunc(h.Shards, func(s Shard) bool { return s.Primary && !s.Serves() }):
		h.Status = "red"
	case c.unassigned+c.initializing > 0:
		h.Status = "yellow"
	default:
		h.Status = "green"
	}
	c := stateOf(h)
	h.Unassigned, h.Initializing, h.Relocating = c.unassigned, c.initializing, c.relocating
	h.PendingTasks = seldom(t, "pending", 1)
	h.Delayed = min(seldom(t, "delayed", 1), h.Unassigned)
	h.Snapshotting = seldom(t, "snapshot", 1) == 1
	h.Persistent = map[string]string{}
	if seldom(t, "allocation", 1) == 1 {
		h.Persistent[settingAllocation] = "none"
	}
	return h, drawTouch(t, h, data)
}

func seldom(t *rapid.T, what string, n int) int {
	if rapid.IntRange(0, 15).Draw(t, what) == 0 {
		return n
	}
	return 0
}

func drawIndex(t *rapid.T, h *Health, name string, data int) {
	x := Index{Name: name, Shards: rapid.IntRange(1, 2).Draw(t, "shards"), Replicas: rapid.IntRange(0, 2).Draw(t, "replicas"), PerNode: seldom(t, "per node", 2)}
	h.Indices = append(h.Indices, x)
	for number := range x.Shards {
		first := rapid.IntRange(0, data-1).Draw(t, "on")
		for c := range 1 + x.Replicas {
			s := Shard{Index: name, Number: number, Primary: c == 0, State: Started, Node: fmt.Sprintf("d%d", (first+c)%data+1), Bytes: 5 << 30}
			switch {
			case c >= data:
				s.State, s.Node = Unassigned, ""
			case seldom(t, "unassigned", 1) == 1:
				s.State, s.Node, s.Decider = Unassigned, "", rapid.SampledFrom([]string{"", deciderVersion}).Draw(t, "decider")
			case seldom(t, "initializing", 1) == 1:
				s.State = Initializing
			case seldom(t, "relocating", 1) == 1:
				s.State, s.To = Relocating, "d1"
			}
			h.Shards = append(h.Shards, s)
		}
	}
}

func drawTouch(t *rapid.T, h *Health, data int) Touch {
	who := rapid.SampledFrom(append([]string{"d1", "d1", "d2", "d9", "m9"}, h.Nodes[0].Name)).Draw(t, "node")
	touch := touch(rapid.SampledFrom(every).Draw(t, "kind"), who)
	touch.Data, touch.Masters = data+seldom(t, "data away", 1), h.masters()+seldom(t, "masters away", 1)
	if h.Node(who) == nil && touch.Kind != Wipe { // it is expected, too; what is wiped was stopped before
		touch.Data += btoi(holdsData(h, &touch))
		touch.Masters += btoi(eligible(h, &touch))
	}
	touch.Upgrading = rapid.Bool().Draw(t, "upgrading")
	if touch.Upgrading {
		touch.Version = v819
	}
	touch.Zen1 = rapid.Bool().Draw(t, "zen1")
	touch.Quorum = touch.Masters/2 + rapid.IntRange(0, 2).Draw(t, "quorum")
	if touch.Kind != Restart && rapid.Bool().Draw(t, "leaving") {
		touch.Leaving = []string{who}
	}
	if rapid.Bool().Draw(t, "excluded") {
		h.Persistent[settingExclude] = who
		h.VotingExclusions = []string{who}
	}
	if rapid.Bool().Draw(t, "drained") {
		touch.Drained = h.At.Add(-ProofPause)
	}
	if rapid.IntRange(0, 3).Draw(t, "loss") == 0 {
		touch.AcceptLoss = []string{touch.Instance}
	}
	return touch
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// destructive kinds can lose documents if they are allowed at the wrong moment.
var destructive = []Kind{Restart, Drain, Stop, Wipe}

func TestDoubtNeverAllowsWhatCouldLoseADocument(t *testing.T) {
	doubts := map[string]func(*Health){
		"not asked":        func(h *Health) { h.Asked = false },
		"not known":        func(h *Health) { h.Known = false },
		"no time":          func(h *Health) { h.At = time.Time{} },
		"old":              func(h *Health) { h.At = noon.Add(-time.Hour) },
		"another name":     func(h *Health) { h.Name = "shop" },
		"another uuid":     func(h *Health) { h.UUID = "u2" },
		"no uuid":          func(h *Health) { h.UUID = "" },
		"no master":        func(h *Health) { h.Master = "" },
		"a foreign master": func(h *Health) { h.Master = "x" },
		"no nodes":         func(h *Health) { h.Nodes = nil },
		"no status":        func(h *Health) { h.Status = "" },
		"a shard of an index that is not listed": func(h *Health) {
			h.Shards = append(h.Shards, Shard{Index: "unlisted", Primary: true, State: Started, Node: h.Master})
		},
		"an index without shards": func(h *Health) { h.Indices = append(h.Indices, Index{Name: "cut", Shards: 1}) },
	}
	rapid.Check(t, func(t *rapid.T) {
		h, touch := aState(t)
		touch.Kind = rapid.SampledFrom(destructive).Draw(t, "destructive")
		doubt := rapid.SampledFrom(slices.Sorted(maps.Keys(doubts))).Draw(t, "doubt")
		doubts[doubt](h)
		if v := Judge(h, touch); v.OK {
			t.Fatalf("%s: %s of %s is allowed", doubt, touch.Kind, touch.Node)
		}
	})
}

// worse are changes for the worse of a reading. None of them is the loss of the touched node itself: starting a node that
// is down is another thing than restarting one that is up.
var worse = map[string]func(*rapid.T, *Health, *Touch){
	"one more unassigned shard": func(t *rapid.T, h *Health, _ *Touch) {
		if len(h.Shards) > 0 {
			s := &h.Shards[rapid.IntRange(0, len(h.Shards)-1).Draw(t, "shard")]
			if s.State == Unassigned {
				return
			}
			s.State, s.Node, s.To, s.Decider = Unassigned, "", "", ""
			h.Unassigned++
			if h.Status == "green" {
				h.Status = "yellow"
			}
			if s.Primary {
				h.Status = "red"
			}
		}
	},
	"one node fewer": func(t *rapid.T, h *Health, touch *Touch) {
		if touch.Kind == Commit {
			return // the versions of nodes that are gone are not known, and a change of mind must be possible
		}
		var others []string
		for i := range h.Nodes {
			if n := h.Nodes[i].Name; n != touch.Node && n != h.Master {
				others = append(others, n)
			}
		}
		if len(others) > 0 {
			h.kill(rapid.SampledFrom(others).Draw(t, "killed"))
		}
	},
	"a shard that starts":   func(_ *rapid.T, h *Health, _ *Touch) { h.Initializing++ },
	"a shard that moves":    func(_ *rapid.T, h *Health, _ *Touch) { h.Relocating++ },
	"a task that waits":     func(_ *rapid.T, h *Health, _ *Touch) { h.PendingTasks++ },
	"a snapshot":            func(_ *rapid.T, h *Health, _ *Touch) { h.Snapshotting = true },
	"allocation off":        func(_ *rapid.T, h *Health, _ *Touch) { h.Persistent[settingAllocation] = "none" },
	"red":                   func(_ *rapid.T, h *Health, _ *Touch) { h.Status = "red" },
	"disks that fill":       func(_ *rapid.T, h *Health, _ *Touch) { h.Nodes[len(h.Nodes)-1].DiskFree = 0 },
	"one more is expected":  func(_ *rapid.T, _ *Health, touch *Touch) { touch.Data += 2 },
	"the proof is younger":  func(_ *rapid.T, _ *Health, touch *Touch) { touch.Drained = noon },
	"the exclusion is gone": func(_ *rapid.T, h *Health, _ *Touch) { delete(h.Persistent, settingExclude) },
	"a lower quorum":        func(_ *rapid.T, h *Health, touch *Touch) { touch.Quorum = min(touch.Quorum, touch.Masters/2) },
}

func TestWorseNeverAllowsWhatWasForbidden(t *testing.T) {
	forbidden := 0
	rapid.Check(t, func(t *rapid.T) {
		h, touch := aState(t)
		before := Judge(h, touch)
		what := rapid.SampledFrom(slices.Sorted(maps.Keys(worse))).Draw(t, "worse")
		worse[what](t, h, &touch)
		if after := Judge(h, touch); !before.OK && after.OK {
			t.Fatalf("%s of %s was forbidden (%s: %s), and is allowed after: %s", touch.Kind, touch.Node, before.Rule, before.Why, what)
		}
		if !before.OK {
			forbidden++
		}
	})
	if forbidden == 0 {
		t.Error("no state was forbidden: the property says nothing")
	}
}

// What is allowed is safe by the rules' own words, said again without them.
func TestWhatIsAllowedLosesNoCopy(t *testing.T) {
	allowed := map[Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		h, touch := aState(t)
		if !Judge(h, touch).OK {
			return
		}
		allowed[touch.Kind]++
		member := h.Node(touch.Node)
		for i := range h.Shards {
			s := &h.Shards[i]
			if s.Node != touch.Node || member == nil {
				continue
			}
			other := slices.ContainsFunc(h.Shards, func(o Shard) bool {
				return o.Index == s.Index && o.Number == s.Number && o.Node != s.Node && (o.State == Started || o.State == Relocating)
			})
			if touch.Kind == Restart && !other && touch.Data > 1 || touch.Kind == Stop {
				t.Fatalf("%s of %s takes away %s", touch.Kind, touch.Node, s.label())
			}
		}
		if touch.Kind == Wipe && (member != nil || h.Unassigned > 0 && len(touch.AcceptLoss) == 0) {
			t.Fatalf("wipe of %s: member %v, %d unassigned", touch.Node, member != nil, h.Unassigned)
		}
		if touch.Kind == Restart && member != nil && h.DataNodes() < touch.Data {
			t.Fatalf("restart of %s with %d of %d data nodes", touch.Node, h.DataNodes(), touch.Data)
		}
	})
	if len(allowed) < 3 {
		t.Errorf("hardly anything was allowed, so the law says nothing: %v", allowed)
	}
}

func TestArbitraryReadingsNeverPanicAndChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"", "d1", "d2", "m1", "logs", "u1", "green", "yellow", "red", "STARTED", "RELOCATING", "x\x00", "☃"})
		number := rapid.IntRange(-3, 1<<40)
		h := &Health{Asked: true, Known: true, At: noon, Name: "logs", UUID: "u1", Master: word.Draw(t, "master"), Status: word.Draw(t, "status"),
			Initializing: number.Draw(t, "i"), Relocating: number.Draw(t, "r"), Unassigned: number.Draw(t, "u"), Delayed: number.Draw(t, "d"),
			VotingExclusions: rapid.SliceOfN(word, 0, 3).Draw(t, "votes"),
			Persistent:       map[string]string{settingExclude: word.Draw(t, "x"), settingPerNode: word.Draw(t, "t"), settingWatermark: word.Draw(t, "w")}}
		for range rapid.IntRange(0, 4).Draw(t, "nodes") {
			h.Nodes = append(h.Nodes, Node{Name: word.Draw(t, "n"), Host: word.Draw(t, "h"), Data: rapid.Bool().Draw(t, "data"), MasterEligible: rapid.Bool().Draw(t, "m"),
				Version:   spec.Version{Major: int(number.Draw(t, "v"))},
				DiskTotal: rapid.Int64().Draw(t, "total"), DiskFree: rapid.Int64().Draw(t, "free")})
		}
		for range rapid.IntRange(0, 4).Draw(t, "shards") {
			h.Shards = append(h.Shards, Shard{Index: word.Draw(t, "index"), Number: number.Draw(t, "n"), Primary: rapid.Bool().Draw(t, "p"),
				State: ShardState(word.Draw(t, "state")), Node: word.Draw(t, "node"), To: word.Draw(t, "to"), Bytes: rapid.Int64().Draw(t, "bytes")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "indices") {
			h.Indices = append(h.Indices, Index{Name: word.Draw(t, "name"), Shards: number.Draw(t, "s"), Replicas: number.Draw(t, "r"), PerNode: number.Draw(t, "t"), Closed: rapid.Bool().Draw(t, "c")})
		}
		touch := Touch{Kind: rapid.SampledFrom(append(slices.Clone(every), "x")).Draw(t, "kind"), Node: word.Draw(t, "node"), Component: spec.Component(word.Draw(t, "component")),
			Name: "logs", UUID: "u1", Version: v819, Dist: spec.Distribution(word.Draw(t, "dist")), Masters: number.Draw(t, "masters"), Data: number.Draw(t, "data"),
			Zen1: rapid.Bool().Draw(t, "zen1"), Quorum: number.Draw(t, "q"), Now: noon, Leaving: rapid.SliceOfN(word, 0, 3).Draw(t, "leaving"), Adds: number.Draw(t, "adds")}
		before := fmt.Sprintf("%+v", *h)
		v := Judge(h, touch)
		if again := Judge(h, touch); !reflect.DeepEqual(v, again) || fmt.Sprintf("%+v", *h) != before {
			t.Fatalf("first %+v, then %+v", v, again)
		}
		if v.OK && (v.Rule != "" || v.Why != "") || !v.OK && (v.Rule == "" || v.Why == "") {
			t.Fatalf("%+v", v)
		}
		MixedVersions(h)
		Empty(h, touch.Node)
	})
}
