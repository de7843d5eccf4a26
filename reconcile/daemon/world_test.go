package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/gitsrc/gittest"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/reconcile/daemon"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a daemon in virtual time: a simulated Marathon, a git repository, and pages that are reached without sockets.
type world struct {
	t      *testing.T
	sim    *marathonsim.Sim
	repo   *gittest.Repo
	wire   *wire
	config daemon.Config
	parts  daemon.Parts
	log    *buffer
	pages  *pages

	cancel context.CancelFunc
	ended  chan error
}

// newWorld has a fleet of one cluster in git and nothing in Marathon. It must be called in a bubble.
func newWorld(t *testing.T) *world {
	t.Helper()
	nodes := &pretend.Fleet{}
	sim := marathonsim.New(marathonsim.Options{Agents: marathonsim.DefaultAgents(5), Programs: nodes.Program})
	nodes.Watch(sim)
	t.Cleanup(sim.Close)
	repo, err := gittest.Init(filepath.Join(t.TempDir(), "fleet.git"), "main")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, sim: sim, repo: repo, wire: &wire{next: sim.Transport()}, log: &buffer{}, config: daemon.Defaults()}
	w.config.State = filepath.Join(t.TempDir(), "state")
	w.parts = daemon.Parts{LocalRepo: repo.Dir, MarathonTransport: w.wire, ElasticsearchTransport: sim.Transport(),
		Log: slog.New(slog.NewJSONHandler(w.log, nil))}
	w.commit(small())
	return w
}

const catalog = "groups/search/clusters/catalog/cluster.yaml"

// small is the example fleet with one cluster.
func small() map[string]string {
	files := examples.Files()
	for path := range files {
		if strings.HasPrefix(path, "groups/billing/") || strings.HasPrefix(path, "groups/search/clusters/logs/") {
			delete(files, path)
		}
	}
	return files
}

func (w *world) commit(files map[string]string, remove ...string) string {
	w.t.Helper()
	id, err := w.repo.Commit("a change", files, remove...)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// change commits catalog's file with one piece replaced.
func (w *world) change(old, new string) string {
	w.t.Helper()
	before := small()[catalog]
	after := strings.Replace(before, old, new, 1)
	if before == after {
		w.t.Fatalf("%s has no %q", catalog, old)
	}
	return w.commit(map[string]string{catalog: after})
}

// start runs the daemon.
func (w *world) start() {
	w.t.Helper()
	w.pages = &pages{conns: make(chan net.Conn), closed: make(chan struct{})}
	w.parts.Bind = func(string) (net.Listener, error) { return w.pages, nil }
	ctx, cancel := context.WithCancel(w.t.Context())
	w.cancel, w.ended = cancel, make(chan error, 1)
	go func() {
		w.ended <- daemon.Run(ctx, w.config, w.parts)
		cancel()
	}()
}

// stop ends the daemon, which must not complain.
func (w *world) stop() {
	w.t.Helper()
	w.cancel()
	if err := <-w.ended; err != nil {
		w.t.Errorf("the daemon ended with %v", err)
	}
}

// until lets time pass until what is waited for is so.
func (w *world) until(what string, most time.Duration, so func() bool) {
	w.t.Helper()
	for start := time.Now(); time.Since(start) < most; time.Sleep(100 * time.Millisecond) {
		synctest.Wait()
		if so() {
			return
		}
	}
	_, status := w.get("/api/v1/status")
	w.t.Fatalf("not after %s: %s\n%s\n%s", most, what, status, w.log)
}

func (w *world) untilReady() {
	w.t.Helper()
	w.until("ready", 10*time.Minute, func() bool { code, _ := w.get("/readyz"); return code == http.StatusOK })
}

func (w *world) untilConverged() {
	w.t.Helper()
	w.until("converged", 30*time.Minute, func() bool { return w.phase() == "converged" })
}

// phase is that of the one cluster, empty if there is no look yet.
func (w *world) phase() string {
	if s := w.status(); len(s.Clusters) == 1 {
		return s.Clusters[0].Phase
	}
	return ""
}

// A status is what tests read of the status page.
type status struct {
	Commit, Summary, Refusal    string
	LookedAt                    time.Time
	Problems, Unknown, Vanished []string
	Clusters                    []struct {
		Cluster, Phase string
		Holds, Waits   []struct{ Rule, Why string }
	}
}

func (w *world) status() status {
	w.t.Helper()
	var s status
	code, body := w.get("/api/v1/status")
	if code != http.StatusOK {
		return s
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		w.t.Fatalf("%v\n%s", err, body)
	}
	return s
}

// instances is how many of an app Marathon is told to run; −1 if it has no such app.
func (w *world) instances(app string) int {
	for _, a := range w.sim.View().Apps {
		if string(a.ID) == app {
			return a.Instances
		}
	}
	return -1
}

func (w *world) get(path string) (int, string) {
	w.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: w.pages.dial}}
	res, err := client.Get("http://daemon" + path)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close() //nolint:errcheck // read-only
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// pages is a listener without a socket.
type pages struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pages) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pages) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pages) Addr() net.Addr { return &net.UnixAddr{Name: "pages", Net: "unix"} }

func (p *pages) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A wire leads to Marathon. disturb, if set, may answer in its place.
type wire struct {
	next http.RoundTripper

	mu      sync.Mutex
	writes  []string
	disturb func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error)
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	disturb := w.disturb
	w.mu.Unlock()
	pass := func() (*http.Response, error) {
		if r.Method != http.MethodGet {
			w.mu.Lock()
			w.writes = append(w.writes, r.Method+" "+r.URL.Path)
			w.mu.Unlock()
		}
		return w.next.RoundTrip(r)
	}
	if disturb != nil {
		return disturb(r, pass)
	}
	return pass()
}

func (w *wire) set(disturb func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disturb = disturb
}

func (w *wire) wrote() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.writes)
}

// away is a Marathon that cannot be reached.
func away(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
	return nil, errors.New("dial tcp: connection refused")
}

// A buffer may be written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) count(s string) int { return strings.Count(b.String(), s) }
