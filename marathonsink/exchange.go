package marathonsink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// A request is one call before it is known which member it goes to.
type request struct {
	op     string
	method string
	path   string // begins with /v2/
	query  url.Values
	body   []byte // nil for none
}

// An answer is what came back, whatever its status.
type answer struct {
	op, method, url string
	status          int
	leader          string // host:port of the leader that made the answer, "" if no leading Marathon did
	header          http.Header
	body            []byte
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// errAtCall makes an error of an exchange that has an answer but did not end well.
func (a *answer) errAtCall(kind Kind, message string, err error) *Error {
	return &Error{Op: a.op, Method: a.method, URL: a.url, Status: a.status, Kind: kind, Message: message, Err: err}
}

// exchange sends r to one member, once, and gives the open response to read. Callers close the body.
func (c *Client) exchange(ctx context.Context, base *url.URL, r request, via http.RoundTripper) (*http.Response, *answer, error) {
	a := &answer{op: r.op, method: r.method, url: base.String() + r.path}
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := c.newRequest(ctx, a.url, r)
	if err != nil {
		return nil, nil, a.errAtCall(KindInvalid, "", err)
	}
	started := time.Now()
	res, err := via.RoundTrip(req)
	if err != nil {
		err := c.noAnswer(ctx, a, err, connected.Load())
		c.log.Debug("marathon call failed", "op", r.op, "method", r.method, "url", a.url, "error", err, "took", time.Since(started))
		return nil, nil, err
	}
	a.status, a.header = res.StatusCode, res.Header
	a.leader = leaderName(res.Header.Get("X-Marathon-Leader"))
	c.log.Debug("marathon call", "op", r.op, "method", r.method, "url", a.url, "status", a.status, "took", time.Since(started))
	return res, a, nil
}

func (c *Client) newRequest(ctx context.Context, target string, r request) (*http.Request, error) {
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	// Without GetBody nothing below us can send the body a second time.
	req.GetBody = nil
	req.Header.Set("Accept", "application/json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "esfleet")
	c.credentials.sign(req)
	return req, nil
}

// noAnswer says what it means that no answer came. connected is whether the request had a connection to be sent on.
func (c *Client) noAnswer(ctx context.Context, a *answer, err error, connected bool) *Error {
	op, isOp := errors.AsType[*net.OpError](err)
	notSent := isOp && op.Op == "dial" || c.ownNetwork && !connected
	caller := errors.Is(ctx.Err(), context.Canceled)
	kind := KindUnknown
	switch {
	case caller && (notSent || a.method == http.MethodGet):
		kind = KindCanceled
	case notSent:
		kind = KindUnreachable
	}
	return a.errAtCall(kind, "", err)
}

// readBody takes a whole small answer. One that breaks off is no answer.
func (c *Client) readBody(ctx context.Context, res *http.Response, a *answer, limit int64) error {
	body, err := io.ReadAll(&bounded{res.Body, limit})
	if err == nil {
		a.body = body
		return nil
	}
	return c.badBody(ctx, a, err)
}

func (c *Client) badBody(ctx context.Context, a *answer, err error) *Error {
	kind := KindUnknown
	if a.method == http.MethodGet {
		switch {
		case errors.Is(err, errTooLarge):
			kind = KindTooLarge
		case errors.Is(ctx.Err(), context.Canceled):
			kind = KindCanceled
		}
	}
	return a.errAtCall(kind, "the answer cannot be read: "+clean(err.Error(), maxMessage), err)
}

// checkJSON refuses the login page of a proxy and the like.
func checkJSON(a *answer) error {
	if a.leader == "" {
		return a.errAtCall(KindUnknown, "the answer names no leader: it is not one of a leading Marathon", nil)
	}
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return a.errAtCall(KindUnknown, "the answer is "+clean(a.header.Get("Content-Type"), 80)+", not JSON", nil)
	}
	return nil
}

// leaderName is host:port of http://host:port.
func leaderName(header string) string {
	_, host, found := strings.Cut(header, "://")
	if !found {
		host = header
	}
	return strings.TrimSuffix(host, "/")
}

// get asks one member after the other, each once, until one gives an answer that consume takes. consume may run more
// than once and begins anew each time. The answer it gets has no body yet.
func (c *Client) get(ctx context.Context, r request, consume func(context.Context, *http.Response, *answer) error) error {
	r.method = http.MethodGet
	var telling error
	first := int(c.preferred.Load())
	for i := range c.urls {
		at := (first + i) % len(c.urls)
		err := c.getFrom(ctx, c.urls[at], r, consume)
		if err == nil {
			c.preferred.Store(int32(at))
			return nil
		}
		switch KindOf(err) {
		case KindUnknown, KindNoLeader, KindUnreachable:
		default:
			return err
		}
		// A dead member says less than one that answers with an error.
		if telling == nil || KindOf(telling) == KindUnreachable {
			telling = err
		}
	}
	return telling
}

func (c *Client) getFrom(ctx context.Context, base *url.URL, r request, consume func(context.Context, *http.Response, *answer) error) error {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	res, a, err := c.exchange(ctx, base, r, c.reads)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if !a.ok() {
		return c.refused(ctx, res, a)
	}
	if err := checkJSON(a); err != nil {
		return err
	}
	return consume(ctx, res, a)
}

func (c *Client) refused(ctx context.Context, res *http.Response, a *answer) error {
	// A refusal whose text breaks off or has no end is still that refusal: the status line came whole.
	a.body, _ = io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	a.body = c.credentials.scrub(a.body)
	return refusal(a)
}

// getBody is get for answers that are small enough to be held.
func (c *Client) getBody(ctx context.Context, r request) (*answer, error) {
	var got *answer
	err := c.get(ctx, r, func(ctx context.Context, res *http.Response, a *answer) error {
		got = a
		return c.readBody(ctx, res, a, maxItem)
	})
	if err != nil {
		return nil, err
	}
	return got, nil
}

// send is for writes: one member, one attempt, no redirect.
func (c *Client) send(ctx context.Context, r request) (*answer, error) {
	if len(r.body) > maxRequestBody {
		return nil, &Error{Op: r.op, Kind: KindTooLarge, Message: tooLarge(len(r.body))}
	}
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	at := c.preferred.Load()
	res, a, err := c.exchange(ctx, c.urls[at], r, c.writes)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if !a.ok() {
		return nil, c.refused(ctx, res, a)
	}
	if err := c.readBody(ctx, res, a, maxItem); err != nil {
		return nil, err
	}
	if a.leader == "" {
		return nil, a.errAtCall(KindUnknown, "the answer names no leader: it is not one of a leading Marathon", nil)
	}
	return a, nil
}
