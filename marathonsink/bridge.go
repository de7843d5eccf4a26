package marathonsink

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"

	gomarathon "github.com/gambol99/go-marathon"
)

// statusOfAnyFailure is what go-marathon is told instead of a 3xx, 5xx or a transport error. Told the truth it would
// mark the member down, start a goroutine that pings it for ever, and send the same write again; for 499 it returns at
// once.
const statusOfAnyFailure = 499

// A bridge carries one call of go-marathon over our own exchange: the library says path and verb, we send our body and
// query. Its types would lose fields (role, resourceLimits, an emptied env), ours is the raw document.
type bridge struct {
	c     *Client
	ctx   context.Context // of the one call: the library has no contexts
	op    string
	query url.Values
	body  []byte

	answer *answer
	err    error
	called bool
}

// through runs call with a go-marathon client of its own, good for one request, and gives the real answer to it.
func (c *Client) through(ctx context.Context, b bridge, call func(gomarathon.Marathon) error) (*answer, error) {
	b.c, b.ctx = c, ctx
	library, err := gomarathon.NewClient(gomarathon.Config{URL: "http://marathon", HTTPClient: &http.Client{Transport: &b}})
	if err != nil {
		return nil, &Error{Op: b.op, Kind: KindInvalid, Err: err}
	}
	// What the library makes of the answer is looked at only if it sent nothing: it drops deployment ids and refuses
	// bodies that are good.
	err = call(library)
	if !b.called {
		return nil, &Error{Op: b.op, Kind: KindInvalid, Message: "nothing was sent", Err: err}
	}
	return b.answer, b.err
}

// RoundTrip makes the one exchange and answers to the library with a 2xx or with statusOfAnyFailure.
func (b *bridge) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	if b.called {
		b.answer, b.err = nil, &Error{Op: b.op, Kind: KindUnknown, Message: "go-marathon asked to send a second time; it was not done"}
		return b.respond(req, statusOfAnyFailure, nil), nil
	}
	b.called = true
	query := req.URL.Query()
	maps.Copy(query, b.query)
	r := request{op: b.op, method: req.Method, path: req.URL.EscapedPath(), query: query, body: b.body}
	if req.Method == http.MethodGet {
		b.answer, b.err = b.c.getBody(b.ctx, r)
	} else {
		b.answer, b.err = b.c.send(b.ctx, r)
	}
	if b.err != nil {
		return b.respond(req, statusOfAnyFailure, nil), nil
	}
	return b.respond(req, b.answer.status, b.answer.body), nil
}

func (b *bridge) respond(req *http.Request, status int, body []byte) *http.Response {
	return &http.Response{
		Status: fmt.Sprint(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}
