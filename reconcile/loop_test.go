package reconcile_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/reconcile"
)

// A looper runs the loop in the background of a bubble and remembers when it looked.
type looper struct {
	t      *testing.T
	mu     sync.Mutex
	looks  []time.Time      // guarded by mu
	input  *reconcile.Input // guarded by mu
	wake   chan struct{}
	ended  chan error
	cancel context.CancelFunc
}

func loop(t *testing.T, p *pool, pace reconcile.Pace, in *reconcile.Input) *looper {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &looper{t: t, wake: make(chan struct{}, 1), input: in, ended: make(chan error, 1), cancel: cancel}
	go func() {
		l.ended <- p.reconciler(nil).Run(ctx, pace, func() *reconcile.Input { return l.in() }, l.wake, func(*reconcile.View, []reconcile.Done) bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.looks = append(l.looks, time.Now())
			return false
		})
	}()
	return l
}

func (l *looper) in() *reconcile.Input {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.input
}

// give hands the loop another fleet.
func (l *looper) give(in *reconcile.Input) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.input = in
}

// seen are the times of all looks so far.
func (l *looper) seen() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.looks)
}

// during lets time pass and gives when, after its start, the loop looked.
func (l *looper) during(d time.Duration) []time.Duration {
	l.t.Helper()
	synctest.Wait()
	before, start := len(l.seen()), time.Now()
	time.Sleep(d)
	synctest.Wait()
	var out []time.Duration
	for _, at := range l.seen()[before:] {
		out = append(out, at.Sub(start))
	}
	return out
}

func (l *looper) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// stop ends the loop and gives its error.
func (l *looper) stop() error {
	l.cancel()
	return <-l.ended
}

// quiet is a loop over a fleet that has converged and been looked at.
func quiet(t *testing.T) *looper {
	t.Helper()
	p := newPool(t, 6)
	in := fleet(t, nil)
	mustConverge(t, p.converge(p.reconciler(nil), in))
	l := loop(t, p, reconcile.Pace{}, &in)
	synctest.Wait()
	if len(l.seen()) != 1 {
		t.Fatalf("looked %d times at once", len(l.seen()))
	}
	return l
}

func TestAQuietFleetIsLookedAtOncePerResyncMoreOrLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := quiet(t)
		gaps := map[time.Duration]bool{}
		last := time.Duration(0)
		for _, at := range l.during(45 * time.Minute) {
			if gap := at - last; gap < 270*time.Second || gap > 330*time.Second {
				t.Errorf("a gap of %s; 5 m and a tenth is the most", gap)
			} else {
				gaps[gap] = true
			}
			last = at
		}
		if len(gaps) < 5 {
			t.Errorf("%d different gaps in 45 minutes: either it hardly looks or nothing is spread", len(gaps))
		}
		_ = l.stop()
	})
}

func TestWhatIsUnderWayIsLookedAtOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 1) // es-master needs three agents: it waits for ever
		in := fleet(t, nil)
		l := loop(t, p, reconcile.Pace{}, &in)
		l.during(time.Minute)
		looks := l.during(5 * time.Minute)
		last := time.Duration(0)
		for _, at := range looks {
			if at-last > 3300*time.Millisecond {
				t.Errorf("nothing looked for %s", at-last)
			}
			last = at
		}
		if len(looks) < 90 || len(looks) > 112 {
			t.Errorf("%d looks in 5 minutes, one every 3 s makes 100", len(looks))
		}
		_ = l.stop()
	})
}

func TestAfterAnEffectItLooksSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		in := fleet(t, nil)
		l := loop(t, p, reconcile.Pace{Busy: time.Hour, Resync: time.Hour}, &in)
		// The first look creates the gates, the second the discovery apps: only then there is something to wait for.
		if got := l.during(time.Minute); len(got) == 0 || got[0] != 250*time.Millisecond {
			t.Errorf("after the first effects it looked at %v", got)
		}
		_ = l.stop()
	})
}

func TestManyWakesAreOneLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := quiet(t)
		for range 20 { // a deployment makes dozens of events
			l.poke()
			time.Sleep(10 * time.Millisecond)
		}
		if got := l.during(time.Minute); len(got) != 1 || got[0] != 50*time.Millisecond {
			t.Errorf("20 events within 200 ms made looks at %v after the last; one, 250 ms after the first, is enough", got)
		}
		_ = l.stop()
	})
}

func TestEventsWithoutEndDoNotKeepItFromLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := quiet(t)
		before := len(l.seen())
		for range 600 {
			l.poke()
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(l.seen()) - before; n < 100 || n > 240 {
			t.Errorf("%d looks in a minute full of events; at most one per 250 ms, and never none", n)
		}
		_ = l.stop()
	})
}

func TestWithoutAFleetItLooksAtNothingAndAWakeBringsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		l := loop(t, p, reconcile.Pace{}, nil)
		if got := l.during(time.Hour); len(got) != 0 || p.wire.calls != 0 {
			t.Fatalf("looks at %v with %d calls", got, p.wire.calls)
		}
		in := fleet(t, nil)
		l.give(&in)
		l.poke()
		if got := l.during(time.Second); len(got) == 0 || got[0] != 250*time.Millisecond {
			t.Errorf("the first commit was looked at %v after it came", got)
		}
		_ = l.stop()
	})
}

func TestItStopsInAPauseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := quiet(t)
		l.during(time.Minute)
		start := time.Now()
		if err := l.stop(); !errors.Is(err, context.Canceled) || time.Since(start) != 0 {
			t.Errorf("ended after %s with %v", time.Since(start), err)
		}
	})
}

func TestStoppedInALookItTakesNoStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		in := fleet(t, nil)
		looking := make(chan struct{})
		p.wire.disturb = func(n int, _ *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if n == 1 {
				close(looking)
				time.Sleep(time.Second)
			}
			return pass()
		}
		l := loop(t, p, reconcile.Pace{}, &in)
		<-looking
		if err := l.stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		if n := p.wire.count(); n != 0 || len(l.seen()) != 0 {
			t.Errorf("%d writes and %d looks after the end", n, len(l.seen()))
		}
	})
}

func TestSeenMayEndTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		in := fleet(t, nil)
		looks := 0
		err := p.reconciler(nil).Run(t.Context(), reconcile.Pace{}, func() *reconcile.Input { return &in }, nil, func(*reconcile.View, []reconcile.Done) bool {
			looks++
			return looks == 2
		})
		if err != nil || looks != 2 {
			t.Errorf("%d looks, %v", looks, err)
		}
	})
}
