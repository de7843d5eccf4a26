package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// maxAge is how old a reading of Elasticsearch may be when a node is touched by it.
const maxAge = 20 * time.Second

// finishTurn starts the node again that was stopped for its turn: whatever else git wants by now and whether or not the
// cluster can answer without it, no node stays down by our hand. A node that is leaving is not started again; which of
// several stopped ones a start would bring back is Marathon's choice, so all that leave are wiped before one starts.
func (m *maker) finishTurn() bool {
	for i := range m.roles {
		r := &m.roles[i]
		if r.stopped == 0 || r.want == nil {
			continue
		}
		var back []string
		for _, s := range r.slots {
			if s.down && !m.isLeaving(s) && r.namesake(&s) == nil {
				back = append(back, s.node)
			}
		}
		if len(back) == 0 || len(back) < r.stopped {
			continue
		}
		n := r.live.Instances + r.stopped
		if m.startsSplit(r, n) && (!m.known() || m.raiseQuorum(r, n)) {
			return true
		}
		m.step(Step{Verb: StartNode, App: r.live.ID, Component: r.component, Node: shortList(back), Instances: n, From: r.live.Instances,
			Seen: r.live.Version, Closing: true, Why: shortList(back) + " " + comes(len(back))})
		m.foresee(nil)
		return true
	}
	return false
}

func comes(n int) string {
	if n == 1 {
		return "comes back on its volume"
	}
	return "come back on their volumes"
}

// turn restarts the next node that runs an older definition.
func (m *maker) turn() bool {
	queue := m.queue()
	if len(queue) == 0 {
		return false
	}
	if m.cameBackWrong() {
		return true
	}
	next := queue[0]
	if next.slot.task.Unreachable() {
		m.wait(Wait{App: next.role.live.ID, Component: next.role.component, Node: next.slot.node, Rule: RuleUnreachable,
			Why: fmt.Sprintf("the agent of %s does not answer; its node may well run, and nobody else is touched", next.slot.node)})
		m.foresee(nil)
		return true
	}
	if m.awaitsStart(next) || m.electedIsIll(next) || m.soaks(next) || m.neighbours(next) {
		m.foresee(nil)
		return true
	}
	t := m.touch(esgate.Restart, next.role, next.slot)
	if m.refusal(t, next.role, next.slot.node, spec.Pos{}) {
		m.foresee(nil)
		return true
	}
	if stop := m.turnStep(next, &t); !m.detach(next, stop) {
		m.step(stop)
	}
	m.later(queue[1:], next.slot.node+" is back and the cluster is well")
	return true
}

// awaitsStart waits for Marathon to start a node again that failed with an older definition. Only what runs or is on its way
// up can be stopped: to stop an instance between two starts is answered with 200 and an empty plan, each time anew, and no
// call makes it take the new definition or shortens its pause, which belongs to the older one (seen on 1.11).
func (m *maker) awaitsStart(next place) bool {
	if !next.slot.down {
		return false
	}
	m.wait(Wait{App: next.role.live.ID, Component: next.role.component, Node: next.slot.node, Rule: RuleNotReady,
		Why: next.slot.node + " failed with an older definition and is stopped as soon as Marathon starts it with that again; then it comes back with the new one" +
			m.obstacles(next.role.live)})
	return true
}

// A place is one slot of one role.
type place struct {
	role *role
	slot *slot
}

func (m *maker) turnStep(p place, t *esgate.Touch) Step {
	l := p.role.live
	s := Step{Verb: StopNode, App: l.ID, Component: p.role.component, Node: p.slot.node, Task: p.slot.task.ID, From: l.Instances,
		Instances: l.Instances - 1, Seen: l.Version, Touch: t, Also: m.also(l.ID), Why: p.slot.node + " runs an older definition"}
	if !m.modern() {
		s.Verb, s.Instances = RestartNode, l.Instances
	}
	if p.slot.node == m.facts.Elasticsearch.Master {
		s.Why += "; it is the elected master and comes last"
	}
	return s
}

// queue are the slots that run an older definition, in the order of their turns: first one that is down anyway, so that a
// mistake can be mended; then data nodes by name, masters by name, and the elected master last of all. All slots of roles
// about to be committed count as older, but for those that run what git wants already.
func (m *maker) queue(committing ...*role) []place {
	var out []place
	for i := range m.roles {
		r := &m.roles[i]
		if r.want == nil {
			continue
		}
		for j := range r.slots {
			if s := &r.slots[j]; m.turns(r, s, slices.Contains(committing, r)) && !m.isLeaving(*s) {
				out = append(out, place{r, s})
			}
		}
	}
	rank := func(p place) int {
		switch {
		case !p.slot.up:
			return 0
		case p.slot.node == m.facts.Elasticsearch.Master:
			return 3
		case p.role.component == spec.Data:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b place) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a.slot.node, b.slot.node)
	})
	return out
}

// soaks waits after the canaries: the first data nodes with a change run for a while before the others follow.
func (m *maker) soaks(next place) bool {
	c := m.want.Spec.Rollout
	data := m.dataRole()
	if data == nil || c.Canary == 0 || !next.slot.up || next.slot.same || takenBack(data, next.slot) {
		return false
	}
	current, youngest := 0, time.Time{}
	for _, s := range data.slots {
		if s.old && !s.same || s.down {
			continue
		}
		current++
		if at, err := time.Parse(time.RFC3339, s.task.StartedAt); err == nil && at.After(youngest) {
			youngest = at
		}
	}
	if current < c.Canary || m.oldOnes(data) == 0 {
		return false
	}
	if c.Pause {
		m.hold(Hold{App: next.role.live.ID, Component: next.role.component, Node: next.slot.node, Rule: RuleCanaryPaused, Pos: m.want.Spec.OriginOf("rollout.pause"),
			Why:    fmt.Sprintf("%d of %d nodes run the change and the others wait", current, len(data.slots)),
			WayOut: "take rollout.pause away and the others follow, or take the change back and the canaries do"})
		return true
	}
	if left := c.Soak - m.facts.Now.Sub(youngest); left > 0 && current == c.Canary {
		m.wait(Wait{App: next.role.live.ID, Component: next.role.component, Node: next.slot.node, Rule: RuleCanarySoaks,
			Why: fmt.Sprintf("%d of %d nodes run the change; the others follow in %s", current, len(data.slots), left.Round(time.Second))})
		return true
	}
	return false
}

func (m *maker) dataRole() *role {
	for i := range m.roles {
		if m.roles[i].component == spec.Data && m.roles[i].want != nil {
			return &m.roles[i]
		}
	}
	return nil
}

// neighbours waits for any other node that Marathon shows as not up, but those left out: no second one is taken down.
func (m *maker) neighbours(next place, but ...*slot) bool {
	for i := range m.roles {
		r := &m.roles[i]
		for j := range r.slots {
			s := &r.slots[j]
			if s == next.slot || s.up || slices.Contains(but, s) || r.stopped > 0 && m.isLeaving(*s) {
				continue
			}
			rule, why := RuleNotReady, s.node+" is not up"
			if s.task.Unreachable() {
				rule, why = RuleUnreachable, "the agent of "+s.node+" does not answer"
			}
			m.wait(Wait{App: r.live.ID, Component: r.component, Node: next.slot.node, Rule: rule, Why: fmt.Sprintf("%s waits: %s", next.slot.node, why)})
			return true
		}
		if held := len(r.slots) - r.live.Instances; held > 0 && !m.modern() {
			m.wait(Wait{App: r.live.ID, Component: r.component, Rule: RuleLeftOver,
				Why: fmt.Sprintf("%s: %d stopped %s held beside the running ones", r.live.ID.Name(), held, plural(held, "instance"))})
			return true
		}
	}
	return false
}

// cameBackWrong holds if a node that had its turn does not run what it should: no further node is touched.
func (m *maker) cameBackWrong() bool {
	h := &m.facts.Elasticsearch
	for i := range m.roles {
		r := &m.roles[i]
		if r.want == nil || r.updates() {
			continue // the definition in force is not git's yet
		}
		for _, s := range r.slots {
			if s.old || !s.up {
				continue
			}
			n := h.Node(s.node)
			if n == nil {
				continue // it has not joined yet: the rules know
			}
			if why := wrong(m.want.Spec, r.want, n, &s); why != "" {
				m.hold(Hold{App: r.live.ID, Component: r.component, Node: s.node, Rule: RuleCameBackWrong,
					Why:    fmt.Sprintf("%s %s; no further node is touched", s.node, why),
					WayOut: "look at the node's log; a new commit that mends it is taken up at once"})
				return true
			}
		}
	}
	return false
}

// wrong compares what a node says of itself with what git wants of it.
func wrong(c *spec.Cluster, a *render.App, n *esgate.Node, s *slot) string {
	if n.Version != c.Elasticsearch.Version {
		return fmt.Sprintf("came back with version %s instead of %s", n.Version, c.Elasticsearch.Version)
	}
	if got := n.Attributes[esgate.AttrBundle]; got != "" && a.Bundle != nil && got != a.Bundle.Digest {
		return "came back with another bundle than git wants"
	}
	if got := n.Instance(); got != "" && got != string(s.instance) {
		return "is another instance than Marathon shows in its place"
	}
	for _, p := range c.Plugins {
		if !slices.Contains(n.Plugins, p.Name) {
			return "came back without plugin " + p.Name
		}
	}
	return ""
}

// foresee lists the turns to come, for the plan's reader: those of the roles about to be committed, or of all old nodes.
func (m *maker) foresee(committing []*role) {
	after := "the definition is committed"
	if len(committing) == 0 {
		after = "the step before"
	}
	m.later(m.queue(committing...), after)
}

func (m *maker) later(queue []place, after string) {
	for _, p := range queue {
		s := m.turnStep(p, nil)
		s.After = after
		m.step(s)
		after = p.slot.node + " is back and the cluster is well"
	}
}

func shortList(names []string) string {
	const most = 4
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
