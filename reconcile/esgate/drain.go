package esgate

import (
	"fmt"
	"slices"
	"strconv"
)

// lowWatermark is the share of a disk above which Elasticsearch places no more shards on it, unless set otherwise.
const lowWatermark = 0.85

const settingPerNode = "cluster.routing.allocation.total_shards_per_node"

// stays are the data nodes that will hold what the leaving ones hold now.
func stays(h *Health, t *Touch) []*Node {
	var out []*Node
	for i := range h.Nodes {
		if n := &h.Nodes[i]; n.Data && n.Name != t.Node && !slices.Contains(t.Leaving, n.Name) {
			out = append(out, n)
		}
	}
	return out
}

func roomForCopies(h *Health, t *Touch) no {
	if !holdsData(h, t) {
		return no{}
	}
	left := stays(h, t)
	if len(left) == 0 {
		return no{"no data node would stay", "add data nodes first"}
	}
	hosts := map[string]bool{}
	for _, n := range left {
		hosts[n.Host] = true
	}
	for i := range h.Indices {
		x := &h.Indices[i]
		switch {
		case 1+x.Replicas > len(left):
			return no{fmt.Sprintf("index %s has %s of each shard, and %s would stay", name(x.Name), count(1+x.Replicas, "copy"), count(len(left), "data node")),
				fmt.Sprintf("add a data node, or lower index.number_of_replicas of %s to %d", name(x.Name), len(left)-1)}
		case 1+x.Replicas > len(hosts):
			return no{fmt.Sprintf("index %s has %s of each shard, and data nodes would stay on %s", name(x.Name), count(1+x.Replicas, "copy"), count(len(hosts), "host")),
				fmt.Sprintf("add a data node on another host, or lower index.number_of_replicas of %s to %d", name(x.Name), len(hosts)-1)}
		}
	}
	return no{}
}

func roomForShards(h *Health, t *Touch) no {
	if !holdsData(h, t) {
		return no{}
	}
	left, all := len(stays(h, t)), 0
	for i := range h.Indices {
		x := &h.Indices[i]
		copies := x.Shards * (1 + x.Replicas)
		all += copies
		if x.PerNode > 0 && copies > x.PerNode*left {
			return no{fmt.Sprintf("index %s has %s and at most %d on a node: %s hold %d", name(x.Name), count(copies, "copy"), x.PerNode, count(left, "data node"), x.PerNode*left),
				fmt.Sprintf("add a data node, or raise index.routing.allocation.total_shards_per_node of %s to %d", name(x.Name), perNode(copies, left))}
		}
	}
	if limit := number(h.Setting(settingPerNode)); limit > 0 && all > limit*left {
		return no{fmt.Sprintf("the cluster has %s and at most %d on a node: %s hold %d", count(all, "copy"), limit, count(left, "data node"), limit*left),
			fmt.Sprintf("add a data node, or raise %s to %d", settingPerNode, perNode(all, left))}
	}
	return no{}
}

// perNode is how many copies a node must be able to hold; RuleDrainCopies has seen to it that nodes stay.
func perNode(copies, nodes int) int { return (copies + nodes - 1) / max(nodes, 1) }

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

func roomOnDisks(h *Health, t *Touch) no {
	var move, room int64
	left := stays(h, t)
	staying := map[string]bool{}
	for _, n := range left {
		staying[n.Name] = true
		room += max(0, n.DiskFree-int64(float64(n.DiskTotal)*(1-lowWatermark)))
	}
	for i := range h.Shards {
		if s := &h.Shards[i]; s.Node != "" && !staying[s.Node] {
			move += s.Bytes
		}
	}
	if move <= room {
		return no{}
	}
	return no{fmt.Sprintf("%s must move, and below the low watermark (%.0f %%) %s have room for %s", gib(move), lowWatermark*100, count(len(left), "data node"), gib(room)),
		"add a data node, delete indices, or lower their replicas"}
}
