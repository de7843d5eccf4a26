package sinktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A Target is a Marathon to hold against the suite.
type Target struct {
	URLs      []string          // of its members; whoever of them answers speaks for the leader
	Transport http.RoundTripper // nil: the network
	User      string            // "name:password" if Marathon asks for one
	Nodes     *Nodes            // decides what the suite's nodes answer
	NodeCmd   string            // begins a node
	Agents    []string          // host names
	Control   Control
}

// Control breaks things. What it breaks is repaired by its counterpart, or repairs itself.
type Control interface {
	KillTask(marathon.TaskID) error // as kill -9
	LoseAgent(host string) error
	BackAgent(host string) error
	PauseOffers() error
	ResumeOffers() error
	FailNextLaunches(n int) error
	// Standby lets there be a second member, which does not lead, and returns its URL.
	Standby() (string, error)
	// ChangeLeader ends the leader and returns when the next one answers.
	ChangeLeader() error
	// AwaitLeader returns when there is a leader again after one ended by itself.
	AwaitLeader() error
}

// A testCase is one thing that a client of Marathon relies on, or has to live with. Source names where it was measured
// or read: sections of the reference pages, so that a failing case can be argued about.
type testCase struct {
	name, source string
	since        marathon.Version // the case is for this version and later; zero for all
	until        marathon.Version // the case is for versions before this one; zero for all
	how          how
	run          func(*env)
}

// how a case shares a Marathon with others.
type how int

const (
	shared  how = iota // beside others: it touches its own apps only
	alone              // it breaks what others stand on, an agent or the offers
	first              // as alone, and while little has happened yet
	leaders            // it ends the leader; all of these prepare, then the leader is ended once for all of them
	guarded            // it needs a Marathon that asks for a name and a password
)

// fits says whether a case is about a version.
func (k testCase) fits(v marathon.Version) bool {
	return v.AtLeast(k.since.Major, k.since.Minor, k.since.Patch) &&
		(k.until == marathon.Version{} || !v.AtLeast(k.until.Major, k.until.Minor, k.until.Patch))
}

// patience is how long a case waits for something that Marathon does by itself. It costs time only where that never comes;
// a machine that runs everything at once has been seen to take a minute for what is otherwise done in seconds.
const patience = 5 * time.Minute

// allCases lists every case, theme by theme.
func allCases() []testCase {
	return slices.Concat(writeCases, definitionCases, refusalCases, malformedCases, residentRefusalCases, arrayCases, lockCases, deploymentCases, taskCases,
		suspendedCases, rollCases, rollTrapCases, commitCases, turnCases, takenBackCases,
		placementCases, agentCases, leaderCases, readCases, queueCases, eventCases, groupCases, podCases, standbyCases, guardedCases)
}

// env is what a case works with. Its methods end the test on a failure.
type env struct {
	*testing.T
	ctx     context.Context
	c       *marathonsink.Client
	target  Target
	http    http.RoundTripper
	prefix  string
	version marathon.Version
}

func newEnv(t *testing.T, target Target, prefix string) *env {
	t.Helper()
	c, err := marathonsink.New(marathonsink.Options{URLs: target.URLs, Transport: target.Transport, Credentials: target.credentials(), Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	e := &env{T: t, ctx: t.Context(), c: c, target: target, http: target.Transport, prefix: prefix}
	if e.http == nil {
		own := &http.Transport{}
		t.Cleanup(own.CloseIdleConnections)
		e.http = own
	}
	t.Cleanup(c.Close)
	info, err := c.Info(e.ctx)
	if err != nil {
		t.Fatal(err)
	}
	e.version = info.Version
	e.after(e.clear)
	return e
}

// credentials are what a client of the target needs.
func (t Target) credentials() marathonsink.Credentials {
	if name, password, ok := strings.Cut(t.User, ":"); ok {
		return marathonsink.BasicAuth(name, password)
	}
	return marathonsink.Credentials{}
}

// at is the case at other addresses of the same Marathon.
func (e *env) at(urls ...string) *env {
	e.Helper()
	target := e.target
	target.URLs = urls
	return newEnv(e.T, target, e.prefix)
}

// after calls the function when the case has ended.
func (e *env) after(call func()) {
	e.Cleanup(func() {
		e.ctx = context.Background() // the test's own has ended
		call()
	})
}

// clear deletes the case's apps.
func (e *env) clear() {
	s, err := e.c.State(e.ctx, nil)
	if err != nil {
		return
	}
	for id := range s.Apps {
		if strings.HasPrefix(string(id), e.prefix+"/") {
			e.raw("DELETE", "/v2/apps"+string(id)+"?force=true", "")
		}
	}
}

// id is an app id of this case's own.
func (e *env) id(name string) marathon.AppID { return marathon.AppID(e.prefix + "/" + name) }

// app is a small app that runs at once; more is merged over it.
func (e *env) app(name string, instances int, more marathon.Doc) marathon.Doc {
	doc := marathon.Doc{
		"id": string(e.id(name)), "cmd": "sleep 1000", "cpus": 0.01, "mem": 32, "instances": instances,
		"labels": marathon.Doc{marathon.LabelFleet: "sinktest"},
	}
	for k, v := range more {
		doc[k] = v
	}
	return doc
}

// resident is an app with a persistent volume.
func (e *env) resident(name string, instances int) marathon.Doc {
	return e.app(name, instances, marathon.Doc{
		"container": marathon.Doc{"type": "MESOS", "volumes": []any{
			marathon.Doc{"containerPath": "data", "mode": "RW", "persistent": marathon.Doc{"size": 64}}}},
		"residency":       marathon.Doc{"relaunchEscalationTimeoutSeconds": 3600, "taskLostBehavior": "WAIT_FOREVER"},
		"upgradeStrategy": marathon.Doc{"minimumHealthCapacity": 1, "maximumOverCapacity": 0},
	})
}

// unplaceable asks for more than any agent has, so that its deployment hangs until it is cancelled.
func (e *env) unplaceable(name string) marathon.Doc { return e.app(name, 1, marathon.Doc{"cpus": 999}) }

func (e *env) create(doc marathon.Doc) marathon.DeploymentID {
	e.Helper()
	d, err := e.c.Create(e.ctx, doc)
	e.must(err)
	return d
}

func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *env) get(name string) *marathon.App {
	e.Helper()
	a, err := e.c.App(e.ctx, e.id(name))
	e.must(err)
	return a
}

// settled waits until no deployment holds the app, then reads it.
func (e *env) settled(name string) *marathon.App {
	e.Helper()
	return e.until(name, "free of deployments", func(a *marathon.App) bool { return len(a.Deployments) == 0 })
}

// running waits for n running tasks and no deployment.
func (e *env) running(name string, n int) *marathon.App {
	e.Helper()
	return e.until(name, fmt.Sprintf("settled with %d running tasks", n), func(a *marathon.App) bool {
		running := 0
		for _, task := range a.Tasks {
			if task.Running() {
				running++
			}
		}
		return running == n && len(a.Deployments) == 0
	})
}

// until reads the app again and again. Polling, because what a case waits for is what a reader of Marathon sees;
// events are a case of their own.
func (e *env) until(name, what string, done func(*marathon.App) bool) *marathon.App {
	e.Helper()
	var last *marathon.App
	e.eventually(func() string {
		last = e.get(name)
		if done(last) {
			return ""
		}
		return fmt.Sprintf("%s is not %s: deployments %v, tasks %s", last.ID, what, last.Deployments, e.told(last))
	})
	return last
}

// eventually calls ask until it has no complaint.
func (e *env) eventually(ask func() (complaint string)) {
	e.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(200 * time.Millisecond) // many cases ask one Marathon at once
	defer tick.Stop()
	for {
		complaint := ask()
		if complaint == "" {
			return
		}
		select {
		case <-deadline:
			e.Fatalf("after %s: %s", patience, complaint)
		case <-tick.C:
		}
	}
}

// want checks the kind of an error.
func (e *env) want(err error, kind marathonsink.Kind) *marathonsink.Error {
	e.Helper()
	x, ok := errors.AsType[*marathonsink.Error](err)
	if !ok || x.Kind != kind {
		e.Fatalf("error %v, want kind %s", err, kind)
	}
	return x
}

// wantDetail checks that Marathon objects to a field with a text.
func (e *env) wantDetail(x *marathonsink.Error, path, text string) {
	e.Helper()
	for _, d := range x.Details {
		if d.Path == path && strings.Contains(strings.Join(d.Errors, " "), text) {
			return
		}
	}
	e.Errorf("no objection %q to %q in %v", text, path, x)
}

// A rawAnswer is one exchange past the client.
type rawAnswer struct {
	status int
	header http.Header
	body   string
}

// json reads the answer's body as an object.
func (a rawAnswer) json() map[string]any {
	var doc map[string]any
	_ = json.Unmarshal([]byte(a.body), &doc) // nil says enough
	return doc
}

// raw sends what the client never would. header is name, value, name, value.
func (e *env) raw(method, path, body string, header ...string) rawAnswer {
	e.Helper()
	a, err := e.try(method, path, body, header...)
	e.must(err)
	return a
}

// try is raw, where no answer is an answer too.
func (e *env) try(method, path, body string, header ...string) (rawAnswer, error) {
	ctx, cancel := context.WithTimeout(e.ctx, patience)
	defer cancel()
	res, err := e.open(ctx, method, path, body, header...)
	if err != nil {
		return rawAnswer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return rawAnswer{res.StatusCode, res.Header, string(b)}, err
}

// open sends a request to the first member that takes a connection.
func (e *env) open(ctx context.Context, method, path, body string, header ...string) (res *http.Response, err error) {
	for _, base := range e.target.URLs {
		req, bad := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
		if bad != nil {
			return nil, bad
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		if name, password, ok := strings.Cut(e.target.User, ":"); ok {
			req.SetBasicAuth(name, password)
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err = e.http.RoundTrip(req)
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
			break
		}
	}
	return res, err
}

func version(major, minor, patch int) marathon.Version {
	return marathon.Version{Major: major, Minor: minor, Patch: patch}
}
