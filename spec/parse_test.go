package spec_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/spec"
)

func mustParse(t testing.TB, files map[string]string, cache *spec.Cache) *spec.Fleet {
	t.Helper()
	f, problems := spec.Parse(snapshot.FromMap("c1", files), cache)
	for _, p := range problems {
		t.Error(p)
	}
	if f == nil {
		t.Fatal("no fleet")
	}
	return f
}

func sameFleet(t testing.TB, want, got *spec.Fleet, problems []spec.Problem) {
	t.Helper()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTheExampleFleetIsWhatItsCommentsSay(t *testing.T) {
	f := mustParse(t, examples.Files(), nil)
	var ids []string
	for _, g := range f.Groups {
		for _, c := range g.Clusters {
			ids = append(ids, c.ID.String())
		}
	}
	if got := strings.Join(ids, " "); got != "billing/invoices search/catalog search/logs" {
		t.Fatalf("clusters: %s", got)
	}
	invoices, catalog, logs := f.Groups[0].Clusters[0], f.Groups[1].Clusters[0], f.Groups[1].Clusters[1]
	if logs.Topology() != "dedicated-masters" || catalog.Topology() != "shared" || catalog.MasterComponent() != spec.Data {
		t.Error("topologies")
	}
	if logs.Exporter == nil || logs.Exporter.Prefix != "es.search.logs" || logs.Kibana == nil || catalog.Kibana != nil {
		t.Error("exporter and kibana")
	}
	if invoices.Containerizer != spec.Mesos || invoices.Elasticsearch.Image != "" || invoices.Rollout.Soak != 10*time.Minute || logs.Rollout.Soak != time.Minute {
		t.Errorf("invoices: %+v", invoices)
	}
	if p := catalog.Plugins[0]; p.URL == "" || len(p.SHA512) != 128 || logs.Plugins[0].Name != "analysis-icu" {
		t.Error("plugins")
	}
	if logs.PreRun == nil || len(logs.Files) != 1 || logs.Files[0].Path != "stopwords.txt" {
		t.Errorf("files: %+v", logs.Files)
	}
	if d := cmp.Diff(map[string]any{"indices.queries.cache.size": "5%"}, logs.Nodes[spec.Data].Settings); d != "" {
		t.Error(d)
	}
}

func TestDefaultsFlowFromFleetToGroupToCluster(t *testing.T) {
	files := base(t)
	files["fleet.yaml"] += `  data: {cpus: 1.5, memory: 8GiB, env: {A: fleet, B: fleet, C: fleet}, settings: {a.b: 1, a.c: [1, 2]}, constraints: [[rack, GROUP_BY]]}
  plugins: [one, two]
  exporter: {graphite: "g:2003", image: e:1}
  kibana: {image: k:1}
`
	files["groups/search/group.yaml"] += `defaults:
  data: {memory: 4GiB, env: {B: group, C: group}, settings: {a: {b: 2}}}
  plugins: [three]
  exporter: {interval: 1m}
`
	files[clusterFile] += `master: {}
kibana: {enabled: false}
`
	files[clusterFile] = strings.Replace(files[clusterFile], "replicas: 3,", "replicas: 3, env: {C: cluster}, settings: {a: {c: [3]}},", 1)
	c := mustParse(t, files, nil).Groups[0].Clusters[0]
	d := c.Nodes[spec.Data]
	if d.CPUs != 1.5 || d.Memory != 4*spec.GiB || d.Heap != 2*spec.GiB || d.Replicas != 3 || d.PerHost != 1 {
		t.Errorf("data: %+v", d)
	}
	if diff := cmp.Diff(map[string]string{"A": "fleet", "B": "group", "C": "cluster"}, d.Env); diff != "" {
		t.Error(diff)
	}
	if len(c.Plugins) != 1 || c.Plugins[0].Name != "three" {
		t.Errorf("lists replace, never append: %+v", c.Plugins)
	}
	if got := len(d.Settings["a.c"].([]any)); got != 1 || d.Settings["a.b"] == nil {
		t.Errorf("settings: %v", d.Settings)
	}
	if c.Kibana != nil {
		t.Error("a section switched off by the cluster is there")
	}
	if c.Exporter == nil || c.Exporter.Graphite != "g:2003" || c.Exporter.Interval.String() != "1m0s" {
		t.Errorf("exporter: %+v", c.Exporter)
	}
	for path, want := range map[string]string{
		"nodes.data.cpus": "fleet.yaml:", "nodes.data.memory": "groups/search/group.yaml:", "nodes.data.disk": clusterFile + ":",
		"nodes.data.env.A": "fleet.yaml:", "nodes.data.env.B": "groups/search/group.yaml:", "nodes.data.env.C": clusterFile + ":",
		"nodes.data.settings.a.b": "groups/search/group.yaml:", "nodes.data.settings.a.c": clusterFile + ":", "plugins": "groups/search/group.yaml:",
	} {
		if got := c.OriginOf(path).String(); !strings.HasPrefix(got, want) {
			t.Errorf("%s comes from %s, want %s", path, got, want)
		}
	}
	if p, ok := c.Origins.At("nodes.master.replicas"); ok {
		t.Errorf("a built-in default comes from %s", p)
	}
	if m := c.Nodes[spec.Master]; m.Replicas != 3 || m.Disk != 5*spec.GiB {
		t.Errorf("master: %+v", m)
	}
}

func TestExplainNamesTheOriginOfEveryValue(t *testing.T) {
	for _, g := range mustParse(t, examples.Files(), nil).Groups {
		for _, c := range g.Clusters {
			values := map[string]string{}
			for _, v := range c.Explain() {
				values[v.Path] = v.Text + " " + v.Origin()
			}
			for path, pos := range c.Origins.All() {
				if path == "overrides" || path == "plugins" || path == "replace" || strings.HasSuffix(path, ".enabled") {
					continue // told element by element, or by being there
				}
				if got := values[path]; !strings.HasSuffix(got, " "+pos.String()) && path != "preRun" {
					t.Errorf("%s: %s was written at %s, explained as %q", c.ID, path, pos, got)
				}
			}
			if got := values["nodes.data.perHost"]; got != "1 built-in default" {
				t.Errorf("%s: nodes.data.perHost: %q", c.ID, got)
			}
		}
	}
}

func TestEveryOriginPointsAtTheTextThatWasWritten(t *testing.T) {
	files := examples.Files()
	for _, g := range mustParse(t, files, nil).Groups {
		for _, c := range g.Clusters {
			for path, p := range c.Origins.All() {
				lines := strings.Split(files[p.File], "\n")
				if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len(lines[p.Line-1]) {
					t.Errorf("%s: %s is at %s, outside the file", c.ID, path, p)
				}
			}
			if p := c.OriginOf("elasticsearch.version"); !strings.HasPrefix(strings.Split(files[p.File], "\n")[p.Line-1][p.Column-1:], `"`+c.Elasticsearch.Version.String()) {
				t.Errorf("%s: version is not at %s", c.ID, p)
			}
		}
	}
}

func TestACacheChangesNothingAndHoldsOnlyTheLatestSnapshot(t *testing.T) {
	var cache spec.Cache
	files := examples.Files()
	want := mustParse(t, files, nil)
	for range 2 {
		f, problems := spec.Parse(snapshot.FromMap("c1", files), &cache)
		sameFleet(t, want, f, problems)
	}
	size := cache.Len()
	for i := range 20 {
		files["groups/search/clusters/logs/cluster.yaml"] += "# " + strings.Repeat("x", i) + "\n"
		mustParse(t, files, &cache)
	}
	if got := cache.Len(); got != size {
		t.Errorf("the cache grew from %d to %d documents", size, got)
	}
	// Equal content at another path is reported at that path.
	files = base(t)
	files[clusterFile] += "oops: 1\n"
	files["groups/search/clusters/copy/cluster.yaml"] = files[clusterFile]
	_, problems := spec.Parse(snapshot.FromMap("c1", files), &cache)
	if len(problems) != 2 || problems[0].Pos.File == problems[1].Pos.File {
		t.Errorf("%v", problems)
	}
}

func TestACachedClusterFollowsEveryFileItIsMadeOf(t *testing.T) {
	for path := range examples.Files() {
		var cache spec.Cache
		files := examples.Files()
		mustParse(t, files, &cache)
		files[path] += "# changed\n"
		if path == "fleet.yaml" || strings.HasSuffix(path, "group.yaml") {
			files[path] = strings.Replace(files[path], "defaults:\n", "defaults:\n  ingest: {enabled: false}\n", 1)
		}
		want, problems := spec.Parse(snapshot.FromMap("c2", files), nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		got, problems := spec.Parse(snapshot.FromMap("c2", files), &cache)
		sameFleet(t, want, got, problems)
		delete(files, path)
		_, want2 := spec.Parse(snapshot.FromMap("c3", files), nil)
		_, got2 := spec.Parse(snapshot.FromMap("c3", files), &cache)
		if d := cmp.Diff(want2, got2); d != "" {
			t.Errorf("without %s: %s", path, d)
		}
	}
}

func TestUnchangedClustersAreTheSameAgain(t *testing.T) {
	var cache spec.Cache
	files := examples.Files()
	before := mustParse(t, files, &cache)
	files["groups/search/clusters/logs/pre-run.sh"] += "true\n"
	after := mustParse(t, files, &cache)
	if before.Groups[0].Clusters[0] != after.Groups[0].Clusters[0] || before.Groups[1].Clusters[1] == after.Groups[1].Clusters[1] {
		t.Error("not exactly the changed cluster was made anew")
	}
}

func TestUnchangedFilesAreNotReadAgain(t *testing.T) {
	var cache spec.Cache
	files := examples.Files()
	mustParse(t, files, &cache)
	s := snapshot.FromMap("c1", files)
	if _, problems := spec.Parse(snapshot.New("c1", s.Entries, absentAll{}), &cache); len(problems) > 0 {
		t.Error(problems)
	}
}

type absentAll struct{}

func (absentAll) Blob(id snapshot.BlobID) ([]byte, error) { panic("read " + id) }

func TestARetiredClusterStillHoldsItsReservations(t *testing.T) {
	files := base(t)
	active := mustParse(t, files, nil).Groups[0].Clusters[0].Demand()
	files[clusterFile] += "state: retired\nkibana: {image: k:1}\ncoordinating: {}\n"
	c := mustParse(t, files, nil).Groups[0].Clusters[0]
	if c.Kibana == nil || len(c.Nodes) != 2 {
		t.Error("a retired cluster is not complete")
	}
	if got := c.Demand(); got.Disk != active.Disk || got.CPUs != 3 {
		t.Errorf("retired %+v, active %+v", got, active)
	}
}

func TestOneFileCanBeCheckedByItself(t *testing.T) {
	for path, src := range examples.Files() {
		if problems := spec.CheckFile(path, []byte(src)); len(problems) > 0 {
			t.Errorf("%s: %v", path, problems)
		}
	}
	problems := spec.CheckFile(clusterFile, []byte("apiVersion: esfleet/v1\nkind: Cluster\nplugin: []\npurpose: on\n"))
	if len(problems) != 2 || problems[0].Pos.String() != clusterFile+":3:1" || problems[1].Pos.String() != clusterFile+":4:10" {
		t.Error(problems)
	}
}

func TestParsesMayShareACache(t *testing.T) {
	var cache spec.Cache
	want := mustParse(t, examples.Files(), nil)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 5 {
				files := examples.Files()
				if i%2 == 0 {
					files["groups/search/group.yaml"] += "# other content, equal meaning\n"
				}
				f, problems := spec.Parse(snapshot.FromMap("c1", files), &cache)
				if len(problems) > 0 || cmp.Diff(want, f) != "" {
					t.Error(problems, cmp.Diff(want, f))
				}
			}
		})
	}
	wg.Wait()
}

func TestNoSumOfSizesOverflows(t *testing.T) {
	files := base(t)
	files["groups/search/group.yaml"] += "quota: {disk: 999999TiB}\n"
	for i := range 20 {
		files[fmt.Sprintf("groups/search/clusters/c%d/cluster.yaml", i)] = "apiVersion: esfleet/v1\nkind: Cluster\ndata: {replicas: 1000, disk: 1024TiB}\n"
	}
	wantProblem(t, snapshot.FromMap("c1", files), "groups/search/group.yaml:3:15", "ask for")
	files[clusterFile] = "apiVersion: esfleet/v1\nkind: Cluster\ndata: {disk: 999999TiB}\n"
	wantProblem(t, snapshot.FromMap("c1", files), clusterFile+":3:14", "more than any host")
}
