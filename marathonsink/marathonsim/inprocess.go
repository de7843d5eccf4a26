package marathonsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Transport reaches the Sim, and the ports of its running tasks, without a socket: a request to a task's host:port
// goes to that task, any other to Marathon. Event streams stream; a request's context ends it.
func (s *Sim) Transport() http.RoundTripper { return transport{s} }

type transport struct{ sim *Sim }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Host
	t.sim.mu.Lock()
	in := t.sim.listeners[host]
	isTask := in != nil || t.sim.isAgentAddress(host)
	var p Process
	if in != nil && !in.killing {
		p = in.process
	}
	closed := t.sim.isClosed
	t.sim.mu.Unlock()
	switch {
	case closed:
		return nil, errors.New("marathonsim: closed")
	case p != nil:
		return p.Do(r)
	case isTask:
		return nil, fmt.Errorf("dial tcp %s: %w", host, errRefused)
	}
	return t.sim.roundTrip(t.sim.member(host), r, t.sim.ctx)
}

// isAgentAddress says whether a host:port lies on an agent: nothing but tasks answers there.
func (s *Sim) isAgentAddress(hostport string) bool {
	host, _, ok := strings.Cut(hostport, ":")
	for _, ag := range s.agents {
		if ok && ag.Hostname == host {
			return true
		}
	}
	return false
}

// A crew runs what would else need a goroutine each: a new one's stack has to grow, in every answer, to where the last one's
// had been.
type crew struct {
	work chan func() // taken only by one who is idle
	wg   sync.WaitGroup
}

// do runs fn beside the caller. Whoever runs it is there for others until ctx ends.
func (c *crew) do(ctx context.Context, fn func()) {
	select {
	case c.work <- fn:
		return
	default:
	}
	c.wg.Go(func() {
		for {
			fn()
			select {
			case fn = <-c.work:
			case <-ctx.Done():
				return
			}
		}
	})
}

// roundTrip lets a handler answer a request. The answer begins when the handler first writes; its body ends with the
// handler, with the request's context or with life.
func (s *Sim) roundTrip(h http.Handler, r *http.Request, life context.Context) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(life, cancel)
	in := r.Clone(ctx)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	out := &answer{header: http.Header{}, begun: make(chan struct{}), wake: make(chan struct{}, 1), cancel: cancel}
	s.crew.do(s.ctx, func() {
		defer stop()
		defer in.Body.Close()
		out.finish(serve(h, out, in))
	})
	select {
	case <-out.begun:
	case <-ctx.Done():
		if err := context.Cause(r.Context()); err != nil {
			return nil, err
		}
		return nil, io.ErrUnexpectedEOF
	}
	if out.code == 0 {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL, out.err)
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", out.code, http.StatusText(out.code)), StatusCode: out.code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: out.sent, Body: &answerBody{out, ctx},
		ContentLength: -1, Request: r,
	}, nil
}

// serve runs a handler; one that gives up as net/http allows, by panicking, closes the connection.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = io.ErrUnexpectedEOF
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// An answer is what a handler writes; it never makes the handler wait for the reader.
type answer struct {
	header, sent http.Header
	code         int
	begun        chan struct{}
	wake         chan struct{}
	cancel       context.CancelFunc

	mu   sync.Mutex
	buf  []byte
	done bool
	err  error // how the handler gave up; set before begun is closed, or before done
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(code int) {
	if a.code != 0 || code < 200 {
		return
	}
	a.code, a.sent = code, a.header.Clone()
	close(a.begun)
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.mu.Lock()
	a.buf = append(a.buf, b...)
	a.mu.Unlock()
	a.signal()
	return len(b), nil
}

// Flush has nothing to do: what is written can be read at once.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }

func (a *answer) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *answer) finish(err error) {
	a.mu.Lock()
	a.done, a.err = true, err
	a.mu.Unlock()
	switch {
	case err == nil:
		a.WriteHeader(http.StatusOK)
	case a.code == 0:
		close(a.begun)
	}
	a.signal()
}

type answerBody struct {
	a   *answer
	ctx context.Context
}

func (b *answerBody) Read(p []byte) (int, error) {
	for {
		b.a.mu.Lock()
		n := copy(p, b.a.buf)
		b.a.buf = b.a.buf[n:]
		done, err := b.a.done, b.a.err
		b.a.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		if done && err != nil {
			return 0, err
		}
		if done {
			return 0, io.EOF
		}
		if err := b.ctx.Err(); err != nil {
			return 0, err
		}
		select {
		case <-b.a.wake:
		case <-b.ctx.Done():
		}
	}
}

func (b *answerBody) Close() error {
	b.a.cancel()
	return nil
}
