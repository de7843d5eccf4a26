package esgate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ProofPause is how far apart two readings must be that prove a node empty: what one of them missed, a shard about to be
// placed or a node that was away for a moment, the other sees.
const ProofPause = 30 * time.Second

const settingExclude = "cluster.routing.allocation.exclude._name"

// neutral values stand for nobody where Elasticsearch does not take the empty text.
var neutral = []string{"", "_none_", "none_excluded"}

// Excluded lists the names that shards are kept away from, sorted, without values that stand for nobody.
func Excluded(h *Health) []string {
	var out []string
	for n := range strings.SplitSeq(h.Setting(settingExclude), ",") {
		if n = strings.TrimSpace(n); !slices.Contains(neutral, n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Empty says that the node holds no copy, not even as the source or the target of a move, and that no copy of any shard
// is unassigned: a node that has just come back shows no shards either, while its copies wait to be found.
func Empty(h *Health, node string) bool {
	if !h.Known || stateOf(h).unassigned > 0 {
		return false
	}
	return !slices.ContainsFunc(h.Shards, func(s Shard) bool { return s.Node == node || s.To == node })
}

func onlyLeaving(_ *Health, t *Touch) no {
	if slices.Contains(t.Leaving, t.Node) {
		return no{}
	}
	return no{why: fmt.Sprintf("%s is not to leave; what leaves: %s", name(t.Node), several(t.Leaving))}
}

func stoppedBefore(h *Health, t *Touch) no {
	if outside(h, t) {
		return no{}
	}
	return no{why: fmt.Sprintf("%s is still a member", name(t.Node))}
}

func noneHidden(h *Health, t *Touch) no {
	if t.Kind == Drain && !moves(h, t) || t.Kind != Drain && (!holdsData(h, t) || lossAccepted(h, t)) {
		return no{}
	}
	seen := map[string]bool{}
	for i := range h.Shards {
		seen[h.Shards[i].Index] = true
	}
	var hidden []string
	for i := range h.Indices {
		if x := &h.Indices[i]; x.Closed && !seen[x.Name] {
			hidden = append(hidden, x.Name)
		}
	}
	if len(hidden) == 0 {
		return no{}
	}
	return no{"closed indices do not show on which nodes their copies lie: " + several(hidden), "open these indices, or delete them"}
}

func excluded(h *Health, t *Touch) no {
	// A node that is gone by itself takes no shard; before its volume is destroyed it must not be able to.
	if !holdsData(h, t) || lossAccepted(h, t) || t.Kind == Stop && outside(h, t) || slices.Contains(Excluded(h), t.Node) {
		return no{}
	}
	return no{why: fmt.Sprintf("%s is not in %s (%s)", name(t.Node), settingExclude, several(Excluded(h)))}
}

func isEmpty(h *Health, t *Touch) no {
	if !holdsData(h, t) || lossAccepted(h, t) || Empty(h, t.Node) {
		return no{}
	}
	var on []string
	for i := range h.Shards {
		if s := &h.Shards[i]; s.Node == t.Node || s.To == t.Node {
			on = append(on, s.label())
		}
	}
	return no{why: fmt.Sprintf("%s on %s (%s), %d unassigned anywhere", count(len(on), "copy"), name(t.Node), several(on), stateOf(h).unassigned)}
}

// provenTwice counts from the first reading that showed the node empty to this one, which shows it again.
func provenTwice(h *Health, t *Touch) no {
	if !holdsData(h, t) || lossAccepted(h, t) {
		return no{}
	}
	if t.Drained.IsZero() {
		return no{why: fmt.Sprintf("%s was not seen empty before", name(t.Node))}
	}
	if between := h.At.Sub(t.Drained); between < ProofPause {
		return no{why: fmt.Sprintf("%s was first seen empty %s before this reading; %s must lie between", name(t.Node), between.Round(time.Second), ProofPause)}
	}
	return no{}
}
