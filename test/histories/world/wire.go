package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
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
	w       *World
	r       *reconcile.Reconciler
	client  *marathonsink.Client
	journal *journal

	dead   bool
	end    context.CancelFunc // of its loop; nil without one
	unread map[string]bool    // what it could not read of Marathon in its last look
	lost   map[spec.ClusterID]time.Time
	judged map[marathon.AppID]string // the versions that the last look showed
	again  map[marathon.AppID]string // those that were found since, when the apps were looked at once more
	last   map[string]time.Time      // when the last look at a group's cluster began, of the step under way
}

var errDead = errors.New("the process is dead")

// start makes a daemon; an error says why the process ends again at once.
func (w *World) start(spread func(time.Duration) time.Duration) (*daemon, error) {
	d := &daemon{w: w, unread: map[string]bool{}, lost: map[spec.ClusterID]time.Time{}, last: map[string]time.Time{}, again: map[marathon.AppID]string{}}
	var err error
	if d.journal, err = w.openJournal(d); err != nil {
		return nil, err
	}
	log := slog.New(listener{w})
	d.client, err = marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon.test:8080"}, Transport: d, Logger: log,
		Credentials: marathonsink.BasicAuth("esfleet", canary), Spread: spread})
	if err != nil {
		return nil, err
	}
	d.r = reconcile.New(reconcile.Options{
		Parallel:      1, // one cluster after the other
		Connect:       func(spec.Marathon) (reconcile.Marathon, error) { return d.client, nil },
		Elasticsearch: esclient.New(d, 0), Journal: d.journal, Render: parsed.render, Log: log, Actor: "test",
	})
	return d, nil
}

// kill cuts a daemon's wire; w.mu is held.
func (d *daemon) kill() {
	d.dead = true
	if d.end != nil {
		d.end()
	}
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

// pass hands a request over; what Marathon's clock said reaches the daemon as its own clock would have it.
func (w *World) pass(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	way, skew := w.Way, w.skew
	w.mu.Unlock()
	if r.URL.Path == "/v2/events" {
		return w.stream(r, way)
	}
	res, err := way.RoundTrip(r)
	if err != nil || skew == 0 || r.URL.Hostname() != "marathon.test" {
		return res, err
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(marathonTime.ReplaceAllFunc(b, func(t []byte) []byte {
		at, err := time.Parse(time.RFC3339, string(t))
		if err != nil {
			return t
		}
		return []byte(at.Add(-skew).Format("2006-01-02T15:04:05.000Z"))
	})))
	if err != nil {
		res.Body = io.NopCloser(io.MultiReader(res.Body, brokenOff{err}))
	}
	return res, nil
}

var marathonTime = regexp.MustCompile(`\b2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)

// ClockJumps sets the clock of the daemon's host d ahead of Marathon's; a negative d sets it behind.
func (w *World) ClockJumps(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew = d
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
		d.kill()
		w.mu.Unlock()
		return nil, errDead
	}
	done := w.Law.sent(d, r, body)
	if dies {
		d.kill() // nothing else of it is sent, whatever is under way beside this call
	}
	w.mu.Unlock()
	res, err := w.pass(r)
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
