package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// gate keeps the gate's definition as git wants it, and the labels that live there as they are.
func (m *maker) gate(a *render.App, live *marathon.App, changes []drift.Difference) {
	if len(changes) == 0 {
		return
	}
	m.step(Step{Verb: UpdateApp, App: a.ID, Component: a.Component, Doc: GateDoc(a.Doc, live.Labels, nil), Instances: a.Instances,
		From: live.Instances, Seen: live.Version, Why: summary(changes) + "; restarts nothing"})
}

// GateDoc is the gate's definition with what lives on it: recorded labels are carried over from live, and set adds or
// (with an empty value) takes away.
func GateDoc(doc marathon.Doc, live, set map[string]string) marathon.Doc {
	out := maps.Clone(doc)
	labels := map[string]any{}
	if l, ok := doc["labels"].(map[string]any); ok {
		maps.Copy(labels, l)
	}
	for _, k := range []string{marathon.LabelClusterUUID, marathon.LabelSuspended, marathon.LabelDetached} {
		if v, ok := live[k]; ok {
			labels[k] = v
		}
	}
	for k, v := range set {
		if v == "" {
			delete(labels, k)
		} else {
			labels[k] = v
		}
	}
	out["labels"] = labels
	return out
}

// stateless components hold nothing that a restart could lose: Marathon rolls them by their own strategy.
// One that comes back from 0 instances comes in its turn, as at its creation: after says what for.
func (m *maker) stateless(a *render.App, live *marathon.App, changes []drift.Difference, after string) {
	if restarts(changes) {
		m.step(Step{Verb: UpdateApp, App: a.ID, Component: a.Component, Doc: a.Doc, Instances: a.Instances, From: live.Instances,
			Seen: live.Version, Pos: firstPos(changes), Why: summary(changes)})
		return
	}
	if live.Instances == a.Instances {
		m.replaceSilent(a, live)
		return
	}
	if live.Instances > 0 {
		after = ""
	}
	verb := ScaleOut
	if a.Instances < live.Instances {
		verb = ScaleIn
	}
	m.step(Step{Verb: verb, App: a.ID, Component: a.Component, Instances: a.Instances, From: live.Instances, Seen: live.Version,
		After: after, Pos: firstPos(changes), Why: fmt.Sprintf("%d → %d", live.Instances, a.Instances)})
}

// replaceSilent has a task started anew of whose health Marathon will never hear: nobody else can vouch for it, and what
// is created after it would wait for ever. The checks of its successor begin under the leader of now.
func (m *maker) replaceSilent(a *render.App, live *marathon.App) {
	for _, t := range live.Tasks {
		if m.silent(t, live) {
			m.step(Step{Verb: RestartTask, App: a.ID, Component: a.Component, Task: t.ID, Instances: live.Instances, From: live.Instances, Seen: live.Version,
				Why: fmt.Sprintf("Marathon has heard nothing of the health of the task on %s since it started, as after a change of its leader; another one is started in its place", t.Host)})
			return
		}
	}
}

// stopped plans nodes with data that are not members of a cluster: it never formed, or was stopped as a whole. There
// Elasticsearch has nothing to say: they take another definition while they are stopped, and start on their volumes.
func (m *maker) stopped(a *render.App, live *marathon.App, changes []drift.Difference, after string) {
	if restarts(changes) {
		if live.Instances == 0 || m.unformed(a, live) {
			m.repair(a, live, changes)
			return
		}
		m.wait(Wait{App: a.ID, Component: a.Component, Rule: RuleNotReady,
			Why: fmt.Sprintf("%s: %s; the cluster has not formed yet", a.ID.Name(), summary(changes))})
		return
	}
	if live.Instances != a.Instances {
		m.startStopped(a, live, after)
	}
}

// unformed says that the cluster has never been: no uuid is recorded, nothing but its first masters exists, and none of
// them is up. There is no document that could be lost, and a mistake in a new cluster's first commit must be mendable by
// the next one.
func (m *maker) unformed(a *render.App, live *marathon.App) bool {
	gate := m.live(m.want.App(spec.Gate).ID)
	if a.Component != m.want.Spec.MasterComponent() || gate == nil || gate.Labels[marathon.LabelClusterUUID] != "" {
		return false
	}
	if data := m.want.App(spec.Data); data.ID != a.ID && m.live(data.ID) != nil {
		return false
	}
	return live.Instances == 0 || m.readyTasks(live) == 0
}

// repair changes the definition of masters that never formed a cluster: stop them, change, start them on their volumes. A
// plain restart would hang: Marathon ≥ 1.10 begins no roll of unhealthy residents (marathon-lab-roll E24).
func (m *maker) repair(a *render.App, live *marathon.App, changes []drift.Difference) {
	active := 0
	for _, t := range live.Tasks {
		if t.Active() || t.Unreachable() {
			active++
		}
	}
	for _, c := range changes {
		if c.Class == drift.Replace {
			m.hold(Hold{App: a.ID, Component: a.Component, Rule: RuleImmutable, Pos: firstPos(changes),
				Why:    fmt.Sprintf("%s: %s; Marathon never changes resources, ports or volumes of an app with persistent volumes", a.ID.Name(), summary(changes)),
				WayOut: "take the change back; where nothing is lost by it, remove the app by hand, and it is created as git says"})
			return
		}
	}
	why := "the cluster has never formed: "
	if m.recorded() != "" {
		why = "it is stopped: "
	}
	switch {
	case live.Instances > 0:
		m.step(Step{Verb: StopApp, App: a.ID, Component: a.Component, From: live.Instances, Seen: live.Version,
			Pos: firstPos(changes), Why: why + "stopped for another definition (" + summary(changes) + ")"})
	case active > 0:
		m.wait(Wait{App: a.ID, Component: a.Component, Rule: RuleNotReady,
			Why: fmt.Sprintf("%s: %d %s still to stop", a.ID.Name(), active, plural(active, "task"))})
	default:
		doc := maps.Clone(a.Doc)
		doc["instances"] = 0 // definition and instances never change together
		m.step(Step{Verb: UpdateApp, App: a.ID, Component: a.Component, Doc: doc, Seen: live.Version,
			Pos: firstPos(changes), Why: why + summary(changes)})
	}
}

// startStopped brings the nodes of a stopped app back, all of them on their volumes, or the first ones to the number git
// wants.
func (m *maker) startStopped(a *render.App, live *marathon.App, after string) {
	if live.Instances > 0 { // else it comes back in its turn, as at its creation
		after = ""
	}
	pos := m.origin(a, "replicas")
	held := 0
	for _, t := range live.Tasks {
		if t.Suspended() {
			held++
		}
	}
	switch {
	case a.Instances < live.Instances:
		m.hold(Hold{App: a.ID, Component: a.Component, Pos: pos, Rule: RuleNotReady,
			Why:    fmt.Sprintf("%s: %d → %d nodes; the cluster has not formed, so which of them holds nothing is not known", a.ID.Name(), live.Instances, a.Instances),
			WayOut: fmt.Sprintf("write replicas: %d again until it has formed", live.Instances)})
		return
	case held > 0 && held != a.Instances-live.Instances && !m.unformed(a, live):
		m.hold(Hold{App: a.ID, Component: a.Component, Pos: pos, Rule: RuleLeftOver,
			Why:    fmt.Sprintf("%s: %d stopped %s hold volumes, and %d are to start: which of them come back is not esfleet's to choose", a.ID.Name(), held, plural(held, "instance"), a.Instances-live.Instances),
			WayOut: fmt.Sprintf("write replicas: %d, or remove the ones nobody needs, with their volumes, by hand", live.Instances+held)})
		return
	}
	if w := m.steady(a, live); w != nil {
		m.wait(*w)
		return
	}
	m.step(Step{Verb: ScaleOut, App: a.ID, Component: a.Component, Instances: a.Instances, From: live.Instances, Seen: live.Version,
		After: after, Pos: pos, Why: fmt.Sprintf("%d → %d nodes", live.Instances, a.Instances)})
}

// quorumInFile says that the number of masters stands in every master's own settings (zen1).
func quorumInFile(e spec.Elasticsearch) bool {
	return e.Distribution == spec.ElasticsearchDist && e.Version.Major < 7
}

// steady says what must calm down before a stateful app may be scaled; nil if every known instance runs, but for those that
// git has given up and Marathon counts no longer.
func (m *maker) steady(a *render.App, live *marathon.App) *Wait {
	for _, t := range live.Tasks {
		if t.Unreachable() && !givenUp(m.want.Spec, live, slot{task: t, instance: t.ID.Instance()}) {
			return &Wait{App: a.ID, Component: a.Component, Rule: RuleUnreachable,
				Why: fmt.Sprintf("%s: the agent of %s does not answer; its node may well run", a.ID.Name(), t.Host)}
		}
	}
	if n := m.readyTasks(live); n < live.Instances {
		return &Wait{App: a.ID, Component: a.Component, Rule: RuleNotReady,
			Why: fmt.Sprintf("%s: %d of %d nodes are up; none is added before", a.ID.Name(), n, live.Instances)}
	}
	return nil
}

func (m *maker) isRole(id marathon.AppID) bool {
	return slices.ContainsFunc(m.roles, func(r role) bool { return r.live.ID == id })
}

// dropped stops components that git no longer has and that hold no data. They stay, at 0 instances.
func (m *maker) dropped() {
	for _, c := range m.drift.Differences {
		if c.Class != drift.Orphan {
			continue
		}
		live := m.live(c.App)
		switch {
		case live == nil || live.Instances == 0 || m.isRole(c.App):
		case c.Component.Stateful():
			m.hold(Hold{App: c.App, Component: c.Component, Rule: RuleVanished,
				Why:    fmt.Sprintf("%s runs %d nodes and git no longer has it; what holds data is never stopped because a line is missing", c.App.Name(), live.Instances),
				WayOut: "put it back, or retire the cluster (state: retired)"})
		case len(m.facts.Marathon.LockedBy(c.App)) > 0:
			m.wait(Wait{App: c.App, Component: c.Component, Rule: RuleDeployment, Why: c.App.Name() + ": a deployment is open"})
		default:
			m.step(Step{Verb: StopApp, App: c.App, Component: c.Component, From: live.Instances, Seen: live.Version,
				Why: "git no longer has it; it stays at 0 instances"})
		}
	}
}

// retire stops the components in reverse order, each after the one before has ended. Volumes are kept, to undo it write
// state: active again, unless git says that they are destroyed once the grace time is over.
func (m *maker) retire() {
	if m.endCommit() {
		return
	}
	after := ""
	for _, a := range slices.Backward(m.want.Apps) {
		live := m.live(a.ID)
		if live == nil || a.Component == spec.Gate {
			continue
		}
		active := 0
		for _, t := range live.Tasks {
			if t.Active() || t.Unreachable() {
				active++
			}
		}
		switch {
		case m.lock(&a, live, nil):
		case live.Instances > 0:
			m.step(Step{Verb: StopApp, App: a.ID, Component: a.Component, From: live.Instances, Seen: live.Version, After: after,
				Pos: m.want.Spec.OriginOf("state"), Why: "the cluster is retired; volumes are kept"})
		case active > 0:
			m.wait(Wait{App: a.ID, Component: a.Component, Rule: RuleNotReady,
				Why: fmt.Sprintf("%s: %d %s still to stop", a.ID.Name(), active, plural(active, "task"))})
		default:
			continue
		}
		if after == "" {
			after = a.ID.Name() + " has stopped"
		}
	}
	if after == "" && m.want.Spec.Retirement.Destroy {
		m.destroy()
	}
}

// destroy deletes a retired cluster's apps with their volumes, when each has been stopped for the grace time.
func (m *maker) destroy() {
	r, after := m.want.Spec.Retirement, ""
	for _, a := range slices.Backward(m.want.Apps) {
		live := m.live(a.ID)
		if live == nil {
			continue
		}
		// Stopping was the last change of the app; a later one only makes the grace longer.
		if left := r.Grace - m.facts.Now.Sub(live.Version); left > 0 && a.Component.Stateful() {
			m.wait(Wait{App: a.ID, Component: a.Component, Rule: RuleUndoWindow,
				Why: fmt.Sprintf("%s: its volumes are destroyed in %s; to keep them take retirement.destroy away", a.ID.Name(), left.Round(time.Second))})
			return
		}
		m.step(Step{Verb: DeleteApp, App: a.ID, Component: a.Component, Seen: live.Version, After: after, Pos: m.want.Spec.OriginOf("retirement.destroy"),
			Why: fmt.Sprintf("the cluster is retired, and git says that its volumes are destroyed after %s", r.Grace)})
		after = "the step before"
	}
}

// summary names what differs in a few words: 'cpus 2 → 4, env.FOO, 2 files'.
func summary(changes []drift.Difference) string {
	var parts []string
	files := 0
	for _, c := range changes {
		for _, f := range c.Fields {
			if f.Path != "instances" && (f.Path != "bundle" || len(c.Files) == 0) {
				parts = append(parts, f.Path)
			}
		}
		files += len(c.Files)
	}
	if files > 0 {
		var names []string
		for _, c := range changes {
			for _, f := range c.Files {
				names = append(names, f.Path)
			}
		}
		slices.Sort(names)
		parts = append(parts, slices.Compact(names)...)
	}
	const most = 4
	if len(parts) > most {
		parts = append(parts[:most:most], fmt.Sprintf("%d more", len(parts)-most))
	}
	if len(parts) == 0 {
		return "differs from git"
	}
	return strings.Join(parts, ", ") + " " + verbFor(len(parts))
}

func verbFor(n int) string {
	if n == 1 {
		return "changes"
	}
	return "change"
}

func firstPos(changes []drift.Difference) spec.Pos {
	for _, c := range changes {
		for _, f := range c.Fields {
			if f.Pos.File != "" {
				return f.Pos
			}
		}
	}
	return spec.Pos{}
}
