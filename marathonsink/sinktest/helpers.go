package sinktest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// node is an app as Elasticsearch nodes are: a volume each, health and readiness that the case decides.
func (e *env) node(name string, n int, v string) marathon.Doc {
	doc := e.resident(name, n)
	doc["cmd"], doc["env"] = e.target.NodeCmd, marathon.Doc{"V": v}
	doc["portDefinitions"] = []any{marathon.Doc{"port": 0, "name": "http", "protocol": "tcp"}}
	doc["healthChecks"] = []any{marathon.Doc{"protocol": "MESOS_HTTP", "path": "/health", "portIndex": 0, "gracePeriodSeconds": 30,
		"intervalSeconds": 1, "timeoutSeconds": 1, "maxConsecutiveFailures": 1000, "delaySeconds": 1}}
	doc["readinessChecks"] = []any{marathon.Doc{"name": "ready", "portName": "http", "path": "/ready", "intervalSeconds": 2, "timeoutSeconds": 1}}
	return doc
}

// with merges more over a document.
func with(doc marathon.Doc, more marathon.Doc) marathon.Doc {
	for k, v := range more {
		if doc[k] = v; v == nil {
			delete(doc, k)
		}
	}
	return doc
}

// up creates an app and waits until all of it runs.
func (e *env) up(doc marathon.Doc) *marathon.App {
	e.Helper()
	e.create(doc)
	return e.running(e.nameOf(doc), instancesOf(doc))
}

// upOneByOne scales to the number wanted in steps of one: of residents that are created together and must not share a
// host, two often reserve on one, and the second is given up only after task_reservation_timeout.
func (e *env) upOneByOne(doc marathon.Doc) *marathon.App {
	e.Helper()
	name, n := e.nameOf(doc), instancesOf(doc)
	e.create(with(doc, marathon.Doc{"instances": 1}))
	a := e.running(name, 1)
	for i := 2; i <= n; i++ {
		e.scale(name, i)
		a = e.running(name, i)
	}
	return a
}

func (e *env) nameOf(doc marathon.Doc) string {
	return strings.TrimPrefix(doc["id"].(string), e.prefix+"/")
}

func instancesOf(doc marathon.Doc) int {
	n, _ := doc["instances"].(int)
	return n
}

// put makes the app exactly the document, and waits for nothing.
func (e *env) put(docs ...marathon.Doc) marathon.DeploymentID {
	e.Helper()
	d, err := e.c.Replace(e.ctx, docs...)
	e.must(err)
	return d
}

// scale sets the number of instances, and waits for nothing.
func (e *env) scale(name string, n int) marathon.DeploymentID {
	e.Helper()
	d, err := e.c.Scale(e.ctx, e.id(name), n, nil)
	e.must(err)
	return d
}

// stop kills a task and takes its place away; it waits for the end of that deployment.
func (e *env) stop(name string, victim marathon.Task) {
	e.Helper()
	_, err := e.c.KillTask(e.ctx, e.id(name), victim.ID, true)
	e.must(err)
	e.until(name, "stopped", func(a *marathon.App) bool {
		return len(a.Deployments) == 0 && !slices.ContainsFunc(a.Tasks, func(t marathon.Task) bool { return t.ID == victim.ID && t.Active() })
	})
}

// kill kills a task and lets Marathon do what it does then.
func (e *env) kill(name string, victim marathon.Task) {
	e.Helper()
	_, err := e.c.KillTask(e.ctx, e.id(name), victim.ID, false)
	e.must(err)
}

func (e *env) cancel(d marathon.DeploymentID) {
	e.Helper()
	e.must(e.c.Cancel(e.ctx, d))
}

// gate lets an app's nodes pass or fail a check from now on: "/ready", "/health".
func (e *env) gate(name, path string, passes bool) { e.target.Nodes.set(e.id(name), "", path, passes) }

// gateAt does that for one node.
func (e *env) gateAt(name string, node marathon.InstanceID, path string, passes bool) {
	e.target.Nodes.set(e.id(name), node, path, passes)
}

// stays looks again and again for a while, and ends the test if what is so ceases to be.
func (e *env) stays(name string, long time.Duration, what string, is func(*marathon.App) bool) *marathon.App {
	e.Helper()
	var a *marathon.App
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		if a = e.get(name); !is(a) {
			e.Fatalf("%s is no longer %s: deployments %v, tasks %s", a.ID, what, a.Deployments, e.told(a))
		}
	}
	return a
}

// told is an app's tasks in a line each, for a failure.
func (e *env) told(a *marathon.App) string {
	var b strings.Builder
	fmt.Fprintf(&b, "(%d wanted, definition of %s)", a.Instances, a.LastConfigChange.UTC().Format("15:04:05.000"))
	for _, t := range a.Tasks {
		fmt.Fprintf(&b, "\n\t%s %s %s version %q", t.ID, t.Host, t.State, t.Version)
		for _, v := range t.LocalVolumes {
			fmt.Fprintf(&b, " %s", v.PersistenceID)
		}
	}
	return b.String()
}

// by sorts an app's tasks into those that run the current definition, those that run an older one, and the rest.
func by(a *marathon.App) (current, old, rest []marathon.Task) {
	for _, t := range a.Tasks {
		v, err := time.Parse(time.RFC3339, t.Version)
		switch {
		case err != nil || !t.Running():
			rest = append(rest, t)
		case v.Before(a.LastConfigChange):
			old = append(old, t)
		default:
			current = append(current, t)
		}
	}
	return current, old, rest
}

func count(a *marathon.App) (current, old, rest int) {
	x, y, z := by(a)
	return len(x), len(y), len(z)
}

// find is the instance's present run.
func find(a *marathon.App, id marathon.InstanceID) *marathon.Task {
	for i := range a.Tasks {
		if a.Tasks[i].ID.Instance() == id {
			return &a.Tasks[i]
		}
	}
	return nil
}

// sameVolume says that two runs have the same data.
func sameVolume(x, y marathon.Task) bool {
	return len(x.LocalVolumes) == 1 && len(y.LocalVolumes) == 1 && x.LocalVolumes[0] == y.LocalVolumes[0] && x.Host == y.Host
}

// untouched says that every task runs on as it did, but those left out.
func untouched(before, after *marathon.App, but ...marathon.InstanceID) bool {
	for _, t := range before.Tasks {
		now := find(after, t.ID.Instance())
		if !slices.Contains(but, t.ID.Instance()) && (now == nil || now.ID != t.ID || !now.Running()) {
			return false
		}
	}
	return true
}

// steps are the actions of a deployment, as "Restart a|Scale b, Scale c": steps by comma, in one step by bar.
func (e *env) steps(d marathon.DeploymentID) string {
	e.Helper()
	var list []struct {
		ID    string
		Steps []struct {
			Actions []struct{ Action, App string }
		}
	}
	e.must(json.Unmarshal([]byte(e.raw("GET", "/v2/deployments", "").body), &list))
	for _, x := range list {
		if x.ID != string(d) {
			continue
		}
		var steps []string
		for _, s := range x.Steps {
			var acts []string
			for _, a := range s.Actions {
				acts = append(acts, strings.TrimSuffix(a.Action, "Application")+" "+strings.TrimPrefix(a.App, e.prefix+"/"))
			}
			slices.Sort(acts)
			steps = append(steps, strings.Join(acts, "|"))
		}
		return strings.Join(steps, ", ")
	}
	return ""
}

// A watch keeps what the stream tells of one app.
type watch struct {
	mu     sync.Mutex
	events []told
}

// told is an event in the few words that cases ask for.
type told struct {
	kind, state, task string
	healthy           bool
}

// watch follows an app's events from now on, for the length of the test.
func (e *env) watch(name string) *watch {
	e.Helper()
	w := &watch{}
	next, id := e.stream(), string(e.id(name))
	attached, once := make(chan struct{}), sync.Once{}
	go func() {
		for ev := range next {
			if ev.Type == "event_stream_attached" {
				once.Do(func() { close(attached) })
			}
			var doc struct {
				AppID, RunSpecID, TaskStatus, Condition, TaskID, InstanceID string

				Healthy bool
			}
			if ev.Gap || json.Unmarshal(ev.Data, &doc) != nil || doc.AppID != id && doc.RunSpecID != id {
				continue
			}
			w.mu.Lock()
			w.events = append(w.events, told{ev.Type, doc.TaskStatus + doc.Condition, cmp.Or(doc.TaskID, doc.InstanceID), doc.Healthy})
			w.mu.Unlock()
		}
	}()
	select {
	case <-attached:
	case <-time.After(patience):
		e.Fatalf("no stream of events within %s", patience)
	}
	return w
}

// kills are the tasks that ended, in order.
func (w *watch) kills() []marathon.TaskID {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []marathon.TaskID
	for _, ev := range w.events {
		if ev.kind == "status_update_event" && (ev.state == "TASK_KILLED" || ev.state == "TASK_FAILED") {
			ids = append(ids, marathon.TaskID(ev.task))
		}
	}
	return ids
}

// count is how often an event was told.
func (w *watch) count(kind string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ev := range w.events {
		if ev.kind == kind {
			n++
		}
	}
	return n
}

// killsOf counts how often an instance ended.
func (w *watch) killsOf(id marathon.InstanceID) (n int) {
	for _, t := range w.kills() {
		if t.Instance() == id {
			n++
		}
	}
	return n
}

// most is how many tasks were down at once, at most, from the first to the last word of the stream.
func (w *watch) most() (down int) {
	return w.mostUntil(func(ev told) bool { return ev.kind == "status_update_event" && ev.state == "TASK_RUNNING" })
}

// mostUnhealthy counts a task as down until its next run is healthy. That one runs does not end what a roll has to wait
// for, and of two that are stopped in one moment the first may run again before the second has ended.
func (w *watch) mostUnhealthy() (down int) {
	return w.mostUntil(func(ev told) bool { return ev.kind == "instance_health_changed_event" && ev.healthy })
}

func (w *watch) mostUntil(back func(told) bool) (down int) {
	gone := map[marathon.InstanceID]bool{}
	for _, ev := range w.told() {
		place := marathon.TaskID(ev.task).Instance()
		if ev.kind == "status_update_event" && (ev.state == "TASK_KILLED" || ev.state == "TASK_FAILED") {
			gone[place] = true
		}
		if back(ev) {
			delete(gone, place)
		}
		down = max(down, len(gone))
	}
	return down
}

// told is all that was told until now.
func (w *watch) told() []told {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

const second = time.Second

// deploymentOf is the one deployment that holds an app.
func (e *env) deploymentOf(name string) marathon.DeploymentID {
	e.Helper()
	return e.until(name, "in one deployment", func(a *marathon.App) bool { return len(a.Deployments) == 1 }).Deployments[0]
}

// errUnless forgives one kind of error.
func errUnless(err error, kind marathonsink.Kind) error {
	if err != nil && marathonsink.KindOf(err) == kind {
		return nil
	}
	return err
}

func slicesContainTask(list []marathon.Task, id marathon.TaskID) bool {
	return slices.ContainsFunc(list, func(t marathon.Task) bool { return t.ID == id })
}
