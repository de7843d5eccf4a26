package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// Make orders d into steps for the cluster that want describes. It is called before every single effect with a fresh
// look at live; whatever it needs to remember is in Marathon.
func Make(want *render.Desired, d *drift.Drift, f Facts) Cluster {
	m := &maker{want: want, drift: d, facts: f, out: Cluster{ID: want.ID}}
	m.progress()
	switch {
	case m.refuse():
	case want.Spec.State == spec.Retired:
		m.retire()
	default:
		m.converge()
	}
	m.room()
	if m.out.Phase = m.phase(); m.out.Phase == IsSuspended {
		m.out.Waits = append([]Wait{{Rule: RuleSuspended, Why: m.suspended}}, m.out.Waits...)
	}
	m.status()
	return m.out
}

type maker struct {
	want  *render.Desired
	drift *drift.Drift
	facts Facts
	out   Cluster
	// suspended is the reason if nothing may be written; unknown is set if a fact is missing.
	suspended string
	unknown   bool
	// roles are the apps whose nodes hold data and belong to a cluster that has formed, in the order of creation.
	roles []role
	going *[]leaver // of the roles, once worked out
}

func (m *maker) live(id marathon.AppID) *marathon.App { return m.facts.Marathon.Apps[id] }

// refuse finds what stands above every step: an unsupported Marathon, a suspension, state that cannot be trusted, somebody
// else's app in our place.
func (m *maker) refuse() bool {
	if ok, why := m.facts.Marathon.Version.Supported(); !ok {
		m.hold(Hold{Rule: RuleMarathonVersion, Why: why, WayOut: "run the cluster on Marathon 1.4.2 to 1.11"})
		return true
	}
	for _, a := range m.want.Apps {
		if l := m.live(a.ID); l != nil && l.Labels[marathon.LabelFleet] != string(m.want.Spec.Fleet) {
			m.hold(Hold{App: a.ID, Component: a.Component, Rule: RuleForeignApp,
				Why:    fmt.Sprintf("%s exists and does not carry this fleet's label %s=%s: it is not esfleet's", a.ID, marathon.LabelFleet, m.want.Spec.Fleet),
				WayOut: "rename the cluster, or have the app's owner remove it"})
			return true
		}
	}
	m.suspended = m.suspension()
	if m.facts.Settling != "" {
		m.unknown = true
		m.wait(Wait{Rule: RuleSettling, Why: m.facts.Settling})
	}
	return false
}

// phase is read from what was found; the worst word wins.
func (m *maker) phase() Phase {
	switch {
	case m.unknown:
		return Unknown
	case m.suspended != "":
		return IsSuspended
	case m.due():
		return Converging
	case slices.ContainsFunc(m.out.Waits, func(w Wait) bool { return w.Rule != RuleUndoWindow }):
		return Waiting
	case len(m.out.Holds) > 0:
		return Held
	case len(m.out.Steps) > 0:
		return Waiting
	case m.want.Spec.State == spec.Retired:
		return IsRetired
	}
	return Converged
}

func (m *maker) due() bool {
	for _, s := range m.out.Steps {
		if s.After == "" {
			return true
		}
	}
	return false
}

// converge walks the components in the order of creation. A component that is not ready yet keeps later ones from being
// created; it does not keep a stateless one from being mended.
func (m *maker) converge() {
	after := "" // what the creation of the next component waits for
	for i := range m.want.Apps {
		a := &m.want.Apps[i]
		ready := m.component(a, after)
		if a.Component == m.want.Spec.MasterComponent() && m.live(a.ID) != nil {
			ready = m.formation(a, ready) && ready
		}
		if a.Component == spec.Data && ready && m.createsAfter(i) {
			ready = m.green()
		}
		if !ready {
			after = fmt.Sprintf("%s is ready", a.ID.Name())
			if a.Component == m.want.Spec.MasterComponent() {
				after = fmt.Sprintf("%s is ready and the cluster's uuid is recorded", a.ID.Name())
			}
		}
	}
	m.evolve()
	m.dropped()
}

// createsAfter says whether a component after index i does not exist yet: only its creation asks for a green cluster.
func (m *maker) createsAfter(i int) bool {
	for _, a := range m.want.Apps[i+1:] {
		if m.live(a.ID) == nil {
			return true
		}
	}
	return false
}

// component plans one app and says whether it is as git wants it and all its tasks are up.
func (m *maker) component(a *render.App, after string) bool {
	live := m.live(a.ID)
	if live == nil {
		m.step(Step{Verb: CreateApp, App: a.ID, Component: a.Component, Doc: a.Doc, Instances: a.Instances, After: after,
			Pos: m.origin(a, "replicas"), Why: whyCreate(a)})
		return false
	}
	m.askAboutSilent(a, live)
	changes := m.drift.Of(a.ID)
	locked := m.lock(a, live, changes)
	if !locked {
		switch {
		case a.Component == spec.Gate:
			m.gate(a, live, changes)
		case a.Component.Stateful() && !m.running(live):
			m.stopped(a, live, changes, after)
		case a.Component.Stateful():
		default:
			m.stateless(a, live, changes, after)
		}
	}
	if a.Component.Stateful() && m.running(live) {
		m.roles = append(m.roles, m.roleOf(m.want.Spec, a.Component, a, live, changes))
	}
	if locked && a.Component.Stateful() && len(m.starting(live)) > 0 && m.upTasks(live) >= live.Instances {
		// It ends when the cluster is green, and that may need the component after this one: what the tasks show decides.
		locked = false
	}
	return !locked && m.ready(a, live)
}

// running says that the app's nodes are members of a cluster that has formed, or were a moment ago.
func (m *maker) running(live *marathon.App) bool { return m.recorded() != "" && live.Instances > 0 }

// origin is where git says how many or what of a component.
func (m *maker) origin(a *render.App, key string) spec.Pos {
	path := string(a.Component) + "." + key
	if a.Component.RunsElasticsearch() {
		path = "nodes." + path
	}
	return m.want.Spec.OriginOf(path)
}

func whyCreate(a *render.App) string {
	switch a.Component {
	case spec.Gate:
		return "the cluster's record; runs nothing"
	case spec.Discovery:
		return "nodes find the masters through it"
	}
	return fmt.Sprintf("%d %s", a.Instances, plural(a.Instances, "task"))
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// lock looks for open deployments. Look first, never use a 409 as the question: on 1.10 and 1.11 a refused write breaks
// the running deployment's lock.
func (m *maker) lock(a *render.App, live *marathon.App, changes []drift.Difference) bool {
	open := m.facts.Marathon.LockedBy(a.ID)
	if len(open) == 0 && len(live.Deployments) == 0 {
		return false
	}
	var ids []marathon.DeploymentID
	own := true
	what := "a deployment"
	for _, d := range open {
		ids = append(ids, d.ID)
		own = own && m.facts.OwnDeployments[d.ID]
		for _, act := range d.CurrentActions {
			if act.App == a.ID {
				what = act.Action
			}
		}
	}
	if len(open) == 0 { // the list of apps knows one that /v2/deployments does not show (yet)
		ids, own = live.Deployments, false
	}
	// Our own last change hangs and git has changed again meanwhile: let go of it, where a restart can lose nothing.
	mayRestart := a.Component != spec.Gate && (!a.Component.Stateful() || m.unformed(a, live))
	if own && mayRestart && restarts(changes) {
		m.step(Step{Verb: CancelOwn, App: a.ID, Component: a.Component, Cancel: ids, Seen: live.Version,
			Why: "our own deployment has not ended and git wants something else now"})
		return true
	}
	rule, whose := RuleDeployment, ""
	if what == "RestartApplication" && !own {
		rule, whose = RuleForeignDeployment, ", not started by this daemon"
	}
	why := fmt.Sprintf("%s: %s is open%s (deployment %s)", a.ID.Name(), what, whose, joinIDs(ids))
	n := m.readyTasks(live)
	if a.Component.Stateful() && m.running(live) {
		n = m.upTasks(live)
	}
	if n < live.Instances && a.Component != spec.Gate {
		why = m.notReady(a, live, n)
	}
	if mayRestart && restarts(changes) {
		why += "; git wants something else: if it hangs, cancel it by hand (DELETE /v2/deployments/…?force=true), only then it is replaced"
	}
	m.wait(Wait{App: a.ID, Component: a.Component, Rule: rule, Why: why})
	return true
}

func joinIDs(ids []marathon.DeploymentID) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = string(id)
	}
	return strings.Join(s, ", ")
}

func restarts(changes []drift.Difference) bool {
	for _, c := range changes {
		if c.Class == drift.Update || c.Class == drift.Replace {
			return true
		}
	}
	return false
}

// step records s with the cluster it belongs to, turned into a Hold where git or the guard forbids it.
func (m *maker) step(s Step) {
	s.Cluster = m.want.ID
	if m.want.Spec.Drift == spec.Report && !s.Closing {
		if s.After != "" {
			return // it follows from one that is reported
		}
		m.hold(Hold{App: s.App, Component: s.Component, Rule: RuleReportOnly,
			Why:    fmt.Sprintf("%s %s: %s; this cluster is only reported on", s.Verb, s.App.Name(), s.Why),
			WayOut: "write drift: enforce to have it done"})
		return
	}
	if len(m.facts.Refused) > 0 {
		if why, ok := m.facts.Refused[s.Key()]; ok {
			m.hold(Hold{App: s.App, Component: s.Component, Rule: RuleRefused, Pos: s.Pos,
				Why: fmt.Sprintf("%s %s: %s", s.Verb, s.App.Name(), why), WayOut: "change in git what Marathon objects to"})
			return
		}
	}
	if m.facts.Guard != nil && m.exists() && s.Verb != RecordUUID && !s.Closing {
		if len(m.out.Holds) == 0 || m.out.Holds[0].Rule != RuleBlastRadius {
			m.hold(*m.facts.Guard)
		}
		s.After = "the change is approved in git"
	}
	m.out.Steps = append(m.out.Steps, s)
}

// exists says that the cluster has apps already: a brand-new cluster endangers nothing.
func (m *maker) exists() bool {
	for _, a := range m.want.Apps {
		if a.Component.RunsElasticsearch() && m.live(a.ID) != nil {
			return true
		}
	}
	return false
}

func (m *maker) hold(h Hold) {
	if !slices.Contains(m.out.Holds, h) {
		m.out.Holds = append(m.out.Holds, h)
	}
}

func (m *maker) wait(w Wait) {
	if !slices.Contains(m.out.Waits, w) {
		m.out.Waits = append(m.out.Waits, w)
	}
}
