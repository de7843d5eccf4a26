package esgate

import (
	"fmt"
	"slices"
)

func notLeaving(h *Health, t *Touch) no {
	// One that is down may be started: it may hold what has to be drained.
	if !slices.Contains(t.Leaving, t.Node) || outside(h, t) {
		return no{}
	}
	return no{why: fmt.Sprintf("%s leaves for good: it is drained, not restarted", name(t.Node))}
}

type shardID struct {
	index  string
	number int
}

// anotherCopy names the shards that would be out of reach without the node.
func anotherCopy(h *Health, t *Touch) no {
	if t.Data == 1 && holdsData(h, t) {
		return no{}
	}
	elsewhere, replicated := map[shardID]bool{}, map[string]bool{}
	for i := range h.Shards {
		if s := &h.Shards[i]; s.Serves() && s.Node != t.Node {
			elsewhere[shardID{s.Index, s.Number}] = true
		}
	}
	for i := range h.Indices {
		replicated[h.Indices[i].Name] = h.Indices[i].Replicas > 0
	}
	var last, single []string
	for i := range h.Shards {
		s := &h.Shards[i]
		if s.Node != t.Node || elsewhere[shardID{s.Index, s.Number}] {
			continue
		}
		last = append(last, s.label())
		if !replicated[s.Index] {
			single = append(single, s.label())
		}
	}
	switch {
	case len(last) == 0:
		return no{}
	case len(single) > 0:
		return no{several(single) + " has no other started copy: the index has no replicas",
			"set index.number_of_replicas of the index to 1 or more, or delete the index"}
	}
	return no{why: several(last) + " has no other started copy"}
}

func hostOutlived(h *Health, t *Touch) no {
	n := h.Node(t.Node)
	if n == nil || !n.Data || n.Host == "" || t.Data == 1 {
		return no{}
	}
	var there []string
	for i := range h.Nodes {
		if o := &h.Nodes[i]; o.Data && o.Host == n.Host {
			there = append(there, o.Name)
		}
	}
	for i := range h.Indices {
		if x := &h.Indices[i]; !x.Closed && len(there) > x.Replicas {
			return no{fmt.Sprintf("host %s runs %s (%s), index %s has %s", name(n.Host), count(len(there), "data node"), several(there), name(x.Name), count(x.Replicas, "replica")),
				"raise index.number_of_replicas of the index, or spread the data nodes over more hosts"}
		}
	}
	return no{}
}
