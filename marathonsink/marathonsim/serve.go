package marathonsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// ListenAndServe serves Marathon at addr until ctx ends. Simulated tasks get listeners at their own host:port, so that
// another process can ask them too; where a port cannot be bound, that is logged and the task is reachable in-process
// only. ready, if not nil, is told the address once it is bound.
func (s *Sim) ListenAndServe(ctx context.Context, addr string, ready func(net.Addr)) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("serve the simulated Marathon at %s: %w", addr, err)
	}
	address := l.Addr().String()
	s.address.Store(&address)
	doors := &doors{sim: s, open: map[string]*http.Server{}}
	if _, simulates := s.opt.Runner.(*simulated); simulates {
		doors.attach()
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if ready != nil {
		ready(l.Addr())
	}
	err = server.Serve(l)
	doors.closeAll()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the simulated Marathon at %s: %w", addr, err)
}

// doors are the sockets of simulated tasks.
type doors struct {
	sim *Sim

	mu     sync.Mutex
	open   map[string]*http.Server
	closed bool
	wg     sync.WaitGroup
}

// attach opens a door for every task that runs, and for those to come.
func (d *doors) attach() {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	d.sim.onListen = d.change
	for _, hostport := range slices.Sorted(maps.Keys(d.sim.listeners)) {
		d.change(hostport, true)
	}
}

// change is called with the Sim locked, so it only starts what binds or closes.
func (d *doors) change(hostport string, up bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.open[hostport]; old != nil {
		delete(d.open, hostport)
		_ = old.Close() // the task is gone
	}
	if !up || d.closed {
		return
	}
	server := &http.Server{Handler: proxy{d.sim, hostport}, ReadHeaderTimeout: 10 * time.Second}
	l, err := new(net.ListenConfig).Listen(d.sim.ctx, "tcp", hostport)
	if err != nil {
		d.sim.opt.Logf("task at %s is reachable in-process only: %v", hostport, err)
		return
	}
	d.open[hostport] = server
	d.wg.Go(func() { _ = server.Serve(l) }) // ends with Close
}

func (d *doors) closeAll() {
	d.sim.mu.Lock()
	d.sim.onListen = nil
	d.sim.mu.Unlock()
	d.mu.Lock()
	d.closed = true
	for _, s := range d.open {
		_ = s.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
}

// A proxy hands a socket's requests to the task behind it.
type proxy struct {
	sim      *Sim
	hostport string
}

func (p proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", p.hostport, ""
	resp, err := p.sim.Transport().RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler) // as if nobody listened
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // who went away learns nothing more
}
