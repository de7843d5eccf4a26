package plan

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// endCommit ends what a commit has left open. A restart of the gate can only be a commit's: the gate runs nothing, fits no
// host and belongs to esfleet, so whoever started the deployment, a daemon that has died or this one, it is cancelled
// first of all (marathon-lab-roll §1: never leave it open). So is a scaling of the gate by hand, which cannot end either.
func (m *maker) endCommit() bool {
	gate := m.gateApp()
	if gate == nil {
		return false
	}
	for _, d := range m.facts.Marathon.LockedBy(gate.ID) {
		for _, act := range d.CurrentActions {
			why := ""
			switch {
			case act.App != gate.ID:
			case act.Action == "RestartApplication":
				why = "a commit is open: its definitions are in place, and nobody but esfleet restarts nodes"
			case act.Action == "ScaleApplication" && gate.Instances > 0:
				why = "somebody wants the gate to run; it fits no host, so this would never end"
			}
			if why != "" {
				m.step(Step{Verb: CancelOwn, App: gate.ID, Component: spec.Gate, Cancel: []marathon.DeploymentID{d.ID}, Closing: true, Why: why})
				return true
			}
		}
	}
	if gate.Instances == 0 || m.locked(gate) {
		return false
	}
	m.step(Step{Verb: CloseGate, App: gate.ID, Component: spec.Gate, From: gate.Instances, Seen: gate.Version, Closing: true,
		Why: "the commit has ended"})
	return true
}

// commit puts new definitions in place. They come into force node by node afterwards; until then a node that crashes comes
// back as it was (from Marathon 1.8 on).
func (m *maker) commit() bool {
	roles := m.toCommit()
	if len(roles) == 0 {
		return false
	}
	r := roles[0]
	for _, r := range roles {
		if h := immutable(r); h != nil {
			m.hold(*h)
			return true
		}
		if m.unsettled(r) {
			return true
		}
	}
	t := m.touch(esgate.Commit, r, nil)
	what := "the new definition of " + r.live.ID.Name()
	if m.refusal(t, r, what, firstPos(r.changes)) {
		return true
	}
	if m.stuckLater(roles) {
		return true
	}
	step := Step{Verb: Commit, App: r.live.ID, Component: r.component, Seen: r.live.Version, From: r.live.Instances, Instances: r.live.Instances,
		Touch: &t, Also: m.also(r.live.ID), Pos: firstPos(r.changes), Why: m.whyCommit(roles)}
	for _, r := range roles {
		doc := maps.Clone(r.want.Doc)
		doc["instances"] = r.live.Instances // definition and instances never change together
		step.Docs = append(step.Docs, doc)
	}
	gate := m.gateApp()
	step.Also = append(step.Also, Seen{App: gate.ID, Version: gate.Version, Instances: gate.Instances})
	step.Doc = openGate(GateDoc(m.want.App(spec.Gate).Doc, gate.Labels, nil), step.Docs, gate)
	m.step(step)
	m.foresee(roles)
	return true
}

// stuckLater holds a change whose turns would get stuck for a reason that no waiting mends: it is better not begun.
func (m *maker) stuckLater(roles []*role) bool {
	for _, p := range m.queue(roles...) {
		t := m.touch(esgate.Restart, p.role, p.slot)
		if v := esgate.Judge(&m.facts.Elasticsearch, t); !v.OK && v.Hold {
			return m.refusal(t, p.role, "the turn of "+p.slot.node, firstPos(p.role.changes))
		}
	}
	return false
}

func (m *maker) whyCommit(roles []*role) string {
	why := summary(roles[0].changes)
	for _, r := range roles[1:] {
		why += "; " + r.live.ID.Name() + ": " + summary(r.changes)
	}
	return why + "; restarts nothing yet"
}

// toCommit are the roles whose definition git changes. In an upgrade the masters come last: their definition is not even
// in place before every data node runs the new version.
func (m *maker) toCommit() []*role {
	var out []*role
	older := false
	for i := range m.roles {
		r := &m.roles[i]
		if r.component == spec.Data && r.want != nil && (r.updates() || m.oldOnes(r) > 0) {
			older = true
		}
	}
	for i := range m.roles {
		r := &m.roles[i]
		if !r.updates() || r.component != spec.Data && older && m.upgrading() {
			continue
		}
		out = append(out, r)
	}
	return out
}

// oldOnes counts the slots of r that run an older definition and are to run another. One that leaves needs none.
func (m *maker) oldOnes(r *role) int {
	n := 0
	for i := range r.slots {
		if r.slots[i].old && !m.isLeaving(r.slots[i]) {
			n++
		}
	}
	return n
}

// downOnes counts the slots that only hold their volume.
func (r *role) downOnes() int {
	n := 0
	for i := range r.slots {
		if r.slots[i].down {
			n++
		}
	}
	return n
}

// immutable holds what Marathon refuses to change for an app with volumes.
func immutable(r *role) *Hold {
	for _, c := range r.changes {
		if c.Class != drift.Replace {
			continue
		}
		h := &Hold{App: r.live.ID, Component: r.component, Rule: RuleImmutable, Pos: firstPos([]drift.Difference{c}),
			Why:    fmt.Sprintf("%s: %s; Marathon never changes resources, ports or volumes of an app with persistent volumes", r.live.ID.Name(), summary([]drift.Difference{c})),
			WayOut: "take the change back"}
		if r.component == spec.Data {
			h.WayOut += ", or raise data.generation by one: new nodes come up beside the old ones, and the data moves over"
		}
		return h
	}
	return nil
}

// unsettled waits where a commit would not be safe: up to Marathon 1.7 it ends a start that is under way, and a stopped
// instance beside the running ones could come back in the place of another (marathon-lab-old §2, marathon-lab-roll E19).
func (m *maker) unsettled(r *role) bool {
	if r.stopped > 0 {
		m.wait(Wait{App: r.live.ID, Component: r.component, Rule: RuleLeftOver,
			Why: fmt.Sprintf("%s: %d stopped %s still held", r.live.ID.Name(), r.stopped, plural(r.stopped, "instance"))})
		return true
	}
	for _, s := range r.slots {
		switch {
		case s.task.Unreachable():
			m.wait(Wait{App: r.live.ID, Component: r.component, Rule: RuleUnreachable,
				Why: fmt.Sprintf("%s: the agent of %s does not answer; its node may well run", r.live.ID.Name(), s.node)})
			return true
		case !s.up && !m.modern() && !r.fails():
			m.wait(Wait{App: r.live.ID, Component: r.component, Rule: RuleNotReady,
				Why: fmt.Sprintf("%s: %s is not up, and a commit would end its start (Marathon %s)", r.live.ID.Name(), s.node, m.facts.Marathon.Version)})
			return true
		}
	}
	return false
}

// fails says that the definition in force is one that nodes fail with: another cannot make it worse.
func (r *role) fails() bool {
	return !r.live.LastFailureVersion.IsZero() && !r.live.LastFailureVersion.Before(r.live.LastConfigChange)
}

// modern says that Marathon keeps a stopped instance's place and starts it by scaling: from 1.8 on.
func (m *maker) modern() bool { return m.facts.Marathon.Version.AtLeast(1, 8, 0) }

// openGate is the gate with a new word in its environment and one instance, which fits no host: its restart never ends.
func openGate(doc marathon.Doc, docs []marathon.Doc, gate *marathon.App) marathon.Doc {
	b, err := json.Marshal([]any{docs, gate.Version})
	if err != nil {
		panic(err) // rendered documents hold only JSON values
	}
	out := maps.Clone(doc)
	env := map[string]any{}
	if e, ok := doc["env"].(map[string]any); ok {
		maps.Copy(env, e)
	}
	env[drift.GateEnv] = fmt.Sprintf("%x", sha256.Sum256(b))[:16]
	out["env"], out["instances"] = env, 1
	return out
}
