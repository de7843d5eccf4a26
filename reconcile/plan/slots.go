package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// A SlotState says in a word how a slot stands.
type SlotState string

// The states.
const (
	SlotCurrent     SlotState = "current"     // runs what git wants
	SlotOld         SlotState = "old"         // runs, and has yet to be restarted with what git wants
	SlotRestarting  SlotState = "restarting"  // was stopped for its turn, and comes back
	SlotStarting    SlotState = "starting"    // is on its way up
	SlotDraining    SlotState = "draining"    // is to leave; its copies move to other nodes
	SlotLeaving     SlotState = "leaving"     // is to leave; it is empty, or not drained yet
	SlotStopped     SlotState = "stopped"     // has left; its volume is kept for a while
	SlotDown        SlotState = "down"        // is not up, and esfleet did not stop it
	SlotUnreachable SlotState = "unreachable" // its agent does not answer; it may well run
)

// A Slot is one place for an Elasticsearch node that holds data or votes: a Marathon instance, and the node that runs in it.
type Slot struct {
	Node      string              `json:"node"`
	Instance  marathon.InstanceID `json:"instance"`
	Host      string              `json:"host"`
	App       marathon.AppID      `json:"app"`
	Component spec.Component      `json:"component"`
	State     SlotState           `json:"state"`
	// Rule and Why say what the slot waits for; both are empty where it waits for nothing.
	Rule string `json:"rule,omitempty"`
	Why  string `json:"why,omitempty"`
}

// SlotCounts counts the slots that are listed, by state; nil where none are.
func (c *Cluster) SlotCounts() map[SlotState]int {
	if len(c.Slots) == 0 {
		return nil
	}
	out := map[SlotState]int{}
	for i := range c.Slots {
		out[c.Slots[i].State]++
	}
	return out
}

// status fills in what a person sees of a cluster that is not as git wants it. It comes last: reasons are those of the plan.
func (m *maker) status() {
	if (m.out.Phase == Converged || m.out.Phase == IsRetired) && len(m.out.Waits)+len(m.out.Holds) == 0 {
		return
	}
	for i := range m.roles {
		r := &m.roles[i]
		for j := range r.slots {
			s := &r.slots[j]
			x := Slot{Node: s.node, Instance: s.instance, Host: s.task.Host, App: r.live.ID, Component: r.component, State: m.stateOf(r, s)}
			x.Rule, x.Why = m.reason(r, s, x.State)
			m.out.Slots = append(m.out.Slots, x)
		}
	}
	m.out.Work = m.work()
}

func (m *maker) stateOf(r *role, s *slot) SlotState {
	leaving := m.isLeaving(*s)
	switch {
	case s.task.Unreachable():
		return SlotUnreachable
	case s.down && leaving:
		return SlotStopped
	case s.down && r.stopped > 0:
		return SlotRestarting
	case leaving && m.moving(s):
		return SlotDraining
	case leaving:
		return SlotLeaving
	case s.up && m.turns(r, s, r.updates()):
		return SlotOld
	case s.up:
		return SlotCurrent
	case s.task.Active() || s.down && m.locked(r.live):
		return SlotStarting
	}
	return SlotDown
}

// moving says that copies are being moved away from the node.
func (m *maker) moving(s *slot) bool {
	h := &m.facts.Elasticsearch
	copies, _ := copiesOn(h, s.node)
	return h.Known && copies > 0 && slices.Contains(esgate.Excluded(h), s.node)
}

func copiesOn(h *esgate.Health, node string) (copies int, bytes int64) {
	for i := range h.Shards {
		if s := &h.Shards[i]; s.Node == node {
			copies++
			bytes += s.Bytes
		}
	}
	return copies, bytes
}

// reason finds what the slot waits for: what the plan says of this very node, what its state says, or what keeps its app.
func (m *maker) reason(r *role, s *slot, state SlotState) (rule, why string) {
	if rule, why, ok := m.said(func(app marathon.AppID, node string) bool { return app == r.live.ID && node == s.node }); ok {
		return rule, why
	}
	switch state {
	case SlotCurrent:
		return "", ""
	case SlotUnreachable:
		return RuleUnreachable, "its agent does not answer; the node may well run"
	case SlotDraining:
		copies, bytes := copiesOn(&m.facts.Elasticsearch, s.node)
		return RuleDrains, fmt.Sprintf("%d %s (%s) still to move to other nodes", copies, plural(copies, "shard"), size(bytes))
	case SlotStarting, SlotDown:
		return RuleNotReady, m.notUp(r)
	}
	if m.suspended != "" {
		return RuleSuspended, m.suspended
	}
	for i := range m.out.Steps {
		if x := &m.out.Steps[i]; x.App == r.live.ID && x.Node == s.node {
			if x.After == "" {
				return "", string(x.Verb) + " is due now"
			}
			return RuleTurn, "after " + x.After
		}
	}
	if rule, why, ok := m.said(func(app marathon.AppID, node string) bool { return app == r.live.ID && node == "" }); ok {
		return rule, why
	}
	if rule, why, ok := m.said(func(marathon.AppID, string) bool { return true }); ok {
		return rule, why
	}
	for i := range m.out.Steps {
		if x := &m.out.Steps[i]; x.After == "" {
			return RuleTurn, fmt.Sprintf("after %s %s", x.Verb, x.App.Name())
		}
	}
	return "", ""
}

// said is the first Hold, else the first Wait, that is about what is asked for.
func (m *maker) said(about func(app marathon.AppID, node string) bool) (rule, why string, ok bool) {
	for _, h := range m.out.Holds {
		if about(h.App, h.Node) {
			return h.Rule, h.Why, true
		}
	}
	for _, w := range m.out.Waits {
		if about(w.App, w.Node) {
			return w.Rule, w.Why, true
		}
	}
	return "", "", false
}

// notUp tells where the start of a node stands.
func (m *maker) notUp(r *role) string {
	return "not up and healthy yet" + m.obstacles(r.live)
}

// again says that the run is not its instance's first: the last part of a task id counts the runs from 1.
func again(id marathon.TaskID) bool {
	n, err := strconv.Atoi(string(id[strings.LastIndexByte(string(id), '.')+1:]))
	return err == nil && n > 1
}

// size writes bytes for a person.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/unit, 0
	for v >= unit && i < 4 {
		v, i = v/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[i])
}
