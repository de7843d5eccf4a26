package plan

import (
	"fmt"
	"time"
)

// recovers is how long the elected master is waited for when Marathon shows it ill: a check that failed once, on a busy node,
// is no reason for an election.
const recovers = 5 * time.Minute

// electedIsIll waits with a roll in which the elected master would be the first to be restarted, because Marathon does not
// show it well. The cluster's own word is that it leads, and it is to be the last. It can only be the first: while it is ill
// nobody else may be stopped beside it. If it stays ill, its restart costs one election more and may be what mends it. A node
// that is no member any more leads nobody: another is elected, or the cluster is not known.
func (m *maker) electedIsIll(next place) bool {
	s := next.slot
	if s.up || s.node != m.facts.Elasticsearch.Master {
		return false
	}
	why := "Marathon has not heard yet how it is"
	if at, _ := verdict(s.task); at != "" && at >= s.task.StagedAt {
		since, err := time.Parse(time.RFC3339, at)
		left := recovers - m.facts.Now.Sub(since)
		if err == nil && left <= 0 {
			return false
		}
		why = fmt.Sprintf("its health check fails; if it does so for %s more, it is restarted first", left.Round(time.Second))
	}
	m.wait(Wait{App: next.role.live.ID, Component: next.role.component, Node: s.node, Rule: RuleNotReady,
		Why: fmt.Sprintf("%s is the elected master, and %s; nobody else is touched", s.node, why)})
	return true
}
