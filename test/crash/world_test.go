// Package crash_test kills the daemon at every call, and lets random faults happen to random histories: the real
// reconciler and client on a simulated Marathon, in virtual time, with laws that are checked at every single call.
package crash_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/spec"
)

// A world is a Marathon, what git holds, and a daemon, which may die.
type world struct {
	t      *testing.T
	sim    *marathonsim.Sim
	way    http.RoundTripper // to the Sim, with its faults
	law    *law
	files  map[string]string
	input  *reconcile.Input // of files; nil once they change
	daemon *daemon
	deaths int
	// between, if not nil, happens once, after a look and before its step.
	between func()

	// kill, if not nil, is when the daemon dies, once.
	kill    *kill
	calls   int    // since calls are counted for kill
	isWrite []bool // by call
}

// A kill is the moment of one call at which the daemon dies.
type kill struct {
	call   int // from 1
	moment moment
}

// A moment of a call.
type moment int

const (
	beforeSent moment = iota
	afterSent         // the work is done, the answer is not heard
	afterAnswer
)

func (m moment) String() string {
	return [...]string{"before it is sent", "after it is sent", "after the answer"}[m]
}

// newWorld has the fleet in git and nothing in Marathon but two foreign apps. Call it in a bubble.
func newWorld(t *testing.T, opt marathonsim.Options, files map[string]string) *world {
	t.Helper()
	nodes := &pretend.Fleet{}
	opt.Programs = func(t marathonsim.Task) marathonsim.Program { return moody(t, nodes.Program(t)) }
	w := &world{t: t, files: files}
	w.sim = marathonsim.New(opt)
	nodes.Watch(w.sim)
	t.Cleanup(w.sim.Close)
	time.Sleep(777_777 * time.Nanosecond) // so that no look falls on an instant at which something else happens
	w.way = w.sim.Transport()
	w.law = newLaw(w)
	for _, id := range []string{"/other/shop", "/search/logs/handmade"} {
		w.must(201, http.MethodPost, "/v2/apps", fmt.Sprintf(`{"id":%q,"cmd":"sleep 1","instances":1,"cpus":0.1,"mem":32}`, id))
	}
	return w
}

// must is a call by somebody else.
func (w *world) must(status int, method, path, body string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://marathon.test"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := w.sim.Transport().RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != status {
		w.t.Fatalf("%s %s: status %d", method, path, res.StatusCode)
	}
}

// A moodyProgram does what the app's env MOOD says: "crash" as with a failing pre-run script, "hang" as with a wrong image.
func moody(t marathonsim.Task, usual marathonsim.Program) marathonsim.Program {
	switch t.Env["MOOD"] {
	case "crash":
		return crashing{}
	case "hang":
		return hanging{}
	}
	return usual
}

type crashing struct{ hanging }

func (crashing) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(500 * time.Millisecond):
		return errors.New("pre-run.sh ended with 1: vm.max_map_count is 65530 on this host")
	}
}

type hanging struct{}

func (hanging) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hanging) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
}

const (
	logs     = "groups/search/clusters/logs/cluster.yaml"
	catalog  = "groups/search/clusters/catalog/cluster.yaml"
	invoices = "groups/billing/clusters/invoices/cluster.yaml"
)

// only is the example fleet with some of its clusters.
func only(clusters ...string) map[string]string {
	files := examples.Files()
	for path := range files {
		dir, _, isCluster := strings.Cut(path, "/clusters/")
		_ = dir
		if !isCluster {
			continue
		}
		if !slices.ContainsFunc(clusters, func(c string) bool { return strings.HasPrefix(path, strings.TrimSuffix(c, "cluster.yaml")) }) {
			delete(files, path)
		}
	}
	if !slices.Contains(clusters, invoices) {
		delete(files, "groups/billing/group.yaml")
	}
	return files
}

// edit changes a piece of a file in git. There must be something to change.
func (w *world) edit(path, old, new string) {
	w.t.Helper()
	before := w.files[path]
	after := strings.Replace(before, old, new, 1)
	if before == after {
		w.t.Fatalf("%s has no %q", path, old)
	}
	w.write(path, after)
}

// write puts a file into git, or takes it away if it is empty.
func (w *world) write(path, text string) {
	w.files = maps.Clone(w.files)
	if w.files[path] = text; text == "" {
		delete(w.files, path)
	}
	w.input = nil
}

// commit is what git holds now.
func (w *world) commit() reconcile.Input {
	w.t.Helper()
	if w.input == nil {
		s := snapshot.FromMap("commit", w.files)
		f, problems := spec.Parse(s, nil)
		if f == nil {
			w.t.Fatalf("problems: %v", problems)
		}
		w.input = &reconcile.Input{Fleet: f, Blobs: s}
	}
	return *w.input
}

// A daemon is a reconciler and its wire. It lives until its wire is cut.
type daemon struct {
	w    *world
	r    *reconcile.Reconciler
	dead bool
}

var errDead = errors.New("the process is dead")

func (w *world) start() *daemon {
	d := &daemon{w: w}
	d.r = reconcile.New(reconcile.Options{
		Parallel: 1, // so that exactly one call is under way when it dies
		Connect: func(spec.Marathon) (reconcile.Marathon, error) {
			return marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon.test:8080"}, Transport: d})
		},
		Elasticsearch: esclient.New(d, 0), Journal: &w.law.journal, Log: slog.New(slog.DiscardHandler), Actor: "test",
	})
	w.law.journal.daemon = d
	return d
}

// RoundTrip is the daemon's only way out.
func (d *daemon) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.dead {
		return nil, errDead
	}
	w := d.w
	w.calls++
	w.isWrite = append(w.isWrite, r.Method != http.MethodGet)
	dies := w.kill != nil && w.kill.call == w.calls
	if dies && w.kill.moment == beforeSent {
		return nil, d.die()
	}
	body := takeBody(r)
	done := w.law.sent(d, r, body)
	res, err := w.way.RoundTrip(r)
	done(res, err)
	if dies {
		d.dead = true
		if w.kill.moment == afterSent {
			return nil, errDead
		}
	}
	return res, err
}

func (d *daemon) die() error {
	d.dead = true
	return errDead
}

// turn looks and acts once with the daemon of this moment, a new one if it has died.
func (w *world) turn() (*reconcile.View, []reconcile.Done) {
	if w.daemon != nil && w.daemon.dead {
		w.daemon = nil
		w.deaths++
		time.Sleep(time.Second + 31*time.Nanosecond) // somebody starts it again
	}
	if w.daemon == nil {
		w.daemon = w.start()
	}
	v := w.daemon.r.Look(w.t.Context(), w.commit())
	w.law.looked(v)
	if f := w.between; f != nil {
		w.between = nil
		f()
	}
	done := w.daemon.r.Act(w.t.Context(), v)
	w.law.acted(v, done)
	return v, done
}

// The daemon's pace, without jitter.
const (
	soon  = 250*time.Millisecond + 17*time.Nanosecond
	busy  = 3*time.Second + 13*time.Nanosecond
	quiet = 5*time.Minute + 11*time.Nanosecond
)

// run lets the daemon work for a while.
func (w *world) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		_, done := w.turn()
		time.Sleep(pace(done))
	}
}

// until lets it work until something is so.
func (w *world) until(so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Minute); !so(); {
		if time.Now().After(end) {
			w.t.Fatal("it does not come about")
		}
		_, done := w.turn()
		time.Sleep(pace(done))
	}
}

// instances are those that Marathon has for an app; -1 if there is none.
func (w *world) instances(id marathon.AppID) int {
	if a := w.law.truth(id); a != nil {
		return a.instances
	}
	return -1
}

func pace(done []reconcile.Done) time.Duration {
	if len(done) > 0 {
		return soon
	}
	return busy
}

// settle lets the daemon work until nothing is left to do, or until no phase has changed for eleven minutes: twice the
// longest interval at which Marathon mends things by itself. While nothing changes it looks ever more seldom, which no
// daemon does, to save the test's time.
func (w *world) settle() *reconcile.View {
	w.t.Helper()
	last, since, wait := "", time.Now(), busy
	for limit := time.Now().Add(24 * time.Hour); time.Now().Before(limit); {
		v, done := w.turn()
		if w.daemon.dead {
			continue
		}
		if len(done) > 0 {
			last, since, wait = "", time.Now(), busy
			time.Sleep(soon)
			continue
		}
		if v.Settled() {
			return v
		}
		if text := phases(v); text != last {
			last, since, wait = text, time.Now(), busy
		} else if wait = min(wait*5/4, quiet); time.Since(since) > 11*time.Minute {
			return v
		}
		time.Sleep(wait)
	}
	w.t.Fatalf("still at work after a day: %s", last)
	return nil
}

func table(v *reconcile.View) string {
	b := &strings.Builder{}
	_ = plan.Table(b, v.Plans())
	for name, err := range v.Unknown {
		fmt.Fprintf(b, "%s: %v\n", name, err)
	}
	for _, h := range v.Vanished {
		fmt.Fprintf(b, "vanished: %s\n", h.Why)
	}
	return b.String()
}

// state is what lives: every app with its definition and tasks, and which volumes are held; without what may differ
// between two right ways to it.
func (w *world) state(restless bool) string {
	b := &strings.Builder{}
	for _, a := range w.sim.View().Apps {
		states, volumes := map[string]int{}, 0
		for _, t := range a.Tasks {
			states[t.State]++
			volumes += len(t.Volumes)
		}
		if restless {
			states = nil
		}
		fmt.Fprintf(b, "%s %d %v volumes %d %s\n", a.ID, a.Instances, states, volumes, w.law.truth(a.ID).digest)
	}
	fmt.Fprintf(b, "deployments %d\n", len(w.sim.View().Deployments))
	return b.String()
}

// phases are the clusters' phases and the rules that hold them.
func phases(v *reconcile.View) string {
	b := &strings.Builder{}
	for _, c := range v.Clusters {
		fmt.Fprintf(b, "%s %s", c.ID, c.Plan.Phase)
		for _, h := range c.Plan.Holds {
			b.WriteString(" " + h.Rule)
		}
		b.WriteString("\n")
	}
	for _, h := range v.Vanished {
		b.WriteString(h.Rule + "\n")
	}
	return b.String()
}

// appOf is the app that a write is about: in the path, or in the body of a POST.
func appOf(r *http.Request, doc marathon.Doc) marathon.AppID {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/v2/apps"); ok && rest != "" {
		return marathon.AppID(rest)
	}
	id, _ := doc["id"].(string)
	return marathon.AppID(id)
}
