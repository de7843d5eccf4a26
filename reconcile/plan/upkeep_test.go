package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

func TestWhatGitOwnsInTheClusterIsKeptAndNothingIsLeftBehind(t *testing.T) {
	six := func(w *world) { w.want.Spec.Elasticsearch.Version = spec.Version{Major: 6, Minor: 8} }
	for _, c := range []struct {
		name    string
		bend    func(*world)
		leaving []string
		want    string // the changes
	}{
		{"nothing is to be done", func(*world) {}, nil, ""},
		{"a setting that differs", func(w *world) {
			w.want.Spec.ClusterSettings = map[string]string{"a.b": "1", "a.c": "2"}
			w.es.Persistent["a.c"] = "2"
		}, nil, "b=1"},
		{"allocation left off, in both scopes", func(w *world) { w.es.Persistent[keyEnable], w.es.Transient[keyEnable] = "none", "primaries" }, nil, "enable=null; enable=null"},
		{"allocation that is on", func(w *world) { w.es.Persistent[keyEnable] = "all" }, nil, ""},
		{"a node kept empty for nothing", func(w *world) { w.es.Persistent[keyExclude] = "data-host-1" }, nil, "_name=null"},
		{"a node kept empty because it leaves", func(w *world) { w.es.Persistent[keyExclude] = "data-host-1" }, []string{"data-host-1"}, ""},
		{"one of both", func(w *world) { w.es.Persistent[keyExclude] = "data-host-1, data-host-2" }, []string{"data-host-1"}, "_name=data-host-1"},
		{"nodes that are not esfleet's", func(w *world) { w.es.Transient[keyExclude] = "warm-7" }, nil, ""},
		{"votes taken for nothing", func(w *world) { w.es.VotingExclusions = []string{"master-host-1"} }, nil, "votes cleared"},
		{"votes taken from one that leaves", func(w *world) { w.es.VotingExclusions = []string{"master-host-1"} }, []string{"master-host-1"}, ""},
		{"a template that is not there", func(w *world) {
			w.want.IndexTemplates = []render.IndexTemplate{{Name: "t", Body: marathon.Doc{"order": 1}}}
		}, nil, "template t"},
		{"a template with the same words", func(w *world) {
			w.want.IndexTemplates = []render.IndexTemplate{{Name: "t", Body: marathon.Doc{"order": 1, "settings": map[string]any{"index.x": true}}}}
			w.es.Templates = map[string]map[string]any{"t": {"order": "1", "settings": map[string]any{"index": map[string]any{"x": "true"}}}}
		}, nil, ""},
		{"an index that would not wait", func(w *world) {
			w.want.Spec.Indices.Delay = 5 * time.Minute
			w.es.Indices = []esgate.Index{{Name: "a", DelayedTimeout: "5m"}, {Name: "b"}, {Name: "c", Closed: true}}
		}, nil, "delay 300s"},
		{"no quorum where it is set by hand", func(w *world) { six(w); w.es.Nodes = nil }, nil, "minimum_master_nodes=2"},
		{"another quorum", func(w *world) { six(w); w.es.Persistent[keyQuorum] = "1" }, nil, "minimum_master_nodes=2"},
		{"a quorum that hides it", func(w *world) { six(w); w.es.Persistent[keyQuorum], w.es.Transient[keyQuorum] = "2", "1" }, nil, "minimum_master_nodes=null"},
		{"a quorum of an older version", func(w *world) { w.es.Persistent[keyQuorum] = "2" }, nil, "minimum_master_nodes=null"},
		{"a quorum that older nodes still need", func(w *world) { w.es.Persistent[keyQuorum] = "2"; w.es.Nodes[0].Version.Major = 6 }, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := standard().all()
			w.es.Persistent, w.es.Transient = map[string]string{}, map[string]string{}
			c.bend(w)
			var got []string
			for _, f := range Upkeep(w.want, &w.es, c.leaving) {
				if f.Why == "" {
					t.Error("a change without a reason")
				}
				switch {
				case f.Change.Template != nil:
					got = append(got, "template "+f.Change.Template.Name)
				case f.Change.DelayedTimeout != "":
					got = append(got, "delay "+f.Change.DelayedTimeout)
				default:
					got = append(got, said(&f.Change))
				}
			}
			if s := strings.Join(got, "; "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

// What is left behind makes every restart dangerous, so it is put right before any.
func TestUpkeepComesBeforeAnyNodeIsTouched(t *testing.T) {
	k := newWalk(t, standard().all())
	k.git(changed()...)
	k.takes(2)
	k.es.Transient[keyEnable] = "none"
	k.expect(k.takes(2), "elasticsearch enable=null, stop-node data-host-0")
}

func TestTheFirstSettingsOfANewClusterAreNoReasonForTheGuard(t *testing.T) {
	w := standard().all()
	w.want.IndexTemplates = []render.IndexTemplate{{Name: "rules", Path: "_template/rules", Body: marathon.Doc{"order": -1}}}
	w.facts.AskElasticsearch = true
	p := w.plan()
	expect(t, p, "converging | elasticsearch es-master")
	if p.Touches() {
		t.Error("a cluster that has never had its rules counts as changed")
	}
	w.es.Templates = map[string]map[string]any{"rules": {"order": 3}}
	if p = w.plan(); !p.Touches() {
		t.Errorf("a change of its rules does not count: %s", brief(p))
	}
}
