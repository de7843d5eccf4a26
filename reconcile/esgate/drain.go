package esgate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// lowWatermark is the used share of a disk above which Elasticsearch places no more shards on it, unless set otherwise.
const lowWatermark = 0.85

const settingWatermark = "cluster.routing.allocation.disk.watermark.low"

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

// moves says that a Drain makes shards move: all that leave are drained together, whichever of them is touched, and from
// a node that is not there nothing moves.
func moves(h *Health, t *Touch) bool {
	return slices.ContainsFunc(h.Nodes, func(n Node) bool { return n.Data && (n.Name == t.Node || slices.Contains(t.Leaving, n.Name)) })
}

func roomForCopies(h *Health, t *Touch) no {
	if !moves(h, t) {
		return no{}
	}
	left := stays(h, t)
	if len(left) == 0 {
		return no{"no data node would stay", "add data nodes first"}
	}
	hosts := map[string]bool{}
	for _, n := range left {
		host := n.Host
		if host == "" {
			host = "of " + n.Name // not told: its own
		}
		hosts[host] = true
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
	if !moves(h, t) {
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
	if !moves(h, t) {
		return no{}
	}
	var move, room int64
	left := stays(h, t)
	staying := map[string]bool{}
	for _, n := range left {
		staying[n.Name] = true
		room += max(0, n.DiskFree-keptFree(h, n))
	}
	for i := range h.Shards {
		if s := &h.Shards[i]; s.Node != "" && !staying[s.Node] {
			move += max(0, s.Bytes)
		}
	}
	if move <= room {
		return no{}
	}
	return no{fmt.Sprintf("%s must move, and %s have room for %s below the low watermark", gib(move), count(len(left), "data node"), gib(room)),
		"add a data node, delete indices, or lower their replicas"}
}

// keptFree is how many bytes of a node's disk stay free of newly placed shards. The setting is a used share ("85%",
// "0.85") or an amount that stays free; the latter has too many spellings, and the default is kept for it.
func keptFree(h *Health, n *Node) int64 {
	used := lowWatermark
	text, percent := strings.CutSuffix(h.Setting(settingWatermark), "%")
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		if percent {
			v /= 100
		}
		if v > 0 && v <= 1 {
			used = v
		}
	}
	return int64(float64(n.DiskTotal) * (1 - used))
}
