package esgate

import (
	"fmt"
	"slices"
	"time"
)

func touchUnderstood(_ *Health, t *Touch) no {
	switch {
	case !slices.Contains(every, t.Kind):
		return no{why: fmt.Sprintf("%q is nothing that can be done to a cluster", clean(string(t.Kind), maxName))}
	case t.Node == "" && slices.Contains(nodes, t.Kind):
		return no{why: fmt.Sprintf("a %s names no node", t.Kind)}
	}
	return no{}
}

// needless says that a Join does not depend on Elasticsearch: a node that cannot be elected harms nothing by joining.
func needless(h *Health, t *Touch) bool { return t.Kind == Join && !joinsMasters(h, t) }

// joinsMasters is careful before version 7: with data nodes it must be known whether they can be elected.
func joinsMasters(h *Health, t *Touch) bool {
	return eligible(h, t) || t.Zen1 && t.Component.Stateful() && !h.Known
}

func known(h *Health, t *Touch) no {
	switch {
	case needless(h, t) || h.Known && h.Asked:
		return no{}
	case !h.Asked:
		return no{why: "Elasticsearch was not asked"}
	case h.Why == "":
		return no{why: "Elasticsearch's state is not known"}
	}
	return no{why: "Elasticsearch's state is not known: " + h.Why}
}

func fresh(h *Health, t *Touch) no {
	age := t.Now.Sub(h.At)
	switch {
	case needless(h, t):
		return no{}
	case h.At.IsZero() || t.Now.IsZero():
		return no{why: "it is not known when Elasticsearch was asked"}
	case age < 0:
		return no{why: fmt.Sprintf("Elasticsearch was asked %s after the decision: the clock went back", -age)}
	case age > t.MaxAge:
		return no{why: fmt.Sprintf("Elasticsearch was asked %s ago; at most %s is allowed", age.Round(time.Millisecond), t.MaxAge)}
	}
	return no{}
}

func sameCluster(h *Health, t *Touch) no {
	const wayOut = "find out whose nodes answer at the cluster's addresses; if the cluster was formed anew, record that in git"
	switch {
	case needless(h, t):
		return no{}
	case t.Name == "" || h.Name != t.Name:
		return no{fmt.Sprintf("the cluster that answers is named %s, declared is %s", name(h.Name), name(t.Name)), wayOut}
	case t.UUID == "" && h.UUID != "" && slices.Contains(nodes, t.Kind):
		return no{why: fmt.Sprintf("the uuid of the cluster that answers (%s) is not recorded yet", name(h.UUID))}
	case t.UUID != "" && h.UUID != t.UUID:
		return no{fmt.Sprintf("the cluster that answers has the uuid %s, recorded is %s", name(h.UUID), name(t.UUID)), wayOut}
	}
	return no{}
}

func hasMaster(h *Health, t *Touch) no {
	if needless(h, t) {
		return no{}
	}
	m := h.Node(h.Master)
	switch {
	case h.Master == "":
		return no{why: "no master is elected"}
	case m == nil:
		return no{why: fmt.Sprintf("the elected master %s is not among the %s", name(h.Master), count(len(h.Nodes), "member"))}
	case !m.MasterEligible:
		return no{why: fmt.Sprintf("the elected master %s says that it cannot be elected", name(h.Master))}
	}
	return no{}
}

// fitsTogether finds readings whose parts were taken from different moments, or whose index or node lists are cut: what
// is not listed would look like something that is not there.
func fitsTogether(h *Health, _ *Touch) no {
	members := make(map[string]bool, len(h.Nodes))
	for i := range h.Nodes {
		n := &h.Nodes[i]
		if n.Name == "" || members[n.Name] {
			return no{why: fmt.Sprintf("two members are named %s, or one has no name", name(n.Name))}
		}
		members[n.Name] = true
	}
	if h.Status != "green" && h.Status != "yellow" && h.Status != "red" {
		return no{why: fmt.Sprintf("the cluster's status is %s", name(h.Status))}
	}
	rows := map[string]int{}
	for i := range h.Shards {
		s := &h.Shards[i]
		rows[s.Index]++
		switch {
		case s.State != Started && s.State != Relocating && s.State != Initializing && s.State != Unassigned:
			return no{why: fmt.Sprintf("a copy of %s is in a state that is not known, %s", s.label(), name(string(s.State)))}
		case s.State == Unassigned && s.Node != "", s.State != Unassigned && !members[s.Node]:
			return no{why: fmt.Sprintf("a copy of %s is %s on %s, which is not a member", s.label(), s.State, name(s.Node))}
		}
	}
	return indicesFit(h, rows)
}

func indicesFit(h *Health, rows map[string]int) no {
	for i := range h.Indices {
		x := &h.Indices[i]
		have := rows[x.Name]
		delete(rows, x.Name)
		// Before 7.2 a closed index has no shards that could be seen.
		if x.Closed && have == 0 {
			continue
		}
		if want := x.Shards * (1 + x.Replicas); have != want || want < 1 {
			return no{why: fmt.Sprintf("index %s has %s listed of %d", name(x.Name), count(have, "copy"), want)}
		}
	}
	for i := range h.Shards {
		if s := &h.Shards[i]; rows[s.Index] > 0 {
			return no{why: fmt.Sprintf("a copy of %s is listed, the index's settings are not", s.label())}
		}
	}
	return no{}
}

func sameIncarnation(h *Health, t *Touch) no {
	if n := h.Node(t.Node); n != nil {
		if own := n.Instance(); own != "" && t.Instance != "" && own != t.Instance {
			return no{why: fmt.Sprintf("node %s runs in instance %s, not in %s", name(t.Node), name(own), name(t.Instance))}
		}
	}
	if n := h.ByInstance(t.Instance); n != nil && n.Name != t.Node {
		return no{why: fmt.Sprintf("instance %s runs node %s, not %s", name(t.Instance), name(n.Name), name(t.Node))}
	}
	return no{}
}
