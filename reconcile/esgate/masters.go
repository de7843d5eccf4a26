package esgate

import (
	"fmt"
	"slices"
)

// possible counts all masters that may be alive: those seen, or those that should be if that is more, since one that
// cannot be reached may still run.
func possible(h *Health, t *Touch) int { return max(h.masters(), t.Masters) }

func added(t *Touch) int { return max(t.Adds, 1) }

func noPair(h *Health, t *Touch) no {
	all := possible(h, t)
	switch {
	case !eligible(h, t) || needless(h, t):
		return no{}
	case t.Kind == Stop && all <= 2:
		return no{fmt.Sprintf("%s of %s would stop: no number of votes makes the step to fewer safe", name(t.Node), count(all, "master")),
			"keep the masters, or have three; a cluster that is not needed is retired as a whole"}
	case t.Kind == Join && all == 1 && t.Zen1:
		return no{"the cluster has one master and its quorum is set by hand: a second one could be elected beside it",
			"build a new cluster with three masters, and copy the documents"}
	}
	return no{}
}

// quorumHolds compares before the step and after it, whichever has more masters.
func quorumHolds(h *Health, t *Touch) no {
	if !t.Zen1 || !eligible(h, t) || t.Kind == Restart && outside(h, t) {
		return no{}
	}
	all := possible(h, t)
	if t.Kind == Join {
		if added(t) > 1 {
			return no{fmt.Sprintf("%d masters would join at once", added(t)), "add one master at a time"}
		}
		all += added(t)
	}
	if 2*t.Quorum <= all {
		return no{why: fmt.Sprintf("discovery.zen.minimum_master_nodes is %d: with %s two could be elected", t.Quorum, count(all, "master"))}
	}
	return no{}
}

// majorityRemains counts votes of members alone: with it less than half of the masters can have given up theirs.
func majorityRemains(h *Health, t *Touch) no {
	all, left := possible(h, t), 0
	for i := range h.Nodes {
		if n := &h.Nodes[i]; n.MasterEligible && n.Name != t.Node && !excludedVote(h, n) {
			left++
		}
	}
	if !eligible(h, t) || t.Kind == Restart && (outside(h, t) || all == 1) {
		return no{}
	}
	need := all/2 + 1
	if t.Zen1 {
		need = max(need, t.Quorum)
	}
	if left >= need {
		return no{}
	}
	n := no{why: fmt.Sprintf("without %s %s with a vote would remain of %d, %d are needed", name(t.Node), count(left, "master"), all, need)}
	if all <= 2 {
		n.wayOut = "declare three masters: of fewer none may be missing"
	}
	return n
}

func excludedVote(h *Health, n *Node) bool {
	return slices.Contains(h.VotingExclusions, n.Name) || n.ID != "" && slices.Contains(h.VotingExclusions, n.ID)
}

// voteExcluded holds for members: the vote of a master that is gone leaves the voters by itself once another has joined.
func voteExcluded(h *Health, t *Touch) no {
	n := h.Node(t.Node)
	if t.Zen1 || n == nil || !n.MasterEligible {
		return no{}
	}
	if !excludedVote(h, n) {
		return no{why: fmt.Sprintf("master %s may still vote", name(t.Node))}
	}
	return no{}
}
