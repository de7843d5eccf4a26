package plan

import (
	"fmt"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// unproven says that what Marathon shows of a task's health is from before its launch. Up to 1.7 it stays so for as long as
// a node runs after its turn: a commit is cancelled before Marathon has taken note of the new definition's check. Then only
// the cluster itself knows.
func unproven(t marathon.Task) bool {
	newest := ""
	for _, r := range t.HealthCheckResults {
		newest = max(newest, r.LastSuccess, r.LastFailure) // RFC 3339 in UTC sorts as text
	}
	return newest != "" && newest < t.StagedAt
}

// unjoined waits for a node that Marathon takes for up and that is no member of the cluster yet, or any more.
func (m *maker) unjoined() bool {
	for i := range m.roles {
		r := &m.roles[i]
		if r.want == nil {
			continue
		}
		for j := range r.slots {
			s := &r.slots[j]
			if !s.up || m.isLeaving(*s) || m.facts.Elasticsearch.Node(s.node) != nil {
				continue
			}
			m.wait(Wait{App: r.live.ID, Component: r.component, Node: s.node, Rule: RuleNotReady,
				Why: fmt.Sprintf("%s runs and has not joined the cluster", s.node)})
			return true
		}
	}
	return false
}
