package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/metrics"
	"github.com/esfleet/esfleet/spec"
)

// GCPercent is how far the heap of the daemon grows between two collections, unless GOGC says otherwise. The first look
// decodes every app, and never again is so much needed; what the runtime has once asked for it gives back only in part. For
// a fifth more CPU in that one look its peak is two fifths lower. Afterwards hardly anything is allocated.
const GCPercent = 25

// Run is the daemon: it follows git and Marathon and converges, until ctx ends. It ends with nil after a graceful stop: a
// step that has begun is finished and written down, no new one is begun.
func Run(ctx context.Context, c Config, p Parts) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(GCPercent)
	}
	d := &runner{parts: p, started: time.Now(), registry: prometheus.NewRegistry()}
	d.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d.metrics = metrics.New(d.registry)
	told := p.Listener
	p.Listener = func(done reconcile.Done) {
		d.metrics.StepDone(done.Step.Verb, string(done.State))
		if told != nil {
			told(done)
		}
	}
	p.LogFailed, p.Requested = d.metrics.OplogError, d.metrics.Requested
	p.daemon = true
	s, err := Open(ctx, c, p)
	if err != nil {
		return err
	}
	d.session = s
	d.streams = streams{connect: s.client, wake: d.poke, fleets: make(chan *spec.Fleet, 1)}
	// What can't be written down isn't done: without its log the daemon does not even start.
	if err := s.journal.open(); err != nil {
		return errors.Join(err, s.Close())
	}
	ln, err := p.bind(c.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for status and metrics: %w", err), s.Close())
	}
	s.log.Info("esfleet runs", "fleet", c.Fleet, "branch", c.Branch, "listen", ln.Addr().String(), "state", c.State)
	d.wake = make(chan struct{}, 1)

	g, ctx := errgroup.WithContext(ctx)
	srv := &http.Server{Handler: d.routes(), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	g.Go(func() error {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		return srv.Shutdown(stop)
	})
	g.Go(func() error { return d.followGit(ctx) })
	g.Go(func() error { return d.streams.follow(ctx) })
	g.Go(func() error {
		pace := reconcile.Pace{Resync: time.Duration(c.Resync)}
		if p.Pace != nil {
			pace = *p.Pace
		}
		return s.Reconciler.Run(ctx, pace, d.input, d.wake, d.seen)
	})
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	s.log.Info("esfleet stops", "error", err)
	return errors.Join(err, s.Close())
}

// A runner is the daemon's shared state: the newest good input and the newest view.
type runner struct {
	parts    Parts
	session  *Session
	registry *prometheus.Registry
	metrics  *metrics.Metrics
	started  time.Time
	wake     chan struct{}

	mu       sync.Mutex
	in       *reconcile.Input
	result   gitsrc.Result
	problems []spec.Problem
	view     *reconcile.View
	told     map[string]string // what was last logged of each cluster and Marathon
	streams  streams
}

func (d *runner) input() *reconcile.Input {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.in
}

// poke wakes the loop; a wake that is already waiting serves as well.
func (d *runner) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// followGit refreshes whenever the source wakes and at least every Poll. A commit with problems, or a refused branch,
// leaves the last good fleet in force: clusters go on converging to what was last merged and right.
func (d *runner) followGit(ctx context.Context) error {
	for {
		res := d.session.Source.Refresh(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.takeSnapshot(res)
		t := time.NewTimer(max(time.Duration(d.session.Config.Poll), 100*time.Millisecond))
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-d.session.Source.Wake():
		case <-t.C:
		}
		t.Stop()
	}
}

func (d *runner) takeSnapshot(res gitsrc.Result) {
	log := d.session.log
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.result
	d.result = res
	if res.Refusal != nil && (before.Refusal == nil || before.Refusal.Error() != res.Refusal.Error()) {
		log.Error("the fleet repository's state is refused; the last good commit stays in force", "refusal", res.Refusal.Error())
	}
	d.metrics.Fetched(res.Refusal == nil, res.FetchedAt)
	// A commit that was refused for its problems is not read again: it would be told of at every poll.
	if res.Snapshot == nil || !res.Changed && (d.in != nil || d.problems != nil) {
		return
	}
	fleet, problems := spec.Parse(res.Snapshot, d.session.cache)
	d.problems = problems
	if fleet == nil {
		d.poke() // whoever watches looks hears of problems with the next one
		for _, p := range problems {
			log.Error("the commit has a problem and is not applied; the last good one stays in force", "commit", res.Snapshot.Commit, "problem", p.String())
		}
		return
	}
	log.Info("new commit", "commit", res.Snapshot.Commit)
	d.metrics.Commit(res.Snapshot.Commit)
	d.in = &reconcile.Input{Fleet: d.session.redirect(fleet), Blobs: res.Snapshot}
	d.streams.of(d.in.Fleet)
	d.poke()
}

// seen keeps a look for the status pages, and tells what has changed since the one before.
func (d *runner) seen(v *reconcile.View, _ []reconcile.Done) bool {
	d.mu.Lock()
	d.view = v
	res, problems := d.result, d.problems
	d.logChanges(v)
	d.mu.Unlock()
	for _, c := range v.Clusters {
		d.metrics.Observe(&c.Plan, c.Drift)
	}
	for name := range v.Read {
		d.metrics.Resynced(name, v.At)
	}
	d.metrics.Looked(v.At)
	if d.parts.Seen != nil {
		d.parts.Seen(v, res, problems)
	}
	return false
}

// logChanges writes a line for each cluster whose phase, holds or waits are not what they were.
func (d *runner) logChanges(v *reconcile.View) {
	if d.told == nil {
		d.told = map[string]string{}
	}
	for _, c := range v.Clusters {
		now := string(c.Plan.Phase)
		for _, h := range c.Plan.Holds {
			now += " | holds " + h.Rule + ": " + h.Why
		}
		for _, w := range c.Plan.Waits {
			now += " | waits " + w.Rule + ": " + w.Why
		}
		if id := c.ID.String(); d.told[id] != now {
			d.told[id] = now
			d.session.log.Info("cluster", "cluster", id, "phase", c.Plan.Phase, "holds", c.Plan.Holds, "waits", c.Plan.Waits)
		}
	}
	for name, err := range v.Unknown {
		if key := "marathon " + string(name); d.told[key] != err.Error() {
			d.told[key] = err.Error()
			d.session.log.Warn("Marathon could not be read; nothing is done there", "marathon", name, "error", err)
		}
	}
	for name := range v.Read {
		delete(d.told, "marathon "+string(name))
	}
	for _, h := range v.Vanished {
		if id := string(h.App); d.told[id] != h.Why {
			d.told[id] = h.Why
			d.session.log.Warn("vanished from git", "cluster", id, "why", h.Why, "wayOut", h.WayOut)
		}
	}
}
