package roll_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/spec"
)

// A verb is one of the writes of a commit or of a turn.
type verb string

const (
	commit      verb = "array PUT"
	cancel      verb = "cancel"
	closeGate   verb = "gate to 0"
	stopNode    verb = "DELETE task, scale"
	startNode   verb = "PUT instances"
	restartNode verb = "DELETE task"
	forbidden   verb = "anything else"
)

// verbOf says what a write is; "" for a read.
func verbOf(r *http.Request, body []byte) verb {
	path := r.URL.Path
	isTask := strings.Contains(path, "/tasks/")
	var doc map[string]any
	_ = json.Unmarshal(body, &doc) // an array, or nothing
	n, scales := doc["instances"].(float64)
	scales = scales && doc["id"] == nil
	switch {
	case r.Method == http.MethodGet:
		return ""
	case r.Method == http.MethodPut && path == "/v2/apps":
		return commit
	case r.Method == http.MethodDelete && strings.HasPrefix(path, "/v2/deployments/"):
		return cancel
	case r.Method == http.MethodPut && scales && strings.HasSuffix(path, "/gate") && n == 0:
		return closeGate
	case r.Method == http.MethodPut && scales && strings.Contains(path, "/es-"):
		return startNode
	case r.Method == http.MethodDelete && isTask && r.URL.RawQuery == "scale=true":
		return stopNode
	case r.Method == http.MethodDelete && isTask && r.URL.RawQuery == "":
		return restartNode
	}
	return forbidden
}

// A moment of a write, at which the daemon dies.
type moment int

const (
	beforeSent moment = iota
	afterSent         // Marathon has done it, and nobody hears the answer
	afterAnswer
)

func (m moment) String() string {
	return [...]string{"before it is sent", "after it is sent", "after the answer"}[m]
}

// A point is where something happens to the daemon, or to Marathon's leader.
type point struct {
	verb   verb
	moment moment
}

// A daemon is a reconciler without memory of any before it, and its wire. It lives until its wire is cut.
type daemon struct {
	w    *world
	r    *reconcile.Reconciler
	dead atomic.Bool
	died point
}

func (w *world) start() *daemon {
	d := &daemon{w: w}
	d.r = reconcile.New(reconcile.Options{
		Connect: func(m spec.Marathon) (reconcile.Marathon, error) {
			return marathonsink.New(marathonsink.Options{URLs: w.lab.URLs, Transport: d})
		},
		Elasticsearch: asked{w.es, d}, Journal: d, Log: slog.New(slog.DiscardHandler), Actor: "roll",
	})
	return d
}

// Begin and End are the journal's: one that keeps nothing, as nothing is ever read from it.
func (d *daemon) Begin(oplog.Entry) (oplog.ID, error) {
	if d.dead.Load() {
		return 0, errDead
	}
	return 1, nil
}

func (d *daemon) End(oplog.ID, oplog.Outcome) error { return nil }

var wire = &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, ResponseHeaderTimeout: 20 * time.Second}

// RoundTrip is the daemon's only way to Marathon.
func (d *daemon) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.dead.Load() {
		return nil, errDead
	}
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	v := verbOf(r, body)
	if v == "" || !d.w.watched {
		return wire.RoundTrip(r)
	}
	dies, at := d.w.takeDeath(v)
	if dies && at == beforeSent {
		return nil, d.die(v, at)
	}
	if err := d.w.awaitChange(r.Context(), v); err != nil {
		return nil, err
	}
	d.w.foreignEnds()
	d.w.law.sends(v, r)
	d.w.beforeLeader(v)
	res, err := wire.RoundTrip(r)
	if err == nil {
		err = whole(res)
	}
	if err != nil {
		d.w.law.say("%s: %v", v, err)
		return nil, err
	}
	d.w.law.answers(v, res.StatusCode)
	if v == closeGate && d.w.pass.again {
		d.w.pass.again = false
		d.w.pushAgain.Store(true)
	}
	if d.w.killLeader(v) && v == commit { // nobody is left who could let go of it
		return nil, d.die(v, afterSent)
	}
	if dies {
		err := d.die(v, at)
		if at == afterSent {
			return nil, err
		}
	}
	return res, nil
}

// whole reads an answer to its end, so that what comes next comes after it.
func whole(res *http.Response) error {
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(b))
	return err
}

func (d *daemon) die(v verb, at moment) error {
	d.died = point{v, at}
	d.dead.Store(true)
	d.w.law.moves("the daemon dies: %s, %s", v, at)
	return errDead
}

// takeDeath says whether the daemon dies at this write, and takes the point off the list.
func (w *world) takeDeath(v verb) (bool, moment) {
	i := slices.IndexFunc(w.pass.deaths, func(p point) bool { return p.verb == v })
	if i < 0 {
		return false, 0
	}
	p := w.pass.deaths[i]
	w.pass.deaths = slices.Delete(w.pass.deaths, i, i+1)
	return true, p.moment
}

// beforeLeader keeps a node that starts from becoming ready, if the leader is to die while it starts.
func (w *world) beforeLeader(v verb) {
	if v == startNode && w.nextLeader() == v {
		w.board.hold(true)
	}
}

// awaitChange holds a write back that is to end a leader while the one before is still being followed by the next: each
// leader has its own end.
func (w *world) awaitChange(ctx context.Context, v verb) error {
	if w.changing == nil || len(w.pass.leader) == 0 || w.pass.leader[0] != v {
		return nil
	}
	select {
	case err := <-w.changing:
		w.changed(err)
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := w.lab.Standby(); err != nil {
		return err
	}
	return ctx.Err() // a standby may take long to start; a write that is late by that is not sent
}

// nextLeader is the write after which the leader dies next; "" for none.
func (w *world) nextLeader() verb {
	if len(w.pass.leader) == 0 || w.changing != nil {
		return ""
	}
	return w.pass.leader[0]
}

// killLeader ends Marathon's leader after this write if that is due, and returns when it is gone; the standby takes over
// by and by.
func (w *world) killLeader(v verb) bool {
	if w.nextLeader() != v {
		return false
	}
	w.pass.leader = w.pass.leader[1:]
	old := strings.TrimPrefix(w.lab.URLs[w.leading], "http://")
	changed := make(chan error, 1)
	go func() { changed <- w.lab.ChangeLeader() }()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", old)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	w.law.moves("the leader dies: %s", v)
	w.changing, w.changedAt, w.leading = changed, v, 1-w.leading
	return true
}

func (p point) String() string { return fmt.Sprintf("%s, %s", p.verb, p.moment) }
