package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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
	for _, k := range []string{marathon.LabelClusterUUID, marathon.LabelSuspended} {
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

// stateful components: only what is safe without asking Elasticsearch. Each Hold says what is missing and what to do.
func (m *maker) stateful(a *render.App, live *marathon.App, changes []drift.Difference, after string) {
	if m.unformed(a, live) && restarts(changes) {
		m.repair(a, live, changes)
		return
	}
	name := a.ID.Name()
	scale, update := false, false
	for _, c := range changes {
		switch c.Class {
		case drift.Update:
			update = true
			m.hold(Hold{App: a.ID, Component: a.Component, Rule: RuleNeedsRoll, Pos: firstPos([]drift.Difference{c}),
				Why:    fmt.Sprintf("%s: %s; every node would restart, and when a node may restart only Elasticsearch can say", name, summary([]drift.Difference{c})),
				WayOut: "this version of esfleet creates and scales out data and master nodes; take the change back, or roll the nodes by hand one at a time"})
		case drift.Replace:
			update = true
			m.hold(Hold{App: a.ID, Component: a.Component, Rule: RuleImmutable, Pos: firstPos([]drift.Difference{c}),
				Why:    fmt.Sprintf("%s: %s; Marathon never changes resources, ports or volumes of an app with persistent volumes", name, summary([]drift.Difference{c})),
				WayOut: "take the change back, or declare a new cluster of the wanted size and move the data"})
		case drift.Mixed:
			m.hold(Hold{App: a.ID, Component: a.Component, Rule: RuleOldVersionRuns,
				Why:    fmt.Sprintf("%s: %d of %d tasks run an older definition", name, len(c.Tasks), live.Instances),
				WayOut: "restart them one at a time; until then nothing is scaled, because Marathon's placement rules forget the old ones"})
			update = true
		case drift.Scale:
			scale = true
		}
	}
	if scale {
		m.scaleStateful(a, live, update, after)
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
	return live.Instances == 0 || readyTasks(live) == 0
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
				WayOut: "the cluster has never formed and holds nothing: remove the app by hand, and it is created as git says"})
			return
		}
	}
	const why = "the cluster has never formed: "
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

func (m *maker) scaleStateful(a *render.App, live *marathon.App, alsoUpdate bool, after string) {
	if live.Instances > 0 { // else it comes back in its turn, as at its creation
		after = ""
	}
	pos := m.origin(a, "replicas")
	if h := m.scaleRule(a, live, alsoUpdate); h != nil {
		h.App, h.Component, h.Pos = a.ID, a.Component, pos
		m.hold(*h)
		return
	}
	if w := steady(a, live); w != nil {
		m.wait(*w)
		return
	}
	m.step(Step{Verb: ScaleOut, App: a.ID, Component: a.Component, Instances: a.Instances, From: live.Instances, Seen: live.Version,
		After: after, Pos: pos, Why: fmt.Sprintf("%d → %d nodes", live.Instances, a.Instances)})
}

// scaleRule says why the number of stateful nodes may not be changed; nil if it may.
func (m *maker) scaleRule(a *render.App, live *marathon.App, alsoUpdate bool) *Hold {
	name := a.ID.Name()
	suspended := 0
	for _, t := range live.Tasks {
		if t.Suspended() {
			suspended++
		}
	}
	switch {
	case a.Instances < live.Instances:
		return &Hold{Rule: RuleScaleInDrain,
			Why:    fmt.Sprintf("%s: %d → %d nodes; a node may leave only when Elasticsearch has moved its shards away", name, live.Instances, a.Instances),
			WayOut: fmt.Sprintf("write replicas: %d again, or drain and remove the node by hand", live.Instances)}
	case alsoUpdate:
		return &Hold{Rule: RuleOneThing,
			Why:    fmt.Sprintf("%s: %d → %d nodes waits for the other changes of the app: definition and instances never change together", name, live.Instances, a.Instances),
			WayOut: "settle the other hold first"}
	case live.Instances > 0 && a.Component == m.want.Spec.MasterComponent() && quorumInFile(m.want.Spec.Elasticsearch):
		return &Hold{Rule: RuleQuorum,
			Why:    fmt.Sprintf("%s: %d → %d master-eligible nodes; before version 7 the quorum is a setting that must be raised first", name, live.Instances, a.Instances),
			WayOut: fmt.Sprintf("write replicas: %d again", live.Instances)}
	case suspended > 0 && suspended != a.Instances-live.Instances && !m.unformed(a, live):
		return &Hold{Rule: RuleLeftOver,
			Why:    fmt.Sprintf("%s: %d stopped %s of an earlier scaling still hold volumes; a scale-out would bring old data back", name, suspended, plural(suspended, "instance")),
			WayOut: "remove the stopped instances (with their volumes) by hand once nobody needs their data"}
	case suspended > 0 && live.Instances > 0:
		return &Hold{Rule: RuleLeftOver,
			Why:    fmt.Sprintf("%s: the new %s would be stopped ones of an earlier scaling, with their old data", name, plural(suspended, "node")),
			WayOut: "remove the stopped instances (with their volumes) by hand, or write the earlier number of replicas"}
	}
	return nil
}

// quorumInFile says that the number of masters stands in every master's own settings (zen1).
func quorumInFile(e spec.Elasticsearch) bool {
	return e.Distribution == spec.ElasticsearchDist && e.Version.Major < 7
}

// steady says what must calm down before a stateful app may be scaled; nil if every known instance runs.
func steady(a *render.App, live *marathon.App) *Wait {
	for _, t := range live.Tasks {
		if t.Unreachable() {
			return &Wait{App: a.ID, Component: a.Component, Rule: RuleUnreachable,
				Why: fmt.Sprintf("%s: the agent of %s does not answer; its node may well run", a.ID.Name(), t.Host)}
		}
	}
	if n := readyTasks(live); n < live.Instances {
		return &Wait{App: a.ID, Component: a.Component, Rule: RuleNotReady,
			Why: fmt.Sprintf("%s: %d of %d nodes are up; none is added before", a.ID.Name(), n, live.Instances)}
	}
	return nil
}

// dropped stops components that git no longer has and that hold no data. They stay, at 0 instances.
func (m *maker) dropped() {
	for _, c := range m.drift.Differences {
		if c.Class != drift.Orphan {
			continue
		}
		live := m.live(c.App)
		switch {
		case live == nil || live.Instances == 0:
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

// retire stops the components in reverse order, each after the one before has ended. Volumes are kept: to undo it, write
// state: active again.
func (m *maker) retire() {
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
