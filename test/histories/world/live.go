package world

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/esfleet/esfleet/reconcile"
)

// A process is a daemon as it runs: its own loop, woken by its own stream of events. It is started again when it dies.
type process struct {
	w     *World
	n     int     // how many there were before
	d     *daemon // nil between two lives
	view  *reconcile.View
	since time.Time // when what the view says was first seen
	said  string
	stop  context.CancelFunc
	ended chan struct{}
}

// again is how long after its death a daemon is started again.
const again = time.Second + 31*time.Nanosecond

// Live lets one more daemon run beside the test until stop is called.
func (w *World) Live() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	w.mu.Lock()
	p := &process{w: w, n: w.processes, stop: cancel, ended: make(chan struct{})}
	w.processes++
	w.live = append(w.live, p)
	w.several = w.several || len(w.live) > 1
	w.mu.Unlock()
	go func() {
		defer close(p.ended)
		for ctx.Err() == nil {
			p.run(ctx)
		}
	}()
	return func() {
		cancel()
		<-p.ended
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, x := range w.live {
			if x == p {
				w.live = append(w.live[:i:i], w.live[i+1:]...)
			}
		}
	}
}

// run is one life of the process.
func (p *process) run(ctx context.Context) {
	d, err := p.w.start(p.spread)
	if err != nil {
		_ = rest(ctx, again) // as one that does not start is started again
		return
	}
	one, end := context.WithCancel(ctx)
	defer end()
	wake := make(chan struct{}, 1)
	p.w.mu.Lock()
	d.end, p.d = end, d
	p.w.mu.Unlock()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for range d.client.Events(one) {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	}()
	input := func() *reconcile.Input { in := p.w.Input(); return &in }
	pace := reconcile.Pace{Resync: Quiet, Busy: Busy, Soon: Soon, Watch: Quiet, Spread: p.spread}
	_ = d.r.Run(one, pace, input, wake, p.seen) // it ends with its context alone
	end()
	<-heard
	d.journal.close()
	p.w.mu.Lock()
	died := d.dead
	p.d = nil
	if died {
		p.w.Deaths++
	}
	p.w.mu.Unlock()
	if died {
		_ = rest(ctx, again)
	}
}

// seen hears of every look.
func (p *process) seen(v *reconcile.View, done []reconcile.Done) (stop bool) {
	p.w.Law.acted(done)
	said := Phases(v)
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.view = v; len(done) > 0 || said != p.said {
		p.said, p.since = said, time.Now()
		p.w.Law.told(Table(v))
	}
	return false
}

// Settled lets the daemon work until nothing has changed in its plans for as long as everything takes that happens by the
// clock alone, and gives its last look; nil if that takes longer than a day.
func (w *World) Settled() *reconcile.View {
	const still = 11 * time.Minute // twice the longest interval at which Marathon mends things by itself
	for limit := time.Now().Add(24 * time.Hour); time.Now().Before(limit); {
		w.mu.Lock()
		p := w.live[0]
		v, quiet := p.view, time.Since(p.since)
		w.mu.Unlock()
		if v != nil && quiet > still && !(v.Settled() && undone(v)) {
			return v
		}
		time.Sleep(time.Minute + 7*time.Nanosecond)
	}
	return nil
}

// Converged lets the daemon work until everything is as git says, and gives its last look; nil if that takes too long.
func (w *World) Converged(within time.Duration) *reconcile.View {
	for limit := time.Now().Add(within); time.Now().Before(limit); {
		w.mu.Lock()
		v := w.live[0].view
		w.mu.Unlock()
		if v != nil && v.Converged() {
			return v
		}
		time.Sleep(time.Second + 7*time.Nanosecond)
	}
	return nil
}

// Through lets the daemons reach Marathon by another way from now on.
func (w *World) Through(way http.RoundTripper) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Way = way
}

// AtFlush lets something happen once, between the look that gave a node its turn and the last look before it is stopped.
func (w *World) AtFlush(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.atFlush = f
}

// AtStep lets something happen once, between the look that gave a step and the second look at its app.
func (w *World) AtStep(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.atStep = f
}

// Calm ends what a daemon has yet to suffer.
func (w *World) Calm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Kill, w.JournalFull, w.skew, w.deaf, w.pause, w.atFlush, w.atStep = nil, false, 0, time.Time{}, 0, nil, nil
}

// FillJournal makes the operation log refuse every entry, or take them again.
func (w *World) FillJournal(full bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.JournalFull = full
}

// spread is how a process draws its pauses: the same in every run, and not as the others do.
func (p *process) spread(d time.Duration) time.Duration {
	return d*time.Duration(p.n%5+1)/7 + 19*time.Nanosecond
}

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Deafen lets nothing of any stream of events arrive for a while, heartbeats included.
func (w *World) Deafen(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = time.Now().Add(d)
}

// stream opens a stream of events.
func (w *World) stream(r *http.Request, way http.RoundTripper) (*http.Response, error) {
	if w.isDeaf() {
		return nil, fmt.Errorf("dial tcp %s: i/o timeout", r.URL.Host)
	}
	res, err := way.RoundTrip(r)
	if err == nil {
		res.Body = deafened{res.Body, w}
	}
	return res, err
}

func (w *World) isDeaf() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.deaf)
}

type deafened struct {
	io.ReadCloser
	w *World
}

// Read swallows what comes while nothing can be heard.
func (d deafened) Read(p []byte) (int, error) {
	for {
		n, err := d.ReadCloser.Read(p)
		if err != nil || !d.w.isDeaf() {
			return n, err
		}
	}
}
