package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// ready says whether the app runs what it should, and waits if it does not. Success is what the tasks show, never what a
// deployment claims: a deployment ends happily with tasks that were only scheduled (marathon-lab-roll E0).
func (m *maker) ready(a *render.App, live *marathon.App) bool {
	if a.Component == spec.Gate {
		return true
	}
	n := m.readyTasks(live)
	if a.Component.Stateful() && m.running(live) {
		n = m.upTasks(live) // which definition they run is the business of their turns
	}
	if n >= live.Instances && live.Instances >= a.Instances {
		return true
	}
	if n < live.Instances {
		m.wait(Wait{App: a.ID, Component: a.Component, Rule: RuleNotReady, Why: m.notReady(a, live, n)})
	}
	return false
}

// notReady tells the person on call where the missing tasks are: what Marathon waits for, or their last words.
func (m *maker) notReady(a *render.App, live *marathon.App, n int) string {
	why := fmt.Sprintf("%s: %d of %d tasks are up and healthy", a.ID.Name(), n, live.Instances)
	if n >= live.Instances {
		return why
	}
	return why + m.obstacles(live)
}

// obstacles are what keeps an app's tasks from being up, each after a semicolon.
func (m *maker) obstacles(live *marathon.App) string {
	why := ""
	for _, q := range m.facts.Marathon.Queue {
		if q.App != live.ID {
			continue
		}
		if q.BackoffSeconds > 0 {
			why += fmt.Sprintf("; the next start is held back for %d s after failures", q.BackoffSeconds)
		}
		if r := rejections(q); r != "" {
			why += "; no offer fits: " + r
		}
	}
	if live.LastTaskFailure != "" {
		why += "; last failure: " + firstLine(live.LastTaskFailure, 200)
	}
	return why
}

func rejections(q marathon.QueueItem) string {
	var parts []string
	for _, reason := range sortedKeys(q.Rejections) {
		if k := q.Rejections[reason]; k > 0 {
			parts = append(parts, fmt.Sprintf("%s on %d of %d", reason, k, q.Offers))
		}
	}
	return strings.Join(parts, ", ")
}

func firstLine(s string, most int) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}

// readyTasks counts tasks that are up and of the current definition.
func (m *maker) readyTasks(live *marathon.App) int {
	return countTasks(live, func(t marathon.Task) bool { return m.up(t, live) && !outdated(t, live) })
}

// upTasks counts tasks that are up.
func (m *maker) upTasks(live *marathon.App) int {
	return countTasks(live, func(t marathon.Task) bool { return m.up(t, live) })
}

func countTasks(live *marathon.App, is func(marathon.Task) bool) int {
	n := 0
	for _, t := range live.Tasks {
		if is(t) {
			n++
		}
	}
	return n
}

// outdated says that the task runs a definition older than the app's. Never compare for equality: a scaling changes the
// version too, and leaves older tasks right as they are.
func outdated(t marathon.Task, live *marathon.App) bool {
	v, err := time.Parse(time.RFC3339, t.Version)
	return err != nil || v.Before(live.LastConfigChange)
}

// Healthy says whether the newest health result of a task is good. A resident's list holds one entry for every version and
// run it ever had (marathon-lab-old §6), so the first entry proves nothing.
//
// Up to Marathon 1.7 a node that was restarted shows the result of its last run for as long as it runs: a commit is
// cancelled before Marathon has taken note of the new definition's check. There only the cluster itself knows.
func Healthy(t marathon.Task) bool {
	_, alive := verdict(t)
	return alive
}

// verdict is the newest health result of a task, and when it was given; "" if there is none.
func verdict(t marathon.Task) (newest string, alive bool) {
	for _, r := range t.HealthCheckResults {
		at := max(r.LastSuccess, r.LastFailure) // RFC 3339 in UTC sorts as text
		if at >= newest {
			newest, alive = at, r.Alive
		}
	}
	return newest, alive
}

// formation plans the record of the cluster's identity: with the uuid on the gate nobody ever bootstraps again. It says
// whether later components may follow.
func (m *maker) formation(a *render.App, ready bool) bool {
	gate := m.live(m.want.App(spec.Gate).ID)
	if gate == nil {
		return false
	}
	recorded := gate.Labels[marathon.LabelClusterUUID]
	if !ready || recorded != "" && !m.createsAny() {
		return recorded != ""
	}
	if !m.asked() {
		return false
	}
	es := &m.facts.Elasticsearch
	if id := cmp.Or(recorded, es.UUID); !m.sameCluster(id) {
		return false
	}
	if recorded != "" {
		return true
	}
	if len(m.facts.Marathon.LockedBy(gate.ID)) > 0 {
		m.wait(Wait{App: gate.ID, Component: spec.Gate, Rule: RuleDeployment, Why: "gate: a deployment is open"})
		return false
	}
	desired := m.want.App(spec.Gate)
	m.step(Step{Verb: RecordUUID, App: gate.ID, Component: spec.Gate, Seen: gate.Version, From: gate.Instances, Instances: gate.Instances,
		Doc: GateDoc(desired.Doc, gate.Labels, map[string]string{marathon.LabelClusterUUID: es.UUID}),
		Why: "the cluster has formed as " + es.UUID})
	return false
}

// createsAny says whether any component still has to be created.
func (m *maker) createsAny() bool { return m.createsAfter(-1) }

// asked makes sure that there is an answer from Elasticsearch to decide on.
func (m *maker) asked() bool {
	es := m.facts.Elasticsearch
	switch {
	case !es.Asked:
		m.wait(Wait{Rule: RuleAskElasticsearch, Why: "the cluster has not been asked yet"})
		return false
	case !es.Known:
		m.wait(Wait{Rule: RuleElasticsearchUnknown, Why: es.Why})
		return false
	}
	return true
}

// green says whether data nodes have joined and every shard is placed: what comes after stands on a cluster that works.
func (m *maker) green() bool {
	if !m.asked() {
		return false
	}
	es := &m.facts.Elasticsearch
	want := m.want.Spec.Nodes[spec.Data].Replicas
	if n := es.DataNodes(); es.Status != "green" || n < want {
		m.wait(Wait{Rule: RuleNotGreen, Why: fmt.Sprintf("the cluster is %s with %d of %d data nodes", es.Status, n, want)})
		return false
	}
	return true
}

// suspension finds why nothing may be written: in git, or on the gate.
func (m *maker) suspension() string {
	if s := m.want.Spec.Suspend; s != nil && (s.Until.IsZero() || m.facts.Now.Before(s.Until)) {
		return suspendedWhy(*s, "in git")
	}
	if gate := m.want.App(spec.Gate); gate != nil {
		if live := m.live(gate.ID); live != nil {
			if s, ok := ReadSuspension(live.Labels[marathon.LabelSuspended]); ok && (s.Until.IsZero() || m.facts.Now.Before(s.Until)) {
				return suspendedWhy(s, "on the gate")
			}
		}
	}
	return ""
}

// Suspended says why writes to the cluster are suspended, "" if they are not.
func Suspended(want *render.Desired, f Facts) string {
	m := &maker{want: want, facts: f}
	return m.suspension()
}

func suspendedWhy(s spec.Suspension, where string) string {
	why := s.Reason
	if s.By != "" {
		why += " (" + s.By + ")"
	}
	if !s.Until.IsZero() {
		why += ", until " + s.Until.UTC().Format(time.RFC3339)
	}
	return why + ", " + where
}

// ReadSuspension reads the gate's label. A label that cannot be read suspends: an unknown state is not a good state.
func ReadSuspension(label string) (spec.Suspension, bool) {
	if label == "" {
		return spec.Suspension{}, false
	}
	var raw struct {
		Reason, By string
		Until      time.Time
	}
	if err := json.Unmarshal([]byte(label), &raw); err != nil {
		return spec.Suspension{Reason: "the gate's label " + marathon.LabelSuspended + " cannot be read"}, true
	}
	return spec.Suspension{Reason: firstLine(raw.Reason, 200), By: firstLine(raw.By, 80), Until: raw.Until}, true
}

// WriteSuspension is the label for s.
func WriteSuspension(s spec.Suspension) string {
	raw := map[string]any{"reason": s.Reason, "by": s.By}
	if !s.Until.IsZero() {
		raw["until"] = s.Until.UTC().Format(time.RFC3339)
	}
	b, err := json.Marshal(raw)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}

func (m *maker) progress() {
	for _, a := range m.want.Apps {
		if a.Component == spec.Gate {
			continue
		}
		p := Progress{Component: a.Component, App: a.ID, Want: a.Instances}
		if live := m.live(a.ID); live != nil {
			p.Exists, p.Ready = true, m.readyTasks(live)
			if a.Component.Stateful() {
				p.Ready = m.upTasks(live) // how far a change has come is told by Work
			}
		}
		m.out.Progress = append(m.out.Progress, p)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
