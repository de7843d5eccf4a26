package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
)

// unproven says that what Marathon shows of a task's health is from before its launch. Up to 1.7 it stays so for as long as
// a node runs after its turn: a commit is cancelled before Marathon has taken note of the new definition's check. Then only
// the cluster itself knows.
func unproven(t marathon.Task) bool {
	newest, _ := verdict(t)
	return newest != "" && newest < t.StagedAt
}

// up says that a task runs and is healthy where its app has health checks. Where Marathon has missed to hear of a node's
// health, the cluster's word counts.
func (m *maker) up(t marathon.Task, live *marathon.App) bool {
	return t.Running() && (!checked(live) || Healthy(t) || m.silent(t, live) && m.vouched(t))
}

func checked(live *marathon.App) bool {
	checks, _ := live.Doc["healthChecks"].([]any)
	return len(checks) > 0
}

// silent says that Marathon shows no verdict on this very run, though its checks have had the time for several. Mesos tells
// of a verdict when it changes: one that comes while Marathon's leader changes may be lost, and the next leader waits for
// ever. A bad verdict of the run is no silence.
func (m *maker) silent(t marathon.Task, live *marathon.App) bool {
	started, err := time.Parse(time.RFC3339, t.StartedAt)
	if err != nil || !t.Running() || !checked(live) {
		return false
	}
	if newest, _ := verdict(t); newest != "" && newest >= t.StagedAt {
		return false
	}
	k := m.want.Spec.Checks
	return m.facts.Now.Sub(started) > firstVerdict+3*(k.Interval+k.Timeout)
}

const (
	// firstVerdict is longer than a task runs before its first check.
	firstVerdict = 30 * time.Second
	// clocksApart is how far the clocks of esfleet, Marathon and the nodes may differ.
	clocksApart = 30 * time.Second
)

// askAboutSilent makes sure that the cluster is asked about nodes whose health Marathon has missed.
func (m *maker) askAboutSilent(a *render.App, live *marathon.App) {
	if a.Component.Stateful() && slices.ContainsFunc(live.Tasks, func(t marathon.Task) bool { return m.silent(t, live) }) {
		m.asked()
	}
}

// vouched says that the cluster which git means shows the task's instance as a member, by a process that is not older than
// the task.
func (m *maker) vouched(t marathon.Task) bool {
	h := &m.facts.Elasticsearch
	staged, err := time.Parse(time.RFC3339, t.StagedAt)
	if err != nil || !h.Known || h.Name != render.ClusterName(m.want.Spec) || h.UUID != cmp.Or(m.recorded(), h.UUID) {
		return false
	}
	n := h.ByInstance(string(t.ID.Instance()))
	return n != nil && n.Uptime > 0 && !h.At.Add(-n.Uptime).Before(staged.Add(-clocksApart))
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
