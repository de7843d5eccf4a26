package world

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// T is what a World needs of a *testing.T.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// A World is a Marathon with its clusters, what git holds, and a daemon, which may die.
type World struct {
	T     T
	Sim   *marathonsim.Sim
	Nodes *pretend.Fleet
	Way   http.RoundTripper // to the Sim, with its faults
	Law   *Law
	Files map[string]string
	// Lenient lets a commit with problems pass: the one before stays in force, as it does in the daemon.
	Lenient bool
	// Between, if not nil, happens once, after a look and before its step.
	Between func()
	// Kill, if not nil, is when the daemon dies, once.
	Kill *Kill
	// Deaths counts the daemons that have died.
	Deaths int
	// JournalFull makes the operation log refuse every entry.
	JournalFull bool
	// LogFolder is the folder in which the daemon keeps its operation log; "": in memory.
	LogFolder string

	git       sync.Mutex // guards Files and what was made of them
	mu        sync.Mutex
	version   marathon.Version
	input     *reconcile.Input // of Files; nil once they change
	last      *reconcile.Input // the last one without problems
	daemon    *daemon
	calls     int // since Count
	isWrite   []bool
	indices   []string
	pause     time.Duration
	nth       map[string]int // how often each call was made, for its delay
	skew      time.Duration  // of the clock of the daemon's host against Marathon's
	deaf      time.Time      // until when the stream of events brings nothing
	live      []*process
	atStep    func() // happens once, between a look and the second look at the app of a step
	atFlush   func() // happens once, between a look and the last look before a node's turn
	processes int    // that ever lived so
	several   bool   // more than one daemon has lived at once
}

// Options are a World's parts.
type Options struct {
	Marathon marathonsim.Options
	Files    map[string]string
	// Indices are those of every cluster; nil: pretend's toy.
	Indices []pretend.Index
	Seed    uint64
}

// Fleet's neighbours that no esfleet may ever touch.
var foreign = []string{"/other/shop", "/search/logs/handmade"}

// New has the fleet in git and nothing in Marathon but two foreign apps. Call it in a synctest bubble.
func New(t T, opt Options) *World {
	t.Helper()
	w := &World{T: t, Files: opt.Files, Nodes: &pretend.Fleet{Indices: opt.Indices, Seed: opt.Seed}, nth: map[string]int{}, version: opt.Marathon.Version}
	if w.version == (marathon.Version{}) {
		w.version = marathon.Version{Major: 1, Minor: 11, Patch: 24}
	}
	for _, i := range opt.Indices {
		w.indices = append(w.indices, i.Name)
	}
	opt.Marathon.Programs = func(t marathonsim.Task) marathonsim.Program { return moody(t, w.Nodes.Program(t)) }
	w.Sim = marathonsim.New(opt.Marathon)
	w.Nodes.Watch(w.Sim)
	t.Cleanup(w.Sim.Close)
	time.Sleep(777_777 * time.Nanosecond) // so that no look falls on an instant at which something else happens
	w.Way = w.Sim.Transport()
	w.Law = newLaw(w)
	for _, id := range foreign {
		w.Must(201, http.MethodPost, "/v2/apps", fmt.Sprintf(`{"id":%q,"cmd":"sleep 1","instances":1,"cpus":0.1,"mem":32}`, id))
	}
	return w
}

// Hand is a call to Marathon by somebody else; it returns the status.
func (w *World) Hand(method, path, body string) int {
	w.T.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "http://marathon.test"+path, strings.NewReader(body))
	if err != nil {
		w.T.Fatalf("%s %s: %v", method, path, err)
	}
	res, err := w.Sim.Transport().RoundTrip(r)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// Must is a call by somebody else that is answered with a status.
func (w *World) Must(status int, method, path, body string) {
	w.T.Helper()
	if got := w.Hand(method, path, body); got != status {
		w.T.Fatalf("%s %s: status %d", method, path, got)
	}
}

// Edit changes a piece of a file in git. There must be something to change.
func (w *World) Edit(path, old, new string) {
	w.T.Helper()
	before := w.Files[path]
	after := strings.Replace(before, old, new, 1)
	if before == after {
		w.T.Fatalf("%s has no %q", path, old)
	}
	w.Write(path, after)
}

// Write puts a file into git, or takes it away if it is empty.
func (w *World) Write(path, text string) {
	w.git.Lock()
	defer w.git.Unlock()
	w.Files = maps.Clone(w.Files)
	if w.Files[path] = text; text == "" {
		delete(w.Files, path)
	}
	w.input = nil
}

// Input is what git holds now.
func (w *World) Input() reconcile.Input {
	w.T.Helper()
	w.git.Lock()
	defer w.git.Unlock()
	if w.input == nil {
		input, problems := parsed.commit(w.Files)
		switch {
		case input != nil:
			w.input = input
		case w.Lenient && w.last != nil:
			w.input = w.last
		default:
			w.T.Fatalf("problems: %v", problems)
		}
		w.last = w.input
	}
	return *w.input
}

// Turn looks and acts once with the daemon of this moment, a new one if it has died.
func (w *World) Turn() (*reconcile.View, []reconcile.Done) {
	if w.daemon != nil && w.daemon.dead {
		w.daemon.journal.close()
		w.daemon = nil
		w.Deaths++
		time.Sleep(time.Second + 31*time.Nanosecond) // somebody starts it again
	}
	if w.daemon == nil {
		d, err := w.start(nil)
		if err != nil {
			w.T.Fatalf("the daemon does not start: %v", err)
		}
		w.daemon = d
	}
	v := w.daemon.r.Look(context.Background(), w.Input())
	if f := w.Between; f != nil {
		w.Between = nil
		f()
	}
	done := w.daemon.r.Act(context.Background(), v)
	w.Law.acted(done)
	return v, done
}

// Watch asks the clusters that rest, as the daemon does between its looks, and says how many are not as git wants them.
func (w *World) Watch() (found int) {
	if w.daemon != nil && !w.daemon.dead {
		found, _ = w.daemon.r.Watch(context.Background(), 0)
	}
	return found
}

// Dead says that the daemon has died and no other has started yet.
func (w *World) Dead() bool { return w.daemon != nil && w.daemon.dead }

// Die ends the daemon between two calls; of several the first.
func (w *World) Die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.daemon
	if len(w.live) > 0 {
		d = w.live[0].d
	}
	if d != nil {
		d.kill()
	}
}

// The daemon's pace, without jitter.
const (
	Soon  = 250*time.Millisecond + 17*time.Nanosecond
	Busy  = 3*time.Second + 13*time.Nanosecond
	Quiet = 5*time.Minute + 11*time.Nanosecond
)

// Run lets the daemon work for a while.
func (w *World) Run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		_, done := w.Turn()
		time.Sleep(Pace(done))
	}
}

// Until lets it work until something is so.
func (w *World) Until(so func() bool) {
	w.T.Helper()
	for end := time.Now().Add(20 * time.Minute); !so(); {
		if time.Now().After(end) {
			w.T.Fatalf("it does not come about")
		}
		_, done := w.Turn()
		time.Sleep(Pace(done))
	}
}

// Instances are those that Marathon has for an app; -1 if there is none.
func (w *World) Instances(id marathon.AppID) int {
	if a := w.Law.truth(id); a != nil {
		return a.Instances
	}
	return -1
}

// Pace is how long the daemon rests after what it has done.
func Pace(done []reconcile.Done) time.Duration {
	if len(done) > 0 {
		return Soon
	}
	return Busy
}

// Settle lets the daemon work until nothing is left to do, or until nothing in the plans has changed for eleven minutes:
// twice the longest interval at which Marathon mends things by itself. While nothing changes it looks ever more seldom,
// which no daemon does, to save the test's time.
func (w *World) Settle() *reconcile.View {
	w.T.Helper()
	last, since, wait := "", time.Now(), Busy
	for limit := time.Now().Add(24 * time.Hour); time.Now().Before(limit); {
		v, done := w.Turn()
		if w.daemon.dead {
			continue
		}
		if len(done) > 0 {
			last, since, wait = "", time.Now(), Busy
			time.Sleep(Soon)
			continue
		}
		if v.Settled() && !undone(v) && w.Watch() == 0 {
			return v
		}
		if text := Phases(v); text != last {
			last, since, wait = text, time.Now(), Busy
		} else if wait = min(wait*5/4, longest(v)); time.Since(since) > 11*time.Minute {
			return v
		}
		time.Sleep(wait)
	}
	w.T.Fatalf("still at work after a day: %s", last)
	return nil
}

// undone says that a volume is kept only for a while: something will happen by the clock alone.
func undone(v *reconcile.View) bool {
	for _, c := range v.Clusters {
		for _, x := range c.Plan.Waits {
			if x.Rule == plan.RuleUndoWindow {
				return true
			}
		}
	}
	return false
}

// longest is the pause that a proof by two readings still stands.
func longest(v *reconcile.View) time.Duration {
	for _, c := range v.Clusters {
		if c.Plan.Phase != plan.Held {
			return 35 * time.Second
		}
	}
	return Quiet
}

// Table is what a person sees.
func Table(v *reconcile.View) string {
	b := &strings.Builder{}
	_ = plan.Text(b, v.Plans())
	for name, err := range v.Unknown {
		fmt.Fprintf(b, "%s: %v\n", name, err)
	}
	for _, h := range v.Vanished {
		fmt.Fprintf(b, "vanished: %s\n", h.Why)
	}
	return b.String()
}

// Phases are the clusters' phases and the rules that hold them.
func Phases(v *reconcile.View) string {
	b := &strings.Builder{}
	for _, c := range v.Clusters {
		fmt.Fprintf(b, "%s %s", c.ID, c.Plan.Phase)
		for _, h := range c.Plan.Holds {
			b.WriteString(" " + h.Rule)
		}
		for _, x := range c.Plan.Waits {
			b.WriteString(" (" + x.Rule + ")")
		}
		b.WriteString("\n")
	}
	for _, h := range v.Vanished {
		b.WriteString(h.Rule + "\n")
	}
	return b.String()
}
