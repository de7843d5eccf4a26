package esgate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/spec"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v717 = spec.Version{Major: 7, Minor: 17, Patch: 28}
	v819 = spec.Version{Major: 8, Minor: 19, Patch: 21}
)

// healthy is a green cluster of three masters and four data nodes, each on a host of its own; index "orders" has four
// shards with one replica, on neighbours: shard i on d(i+1) and d(i+2).
func healthy() *Health {
	h := &Health{Asked: true, Known: true, At: noon.Add(-time.Second), Name: "logs", UUID: "u1", Master: "m1", Status: "green"}
	for i := 1; i <= 4; i++ {
		h.Nodes = append(h.Nodes, node(fmt.Sprintf("d%d", i), spec.Data))
	}
	for i := 1; i <= 3; i++ {
		h.Nodes = append(h.Nodes, node(fmt.Sprintf("m%d", i), spec.Master))
	}
	h.Indices = []Index{{Name: "orders", Shards: 4, Replicas: 1}}
	for i := range 4 {
		h.Shards = append(h.Shards,
			Shard{Index: "orders", Number: i, Primary: true, State: Started, Node: fmt.Sprintf("d%d", i+1), Bytes: 10 << 30},
			Shard{Index: "orders", Number: i, State: Started, Node: fmt.Sprintf("d%d", (i+1)%4+1), Bytes: 10 << 30})
	}
	return h
}

func node(name string, c spec.Component) Node {
	return Node{Name: name, ID: "id-" + name, Host: "host-" + name, Version: v717, MasterEligible: c == spec.Master, Data: c == spec.Data,
		Attributes: map[string]string{AttrInstance: "i-" + name, AttrComponent: string(c)}, DiskTotal: 100 << 30, DiskFree: 80 << 30}
}

// touch is what the planner would ask for a node of that cluster.
func touch(k Kind, name string) Touch {
	t := Touch{Kind: k, Node: name, Name: "logs", UUID: "u1", Version: v717, Dist: spec.ElasticsearchDist, Masters: 3, Data: 4, Now: noon, MaxAge: 10 * time.Second}
	if name != "" {
		t.Instance = "i-" + name
	}
	t.Component = spec.Data
	if strings.HasPrefix(name, "m") {
		t.Component = spec.Master
	}
	if k == Drain || k == Stop || k == Wipe {
		t.Leaving = []string{name}
	}
	return t
}

// emptied is healthy after d4 has been drained and was seen empty long enough ago; touch tells so.
func emptied(k Kind) (*Health, Touch) {
	h := healthy()
	for i := range h.Shards {
		if s := &h.Shards[i]; s.Node == "d4" {
			s.Node = map[bool]string{true: "d2", false: "d1"}[s.Primary]
		}
	}
	h.Persistent = map[string]string{settingExclude: "d4"}
	t := touch(k, "d4")
	t.Drained = h.At.Add(-ProofPause)
	if k == Wipe {
		h.lose("d4")
		t.Data = 3
	}
	return h, t
}

// lose takes a node out of the list of members, and leaves the shards as they are.
func (h *Health) lose(name string) {
	h.Nodes = slices.DeleteFunc(h.Nodes, func(n Node) bool { return n.Name == name })
}

// kill loses a node with its copies: replicas on other nodes become primaries.
func (h *Health) kill(name string) {
	h.lose(name)
	for i := range h.Shards {
		s := &h.Shards[i]
		if s.Node != name {
			continue
		}
		if s.Primary {
			for j := range h.Shards {
				if o := &h.Shards[j]; o.Index == s.Index && o.Number == s.Number && o.Serves() && o.Node != name {
					o.Primary, s.Primary = true, false
					break
				}
			}
		}
		s.Node, s.State, s.Bytes = "", Unassigned, 0
		h.Unassigned++
		if h.Status == "green" {
			h.Status = "yellow"
		}
	}
	for i := range h.Shards {
		if s := &h.Shards[i]; s.Primary && s.State == Unassigned {
			h.Status = "red"
		}
	}
}
