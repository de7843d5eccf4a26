package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// A world is a small cluster as git wants it and as it lives, to be bent by a test.
type world struct {
	want  *render.Desired
	facts Facts
	es    esgate.Health
}

var now = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// configuredAt is when every live app of a world last changed its definition.
var configuredAt = now.Add(-time.Hour)

func newWorld(components ...spec.Component) *world {
	c := &spec.Cluster{ID: spec.ClusterID{Group: "search", Name: "logs"}, Fleet: "demo", State: spec.Active, Drift: spec.Enforce,
		Elasticsearch: spec.Elasticsearch{Distribution: spec.ElasticsearchDist, Version: spec.Version{Major: 7, Minor: 17, Patch: 28}},
		Nodes:         map[spec.Component]*spec.Nodes{}}
	w := &world{want: &render.Desired{ID: c.ID, Spec: c}, es: esgate.Health{Asked: true, Known: true, At: now, Name: "search-logs", UUID: "u-1",
		Status: "green", Master: "master-host-0"}}
	w.facts = Facts{Now: now, Marathon: &marathon.State{Version: marathon.Version{Major: 1, Minor: 11, Patch: 24}, Apps: map[marathon.AppID]*marathon.App{}}}
	for _, k := range components {
		n := 1
		switch k {
		case spec.Gate:
			n = 0
		case spec.Master, spec.Data:
			n = 3
			c.Nodes[k] = &spec.Nodes{Replicas: 3}
		}
		w.want.Apps = append(w.want.Apps, render.App{ID: id(k), Component: k, Instances: n,
			Doc: marathon.Doc{"id": string(id(k)), "instances": n, "cpus": 1, "labels": map[string]any{marathon.LabelFleet: "demo"}}})
	}
	return w
}

func standard() *world {
	return newWorld(spec.Gate, spec.Discovery, spec.Master, spec.Data, spec.Exporter, spec.Kibana)
}

func id(c spec.Component) marathon.AppID { return marathon.AppID("/search/logs/" + c.AppName()) }

// up makes the components live, as git wants them and healthy.
func (w *world) up(components ...spec.Component) *world {
	for _, k := range components {
		n := w.want.App(k).Instances
		app := &marathon.App{ID: id(k), Instances: n, Version: configuredAt, LastConfigChange: configuredAt,
			Labels: map[string]string{marathon.LabelFleet: "demo"}, Doc: marathon.Doc{"healthChecks": []any{map[string]any{}}}}
		for i := range n {
			app.Tasks = append(app.Tasks, task(k, i))
		}
		w.facts.Marathon.Apps[app.ID] = app
		if k.RunsElasticsearch() {
			w.join(k)
		}
	}
	return w
}

// join makes the nodes of a component members of the cluster.
func (w *world) join(k spec.Component) {
	for _, t := range w.app(k).Tasks {
		w.es.Nodes = append(w.es.Nodes, esgate.Node{Name: string(k) + "-" + t.Host, ID: string(t.ID), Version: w.want.Spec.Elasticsearch.Version,
			MasterEligible: k == w.want.Spec.MasterComponent(), Data: k == spec.Data,
			Attributes: map[string]string{esgate.AttrInstance: string(t.ID.Instance())}})
	}
	slices.SortFunc(w.es.Nodes, func(a, b esgate.Node) int { return strings.Compare(a.Name, b.Name) })
}

func task(k spec.Component, i int) marathon.Task {
	return marathon.Task{ID: marathon.TaskID(fmt.Sprintf("%s.%d", k, i)), Host: fmt.Sprintf("host-%d", i), State: "TASK_RUNNING",
		Version: configuredAt.Format(time.RFC3339), Ports: []int{31000, 31001},
		HealthCheckResults: []marathon.HealthResult{{Alive: true, LastSuccess: "2026-03-01T02:59:59Z"}}}
}

// healthy says that a task runs and that Marathon shows it healthy.
func healthy(t marathon.Task, app *marathon.App) bool {
	return t.Running() && (!checked(app) || Healthy(t))
}

// old lets tasks run an older definition than the app's.
func (w *world) old(k spec.Component, tasks ...int) {
	for _, i := range tasks {
		w.app(k).Tasks[i].Version = configuredAt.Add(-time.Hour).Format(time.RFC3339)
	}
}

// formed records the cluster's uuid on the gate.
func (w *world) formed() *world {
	w.app(spec.Gate).Labels[marathon.LabelClusterUUID] = "u-1"
	return w
}

func (w *world) all() *world {
	for _, a := range w.want.Apps {
		w.up(a.Component)
	}
	return w.formed()
}

func (w *world) app(c spec.Component) *marathon.App { return w.facts.Marathon.Apps[id(c)] }

// plan makes the plan as the reconciler does: Elasticsearch is asked if the plan needs it.
func (w *world) plan(differences ...drift.Difference) Cluster {
	d := &drift.Drift{ID: w.want.ID, Differences: differences}
	f := w.facts
	c := Make(w.want, d, f)
	if slices.ContainsFunc(c.Waits, func(x Wait) bool { return x.Rule == RuleAskElasticsearch }) {
		f.Elasticsearch = w.es
		c = Make(w.want, d, f)
	}
	return c
}

func change(c spec.Component, class drift.Class, paths ...string) drift.Difference {
	d := drift.Difference{App: id(c), Component: c, Class: class}
	for _, p := range paths {
		d.Fields = append(d.Fields, drift.Field{Path: p, Kind: drift.Changed, Pos: spec.Pos{File: "cluster.yaml", Line: 7}})
	}
	return d
}

// brief is a plan in one line: phase, the step due, rules of holds and waits.
func brief(c Cluster) string {
	s := string(c.Phase)
	if n := c.Next(); n != nil {
		s += fmt.Sprintf(" | %s %s", n.Verb, n.App.Name())
	}
	for _, h := range c.Holds {
		s += " | hold " + h.Rule
	}
	for _, x := range c.Waits {
		s += " | wait " + x.Rule
	}
	return s
}

func expect(t *testing.T, got Cluster, want string) {
	t.Helper()
	if b := brief(got); b != want {
		t.Errorf("got  %s\nwant %s\nwhole plan: %+v", b, want, got)
	}
}
