package world

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/spec"
)

// A Kill is the moment of one call at which the daemon dies.
type Kill struct {
	Call   int // from 1
	Moment Moment
}

// A Moment of a call.
type Moment int

// The moments.
const (
	BeforeSent Moment = iota
	AfterSent         // the work is done, the answer is not heard
	AfterAnswer
)

// String completes "killed at call 3, …".
func (m Moment) String() string {
	return [...]string{"before it is sent", "after it is sent", "after the answer"}[m]
}

// A daemon is a reconciler and its wire. It lives until its wire is cut.
type daemon struct {
	w    *World
	r    *reconcile.Reconciler
	dead bool
}

var errDead = errors.New("the process is dead")

func (w *World) start() *daemon {
	d := &daemon{w: w}
	d.r = reconcile.New(reconcile.Options{
		Parallel: 1, // one cluster after the other
		Connect: func(spec.Marathon) (reconcile.Marathon, error) {
			return marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon.test:8080"}, Transport: d})
		},
		Elasticsearch: esclient.New(d, 0), Journal: &w.Law.journal, Render: parsed.render, Log: slog.New(slog.DiscardHandler), Actor: "test",
	})
	w.Law.journal.daemon = d
	return d
}

// Count begins to count calls for Kill.
func (w *World) Count() { w.calls, w.isWrite = 0, nil }

// Calls says of each call since Count whether it changes something.
func (w *World) Calls() []bool { return w.isWrite }

// delay is how long a call is under way before it arrives: a little, and never as long as another one's, so that calls
// that are made at once arrive in the same order in every run.
func (w *World) delay(r *http.Request) time.Duration {
	h := fnv.New64a()
	uri := r.URL.String() + string(takeBody(r)) // explanations of many copies are asked of one address
	_, _ = io.WriteString(h, r.Method+uri)
	w.mu.Lock()
	n := w.nth[uri]
	w.nth[uri] = n + 1
	w.mu.Unlock()
	_, _ = fmt.Fprint(h, n)
	return 200*time.Microsecond + time.Duration(h.Sum64()%1_000_000)
}

// standStill stops the daemon for as long as a test wants it, once.
func (w *World) standStill() {
	w.mu.Lock()
	d := w.pause
	w.pause = 0
	w.mu.Unlock()
	if d == 0 {
		return
	}
	time.Sleep(d)
	w.mu.Lock()
	w.Law.paused = time.Now()
	w.mu.Unlock()
}

// Pause stops the daemon for a while at its next call, as a machine does that has no memory left.
func (w *World) Pause(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pause = d
}

// DieAt lets the daemon die at the n-th call from now on.
func (w *World) DieAt(n int, m Moment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Kill = &Kill{Call: w.calls + n, Moment: m}
}

// RoundTrip is the daemon's only way out.
func (d *daemon) RoundTrip(r *http.Request) (*http.Response, error) {
	w := d.w
	time.Sleep(w.delay(r))
	w.standStill()
	body := takeBody(r)
	w.mu.Lock()
	if d.dead {
		w.mu.Unlock()
		return nil, errDead
	}
	if err := r.Context().Err(); err != nil {
		w.mu.Unlock()
		return nil, err
	}
	w.calls++
	w.isWrite = append(w.isWrite, r.Method != http.MethodGet)
	kill := w.Kill
	dies := kill != nil && kill.Call == w.calls
	if dies && kill.Moment == BeforeSent {
		d.dead = true
		w.mu.Unlock()
		return nil, errDead
	}
	done := w.Law.sent(d, r, body)
	if dies {
		d.dead = true // nothing else of it is sent, whatever is under way beside this call
	}
	w.mu.Unlock()
	res, err := w.Way.RoundTrip(r)
	w.mu.Lock()
	done(res, err)
	w.mu.Unlock()
	if dies && kill.Moment == AfterSent {
		return nil, errDead
	}
	return res, err
}

func takeBody(r *http.Request) []byte {
	if r.Body == nil {
		return nil
	}
	b, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(b))
	return b
}

// hear reads an answer's body, with the error in which it may end, and leaves both to be read again.
func hear(res *http.Response) ([]byte, error) {
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	again := io.Reader(bytes.NewReader(b))
	if err != nil {
		again = io.MultiReader(again, brokenOff{err})
	}
	res.Body = io.NopCloser(again)
	return b, err
}

type brokenOff struct{ err error }

func (b brokenOff) Read([]byte) (int, error) { return 0, b.err }
