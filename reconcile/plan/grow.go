package plan

import (
	"fmt"
	"strconv"

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
		if m.refusal(esgate.Judge(&m.facts.Elasticsearch, t), r, fmt.Sprintf("%s: %d → %d nodes", r.live.ID.Name(), r.live.Instances, n), m.origin(r.want, "replicas")) {
			return true
		}
		m.step(Step{Verb: ScaleOut, App: r.live.ID, Component: r.component, Instances: n, From: r.live.Instances, Seen: r.live.Version,
			Touch: &t, Pos: m.origin(r.want, "replicas"), Why: fmt.Sprintf("%d → %d nodes", r.live.Instances, n)})
		return true
	}
	return false
}

// quorum is the number of masters in force that an election needs where that is set by hand; 0 where it is not.
func (m *maker) quorum() int {
	if !quorumInFile(m.want.Spec.Elasticsearch) {
		return 0
	}
	n, err := strconv.Atoi(m.facts.Elasticsearch.Setting(keyQuorum))
	if err != nil {
		return m.masters()/2 + 1 // the file's
	}
	return n
}

// masters is how many master-eligible nodes Marathon is to run now.
func (m *maker) masters() int {
	n := 0
	for i := range m.roles {
		if m.roles[i].component == m.want.Spec.MasterComponent() {
			n += m.roles[i].live.Instances
		}
	}
	return n
}

// raiseQuorum makes an election need a majority of the masters that will be there, before they are.
func (m *maker) raiseQuorum(r *role, n int) bool {
	need := n/2 + 1
	if !quorumInFile(m.want.Spec.Elasticsearch) || m.quorum() >= need {
		return false
	}
	m.step(m.setQuorum(r, need, fmt.Sprintf("an election among %d masters needs %d of them", n, need)))
	return true
}

func (m *maker) setQuorum(r *role, n int, why string) Step {
	v := strconv.Itoa(n)
	return Step{Verb: ChangeCluster, App: r.live.ID, Component: r.component, Seen: r.live.Version,
		Change: &esgate.Change{Persistent: map[string]*string{keyQuorum: &v}}, Pos: m.origin(r.want, "replicas"), Why: why}
}
