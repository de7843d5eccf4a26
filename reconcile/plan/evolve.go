package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// A role is a live app whose tasks are Elasticsearch nodes with data: what git wants of it and what Marathon shows.
type role struct {
	component spec.Component
	live      *marathon.App
	want      *render.App // nil: an older generation, which is to go
	changes   []drift.Difference
	slots     []slot // sorted by node name
	stopped   int    // instances that only hold their volume and that Marathon does not mean to start
}

// A slot is one instance of a role.
type slot struct {
	task     marathon.Task
	instance marathon.InstanceID
	node     string // the Elasticsearch node's name
	up       bool   // runs and is healthy, as Marathon or the cluster itself says
	silent   bool   // runs, and Marathon never heard how: the cluster is to be asked
	down     bool   // holds its volume and does not run: it was stopped, or waits to be started again
	old      bool   // runs, or failed with, another definition than the one in force, or must be restarted with it anyhow
	same     bool   // runs, or failed with, the definition in force under an older version
	wanted   bool   // runs what git wants under an older version
}

// declared is how many nodes git wants of the role.
func (r *role) declared() int {
	if r.want == nil {
		return 0
	}
	return r.want.Instances
}

func (r *role) updates() bool { return r.want != nil && restarts(r.changes) }

// steady says that every instance that Marathon is to run runs and is healthy, and that none is held beside them.
func (r *role) steady() bool {
	return r.stopped == 0 && len(r.slots) == r.live.Instances && !slices.ContainsFunc(r.slots, func(s slot) bool { return !s.up })
}

// roleOf reads a role from its live app; declared is the cluster as it is, or was, declared for this generation.
func (m *maker) roleOf(declared *spec.Cluster, c spec.Component, want *render.App, live *marathon.App, changes []drift.Difference) role {
	r := role{component: c, live: live, want: want, changes: changes}
	for _, t := range live.Tasks {
		s := slot{task: t, instance: t.ID.Instance(), down: t.Suspended(), up: m.up(t, live), silent: m.silent(t, live)}
		if givenUp(declared, live, s) {
			continue
		}
		s.node = render.NodeName(declared, c, t.Host, s.instance)
		s.old = t.Version != "" && outdated(t, live) || s.down && failedOlder(live, s.instance)
		r.slots = append(r.slots, s)
	}
	slices.SortFunc(r.slots, func(a, b slot) int { return strings.Compare(a.node, b.node) })
	r.stopped = max(0, len(r.slots)-live.Instances)
	return r
}

// failedOlder says that the instance's last run failed with an older definition: it would be started with it again.
func failedOlder(live *marathon.App, i marathon.InstanceID) bool {
	return live.LastFailureTask.Instance() == i && !live.LastFailureVersion.IsZero() && live.LastFailureVersion.Before(live.LastConfigChange)
}

// givenUp says that the slot's agent is gone, git gives it up by name, and it is removed already: Marathon no longer counts
// it and shows it until the agent comes back, when it is stopped at once (marathon-lab-roll E23). Nothing waits for that.
func givenUp(declared *spec.Cluster, live *marathon.App, s slot) bool {
	held := 0
	for i := range live.Tasks {
		if live.Tasks[i].Suspended() {
			held++
		}
	}
	return s.task.Unreachable() && len(live.Tasks)-held > live.Instances &&
		slices.ContainsFunc(declared.Replace, func(x spec.Replacement) bool { return x.Instance == string(s.instance) })
}

// evolve changes the Elasticsearch nodes of a cluster that has formed: it finds the one step that is due, and those that
// come after it. Each part says whether it has found something to do or to wait for; then nothing after it may happen.
func (m *maker) evolve() {
	m.addOlderGenerations()
	m.compareVersions()
	if len(m.roles) == 0 || m.recorded() == "" {
		return
	}
	if m.endCommit() || m.lockedRole() || m.finishTurn() || m.stoppedApp() {
		return
	}
	if m.namesakes() || !m.facts.AskElasticsearch && !m.evolves() {
		return
	}
	if !m.known() {
		return
	}
	for _, part := range []func() bool{m.upkeep, m.shrinkUnplaced, m.leave, m.commit, m.turn, m.grow, m.unjoined} {
		if part() {
			break
		}
	}
	m.attach()
}

// stoppedApp says that all nodes of a component are stopped. They come back first, if they may: no other node is touched
// beside them.
func (m *maker) stoppedApp() bool {
	return slices.ContainsFunc(m.want.Apps, func(a render.App) bool {
		live := m.live(a.ID)
		return a.Component.Stateful() && live != nil && !m.running(live)
	})
}

// recorded is the uuid of the cluster as its gate records it.
func (m *maker) recorded() string {
	if gate := m.gateApp(); gate != nil {
		return gate.Labels[marathon.LabelClusterUUID]
	}
	return ""
}

func (m *maker) gateApp() *marathon.App {
	if g := m.want.App(spec.Gate); g != nil {
		return m.live(g.ID)
	}
	return nil
}

// evolves says that a role is not as git wants it. One that only lost a task is Marathon's to mend.
func (m *maker) evolves() bool {
	for i := range m.roles {
		r := &m.roles[i]
		if r.want == nil || len(r.changes) > 0 || r.stopped > 0 || r.live.Instances != r.declared() ||
			slices.ContainsFunc(r.slots, func(s slot) bool { return s.old || s.silent || s.up && unproven(s.task) }) {
			return true
		}
	}
	// A component of nodes that is still to be made comes into a cluster that has its rules, whoever made the one before.
	toMake := slices.ContainsFunc(m.want.Apps, func(a render.App) bool { return a.Component.Stateful() && m.live(a.ID) == nil })
	return toMake || len(m.named()) > 0 || len(m.detached()) > 0
}

// lockedRole says that a deployment is open on a role's app, and lets go of a start that only Marathon still waits for. The
// wait for any other is there already.
func (m *maker) lockedRole() bool {
	for i := range m.roles {
		r := &m.roles[i]
		if !m.locked(r.live) {
			continue
		}
		if ids := m.starting(r.live); len(ids) > 0 {
			why := ""
			switch {
			case r.updates(), r.declared() < r.live.Instances && len(r.slots) < r.live.Instances:
				why = "a node's start has not ended and git wants something else by now"
			case r.steady() && m.known() && esgate.MixedVersions(&m.facts.Elasticsearch):
				why = "every node is up; the cluster is yellow, as it must be while two versions run, and Marathon would wait for green"
			}
			if why != "" {
				m.step(Step{Verb: CancelOwn, App: r.live.ID, Component: r.component, Cancel: ids, Seen: r.live.Version, Closing: true, Why: why})
				return true
			}
		}
		m.tidy()
		return true
	}
	gate := m.gateApp()
	return gate != nil && m.locked(gate)
}

// tidy takes back what was left behind also while a node starts, and Marathon waits for green: it may be what keeps copies
// from the node. The answer also tells how far the node is.
func (m *maker) tidy() {
	if master := m.live(m.want.App(m.want.Spec.MasterComponent()).ID); m.known() && master != nil && !m.locked(master) {
		m.fix(leftBehind(m.want.Spec, &m.facts.Elasticsearch, m.leavingNames()))
	}
}

// starting are the deployments on an app if all of them only scale it: to cancel one takes nothing back.
func (m *maker) starting(live *marathon.App) []marathon.DeploymentID {
	var ids []marathon.DeploymentID
	for _, d := range m.facts.Marathon.LockedBy(live.ID) {
		if len(d.CurrentActions) == 0 {
			return nil // what it does is not known
		}
		for _, act := range d.CurrentActions {
			if act.Action != "ScaleApplication" || act.App != live.ID {
				return nil
			}
		}
		ids = append(ids, d.ID)
	}
	return ids
}

func (m *maker) locked(live *marathon.App) bool {
	return len(live.Deployments) > 0 || len(m.facts.Marathon.LockedBy(live.ID)) > 0
}

// known makes sure that the cluster itself has answered, and that it is the one git means.
func (m *maker) known() bool {
	if !m.asked() {
		return false
	}
	return m.sameCluster(m.recorded())
}

// sameCluster holds if somebody else answers on the nodes' addresses.
func (m *maker) sameCluster(recorded string) bool {
	h := &m.facts.Elasticsearch
	if h.UUID == recorded && h.Name == render.ClusterName(m.want.Spec) {
		return true
	}
	a := m.want.App(m.want.Spec.MasterComponent())
	m.hold(Hold{App: a.ID, Component: a.Component, Rule: RuleForeignCluster,
		Why:    fmt.Sprintf("the nodes of %s answer as cluster %q (%s), recorded is %q (%s)", a.ID, h.Name, h.UUID, render.ClusterName(m.want.Spec), recorded),
		WayOut: "find out who answers there before anything else is done"})
	return false
}

// touch is what the rules must know of a step on a node; node and instance are empty where none is touched.
func (m *maker) touch(kind esgate.Kind, r *role, s *slot) esgate.Touch {
	c := m.want.Spec
	t := esgate.Touch{Kind: kind, Component: r.component, Name: render.ClusterName(c), UUID: m.recorded(),
		Version: c.Elasticsearch.Version, Dist: c.Elasticsearch.Distribution, Leaving: m.leavingNames(),
		Zen1: quorumInFile(c.Elasticsearch), Quorum: m.quorum(), Now: m.facts.Now, MaxAge: maxAge,
		Upgrading: m.upgrading(), SnapshotWithin: c.Rollout.SnapshotWithin}
	for i := range m.roles {
		n := m.roles[i].live.Instances
		if m.roles[i].component == spec.Data {
			t.Data += n
		}
		if m.roles[i].component == c.MasterComponent() {
			t.Masters += n
		}
	}
	if s != nil {
		t.Node, t.Instance = s.node, string(s.instance)
		t.Drained = m.facts.Drained[s.node]
	}
	t.GoneMasters, t.GoneData = m.gone(s)
	for _, x := range c.Replace {
		if x.LoseCopies {
			t.AcceptLoss = append(t.AcceptLoss, x.Instance)
		}
	}
	return t
}

// refusal turns the rules' no to t into a Hold or a Wait and says whether there is one.
func (m *maker) refusal(t esgate.Touch, r *role, what string, pos spec.Pos) bool {
	v := esgate.Judge(&m.facts.Elasticsearch, t)
	switch {
	case v.OK:
		return false
	case v.Hold:
		m.hold(Hold{App: r.live.ID, Component: r.component, Node: t.Node, Rule: v.Rule, Why: what + ": " + v.Why, WayOut: v.WayOut, Pos: pos})
	default:
		m.wait(Wait{App: r.live.ID, Component: r.component, Node: t.Node, Rule: v.Rule, Why: what + " waits: " + v.Why})
	}
	return true
}

// also are all apps of the cluster's roles as judged, for a last look before a step.
func (m *maker) also(but marathon.AppID) []Seen {
	var out []Seen
	for i := range m.roles {
		if l := m.roles[i].live; l.ID != but {
			out = append(out, Seen{App: l.ID, Version: l.Version, Instances: l.Instances})
		}
	}
	return out
}

// upgrading says that a member runs another version than git wants.
func (m *maker) upgrading() bool {
	for i := range m.facts.Elasticsearch.Nodes {
		if m.facts.Elasticsearch.Nodes[i].Version != m.want.Spec.Elasticsearch.Version {
			return true
		}
	}
	return false
}
