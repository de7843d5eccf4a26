package plan

import (
	"fmt"
	"slices"
	"strings"
)

// namesakes holds if two instances have one name: somebody has scaled the app by hand while older tasks ran, which Marathon's
// placement rules forget (marathon-lab-old §5), so that two are on one host. Whatever is said of such a name, by the cluster
// or to it, may mean either of them; nothing is done to the cluster's nodes until a person has removed one.
func (m *maker) namesakes() bool {
	for i := range m.roles {
		r := &m.roles[i]
		for j := range r.slots {
			b := &r.slots[j]
			a := r.namesake(b)
			if a == nil || !b.down && a.task.StagedAt > b.task.StagedAt { // RFC 3339 in UTC sorts as text
				continue // it is told of the newer of two that run
			}
			call := fmt.Sprintf("DELETE /v2/apps%s/tasks/%s", r.live.ID, b.task.ID)
			h := Hold{App: r.live.ID, Component: r.component, Node: b.node, Rule: RuleNamesakes, Pos: m.leavePos(leaver{place: place{r, b}}),
				Why: fmt.Sprintf("%s is there twice on %s, as %s and, since %s, as %s; Marathon is to run %d nodes and git wants %d",
					b.node, b.task.Host, a.task.ID, b.task.StagedAt, b.task.ID, r.live.Instances, r.declared()),
				WayOut: fmt.Sprintf("move the newer one's shards away (%s with its node id) and, when it holds none, stop it: %s?scale=true; do not scale by hand while nodes change",
					strings.Replace(keyExclude, "._name", "._id", 1), call)}
			if b.down {
				h.Why = fmt.Sprintf("%s runs on %s as %s, and %s, which is stopped, holds a volume there under the same name; Marathon is to run %d nodes and git wants %d",
					b.node, b.task.Host, a.task.ID, b.task.ID, r.live.Instances, r.declared())
				h.WayOut = fmt.Sprintf("if the cluster is green without it, destroy that volume: %s?wipe=true", call)
			}
			m.hold(h)
			return true
		}
	}
	return false
}

// namesake is another slot of s's name that runs; nil if there is none. One whose agent is gone is in nobody's way.
func (r *role) namesake(s *slot) *slot {
	if !s.down && !s.task.Active() {
		return nil
	}
	if i := slices.IndexFunc(r.slots, func(x slot) bool { return x.node == s.node && x.instance != s.instance && x.task.Active() }); i >= 0 {
		return &r.slots[i]
	}
	return nil
}
