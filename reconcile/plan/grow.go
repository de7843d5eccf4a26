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
		if w := steady(r.want, r.live); w != nil {
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
