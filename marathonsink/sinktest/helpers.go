package sinktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// node is an app as Elasticsearch nodes are: a volume each, health and readiness that the case decides.
func (e *env) node(name string, n int, v string) marathon.Doc {
	doc := e.resident(name, n)
	doc["cmd"], doc["env"] = e.target.NodeCmd, marathon.Doc{"V": v}
	doc["portDefinitions"] = []any{marathon.Doc{"port": 0, "name": "http", "protocol": "tcp"}}
	// A node that fails says so at once: that it answers late is the machine's fault, and no word of the case.
	doc["healthChecks"] = []any{marathon.Doc{"protocol": "MESOS_HTTP", "path": "/health", "portIndex": 0, "gracePeriodSeconds": 30,
		"intervalSeconds": 1, "timeoutSeconds": 20, "maxConsecutiveFailures": 1000, "delaySeconds": 1}}
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

// up creates an app and waits until all of it runs, and no more than that: a Marathon that takes long to start what it has
// counted may count anew and start one more, which a resident then keeps as a left-over (seen on 1.8 on a busy machine).
// Then it is created again.
func (e *env) up(doc marathon.Doc) *marathon.App {
	e.Helper()
	name, n := e.nameOf(doc), instancesOf(doc)
	const tries = 3
	for i := range tries {
		if i > 0 {
			e.gone(name)
		}
		e.create(doc)
		a := e.running(name, n)
		if len(a.Tasks) == n && !e.queued(name) {
			return a
		}
		e.Logf("Marathon started more than the %d it was asked for: %s", n, e.told(a))
	}
	e.Fatalf("of %d creations of %s none came to %d tasks", tries, e.id(name), n)
	return nil
}

// gone deletes an app and waits until its id is free.
func (e *env) gone(name string) {
	e.Helper()
	e.raw("DELETE", "/v2/apps"+string(e.id(name))+"?force=true", "")
	e.eventually(func() string {
		s, err := e.c.State(e.ctx, nil)
		if err != nil {
			return err.Error()
		}
		if s.Apps[e.id(name)] != nil || e.listed(name) {
			return "the app is still there, or its end is under way"
		}
		return ""
	})
}

// listed says whether some deployment is about an app, also when the app itself is not there any longer.
func (e *env) listed(name string) bool {
	e.Helper()
	list, err := e.c.Deployments(e.ctx)
	e.must(err)
	return slices.ContainsFunc(list, func(d marathon.Deployment) bool { return slices.Contains(d.AffectedApps, e.id(name)) })
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

// killed kills a task and returns when it has ended. Up to 1.7 a kill is answered and ignored while the app is locked, and
// the lock of a deployment outlives its place in the list by a moment: then it is killed again.
func (e *env) killed(name string, victim marathon.Task) {
	e.Helper()
	e.kill(name, victim)
	looks := 0
	e.until(name, "rid of "+string(victim.ID), func(a *marathon.App) bool {
		if !slices.ContainsFunc(a.Tasks, func(t marathon.Task) bool { return t.ID == victim.ID && t.Running() }) {
			return true
		}
		if looks++; looks%looksBeforeAgain == 0 && !e.version.AtLeast(1, 8, 0) {
			_, err := e.c.KillTask(e.ctx, e.id(name), victim.ID, false)
			e.must(errUnless(err, marathonsink.KindNotFound))
		}
		return false
	})
}

// looksBeforeAgain is after how many looks without effect something is asked for again.
const looksBeforeAgain = 25

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
