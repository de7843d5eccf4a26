package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/spec"
)

// A pool is a simulated Marathon with pretended nodes and a wire in between that counts and disturbs.
type pool struct {
	t    *testing.T
	sim  *marathonsim.Sim
	wire *wire
	// parallel is how many clusters are changed at once; 0 is the usual number.
	parallel int
	// fails says that a task ends right after its start; nil: none does.
	fails func(marathonsim.Task) bool
}

func newPool(t *testing.T, agents int) *pool {
	t.Helper()
	return newPoolOf(t, marathonsim.DefaultAgents(agents))
}

func newPoolOf(t *testing.T, agents []marathonsim.Agent) *pool {
	t.Helper()
	p := &pool{t: t}
	nodes := &pretend.Fleet{}
	p.sim = marathonsim.New(marathonsim.Options{Agents: agents, Programs: func(task marathonsim.Task) marathonsim.Program {
		if p.fails != nil && p.fails(task) {
			return broken{}
		}
		return nodes.Program(task)
	}})
	nodes.Watch(p.sim)
	t.Cleanup(p.sim.Close)
	p.wire = &wire{next: p.sim.Transport()}
	return p
}

// broken is a task whose pre-run script fails.
type broken struct{ http.Handler }

func (broken) Run(context.Context) error { return errors.New("pre-run.sh failed with exit code 3") }

// A wire passes requests on. disturb, if set, may answer in place of Marathon, before or after the work.
type wire struct {
	next http.RoundTripper

	mu      sync.Mutex
	writes  []string
	disturb func(n int, r *http.Request, pass func() (*http.Response, error)) (*http.Response, error)
	calls   int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.calls++
	n, disturb := w.calls, w.disturb
	w.mu.Unlock()
	pass := func() (*http.Response, error) {
		if r.Method != http.MethodGet {
			w.mu.Lock()
			w.writes = append(w.writes, r.Method+" "+r.URL.Path+bodyOf(r))
			w.mu.Unlock()
		}
		return w.next.RoundTrip(r)
	}
	if disturb != nil {
		return disturb(n, r, pass)
	}
	return pass()
}

// bodyOf is the id that a POST creates: its path does not tell.
func bodyOf(r *http.Request) string {
	if r.Method != http.MethodPost || r.Body == nil {
		return ""
	}
	b, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(b))
	_, rest, _ := strings.Cut(string(b), `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return " " + id
}

func (w *wire) sorted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(slices.Values(w.writes))
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.writes)
}

// reconciler is a fresh one, as after a restart.
func (p *pool) reconciler(j reconcile.Journal) *reconcile.Reconciler {
	if j == nil {
		j = &journal{}
	}
	return reconcile.New(p.options(j))
}

func (p *pool) options(j reconcile.Journal) reconcile.Options {
	return reconcile.Options{Parallel: p.parallel,
		Connect:       func(spec.Marathon) (reconcile.Marathon, error) { return p.client(), nil },
		Elasticsearch: esclient.New(p.sim.Transport(), 0), Journal: j, Log: slog.New(slog.DiscardHandler), Actor: "test",
	}
}

// A journal keeps entries in memory; broken refuses them.
type journal struct {
	mu      sync.Mutex
	broken  bool
	entries []oplog.Entry
	open    map[oplog.ID]bool
	most    map[string]int // most entries open at once, by cluster
}

func (j *journal) Begin(e oplog.Entry) (oplog.ID, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken {
		return 0, errors.New("disk full")
	}
	if j.open == nil {
		j.open, j.most = map[oplog.ID]bool{}, map[string]int{}
	}
	j.entries = append(j.entries, e)
	id := oplog.ID(len(j.entries))
	j.open[id] = true
	n := 0
	for o := range j.open {
		if j.entries[o-1].Cluster == e.Cluster {
			n++
		}
	}
	j.most[e.Cluster] = max(j.most[e.Cluster], n)
	return id, nil
}

func (j *journal) End(id oplog.ID, o oplog.Outcome) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.open, id)
	j.entries[id-1].Outcome = &o
	return nil
}

// fleet is the example fleet with some of its files changed.
func fleet(t *testing.T, change map[string]func(string) string) reconcile.Input {
	t.Helper()
	files := examples.Files()
	for path, f := range change {
		before := files[path]
		if files[path] = f(before); files[path] == before {
			t.Fatalf("the change of %s changes nothing", path)
		}
		if files[path] == "" {
			delete(files, path)
		}
	}
	s := snapshot.FromMap("commit", files)
	f, problems := spec.Parse(s, nil)
	if f == nil {
		t.Fatalf("problems: %v", problems)
	}
	return reconcile.Input{Fleet: f, Blobs: s}
}

const logs = "groups/search/clusters/logs/cluster.yaml"

func replaced(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

// converge runs r until everything is settled and gives the last view.
func (p *pool) converge(r *reconcile.Reconciler, in reconcile.Input) *reconcile.View {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Hour)
	defer cancel()
	var last *reconcile.View
	err := r.Run(ctx, reconcile.Pace{}, func() *reconcile.Input { return &in }, nil, func(v *reconcile.View, done []reconcile.Done) bool {
		last = v
		return v.Settled() && len(done) == 0
	})
	if err != nil {
		b := &strings.Builder{}
		_ = plan.Table(b, last.Plans())
		p.t.Fatalf("not settled: %v\n%s%v", err, b, last.Unknown)
	}
	return last
}

func mustConverge(t *testing.T, v *reconcile.View) {
	t.Helper()
	if !v.Converged() {
		b := &strings.Builder{}
		_ = plan.Text(b, v.Plans())
		t.Fatalf("not converged:\n%s%v", b, v.Vanished)
	}
}

// state is what lives at the end, without what may differ between two right ways to it.
func (p *pool) state() string {
	b := &strings.Builder{}
	for _, a := range p.sim.View().Apps {
		running := 0
		for _, t := range a.Tasks {
			if t.State == "TASK_RUNNING" {
				running++
			}
		}
		labels := maps.Clone(a.Labels)
		if labels[marathon.LabelClusterUUID] != "" {
			labels[marathon.LabelClusterUUID] = "recorded"
		}
		fmt.Fprintf(b, "%s %d/%d %v\n", a.ID, running, a.Instances, labels)
	}
	return b.String()
}

func TestAnEmptyMarathonBecomesTheFleetInOrderAndASecondRunChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		in := fleet(t, nil)
		j := &journal{}
		mustConverge(t, p.converge(p.reconciler(j), in))
		var order []string
		for _, e := range j.entries {
			if e.Cluster == "search/logs" {
				order = append(order, e.Verb+" "+marathon.AppID(e.App).Name())
			}
		}
		want := []string{"create gate", "create discovery", "create es-master", "record-uuid gate", "elasticsearch es-master",
			"create es-datanode", "create es2graphite", "create kibana"}
		if !slices.Equal(order, want) {
			t.Errorf("order is %v\nwant %v", order, want)
		}
		for c, n := range j.most {
			if n > 1 {
				t.Errorf("%s had %d effects under way at once", c, n)
			}
		}
		before := p.wire.count()
		mustConverge(t, p.converge(p.reconciler(nil), in))
		if n := p.wire.count() - before; n != 0 {
			t.Errorf("the second run wrote %d times", n)
		}
	})
}

func TestACommitConverges(t *testing.T) {
	turn := []string{"stop-node es-datanode", "start-node es-datanode"}
	for _, c := range []struct {
		name   string
		change map[string]func(string) string
		steps  []string // beyond the creation's
		holds  []string
	}{
		{"by one more data node", map[string]func(string) string{logs: replaced("replicas: 3\n  cpus: 0.5", "replicas: 4\n  cpus: 0.5")},
			[]string{"scale-out es-datanode"}, nil},
		{"by another Kibana image", map[string]func(string) string{logs: replaced("kibana/kibana:7.17.28", "kibana/kibana:7.17.29")},
			[]string{"update kibana"}, nil},
		{"by turns of the data nodes", map[string]func(string) string{logs: replaced("queries.cache.size: 5%", "queries.cache.size: 6%")},
			slices.Concat([]string{"commit es-datanode", "close-gate gate"}, turn, turn, turn), nil},
		{"by draining and removing a data node, its volume kept", map[string]func(string) string{logs: replaced("replicas: 3\n  cpus: 0.5", "replicas: 2\n  cpus: 0.5")},
			[]string{"drain es-datanode", "remove-node es-datanode"}, nil},
		{"by a hold where memory changes", map[string]func(string) string{logs: replaced("cpus: 0.5\n  memory: 1GiB", "cpus: 0.5\n  memory: 2GiB")},
			nil, []string{plan.RuleImmutable}},
		{"by stopping a retired cluster, volumes kept", map[string]func(string) string{logs: func(s string) string { return s + "\nstate: retired\n" }},
			[]string{"stop kibana", "stop es2graphite", "stop es-datanode", "stop es-master", "stop discovery"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, 6)
				j := &journal{}
				r := p.reconciler(j)
				mustConverge(t, p.converge(r, fleet(t, nil)))
				created := len(j.entries)
				v := p.converge(r, fleet(t, c.change))
				var steps, holds []string
				for _, e := range j.entries[created:] {
					steps = append(steps, e.Verb+" "+marathon.AppID(e.App).Name())
				}
				if !slices.Equal(steps, c.steps) {
					t.Errorf("did  %q\nwant %q", steps, c.steps)
				}
				for _, x := range v.Clusters {
					for _, h := range x.Plan.Holds {
						holds = append(holds, h.Rule)
					}
				}
				if !slices.Equal(holds, c.holds) {
					t.Errorf("holds %v, want %v", holds, c.holds)
				}
				if len(c.holds) == 0 {
					mustConverge(t, v)
				}
			})
		})
	}
}

func TestAClusterThatVanishesFromGitIsHeldAndNothingIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		r := p.reconciler(nil)
		mustConverge(t, p.converge(r, fleet(t, nil)))
		before, writes := p.state(), p.wire.count()
		gone := map[string]func(string) string{}
		for path := range examples.Files() {
			if strings.HasPrefix(path, "groups/search/clusters/logs/") {
				gone[path] = func(string) string { return "" }
			}
		}
		v := p.converge(r, fleet(t, gone))
		if len(v.Vanished) != 1 || !strings.Contains(v.Vanished[0].Why, "search/logs") {
			t.Errorf("vanished: %+v", v.Vanished)
		}
		if p.wire.count() != writes || p.state() != before {
			t.Error("something was written")
		}
	})
}

func TestADaemonThatCannotWriteItsLogDoesNotAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		r := p.reconciler(&journal{broken: true})
		in := fleet(t, nil)
		for range 5 {
			for _, d := range r.Act(t.Context(), r.Look(t.Context(), in)) {
				if d.State != oplog.Refused || !strings.Contains(d.Why, "disk full") {
					t.Errorf("outcome %+v", d)
				}
			}
			time.Sleep(time.Minute)
		}
		if p.wire.count() != 0 {
			t.Errorf("wrote %v", p.wire.writes)
		}
	})
}

var errCut = errors.New("connection reset by peer")

// A lost answer is neither yes nor no: whatever came of the write, the end is the same, and nothing is created twice.
func TestALostAnswerIsLookedAtNotRepeated(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error)
	}{
		{"after the work was done", func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if res, err := pass(); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
			return nil, errCut
		}},
		{"before the work was done", func(*http.Request, func() (*http.Response, error)) (*http.Response, error) { return nil, errCut }},
		{"by a 502 after the work was done", func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			res, err := pass()
			if err == nil {
				res.StatusCode, res.Body = 502, io.NopCloser(strings.NewReader(""))
			}
			return res, err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, 6)
				lost := map[string]bool{}
				p.wire.disturb = func(_ int, r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
					p.wire.mu.Lock()
					key := r.Method + r.URL.Path + bodyOf(r)
					first := r.Method != http.MethodGet && !lost[key]
					lost[key] = true
					p.wire.mu.Unlock()
					if first {
						return c.lose(r, pass)
					}
					return pass()
				}
				mustConverge(t, p.converge(p.reconciler(nil), fleet(t, nil)))
				if got := p.wire.sorted(); len(slices.Compact(slices.Clone(got))) != len(got) {
					t.Errorf("a write was done twice: %q", got)
				}
			})
		})
	}
}

func TestALeaderChangeInTheMiddleOfACreationChangesNothingInTheEnd(t *testing.T) {
	var want string
	for _, after := range []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 12 * time.Second, 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, 6)
			if after > 0 {
				time.AfterFunc(after, p.sim.LeaderChange)
			}
			mustConverge(t, p.converge(p.reconciler(nil), fleet(t, nil)))
			if want == "" {
				want = p.state()
			}
			if got := p.state(); got != want {
				t.Errorf("after a leader change at %s the end is\n%s\nwant\n%s", after, got, want)
			}
		})
	}
}

func TestANonsensicalMarathonIsUnknownAndNotWrittenTo(t *testing.T) {
	for name, answer := range map[string]func() (*http.Response, error){
		"HTML":                func() (*http.Response, error) { return reply(200, "text/html", "<html>"), nil },
		"half a list":         func() (*http.Response, error) { return reply(200, "application/json", `{"apps":[{"id":"/a"`), nil },
		"an empty 500":        func() (*http.Response, error) { return reply(500, "", ""), nil },
		"a list without apps": func() (*http.Response, error) { return reply(200, "application/json", `{}`), nil },
		"nothing":             func() (*http.Response, error) { return nil, errCut },
		"an answer of no one": func() (*http.Response, error) { return reply(200, "application/json", `{"apps":[]}`), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, 6)
				p.wire.disturb = func(int, *http.Request, func() (*http.Response, error)) (*http.Response, error) { return answer() }
				r := p.reconciler(nil)
				v := r.Look(t.Context(), fleet(t, nil))
				r.Act(t.Context(), v)
				if len(v.Unknown) != 1 {
					t.Errorf("the Marathon is known: %+v", v)
				}
				for _, c := range v.Clusters {
					if c.Plan.Phase != plan.Unknown {
						t.Errorf("%s is %s", c.ID, c.Plan.Phase)
					}
				}
				if p.wire.count() != 0 {
					t.Errorf("wrote %v", p.wire.writes)
				}
			})
		})
	}
}

func reply(status int, contentType, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// What Marathon refuses for its content it would refuse for ever: it is asked once, then a person's turn, until git says
// something else.
func TestAStepThatMarathonRefusesForItsContentBecomesAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		tries := 0
		p.wire.disturb = func(_ int, r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if r.Method == http.MethodPost && strings.Contains(bodyOf(r), "/search/logs/discovery") {
				tries++
				res := reply(422, "application/json", `{"message":"Object is not valid","details":[{"path":"/cpus","errors":["error.min"]}]}`)
				res.Header.Set("X-Marathon-Leader", "http://marathon.test:8080")
				return res, nil
			}
			return pass()
		}
		r := p.reconciler(nil)
		v := p.converge(r, fleet(t, nil))
		c := v.Clusters[2].Plan
		if tries != 1 || c.Phase != plan.Held || c.Holds[0].Rule != plan.RuleRefused || !strings.Contains(c.Holds[0].Why, "error.min") {
			t.Errorf("tried %d times, plan %+v", tries, c)
		}
		p.wire.disturb = nil
		mustConverge(t, p.converge(r, fleet(t, map[string]func(string) string{logs: replaced("port: 9310", "port: 9311")})))
	})
}

func TestAMarathonThatCannotBeReachedIsAskedEverMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		var posts []time.Time
		p.wire.disturb = func(_ int, r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if r.Method == http.MethodPost {
				posts = append(posts, time.Now())
				res := reply(401, "", "")
				return res, nil
			}
			return pass()
		}
		p.parallel = 1
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		in := fleet(t, nil)
		_ = p.reconciler(nil).Run(ctx, reconcile.Pace{}, func() *reconcile.Input { return &in }, nil, func(*reconcile.View, []reconcile.Done) bool { return false })
		if n := len(posts); n < 6 || n > 60 {
			t.Errorf("%d tries in an hour", n)
		}
	})
}

// Marathon says yes and does nothing: a kill of what does not run, for one, is an empty plan each time.
func TestAStepThatChangesNothingIsRepeatedEverMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		var mu sync.Mutex
		posts := map[string]int{}
		p.wire.disturb = func(_ int, r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if r.Method == http.MethodPost {
				body := bodyOf(r)
				mu.Lock()
				posts[body]++
				mu.Unlock()
				res := reply(201, "application/json", body)
				res.Header.Set("X-Marathon-Leader", "http://marathon.test:8080")
				res.Header.Set("Marathon-Deployment-Id", "6f9b3a3e-0000-4000-8000-000000000001")
				return res, nil
			}
			return pass()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		in := fleet(t, nil)
		var last *reconcile.View
		_ = p.reconciler(nil).Run(ctx, reconcile.Pace{}, func() *reconcile.Input { return &in }, nil, func(v *reconcile.View, _ []reconcile.Done) bool { last = v; return false })
		for _, n := range posts {
			if n < 6 || n > 30 {
				t.Errorf("%d tries in an hour", n)
			}
		}
		if why := last.Clusters[0].Plan.Reasons(); len(posts) == 0 || len(why) == 0 || !strings.Contains(why[0], "has changed nothing") {
			t.Errorf("after %d kinds of writes the person on call reads %q", len(posts), why)
		}
	})
}

// A team's first commit has a mistake that keeps every master from starting; the next commit mends it, also if another
// daemon has taken over meanwhile and the first one's deployment had to be cancelled by hand.
func TestAMistakeInANewClustersFirstCommitIsMendedByTheNext(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted %v", restarted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, 6)
				wrong := true
				p.fails = func(task marathonsim.Task) bool {
					return wrong && task.Labels[marathon.LabelComponent] == "master" && task.Labels[marathon.LabelCluster] == "logs"
				}
				r := p.reconciler(nil)
				in := fleet(t, nil)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				var last *reconcile.View
				_ = r.Run(ctx, reconcile.Pace{}, func() *reconcile.Input { return &in }, nil, func(v *reconcile.View, _ []reconcile.Done) bool { last = v; return false })
				cancel()
				if why := last.Clusters[2].Plan.Reasons(); len(why) == 0 || !strings.Contains(why[0], "pre-run.sh failed with exit code 3") {
					t.Errorf("the person on call reads %q", why)
				}
				if restarted {
					r = p.reconciler(nil)
					for _, d := range p.deployments() {
						if err := p.client().Cancel(t.Context(), d.ID); err != nil {
							t.Fatal(err)
						}
					}
				}
				wrong = false
				mended := fleet(t, map[string]func(string) string{"groups/search/clusters/logs/elasticsearch.yml": func(s string) string { return s + "\nthread_pool.search.queue_size: 500\n" }})
				mustConverge(t, p.converge(r, mended))
			})
		})
	}
}

func (p *pool) client() *marathonsink.Client {
	c, err := marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon.test:8080"}, Transport: p.wire})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (p *pool) deployments() []marathon.Deployment {
	list, err := p.client().Deployments(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}
