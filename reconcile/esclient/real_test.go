package esclient_test

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

func TestARealClusterOfEachVersionIsReadAndChanged(t *testing.T) {
	// Those whose answers are not recorded; the others with ESFLEET_E2E=all.
	es := spec.ElasticsearchDist
	releases := []release{{es, spec.Version{Major: 2, Minor: 4, Patch: 6}, 60}, {es, spec.Version{Major: 5, Minor: 6, Patch: 16}, 61}}
	if os.Getenv("ESFLEET_E2E") == "all" {
		releases = append(releases,
			release{es, spec.Version{Major: 6, Minor: 8, Patch: 23}, 62}, release{es, spec.Version{Major: 7, Minor: 10, Patch: 2}, 63},
			release{es, spec.Version{Major: 7, Minor: 17, Patch: 28}, 64}, release{es, spec.Version{Major: 8, Minor: 19, Patch: 21}, 65},
			release{spec.OpenSearchDist, spec.Version{Major: 2, Minor: 11}, 66})
	}
	for _, r := range releases {
		t.Run(string(r.dist)+" "+r.version.String(), func(t *testing.T) {
			began := time.Now()
			dir, nodes := startNodes(t, &r)
			w := &realCluster{t: t, r: &r, nodes: nodes, client: esclient.New(transport, 5*time.Second),
				target: esgate.Target{Endpoints: []string{nodes[0].url(), nodes[1].url()}, Name: r.cluster(), Dist: r.dist, Version: r.version}}
			w.forms()
			w.showsWhatIsThere()
			w.explainsWhatCannotBePlaced()
			w.takesSettings()
			w.takesATemplate()
			w.takesADelay()
			w.takesVotes()
			w.do(esgate.Change{Flush: true})
			w.knowsItsSnapshots(dir)
			w.refusesWhatIsNotItsOwn()
			w.showsSizes()
			w.namesAFrozenNode()
			w.losesANode()
			t.Logf("%s %s: read and changed in %.0f s", r.dist, r.version, time.Since(began).Seconds())
		})
	}
}

type realCluster struct {
	t      *testing.T
	r      *release
	nodes  []*realNode
	client *esclient.Client
	target esgate.Target
}

func (w *realCluster) since(major, minor int) bool {
	return w.r.opensearch() || w.r.version.AtLeast(major, minor)
}

func (w *realCluster) url() string { return w.nodes[0].url() }

// until reads the cluster until it is known and ok.
func (w *realCluster) until(what string, ok func(*esgate.Health) bool) esgate.Health {
	w.t.Helper()
	var h esgate.Health
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if h = w.client.Read(w.t.Context(), w.target); h.Known && ok(&h) {
			return h
		}
	}
	w.t.Fatalf("%s: it does not become so: %+v", what, h)
	return h
}

func (w *realCluster) read() esgate.Health {
	w.t.Helper()
	return w.until("it is known", func(*esgate.Health) bool { return true })
}

func (w *realCluster) do(ch esgate.Change) {
	w.t.Helper()
	if err := w.client.Write(w.t.Context(), w.target, ch); err != nil {
		w.t.Errorf("write %+v: %v", ch, err)
	}
}

func (w *realCluster) forms() {
	w.t.Helper()
	w.target.UUID = w.until("two nodes form a cluster", func(h *esgate.Health) bool { return len(h.Nodes) == 2 }).UUID
	call(w.t, "PUT", w.url()+"/logs-2026.11.22", `{"settings":{"number_of_shards":2,"number_of_replicas":1,"index.routing.allocation.total_shards_per_node":2}}`)
	call(w.t, "PUT", w.url()+"/shut", `{"settings":{"index":{"number_of_shards":1,"number_of_replicas":1}}}`)
	w.until("all copies are there", func(h *esgate.Health) bool { return h.Status == "green" && len(h.Shards) == 6 })
	call(w.t, "POST", w.url()+"/shut/_close", "")
	kind := "_doc"
	if !w.since(7, 0) {
		kind = "doc"
	}
	call(w.t, "PUT", w.url()+"/logs-2026.11.22/"+kind+"/1?refresh=true", `{"text":"`+strings.Repeat("some words ", 100)+`"}`)
	w.until("it is at rest", func(h *esgate.Health) bool { return h.Status == "green" && len(h.Recoveries) == 0 })
}

func (w *realCluster) showsWhatIsThere() {
	w.t.Helper()
	h := w.read()
	if h.Name != w.r.cluster() || len(h.UUID) < 20 || h.Master != "m1" || h.StateVersion < 3 || h.Snapshotting || !h.LastSnapshot.IsZero() {
		w.t.Errorf("who it is: %+v", h)
	}
	for i, want := range []struct {
		name   string
		master bool
	}{{"d2", false}, {"m1", true}} {
		n, node := h.Nodes[i], w.nodes[1-i]
		if n.Name != want.name || n.MasterEligible != want.master || !n.Data || n.Version != w.r.version || n.HTTP != node.url() ||
			n.Host != node.host || n.Instance() != "instance-of-"+want.name || n.Uptime <= 0 || n.DiskFree <= 0 || n.DiskTotal < n.DiskFree ||
			n.ID == "" || (n.EphemeralID != "") != w.since(5, 0) {
			w.t.Errorf("node %d is %+v", i, n)
		}
	}
	shut := 0 // a closed index has copies from 7.2 on
	if w.since(7, 2) {
		shut = 2
	}
	for _, s := range h.Shards {
		if !s.Serves() || s.Node == "" {
			w.t.Errorf("a copy that does not serve: %+v", s)
		}
	}
	if len(h.Shards) != 4+shut {
		w.t.Errorf("%d copies: %+v", len(h.Shards), h.Shards)
	}
	want := []esgate.Index{{Name: "logs-2026.11.22", Shards: 2, Replicas: 1, PerNode: 2}, {Name: "shut", Shards: 1, Replicas: 1, Closed: true}}
	if !slices.Equal(h.Indices, want) {
		w.t.Errorf("indices are %+v", h.Indices)
	}
}

func (w *realCluster) explainsWhatCannotBePlaced() {
	w.t.Helper()
	call(w.t, "PUT", w.url()+"/wide", `{"settings":{"number_of_shards":1,"number_of_replicas":2}}`)
	w.target.Explain = true
	h := w.until("one replica has no place", func(h *esgate.Health) bool {
		return h.Unassigned == 1 && h.Initializing == 0 && h.Status == "yellow" && h.InFlightFetch == 0
	})
	w.target.Explain = false
	want := ""
	if w.since(5, 0) {
		want = "same_shard"
	}
	for _, s := range h.Shards {
		if s.State == esgate.Unassigned && (s.Index != "wide" || s.Primary || s.Node != "" || s.Decider != want) {
			w.t.Errorf("a copy without a place: %+v", s)
		}
	}
	call(w.t, "DELETE", w.url()+"/wide", "")
	w.until("it is gone", func(h *esgate.Health) bool { return h.Status == "green" && len(h.Indices) == 2 })
}

func (w *realCluster) takesSettings() {
	w.t.Helper()
	const exclude, enable = "cluster.routing.allocation.exclude._name", "cluster.routing.allocation.enable"
	d2, primaries := "gone,also-gone", "primaries"
	w.do(esgate.Change{Persistent: map[string]*string{exclude: &d2}, Transient: map[string]*string{enable: &primaries}})
	h := w.read()
	if h.Setting(exclude) != d2 || h.Persistent[exclude] != d2 || h.Transient[enable] != primaries || h.Persistent[enable] != "" {
		w.t.Errorf("settings are %v and %v", h.Persistent, h.Transient)
	}
	w.do(esgate.Change{Persistent: map[string]*string{exclude: nil}, Transient: map[string]*string{enable: nil}})
	h = w.read()
	want := ""
	if !w.since(5, 0) {
		want = "all"
	}
	if _, there := h.Persistent[exclude]; there || h.Transient[enable] != want {
		w.t.Errorf("settings are left behind: %v and %v", h.Persistent, h.Transient)
	}
	if !w.since(5, 0) {
		return // it takes any value
	}
	bad := "perhaps"
	if err := w.client.Write(w.t.Context(), w.target, esgate.Change{Persistent: map[string]*string{enable: &bad}}); !esclient.Refused(err) {
		w.t.Errorf("a setting that is none: %v", err)
	}
}

func (w *realCluster) takesATemplate() {
	w.t.Helper()
	body := map[string]any{"index_patterns": []string{"nothing-*"}, "order": 7, "settings": map[string]any{"index.number_of_replicas": 1}}
	if !w.since(6, 0) {
		delete(body, "index_patterns")
		body["template"] = "nothing-*"
	}
	w.target.Templates = []string{"rules", "not-there"}
	if got := w.read().Templates; got == nil || len(got) != 0 {
		w.t.Errorf("templates before there is one: %v", got)
	}
	w.do(esgate.Change{Template: &esgate.Template{Name: "rules", Path: "_template/rules", Body: body}})
	got := w.read().Templates
	settings, _ := got["rules"]["settings"].(map[string]any)
	if len(got) != 1 || got["rules"]["order"] != 7.0 || settings["index.number_of_replicas"] != "1" {
		w.t.Errorf("templates are %v", got)
	}
	w.target.Templates = nil
}

func (w *realCluster) takesADelay() {
	w.t.Helper()
	w.do(esgate.Change{DelayedTimeout: "7m"})
	for _, i := range w.read().Indices {
		if i.DelayedTimeout != "7m" {
			w.t.Errorf("the delay of %s is %q", i.Name, i.DelayedTimeout)
		}
	}
}

func (w *realCluster) takesVotes() {
	w.t.Helper()
	exclude := esgate.Change{ExcludeVotes: []string{"gone-1", "gone-2"}}
	if !w.since(7, 0) {
		if err := w.client.Write(w.t.Context(), w.target, exclude); err == nil || esclient.Unknown(err) {
			w.t.Errorf("votes before 7: %v", err)
		}
		return
	}
	w.do(exclude)
	if got := w.read().VotingExclusions; !slices.Equal(got, exclude.ExcludeVotes) {
		w.t.Errorf("excluded are %v", got)
	}
	w.do(esgate.Change{ClearVotes: true})
	if got := w.read().VotingExclusions; len(got) != 0 {
		w.t.Errorf("excluded are still %v", got)
	}
}

func (w *realCluster) knowsItsSnapshots(dir string) {
	w.t.Helper()
	w.target.Snapshots = true
	if got := w.read(); !got.LastSnapshot.IsZero() {
		w.t.Errorf("a snapshot before there is a repository: %s", got.LastSnapshot)
	}
	call(w.t, "PUT", w.url()+"/_snapshot/kept", `{"type":"fs","settings":{"location":"`+dir+`/repo/kept"}}`)
	call(w.t, "PUT", w.url()+"/_snapshot/kept/one?wait_for_completion=true", `{"indices":"logs-*"}`)
	got := w.read()
	if age := got.At.Sub(got.LastSnapshot); got.Snapshotting || age > time.Minute || age < -time.Minute {
		w.t.Errorf("the newest snapshot is of %s: %+v", got.LastSnapshot, got)
	}
	w.target.Snapshots = false
}

func (w *realCluster) refusesWhatIsNotItsOwn() {
	w.t.Helper()
	other := w.target
	other.UUID = "another-one-than-that-x"
	if h := w.client.Read(w.t.Context(), other); h.Known || !strings.Contains(h.Why, "another cluster") {
		w.t.Errorf("another cluster is known: %+v", h)
	}
	if err := w.client.Write(w.t.Context(), other, esgate.Change{DelayedTimeout: "9m"}); err == nil || esclient.Unknown(err) || esclient.Refused(err) {
		w.t.Errorf("another cluster is written to: %v", err)
	}
	if got := w.read().Indices[0].DelayedTimeout; got != "7m" {
		w.t.Errorf("the delay has become %s", got)
	}
}

// showsSizes waits, for they are looked at some seconds after they changed.
func (w *realCluster) showsSizes() {
	w.t.Helper()
	w.until("all copies have a size", func(h *esgate.Health) bool {
		return !slices.ContainsFunc(h.Shards, func(s esgate.Shard) bool { return s.Bytes < 100 })
	})
}

func (w *realCluster) namesAFrozenNode() {
	w.t.Helper()
	target := w.target
	target.Endpoints = target.Endpoints[:1]
	pid := -w.nodes[1].cmd.Process.Pid
	must(w.t, syscall.Kill(pid, syscall.SIGSTOP))
	named, took := false, time.Duration(0)
	var h esgate.Health
	for tries := 0; !named && tries < 4; tries++ { // the first question may still have met it awake
		began := time.Now()
		h = w.client.Read(w.t.Context(), target)
		named, took = !h.Known && strings.Contains(h.Why, "1 of 2 members do not answer: d2"), time.Since(began)
	}
	must(w.t, syscall.Kill(pid, syscall.SIGCONT))
	if !named {
		w.t.Errorf("a frozen node is seen as %+v", h)
	}
	w.t.Logf("with a frozen node the reading took %s: %s", took.Round(100*time.Millisecond), h.Why)
	w.until("it is back", func(h *esgate.Health) bool { return len(h.Nodes) == 2 && h.Status == "green" })
}

func (w *realCluster) losesANode() {
	w.t.Helper()
	w.nodes[1].kill()
	w.target.Endpoints = w.target.Endpoints[:1]
	h := w.until("one node is left", func(h *esgate.Health) bool { return len(h.Nodes) == 1 })
	if h.Status != "yellow" || h.Unassigned == 0 || h.Delayed == 0 {
		w.t.Errorf("a lost node is seen as %+v", h)
	}
}
