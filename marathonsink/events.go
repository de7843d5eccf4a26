package marathonsink

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// An Event is a hint that something changed. Decide nothing by it but to look.
type Event struct {
	Type string // as Marathon names it: instance_changed_event
	Data []byte // its JSON
	// Gap says that events may be missing here: the stream has just begun, was broken, or was read too slowly. Type and
	// Data are empty. Read the whole State.
	Gap bool
}

const (
	eventBuffer = 1024
	// idleTimeout is three heartbeats: a stream that is silent for longer is dead, even if TCP does not know yet.
	idleTimeout = 30 * time.Second
	minBackoff  = 500 * time.Millisecond
	maxBackoff  = 30 * time.Second
)

// Events follows Marathon's event stream until ctx ends, then closes the channel. It reconnects by itself, with
// growing and jittered pauses, over all URLs. types filters by name, exactly as written; none means all.
//
// Events come in Marathon's order. A Gap stands at the beginning of each connection. A reader that is too slow does
// not hold the stream up: what does not fit is dropped and one Gap takes its place.
func (c *Client) Events(ctx context.Context, types ...string) <-chan Event {
	out := make(chan Event, eventBuffer)
	go func() {
		defer close(out)
		c.follow(ctx, types, offerer(out))
	}()
	return out
}

// offerer sends without ever blocking. The last free place of the channel is kept for a Gap: as long as that Gap is
// unread, whatever else is dropped lies behind it in time but will be seen by the look that it causes.
func offerer(out chan Event) func(Event) {
	return func(e Event) {
		switch free := cap(out) - len(out); {
		case free > 1:
			out <- e
		case free == 1:
			out <- Event{Gap: true}
		}
	}
}

func (c *Client) follow(ctx context.Context, types []string, offer func(Event)) {
	backoff, at := minBackoff, int(c.preferred.Load())
	for ctx.Err() == nil {
		started := time.Now()
		err := c.stream(ctx, c.urls[at], types, offer)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) > maxBackoff {
			backoff = minBackoff
		}
		at = (at + 1) % len(c.urls)
		pause := backoff/2 + c.spread(backoff) // half to one and a half: many clients lose the same leader at once
		c.log.Info("event stream ended, reconnecting", "error", err, "pause", pause, "next", c.urls[at].String())
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// stream reads one connection to its end, which is always an error.
func (c *Client) stream(ctx context.Context, base *url.URL, types []string, offer func(Event)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(idleTimeout, func() { cancel(fmt.Errorf("nothing was heard for %s", idleTimeout)) })
	defer idle.Stop()

	res, err := c.openStream(ctx, base, types)
	if err != nil {
		return errOf(ctx, err)
	}
	// A transport that does not watch the context while the body is read would leave us in Read.
	defer context.AfterFunc(ctx, func() { _ = res.Body.Close() })()
	defer res.Body.Close()

	in := newSSEReader(heard{res.Body, idle}, maxEvent)
	for first := true; ; first = false {
		f, err := in.next()
		if err != nil {
			return errOf(ctx, err)
		}
		if first {
			// Only now is it certain that Marathon has put us on its list; what a State shows from here on is not
			// older than the events that follow.
			offer(Event{Gap: true})
		}
		switch {
		case f.TooBig:
			offer(Event{Gap: true})
		case !f.Heartbeat:
			offer(Event{Type: f.Type, Data: f.Data})
		}
	}
}

func (c *Client) openStream(ctx context.Context, base *url.URL, types []string) (*http.Response, error) {
	// light leaves the whole root group out of deployment events: known from 1.5.9 on, ignored before, the only way
	// from 1.8 on.
	query := url.Values{"plan-format": {"light"}}
	if len(types) > 0 {
		query["event_type"] = types
	}
	res, err := c.askForEvents(ctx, base, query)
	if err != nil {
		return nil, err
	}
	if !isRedirect(res) {
		return res, nil
	}
	_ = res.Body.Close()
	leader, err := c.configuredLeader(base, res.Header.Get("Location"))
	if err != nil {
		return nil, err
	}
	res, err = c.askForEvents(ctx, leader, query)
	if err == nil && isRedirect(res) {
		_ = res.Body.Close()
		return nil, fmt.Errorf("follow events of %s: a second redirect", leader)
	}
	return res, err
}

func isRedirect(res *http.Response) bool {
	return res.StatusCode == http.StatusFound || res.StatusCode == http.StatusTemporaryRedirect
}

// askForEvents gives an open stream (200) or a redirect.
func (c *Client) askForEvents(ctx context.Context, base *url.URL, query url.Values) (*http.Response, error) {
	a := &answer{op: "follow events", method: http.MethodGet, url: base.String() + "/v2/events"}
	req, err := c.newRequest(ctx, a.url, request{method: a.method, query: query})
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Accept-Encoding", "identity") // a compressor would hold events back
	res, err := c.events.RoundTrip(req)
	if err != nil {
		return nil, c.noAnswer(ctx, a, err, true)
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode == http.StatusOK && kind == "text/event-stream", isRedirect(res):
		return res, nil
	case res.StatusCode == http.StatusOK:
		_ = res.Body.Close()
		return nil, a.errAtCall(KindUnknown, "the answer is "+clean(kind, 80)+", not a stream of events", nil)
	}
	defer res.Body.Close()
	a.status, a.header, a.leader = res.StatusCode, res.Header, leaderName(res.Header.Get("X-Marathon-Leader"))
	return nil, c.refused(ctx, res, a)
}

// configuredLeader is the configured URL that a standby redirects to. Any other host would be given our credentials by
// whoever can answer in a Marathon's name.
func (c *Client) configuredLeader(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	if err == nil {
		for _, u := range c.urls {
			if u.Scheme == to.Scheme && u.Host == to.Host {
				return u, nil
			}
		}
	}
	return nil, &Error{Op: "follow events", Method: http.MethodGet, URL: from.String() + "/v2/events", Status: http.StatusFound, Kind: KindNoLeader,
		Message: "redirected to " + clean(location, 200) + ", which is not among the configured URLs: add the leader's address to them"}
}

// heard puts the idle alarm off with each read that brings something, heartbeats included.
type heard struct {
	from interface{ Read([]byte) (int, error) }
	idle *time.Timer
}

func (h heard) Read(p []byte) (int, error) {
	n, err := h.from.Read(p)
	if n > 0 {
		h.idle.Reset(idleTimeout)
	}
	return n, err
}

// errOf prefers the reason why we ended a stream to the error that this caused.
func errOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
