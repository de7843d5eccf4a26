package plan

import (
	"fmt"

	"github.com/esfleet/esfleet/reconcile/esgate"
)

// grow adds nodes: data nodes all at once, masters one at a time, each only when all that are there are well and run one
// definition (Marathon's placement rules forget the ones with an older definition, marathon-lab-old §5).
func (m *maker) grow() bool {
	for i := range m.roles {
		r := &m.roles[i]
		if r.want == nil || r.live.Instances >= r.declared() {
			continue
		}
		if w := m.steady(r.want, r.live); w != nil {
			m.wait(*w)
			return true
		}
		n := r.declared()
		voters := r.component == m.want.Spec.MasterComponent()
		if voters && r.live.Instances > 0 {
			n = r.live.Instances + 1
		}
		if voters && m.raiseQuorum(r, n) {
			return true
		}
		t := m.touch(esgate.Join, r, nil)
		t.Adds = n - r.live.Instances
		if m.refusal(t, r, fmt.Sprintf("%s: %d → %d nodes", r.live.ID.Name(), r.live.Instances, n), m.origin(r.want, "replicas")) {
			return true
		}
		m.step(Step{Verb: ScaleOut, App: r.live.ID, Component: r.component, Instances: n, From: r.live.Instances, Seen: r.live.Version,
			Touch: &t, Pos: m.origin(r.want, "replicas"), Why: fmt.Sprintf("%d → %d nodes", r.live.Instances, n)})
		return true
	}
	return false
}

// shrinkUnplaced takes back instances that found no place. From 1.8 on Marathon may stop a running node for one that never
// ran (marathon-lab-old §5), so there a person makes room first.
func (m *maker) shrinkUnplaced() bool {
	for i := range m.roles {
		r := &m.roles[i]
		to := max(r.declared(), len(r.slots))
		if r.want == nil || r.live.Instances <= to {
			continue
		}
		if m.modern() {
			m.hold(Hold{App: r.live.ID, Component: r.component, Rule: RuleUnplaced, Pos: m.origin(r.want, "replicas"),
				Why: fmt.Sprintf("%s: Marathon is to run %d nodes, %d have a place and git wants %d; told so, Marathon %s might stop one that runs",
					r.live.ID.Name(), r.live.Instances, len(r.slots), r.declared(), m.facts.Marathon.Version),
				WayOut: "make room so that every node is placed, after which the surplus is drained and removed, or write the number of replicas that Marathon is to run"})
			return true
		}
		m.step(Step{Verb: ScaleIn, App: r.live.ID, Component: r.component, Instances: to, From: r.live.Instances, Seen: r.live.Version,
			Pos: m.origin(r.want, "replicas"), Why: fmt.Sprintf("%d of %d nodes have found no place, and git wants %d", r.live.Instances-len(r.slots), r.live.Instances, r.declared())})
		return true
	}
	return false
}
