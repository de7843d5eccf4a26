package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// A still is two Marathons, one of them for group b, whose apps are just documents: nothing happens in it by itself, and anything can be put there.
type still struct {
	version     string
	leader      string
	down        bool
	apps        map[marathon.AppID]map[string]any
	deployments []map[string]any
	twin        marathon.AppID // shown by both
}

func (m *still) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.down {
		return nil, errors.New("connection refused")
	}
	var body any
	switch r.URL.Path {
	case "/v2/apps":
		list := []any{}
		for _, id := range slices.Sorted(maps.Keys(m.apps)) {
			if id == m.twin || strings.HasPrefix(string(id), "/b/") == (r.URL.Host == "other.test:8080") {
				list = append(list, m.apps[id])
			}
		}
		body = map[string]any{"apps": list}
	case "/v2/info":
		body = map[string]any{"version": m.version, "leader": m.leader, "marathon_config": map[string]any{}}
	case "/v2/queue":
		body = map[string]any{"queue": []any{}}
	case "/v2/deployments":
		body = append([]map[string]any{}, m.deployments...)
	default:
		return nil, fmt.Errorf("unexpected %s %s", r.Method, r.URL)
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(string(b))), ContentLength: -1,
		Header: http.Header{"Content-Type": {"application/json"}, "X-Marathon-Leader": {"http://" + m.leader}}}, nil
}

func (m *still) reconciler() *reconcile.Reconciler {
	return reconcile.New(reconcile.Options{Journal: &journal{}, Elasticsearch: dumb{}, Settle: 1, // a nanosecond
		Connect: func(decl spec.Marathon) (reconcile.Marathon, error) {
			return marathonsink.New(marathonsink.Options{URLs: decl.URLs, Transport: m})
		}})
}

// run makes what git wants live, with all tasks healthy.
func (m *still) run(t testing.TB, in reconcile.Input) {
	t.Helper()
	ds, errs := reconcile.Render(in, nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	const at = "2026-11-22T01:28:14.829Z"
	for _, d := range ds {
		for _, a := range d.Apps {
			app := maps.Clone(a.Doc)
			app["version"], app["versionInfo"] = at, map[string]any{"lastConfigChangeAt": at}
			var tasks []any
			for i := range a.Instances {
				tasks = append(tasks, map[string]any{"id": fmt.Sprintf("%s.%d", a.ID.Name(), i), "host": fmt.Sprintf("h%d", i), "state": "TASK_RUNNING",
					"version": at, "ports": []int{31000, 31001}, "healthCheckResults": []any{map[string]any{"alive": true, "lastSuccess": at}}})
			}
			app["tasks"], app["tasksRunning"] = tasks, len(tasks)
			if a.Component == spec.Gate {
				labels := maps.Clone(app["labels"].(map[string]any))
				labels[marathon.LabelClusterUUID] = "uuid-of-" + d.ID.String()
				app["labels"] = labels
			}
			m.apps[a.ID] = app
		}
	}
}

// dumb is an Elasticsearch that gives no answer.
type dumb struct{}

func (dumb) Read(context.Context, esgate.Target) esgate.Health         { return esgate.Health{Asked: true} }
func (dumb) Write(context.Context, esgate.Target, esgate.Change) error { return nil }

// tree is a small fleet's files: two groups, a cluster with masters of its own, one without, one that is only reported on.
func tree() map[string]string {
	const es = "data: {replicas: 3, cpus: 1, memory: 2GiB, disk: 1GiB}\ndiscovery: {port: 9310}\n"
	const head = "apiVersion: esfleet/v1\nkind: "
	group := head + "Group\nmarathon: %s\ndefaults:\n  elasticsearch: {version: \"7.17.28\", image: es:1}\n  discovery: {image: haproxy:1}\n"
	return map[string]string{
		"fleet.yaml":                       head + "Fleet\nname: f\nmarathons: {m: {url: \"http://marathon.test:8080\"}, other: {url: \"http://other.test:8080\"}}\nguards: {maxClusters: 1}\n",
		"groups/a/group.yaml":              fmt.Sprintf(group, "m"),
		"groups/b/group.yaml":              fmt.Sprintf(group, "other"),
		"groups/a/clusters/x/cluster.yaml": head + "Cluster\nmaster: {replicas: 3, cpus: 1, memory: 1GiB, disk: 1GiB}\n" + es,
		"groups/a/clusters/y/cluster.yaml": head + "Cluster\n" + es,
		"groups/b/clusters/z/cluster.yaml": head + "Cluster\ndrift: report\n" + es,
	}
}

func TestAClusterIsNotPlannedByWhatIsLeftOfItInAnotherMarathon(t *testing.T) {
	m := &still{version: "1.11.24", leader: "m1:8080", apps: map[marathon.AppID]map[string]any{}}
	s := snapshot.FromMap("c", tree())
	f, problems := spec.Parse(s, nil)
	if f == nil {
		t.Fatal(problems)
	}
	in := reconcile.Input{Fleet: f, Blobs: s}
	m.run(t, in)
	m.twin = "/a/x/discovery" // in both Marathons
	v := m.reconciler().Look(t.Context(), in)
	if len(v.Orphans) != 1 || v.Orphans[0].App != m.twin || len(v.Vanished) > 0 {
		t.Errorf("orphans %v, vanished %v", v.Orphans, v.Vanished)
	}
	if !v.Settled() || len(v.Clusters[0].Drift.Differences) > 0 {
		t.Errorf("%+v", v.Clusters[0].Plan)
	}
}

// Whatever happens in git and in Marathon, in whatever order: a Reconciler that has looked before sees just what one sees
// that looks for the first time. This is what makes it right to keep nothing of clusters that rest.
func TestALookThatRemembersSeesWhatAFirstLookSees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &still{version: "1.11.24", leader: "m1:8080", apps: map[marathon.AppID]map[string]any{}}
		files, cache := tree(), &spec.Cache{}
		commit := func() reconcile.Input {
			s := snapshot.FromMap(fmt.Sprint(len(files)), files)
			f, problems := spec.Parse(s, cache)
			if f == nil {
				t.Fatal(problems)
			}
			return reconcile.Input{Fleet: f, Blobs: s}
		}
		in, leader := commit(), m.leader
		m.run(t, in)
		r := m.reconciler()
		r.Look(t.Context(), in)
		for range rapid.IntRange(1, 6).Draw(rt, "looks") {
			for range rapid.IntRange(0, 2).Draw(rt, "changes") {
				if change(rt, m, files) {
					in = commit()
				}
			}
			if m.leader != leader && !m.down { // that it has changed, only one of the two can know, and only in this look
				leader = m.leader
				r.Look(t.Context(), in)
			}
			got, want := r.Look(t.Context(), in), m.reconciler().Look(t.Context(), in)
			opts := cmp.Options{cmpopts.IgnoreFields(reconcile.View{}, "At"), cmpopts.IgnoreFields(reconcile.ClusterView{}, "Desired"), cmp.Comparer(func(a, b error) bool { return a.Error() == b.Error() })}
			if m.down {
				// Which Marathon it is, and so what would be rendered, only the first of the two can know.
				opts = append(opts, cmpopts.IgnoreFields(reconcile.View{}, "Digest", "Unknown"))
			}
			if d := cmp.Diff(want, got, opts); d != "" {
				rt.Fatalf("first look (-), remembering look (+):\n%s", d)
			}
		}
	})
}

// change does something in git, and says so, or in Marathon.
func change(t *rapid.T, m *still, files map[string]string) (git bool) {
	ids := slices.Sorted(maps.Keys(m.apps))
	id := rapid.SampledFrom(ids).Draw(t, "app")
	app := maps.Clone(m.apps[id])
	put := func(k string, v any) { app[k] = v; m.apps[id] = app }
	label := func(k, v string) {
		labels := map[string]any{}
		if live, ok := app["labels"].(map[string]any); ok { // not a stranger's
			maps.Copy(labels, live)
		}
		labels[k] = v
		put("labels", labels)
	}
	kinds := []string{"field", "instances", "task", "label", "suspend", "orphan", "twin", "foreign", "gone", "deployment", "version", "down", "up",
		"settings", "cluster-goes", "cluster-comes", "suspend-in-git", "defaults"}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "field":
		put("cpus", rapid.IntRange(1, 3).Draw(t, "cpus"))
	case "instances":
		put("instances", rapid.IntRange(0, 3).Draw(t, "instances"))
	case "task":
		put("tasks", []any{})
	case "label":
		label(marathon.LabelFleet, rapid.SampledFrom([]string{"f", "g"}).Draw(t, "fleet"))
	case "suspend":
		label(marathon.LabelSuspended, rapid.SampledFrom([]string{"", `{"reason":"x"}`, `{"reason":"x","until":"2020-01-01T00:00:00Z"}`}).Draw(t, "until"))
	case "orphan": // of a cluster, wherever it stands
		id = rapid.SampledFrom([]marathon.AppID{"/a/x/kibana", "/elsewhere/k", "/a/gone/es-datanode"}).Draw(t, "orphan")
		app = maps.Clone(app)
		put("id", id)
	case "twin":
		m.twin = id
	case "foreign":
		m.apps["/a/x/somebodys"] = map[string]any{"id": "/a/x/somebodys", "instances": 1}
	case "gone":
		if len(ids) > 1 {
			delete(m.apps, id)
		}
	case "deployment":
		m.deployments = nil
		if rapid.Bool().Draw(t, "open") {
			m.deployments = []map[string]any{{"id": "d", "affectedApps": []any{id, "/b/z/gate"}}}
		}
		put("deployments", []any{map[string]any{"id": "d"}})
	case "version":
		m.version = rapid.SampledFrom([]string{"1.11.24", "1.8.222"}).Draw(t, "version")
		m.leader = "m-" + m.version + ":8080" // the version is asked again when another leads
	case "down":
		m.down = true
	case "up":
		m.down = false
	default:
		return changeGit(t, kind, files)
	}
	return false
}

func changeGit(t *rapid.T, kind string, files map[string]string) bool {
	x, y := "groups/a/clusters/x/", "groups/a/clusters/y/"
	switch kind {
	case "settings":
		files[x+"elasticsearch.yml"] = fmt.Sprintf("thread_pool.write.queue_size: %d\n", rapid.IntRange(1, 2).Draw(t, "size"))
	case "cluster-goes":
		delete(files, y+"cluster.yaml")
	case "cluster-comes":
		files[y+"cluster.yaml"] = tree()[y+"cluster.yaml"]
	case "suspend-in-git":
		files[x+"cluster.yaml"] = tree()[x+"cluster.yaml"] + rapid.SampledFrom([]string{"", "suspend: {reason: x}\n"}).Draw(t, "suspend")
	case "defaults":
		files["groups/a/group.yaml"] = tree()["groups/a/group.yaml"] + rapid.SampledFrom([]string{"", "  indices: {replicas: 1}\n"}).Draw(t, "defaults")
	}
	return true
}
