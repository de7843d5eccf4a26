package marathonsim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A Faulty is a way to a Sim on which a script of faults happens. It is an http.RoundTripper like Sim.Transport.
type Faulty struct {
	sim  *Sim
	next http.RoundTripper
	ctx  context.Context // ends with Calm
	calm context.CancelFunc

	mu       sync.Mutex
	script   []Fault
	seen     []int // requests or events that each fault has counted
	happened map[FaultKind]int
	history  map[string][]recorded // different answers to each read, the newest last
	stale    []Fault               // windows, with At as their end since began
	began    time.Time
}

// Faulty lets a script happen from now on, to requests that go through what it returns and to the Sim itself. A fault
// that cannot happen is an error.
func (s *Sim) Faulty(script []Fault) (*Faulty, error) {
	for i, f := range script {
		if err := f.Check(); err != nil {
			return nil, fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	f := &Faulty{sim: s, next: s.Transport(), script: script, seen: make([]int, len(script)), happened: map[FaultKind]int{},
		history: map[string][]recorded{}, began: time.Now()}
	f.ctx, f.calm = context.WithCancel(s.ctx)
	for _, x := range script {
		if x.Nth == 0 {
			time.AfterFunc(x.At, func() { f.world(x) })
		}
	}
	return f, nil
}

// Happened counts the faults so far by kind.
func (f *Faulty) Happened() map[FaultKind]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.happened)
}

// Calm ends all faults, also those under way: agents return, offers come, reads are fresh.
func (f *Faulty) Calm() {
	f.calm()
	f.mu.Lock()
	f.stale = nil
	f.mu.Unlock()
	f.sim.FailNextLaunches(0)
	f.sim.ResumeOffers()
	for _, x := range f.script {
		if x.Kind == AgentVanishes {
			_ = f.sim.BackAgent(x.Name) // one that is there stays as it is
		}
	}
}

// happens counts a request or event with every fault that may want it, and gives the first that does.
func (f *Faulty) happens(of []FaultKind, method, path string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hit *Fault
	for i := range f.script {
		x := &f.script[i]
		if x.Nth == 0 || !slices.Contains(of, x.Kind) || x.Method != "" && x.Method != method || !strings.HasPrefix(path, x.Path) {
			continue
		}
		if f.seen[i]++; f.seen[i] == x.Nth && hit == nil {
			hit = x
		}
	}
	if hit == nil || f.ctx.Err() != nil {
		return nil
	}
	f.happened[hit.Kind]++
	return hit
}

// RoundTrip passes a request on, or lets a fault happen to it.
func (f *Faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Trim(r.URL.Path, "/") == "v2/events" {
		res, err := f.next.RoundTrip(r)
		if err == nil && res.StatusCode == http.StatusOK {
			res.Body = &faultyEvents{f: f, from: res.Body}
		}
		return res, err
	}
	x := f.happens(requestFaults, r.Method, r.URL.Path)
	if x == nil {
		return f.pass(r)
	}
	switch x.Kind {
	case RequestLost:
		return nil, errLost
	case RequestLate:
		return f.late(r, x.For)
	case AnswerLost:
		return nil, f.drop(r)
	case LeaderDies:
		err := f.drop(r)
		f.sim.LeaderChange()
		return nil, err
	case ErrorBefore:
		return proxyAnswer(r, http.StatusServiceUnavailable), nil
	case ErrorAfter:
		_ = f.drop(r)
		return proxyAnswer(r, http.StatusBadGateway), nil
	case StaleReads:
		f.mu.Lock()
		w := *x
		w.At = time.Since(f.began) + w.For
		f.stale = append(f.stale, w)
		f.mu.Unlock()
	}
	res, err := f.pass(r)
	if err != nil {
		return nil, err
	}
	switch x.Kind {
	case AnswerLate:
		if err := pause(r.Context(), f.ctx, x.For); err != nil {
			_ = res.Body.Close()
			return nil, err
		}
	case AnswerCut:
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b[:len(b)/2]), failingReader{}))
	}
	return res, nil
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errCut }

func proxyAnswer(r *http.Request, status int) *http.Response {
	return &http.Response{Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(strings.NewReader("<html>")), Request: r}
}

// drop lets the work be done, and loses the answer.
func (f *Faulty) drop(r *http.Request) error {
	res, err := f.next.RoundTrip(r)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return errLost
}

// late hands the request over after d, whether or not its sender still waits.
func (f *Faulty) late(r *http.Request, d time.Duration) (*http.Response, error) {
	body := []byte(nil)
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = b
	}
	type end struct {
		res *http.Response
		err error
	}
	ended := make(chan end, 1)
	late := r.Clone(context.WithoutCancel(r.Context()))
	late.Body = io.NopCloser(bytes.NewReader(body))
	f.sim.wg.Go(func() {
		if pause(f.sim.ctx, f.ctx, d) != nil {
			ended <- end{nil, errLost}
			return
		}
		res, err := f.next.RoundTrip(late)
		if err == nil { // held whole: nobody may be there to close it
			b, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			res.Body = io.NopCloser(bytes.NewReader(b))
		}
		ended <- end{res, err}
	})
	select {
	case e := <-ended:
		return e.res, e.err
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// pause waits for d, less if calm comes; the error is that of ctx.
func pause(ctx, calm context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	case <-calm.Done():
	}
	return nil
}

// A recorded answer can be given again later.
type recorded struct {
	res  http.Response
	body []byte
}

// remembered is how many answers to the same read are kept for StaleReads.
const remembered = 8

// pass passes a request on; reads of Marathon are remembered, and while they are stale an older answer is given: as by a
// cache in between, head and all.
func (f *Faulty) pass(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, "/v2/") || !f.hasStale() {
		return f.next.RoundTrip(r)
	}
	key := r.URL.RequestURI()
	if old := f.older(key); old != nil {
		res := old.res
		res.Request, res.Body = r, io.NopCloser(bytes.NewReader(old.body))
		return &res, nil
	}
	res, err := f.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	h := f.history[key]
	if len(h) == 0 || !bytes.Equal(h[len(h)-1].body, b) {
		h = append(h, recorded{*res, b})
	}
	f.history[key] = h[max(0, len(h)-remembered):]
	f.mu.Unlock()
	res.Body = io.NopCloser(bytes.NewReader(b))
	return res, nil
}

func (f *Faulty) hasStale() bool {
	return slices.ContainsFunc(f.script, func(x Fault) bool { return x.Kind == StaleReads })
}

// older is the answer of a stale window that is open, nil if none is.
func (f *Faulty) older(key string) *recorded {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.stale {
		if h := f.history[key]; time.Since(f.began) < w.At && len(h) > w.Back {
			return &h[len(h)-1-w.Back]
		}
	}
	return nil
}

// world lets a fault of the world happen.
func (f *Faulty) world(x Fault) {
	if f.ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	f.happened[x.Kind]++
	f.mu.Unlock()
	switch x.Kind {
	case LeaderChanges:
		f.sim.LeaderChange()
	case AgentVanishes:
		_ = f.sim.LoseAgent(x.Name) // one that does not exist cannot vanish
		f.later(x.For, func() { _ = f.sim.BackAgent(x.Name) })
	case LaunchesFail:
		f.sim.FailNextLaunches(max(1, x.Count))
	case OffersStop:
		f.sim.PauseOffers()
		f.later(x.For, f.sim.ResumeOffers)
	case TaskDies:
		if ids := f.sim.runningTasks(""); len(ids) > 0 {
			_ = f.sim.KillTask(ids[max(0, x.Count-1)%len(ids)])
		}
	case TasksCrash:
		f.crash(x, time.Now().Add(x.For))
	}
}

func (f *Faulty) later(d time.Duration, fn func()) {
	time.AfterFunc(d, func() {
		if f.ctx.Err() == nil {
			fn()
		}
	})
}

// crash ends the app's tasks soon after each start, until the time is over.
func (f *Faulty) crash(x Fault, until time.Time) {
	for _, id := range f.sim.runningTasks(marathon.AppID(x.Name)) {
		_ = f.sim.KillTask(id)
	}
	if time.Now().Before(until) {
		f.later(time.Second, func() { f.crash(x, until) })
	}
}

// runningTasks are those of one app, or of all, in a fixed order.
func (s *Sim) runningTasks(of marathon.AppID) []marathon.TaskID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []marathon.TaskID
	for _, a := range s.sortedApps() {
		for _, in := range a.instances {
			if (of == "" || a.id == of) && in.state == condRunning && in.process != nil {
				out = append(out, s.taskID(in))
			}
		}
	}
	return out
}
