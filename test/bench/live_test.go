package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// version is the Marathon that is measured against.
var version = marathon.Version{Major: 1, Minor: 11, Patch: 24}

// shapeOf lets cluster 0 of the fleet come up in a simulated Marathon and gives its apps as it answers them then, by the
// app's name: the defaults that Marathon filled in, its tasks and their health, its bookkeeping.
func shapeOf(t *testing.T) map[string]map[string]any {
	t.Helper()
	var body []byte
	synctest.Test(t, func(t *testing.T) {
		nodes := &pretend.Fleet{}
		agents := marathonsim.DefaultAgents(6)
		for i := range agents {
			agents[i].Mem, agents[i].Disk = 1<<17, 1<<22
		}
		sim := marathonsim.New(marathonsim.Options{Version: version, Agents: agents, Programs: nodes.Program})
		nodes.Watch(sim)
		defer sim.Close()
		in := parse(t, "shape", files(1), nil)
		r := reconcilerOver(sim.Transport())
		v := r.Look(t.Context(), in)
		for range 200 {
			r.Act(t.Context(), v)
			time.Sleep(3 * time.Second)
			if v = r.Look(t.Context(), in); v.Converged() {
				break
			}
		}
		if !v.Converged() {
			t.Fatalf("the cluster did not come up: %+v", v.Clusters[0].Plan.Waits)
		}
		body = get(t, sim.Transport(), "http://marathon.test:8080/v2/apps?embed=apps.tasks&embed=apps.counts&embed=apps.deployments&embed=apps.lastTaskFailure")
	})
	out := map[string]map[string]any{}
	for _, a := range appsIn(t, body) {
		out[marathon.AppID(a["id"].(string)).Name()] = a
	}
	return out
}

func get(t testing.TB, via http.RoundTripper, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := via.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func appsIn(t testing.TB, body []byte) []map[string]any {
	t.Helper()
	var list struct{ Apps []map[string]any }
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list.Apps
}

func reconcilerOver(via http.RoundTripper) *reconcile.Reconciler { return reconcilerIn("", via) }

// reconcilerIn has a folder for what a first look puts aside.
func reconcilerIn(spool string, via http.RoundTripper) *reconcile.Reconciler {
	return reconcile.New(reconcile.Options{
		Connect: func(m spec.Marathon) (reconcile.Marathon, error) {
			return marathonsink.New(marathonsink.Options{URLs: m.URLs, Transport: via, Spool: spool})
		},
		Elasticsearch: esclient.New(via, 0), Journal: noJournal{}, Log: slog.New(slog.DiscardHandler), Actor: "bench",
	})
}

// noJournal takes every entry and keeps none.
type noJournal struct{}

func (noJournal) Begin(oplog.Entry) (oplog.ID, error) { return 1, nil }
func (noJournal) End(oplog.ID, oplog.Outcome) error   { return nil }

// A world is a Marathon in which a fleet runs as git wants it. It answers from memory, so that what is measured is
// esfleet's part.
type world struct {
	ids           []marathon.AppID
	at            map[marathon.AppID]int
	spans         [][]byte // one app each, as on the wire
	bytes         int64
	lists, others atomic.Int64 // GETs of the list of apps, and every other GET
	writes        atomic.Int64
	firstCall     atomic.Pointer[func()]
}

// newWorld makes the Marathon in which every cluster of in runs: each app is the rendered definition laid over what a
// simulated Marathon made of its like.
func newWorld(t *testing.T, in reconcile.Input) *world {
	t.Helper()
	shape := shapeOf(t)
	ds, errs := reconcile.Render(in, map[spec.MarathonName]marathon.Version{"main": version})
	for id, err := range errs {
		t.Fatal(id, err)
	}
	w := &world{at: map[marathon.AppID]int{}}
	for _, d := range ds {
		for i := range d.Apps {
			w.add(t, live(t, shape[d.Apps[i].ID.Name()], d, &d.Apps[i]))
		}
	}
	return w
}

func (w *world) add(t testing.TB, app map[string]any) {
	t.Helper()
	b, err := json.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	id := marathon.AppID(app["id"].(string))
	w.at[id] = len(w.spans)
	w.ids, w.spans = append(w.ids, id), append(w.spans, b)
	w.bytes += int64(len(b)) + 1
}

// live is the app of a cluster as Marathon would show it.
func live(t testing.TB, like map[string]any, d *render.Desired, a *render.App) map[string]any {
	t.Helper()
	out := maps.Clone(like)
	for k, v := range a.Doc {
		out[k] = overlay(like[k], v)
	}
	if a.Component == spec.Gate { // the cluster has formed; its uuid is recorded
		labels := maps.Clone(out["labels"].(map[string]any))
		labels[marathon.LabelClusterUUID] = like["labels"].(map[string]any)[marathon.LabelClusterUUID]
		out["labels"] = labels
	}
	b, err := json.Marshal(like["tasks"])
	if err != nil {
		t.Fatal(err)
	}
	named := strings.NewReplacer("g000_c00000_", fmt.Sprintf("%s_%s_", d.ID.Group, d.ID.Name), "/g000/c00000/", fmt.Sprintf("/%s/%s/", d.ID.Group, d.ID.Name))
	out["tasks"] = json.RawMessage(named.Replace(string(b)))
	return out
}

// overlay lays what is wanted over what a server shows of its like: its own additions stay.
func overlay(like, want any) any {
	switch w := want.(type) {
	case map[string]any:
		l, ok := like.(map[string]any)
		if !ok {
			return want
		}
		out := maps.Clone(l)
		for k := range l {
			if _, ok := w[k]; !ok && strings.HasPrefix(k, "ESFLEET_") {
				delete(out, k)
			}
		}
		for k, v := range w {
			out[k] = overlay(l[k], v)
		}
		return out
	case []any:
		l, ok := like.([]any)
		if !ok || len(l) != len(w) {
			return want
		}
		out := make([]any, len(w))
		for i := range w {
			out[i] = overlay(l[i], w[i])
		}
		return out
	}
	return want
}

// edit changes one app as somebody at Marathon would.
func (w *world) edit(t testing.TB, id marathon.AppID, change func(app map[string]any)) {
	t.Helper()
	i, ok := w.at[id]
	if !ok {
		t.Fatalf("no app %s", id)
	}
	dec := json.NewDecoder(bytes.NewReader(w.spans[i]))
	dec.UseNumber()
	var app map[string]any
	if err := dec.Decode(&app); err != nil {
		t.Fatal(err)
	}
	change(app)
	b, err := json.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	w.bytes += int64(len(b) - len(w.spans[i]))
	w.spans[i] = b
}

// body streams the list of apps.
func (w *world) body() io.Reader {
	return &listReader{spans: w.spans, next: []byte(`{"apps":[`)}
}

var comma = []byte(",") // made once: what is counted is esfleet's allocations

type listReader struct {
	spans [][]byte
	i     int
	next  []byte
	ended bool
}

func (l *listReader) Read(p []byte) (int, error) {
	for len(l.next) == 0 {
		switch {
		case l.ended:
			return 0, io.EOF
		case l.i == 2*len(l.spans)-1 || len(l.spans) == 0:
			l.next, l.ended = []byte(`]}`), true
		case l.i%2 == 0:
			l.next = l.spans[l.i/2]
			l.i++
		default:
			l.next = comma
			l.i++
		}
	}
	n := copy(p, l.next)
	l.next = l.next[n:]
	return n, nil
}

// RoundTrip answers in process: http.RoundTripper.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if f := w.firstCall.Swap(nil); f != nil {
		(*f)()
	}
	res := &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: -1,
		Header: http.Header{"Content-Type": {"application/json"}, "X-Marathon-Leader": {"http://marathon.test:8080"}}}
	res.Body = io.NopCloser(w.answer(r, res))
	return res, nil
}

func (w *world) answer(r *http.Request, res *http.Response) io.Reader {
	switch {
	case r.Method != http.MethodGet:
		w.writes.Add(1)
		return strings.NewReader(`{"version":"2026-11-22T04:00:00.000Z","deploymentId":"d-` + strconv.FormatInt(w.writes.Load(), 10) + `"}`)
	case r.URL.Path == "/v2/apps":
		w.lists.Add(1)
		return w.body()
	case r.URL.Path == "/v2/info":
		w.others.Add(1)
		return strings.NewReader(`{"version":"` + version.String() + `","leader":"marathon.test:8080","frameworkId":"f","marathon_config":{}}`)
	case r.URL.Path == "/v2/queue":
		w.others.Add(1)
		return strings.NewReader(`{"queue":[]}`)
	case r.URL.Path == "/v2/deployments":
		w.others.Add(1)
		return strings.NewReader(`[]`)
	}
	w.others.Add(1)
	if i, ok := w.at[marathon.AppID(strings.TrimPrefix(r.URL.Path, "/v2/apps"))]; ok {
		return io.MultiReader(strings.NewReader(`{"app":`), bytes.NewReader(w.spans[i]), strings.NewReader(`}`))
	}
	if path, version, ok := strings.Cut(r.URL.Path, "/versions/"); ok {
		if i, ok := w.at[marathon.AppID(strings.TrimPrefix(path, "/v2/apps"))]; ok {
			return bytes.NewReader(asOf(w.spans[i], version))
		}
	}
	res.StatusCode, res.Status = http.StatusNotFound, "404 Not Found"
	return strings.NewReader(`{"message":"no such app"}`)
}

// asOf is an app as it was in an older version, which said the same.
func asOf(span []byte, version string) []byte {
	var app map[string]any
	dec := json.NewDecoder(bytes.NewReader(span))
	dec.UseNumber()
	if err := dec.Decode(&app); err != nil {
		panic(err) // it was made here
	}
	delete(app, "tasks")
	app["version"], app["versionInfo"] = version, map[string]any{"lastConfigChangeAt": version}
	b, err := json.Marshal(app)
	if err != nil {
		panic(err)
	}
	return b
}

// ServeHTTP is the same over a socket: http.Handler.
func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	res, _ := w.RoundTrip(r)
	maps.Copy(out.Header(), res.Header)
	out.WriteHeader(res.StatusCode)
	_, _ = io.CopyBuffer(struct{ io.Writer }{out}, res.Body, make([]byte, 64<<10))
}

// unconverged are a view's clusters that are not converged, sorted.
func unconverged(v *reconcile.View) []string {
	var out []string
	for _, c := range v.Clusters {
		if c.Plan.Phase != plan.Converged {
			out = append(out, c.ID.String())
		}
	}
	slices.Sort(out)
	return out
}
