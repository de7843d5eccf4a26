package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// Clients reach a cluster through the discovery app's client front, if it has one. A node that serves clients is taken out
// of it before it stops, and put back when it has joined again. Who is out stands in a label of the gate, which the
// discovery app follows; nothing else is remembered.

// reach is how long a change of the label may take until no discovery task leads a new request to the node: it reads
// Marathon every 30 s where events are lost, and HAProxy has up to 10 s for a reload.
const reach = 45 * time.Second

// backOut is how long a node stays out of the front, its requests long ended, while something else keeps it from being
// stopped. A cluster whose shards are never at rest for long would else take its nodes out and in again all day.
const backOut = 5 * time.Minute

// detached are the instances that clients are led away from.
func (m *maker) detached() []marathon.InstanceID {
	var out []marathon.InstanceID
	if gate := m.gateApp(); gate != nil {
		for id := range strings.SplitSeq(gate.Labels[marathon.LabelDetached], ",") {
			if id = strings.TrimSpace(id); id != "" {
				out = append(out, marathon.InstanceID(id))
			}
		}
	}
	return out
}

// serves says that the client front leads to r's nodes. Coordinating nodes are no role: they hold nothing, and Marathon
// rolls them.
func (m *maker) serves(r *role) bool { return r.component == m.want.Spec.ClientComponent() }

// detach takes the node that stop is about out of the client front and gives its requests their time to end. It says whether
// stop must still wait; then stop is in the plan already. The last node in the front stays there: clients have no other.
func (m *maker) detach(p place, stop Step) bool {
	if !m.serves(p.role) || !p.slot.up || !m.othersServe(p.slot) {
		return false
	}
	gate, drain := m.gateApp(), m.want.Spec.Discovery.Drain
	if !slices.Contains(m.detached(), p.slot.instance) {
		m.label(DetachNode, p.slot.node, []marathon.InstanceID{p.slot.instance}, "clients are led to other nodes before "+p.slot.node+" stops")
		stop.After = "no client needs it any longer"
		m.step(stop)
		return true
	}
	// The label was the gate's last change; a later one only makes the time longer.
	left := reach + drain - m.facts.Now.Sub(gate.Version)
	if left <= 0 {
		return false
	}
	m.wait(Wait{App: p.role.live.ID, Component: p.role.component, Node: p.slot.node, Rule: RuleClientsDrain,
		Why: fmt.Sprintf("%s waits: clients are led elsewhere, and the requests it is answering have %s more to end", p.slot.node, left.Round(time.Second))})
	stop.After = "no client needs it any longer"
	m.step(stop)
	return true
}

// othersServe says that another node than s is up and in the front.
func (m *maker) othersServe(s *slot) bool {
	out := m.detached()
	for i := range m.roles {
		for _, o := range m.roles[i].slots {
			if m.serves(&m.roles[i]) && o.up && o.instance != s.instance && !slices.Contains(out, o.instance) {
				return true
			}
		}
	}
	return false
}

// attach puts back into the front whoever is out of it without a reason: a node that has had its turn, one that is not to be
// stopped after all, and what is only left of one that is gone. It looks at what was planned, and goes before all of it.
func (m *maker) attach() {
	var stay []marathon.InstanceID
	var back []string
	why := ""
	for _, id := range m.detached() {
		if name, reason := m.reattach(id); reason != "" {
			back, why = append(back, name), reason
		} else {
			stay = append(stay, id)
		}
	}
	if len(back) == 0 {
		return
	}
	if len(back) > 1 {
		why = shortList(back) + " need not be out of the client front any longer"
	}
	planned := m.out.Steps
	m.out.Steps = nil
	m.label(AttachNode, shortList(back), stay, why)
	if len(m.out.Steps) > 0 {
		for i := range planned {
			if planned[i].Node != "" && planned[i].After == "" {
				planned[i].After = "the step before"
			}
		}
	}
	m.out.Steps = append(m.out.Steps, planned...)
}

// reattach says why an instance that is out of the front belongs into it, by the name of its node; "" if it stays out.
func (m *maker) reattach(id marathon.InstanceID) (node, why string) {
	r, s := m.slotOf(id)
	switch {
	case s == nil:
		node = fmt.Sprintf("instance %.60q", id)
		return node, node + " is gone, and so is the reason to lead clients away from it"
	case !m.serves(r):
		return s.node, "clients are not led to " + s.node + " at all"
	case s.down && m.isLeaving(*s):
		return s.node, s.node + " is stopped for good"
	case !s.up || m.facts.Elasticsearch.Node(s.node) == nil || m.goesDown(s.node):
		return s.node, ""
	}
	return s.node, "clients are led to " + s.node + " again: it is up and in the cluster"
}

func (m *maker) slotOf(id marathon.InstanceID) (*role, *slot) {
	for i := range m.roles {
		r := &m.roles[i]
		if j := slices.IndexFunc(r.slots, func(s slot) bool { return s.instance == id }); j >= 0 {
			return r, &r.slots[j]
		}
	}
	return nil, nil
}

// goesDown says that the node's stop is what is due, or waits for what soon ends.
func (m *maker) goesDown(node string) bool {
	for _, s := range m.out.Steps {
		if s.Node == node && s.After == "" && (s.Verb == StopNode || s.Verb == RestartNode || s.Verb == RemoveNode) {
			return true
		}
	}
	patient := m.facts.Now.Sub(m.gateApp().Version) < reach+m.want.Spec.Discovery.Drain+backOut
	return patient && slices.ContainsFunc(m.out.Waits, func(w Wait) bool { return w.Node == node })
}

// label plans the gate's label of the nodes that are out. The gate runs nothing, so it restarts nothing.
func (m *maker) label(verb Verb, node string, out []marathon.InstanceID, why string) {
	gate, ids := m.gateApp(), make([]string, len(out))
	for i, id := range out {
		ids[i] = string(id)
	}
	m.step(Step{Verb: verb, App: gate.ID, Component: spec.Gate, Node: node, Seen: gate.Version, From: gate.Instances, Instances: gate.Instances,
		Doc:     GateDoc(m.want.App(spec.Gate).Doc, gate.Labels, map[string]string{marathon.LabelDetached: strings.Join(ids, ",")}),
		Closing: verb == AttachNode, Why: why})
}
