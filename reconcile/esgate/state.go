package esgate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/spec"
)

// copies counts what is not at rest. It takes the worse of what the cluster counts and of what the list of copies shows:
// the two were asked one after the other.
type copies struct{ initializing, relocating, unassigned, delayed, fetches int }

func stateOf(h *Health) copies {
	rows := map[ShardState]int{}
	for i := range h.Shards {
		rows[h.Shards[i].State]++
	}
	return copies{
		initializing: max(h.Initializing, rows[Initializing]),
		relocating:   max(h.Relocating, rows[Relocating]),
		unassigned:   max(h.Unassigned, rows[Unassigned]),
		delayed:      h.Delayed,
		fetches:      h.InFlightFetch,
	}
}

func (c copies) moving() bool { return c.initializing+c.relocating+c.delayed+c.fetches > 0 }

func (c copies) String() string {
	return fmt.Sprintf("%d initializing, %d relocating, %d delayed, %d looked for, %d unassigned", c.initializing, c.relocating, c.delayed, c.fetches, c.unassigned)
}

// holdsData says that the touched node has, or would have, documents.
func holdsData(h *Health, t *Touch) bool {
	return h.likeTouched(t, spec.Data, func(n *Node) bool { return n.Data })
}

// eligible says that the touched node may, or could, be elected.
func eligible(h *Health, t *Touch) bool {
	return h.likeTouched(t, spec.Master, func(n *Node) bool { return n.MasterEligible })
}

// likeTouched asks the touched node itself; if it is not there its component, or its peers: a cluster without masters of
// their own elects among data nodes.
func (h *Health) likeTouched(t *Touch, sure spec.Component, is func(*Node) bool) bool {
	if n := h.Node(t.Node); n != nil {
		return is(n)
	}
	if t.Component == sure {
		return true
	}
	for i := range h.Nodes {
		if n := &h.Nodes[i]; is(n) && t.Component != "" && n.Attributes[AttrComponent] == string(t.Component) {
			return true
		}
	}
	return false
}

// masters counts the members that may be elected.
func (h *Health) masters() int {
	n := 0
	for i := range h.Nodes {
		if h.Nodes[i].MasterEligible {
			n++
		}
	}
	return n
}

// outside says that the touched node is not a member: it is down, or cannot join.
func outside(h *Health, t *Touch) bool { return h.Node(t.Node) == nil }

// lossAccepted says that git has given up the copies of a node that is not there any more. For one that is a member no
// word in git counts: it is drained.
func lossAccepted(h *Health, t *Touch) bool {
	return t.Kind != Restart && outside(h, t) && t.Instance != "" && slices.Contains(t.AcceptLoss, t.Instance)
}

func notRed(h *Health, t *Touch) no {
	switch {
	case h.Status != "red" || lossAccepted(h, t):
		return no{}
	case t.Kind == Restart && outside(h, t):
		return no{} // it may bring back what is missing
	}
	var primaries []string
	for i := range h.Shards {
		if s := &h.Shards[i]; s.Primary && !s.Serves() {
			primaries = append(primaries, s.label())
		}
	}
	n := no{why: "the cluster is red, primaries out of reach: " + several(primaries)}
	if t.Kind != Commit && t.Kind != Restart && outside(h, t) {
		n.wayOut = wayOutLoss(t)
	}
	return n
}

func wayOutLoss(t *Touch) string {
	return fmt.Sprintf("bring the node back, restore from a snapshot, or give up its copies in git by naming instance %s", name(t.Instance))
}

// complete lets only the touched node be away. A node that is away while none is missing is one whose name is not known,
// and could be any.
func complete(h *Health, t *Touch) no {
	counts := []struct {
		what      string
		want, are int
		own       bool // the touched node is one of these
		gone      int
	}{
		{"data node", t.Data, h.DataNodes(), holdsData(h, t), t.GoneData},
		{"master", t.Masters, h.masters(), eligible(h, t), t.GoneMasters},
		{string(t.Component) + " node", t.Peers, h.peers(t.Component), t.Peers > 0, 0},
	}
	// A wiped node was stopped before and is expected no longer.
	mayMiss := outside(h, t) && t.Kind != Wipe
	counted, missing := false, 0
	for _, c := range counts {
		away := c.want - c.are
		if outside(h, t) && slices.Contains(ending, t.Kind) {
			away -= c.gone
		}
		if c.own && mayMiss {
			counted = true
			missing = max(missing, away)
			away--
		}
		if away > 0 {
			return no{why: fmt.Sprintf("%d of %s are members", c.are, count(c.want, c.what))}
		}
	}
	if counted && missing < 1 {
		return no{why: fmt.Sprintf("%s is not a member, yet none of the expected nodes is missing", name(t.Node))}
	}
	return no{}
}

func (h *Health) peers(c spec.Component) int {
	n := 0
	for i := range h.Nodes {
		if h.Nodes[i].Attributes[AttrComponent] == string(c) {
			n++
		}
	}
	return n
}

func green(h *Health, t *Touch) no {
	c := stateOf(h)
	if h.Status == "green" && c.unassigned == 0 || lossAccepted(h, t) {
		return no{}
	}
	if t.Kind == Restart && h.Status != "red" {
		switch {
		case t.Upgrading: // RuleMixedVersions judges
			return no{}
		case t.Data == 1 && onlyReplicasMissing(h):
			return no{} // nobody else could hold them
		}
	}
	if t.Kind == Restart && outside(h, t) {
		return no{}
	}
	n := no{why: fmt.Sprintf("the cluster is %s: %s", name(h.Status), c)}
	if t.Kind != Restart && outside(h, t) && !c.moving() {
		n.wayOut = wayOutLoss(t)
	}
	return n
}

func onlyReplicasMissing(h *Health) bool {
	rows := 0
	for i := range h.Shards {
		if s := &h.Shards[i]; s.State == Unassigned {
			rows++
			if s.Primary {
				return false
			}
		}
	}
	return rows == h.Unassigned
}

func atRest(h *Health, t *Touch) no {
	c := stateOf(h)
	// An empty node takes no part in what moves. A node that is gone may be where a running recovery reads from, or what
	// is waited for, unless it is started again.
	if !c.moving() || outside(h, t) != (t.Kind == Stop) {
		return no{}
	}
	return no{why: "shards are on the way: " + c.String()}
}

func nothingPends(h *Health, t *Touch) no {
	if h.PendingTasks == 0 || outside(h, t) {
		return no{}
	}
	return no{why: fmt.Sprintf("the master has %s that wait", count(h.PendingTasks, "task"))}
}

// settingAllocation is switched off by hand or by tools around a restart, and then forgotten.
const settingAllocation = "cluster.routing.allocation.enable"

func allocationEnabled(h *Health, t *Touch) no {
	v := h.Setting(settingAllocation)
	if v == "" || strings.EqualFold(v, "all") || outside(h, t) {
		return no{}
	}
	return no{fmt.Sprintf("%s is %s", settingAllocation, name(v)), "take the setting back (null), transient and persistent"}
}
