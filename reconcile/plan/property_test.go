package plan

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// one in n; mostly a cluster is well, or nothing would ever be due.
func seldom(t *rapid.T, n int, what string) bool { return rapid.IntRange(1, n).Draw(t, what) == n }

// anyState draws a cluster in the middle of anything: what a crash, a person or a race may have left.
func anyState(t *rapid.T) (*world, []drift.Difference) {
	w := standard().all()
	w.es.Persistent, w.es.Transient = map[string]string{}, map[string]string{}
	if seldom(t, 3, "zen1") {
		w.want.Spec.Elasticsearch.Version = spec.Version{Major: 6, Minor: 8}
		for i := range w.es.Nodes {
			w.es.Nodes[i].Version = w.want.Spec.Elasticsearch.Version
		}
		w.es.Persistent[keyQuorum] = rapid.SampledFrom([]string{"2", "2", "1", "3"}).Draw(t, "quorum")
	}
	if seldom(t, 3, "old Marathon") {
		w.facts.Marathon.Version = marathon.Version{Major: 1, Minor: 5, Patch: 15}
	}
	var changes []drift.Difference
	for _, c := range []spec.Component{spec.Master, spec.Data} {
		if seldom(t, 3, "change") {
			changes = append(changes, change(c, drift.Update, "env.X"))
		}
		n := rapid.SampledFrom([]int{3, 3, 3, 2, 4, 5}).Draw(t, "wanted")
		w.want.App(c).Instances, w.want.Spec.Nodes[c].Replicas = n, n
		anyApp(t, w, c)
	}
	anyHealth(t, w)
	w.want.Spec.Rollout = spec.Rollout{Canary: rapid.IntRange(0, 2).Draw(t, "canary"), Pause: seldom(t, 4, "pause"), Hold: time.Duration(rapid.IntRange(0, 1).Draw(t, "hold")) * 3 * time.Hour}
	if seldom(t, 4, "replace") {
		w.want.Spec.Replace = []spec.Replacement{{Instance: rapid.SampledFrom([]string{"data.0", "data.2", "master.1"}).Draw(t, "whom"), LoseCopies: seldom(t, 3, "lose")}}
	}
	return w, changes
}

func anyApp(t *rapid.T, w *world, c spec.Component) {
	app := w.app(c)
	if seldom(t, 4, "more") {
		app.Tasks = append(app.Tasks, task(c, 3))
		app.Instances++
		w.es.Nodes = append(w.es.Nodes, esgate.Node{Name: string(c) + "-host-3", Version: w.want.Spec.Elasticsearch.Version, Data: c == spec.Data, MasterEligible: c == spec.Master})
	}
	for i := range app.Tasks {
		x := &app.Tasks[i]
		if seldom(t, 3, "old") {
			x.Version = configuredAt.Add(-time.Hour).Format(time.RFC3339)
		}
		switch rapid.IntRange(0, 24).Draw(t, "state") {
		case 23, 24: // the larger a number, the seldomer it is drawn
			*x = marathon.Task{ID: x.ID, Host: x.Host, State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{}}}
			if rapid.Bool().Draw(t, "scaled") {
				app.Instances--
			}
		case 22:
			x.State = "TASK_UNREACHABLE"
		case 21:
			x.State = "TASK_STAGING"
		case 20:
			x.HealthCheckResults = nil
			if at := now.Add(-time.Hour).Format(time.RFC3339); rapid.Bool().Draw(t, "long ago") {
				x.StagedAt, x.StartedAt = at, at
			}
		}
	}
	if seldom(t, 10, "locked") {
		w.facts.Marathon.Deployments = append(w.facts.Marathon.Deployments, marathon.Deployment{ID: marathon.DeploymentID(c), AffectedApps: []marathon.AppID{id(c)},
			CurrentActions: []marathon.Action{{Action: rapid.SampledFrom([]string{"ScaleApplication", "RestartApplication"}).Draw(t, "action"), App: id(c)}}})
	}
}

func anyHealth(t *rapid.T, w *world) {
	w.es.Nodes = slices.DeleteFunc(w.es.Nodes, func(n esgate.Node) bool {
		c, host, _ := strings.Cut(n.Name, "-")
		i := slices.IndexFunc(w.app(spec.Component(c)).Tasks, func(x marathon.Task) bool { return x.Host == host })
		return !w.app(spec.Component(c)).Tasks[i].Running() || seldom(t, 30, "absent")
	})
	if w.es.Node(w.es.Master) == nil {
		w.es.Master = "master-host-1"
	}
	w.es.Status = rapid.SampledFrom([]string{"green", "green", "green", "green", "yellow", "red"}).Draw(t, "status")
	w.facts.Drained = map[string]time.Time{}
	for i := range w.es.Nodes {
		n := &w.es.Nodes[i]
		n.DiskTotal, n.DiskFree = 100<<30, 80<<30
		n.Uptime = time.Duration(rapid.SampledFrom([]int{59, 59, 59, 90}).Draw(t, "uptime")) * time.Minute
		component, host, _ := strings.Cut(n.Name, "-host-")
		n.Attributes = map[string]string{esgate.AttrComponent: component, esgate.AttrInstance: component + "." + host}
		if seldom(t, 20, "instance not told") {
			delete(n.Attributes, esgate.AttrInstance)
		}
	}
	var names []string
	for _, n := range []string{"data-host-0", "data-host-1", "data-host-2", "data-host-3", "master-host-2"} {
		if seldom(t, 4, "excluded") {
			names = append(names, n)
		}
		if seldom(t, 2, "drained") {
			w.facts.Drained[n] = now.Add(-time.Minute)
		}
	}
	if len(names) > 0 {
		w.es.Persistent[keyExclude] = strings.Join(names, ",")
	}
	if seldom(t, 4, "votes") {
		w.es.VotingExclusions = []string{"master-host-2"}
	}
	w.es.Known = !seldom(t, 8, "unknown")
}

// dangerous verbs can lose documents, or take a node away.
var dangerous = []Verb{Commit, StopNode, RestartNode, DrainNodes, RemoveNode, WipeNode}

func TestNoLiveStateLetsAStepLoseADocument(t *testing.T) {
	taken := map[Verb]int{}
	check := func(t *rapid.T) {
		w, changes := anyState(t)
		c := w.plan(changes...)
		for s := c.Next(); s != nil && (s.Verb == ChangeCluster || s.Verb == DrainNodes); s = c.Next() { // what comes after it counts
			taken[s.Verb]++
			if why := wrongStep(w, &c, s); why != "" {
				t.Fatalf("%s %s %s: %s\n%+v", s.Verb, s.App.Name(), s.Node, why, c)
			}
			w.write(s.Change)
			c = w.plan(changes...)
		}
		if again := w.plan(changes...); !reflect.DeepEqual(c, again) || !bytes.Equal(mustText(t, c), mustText(t, again)) {
			t.Fatalf("equal inputs give two plans")
		}
		s := c.Next()
		if s == nil {
			return
		}
		taken[s.Verb]++
		if why := wrongStep(w, &c, s); why != "" {
			t.Fatalf("%s %s %s: %s\n%+v", s.Verb, s.App.Name(), s.Node, why, c)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 25 { // a state is cheap, and few let the rarer steps be due
			check(t)
		}
	})
	for _, v := range append([]Verb{StartNode, ScaleOut, CancelOwn, ChangeCluster}, dangerous...) {
		if taken[v] == 0 {
			t.Errorf("no drawn state lets %s be due: the law says nothing of it (%v)", v, taken)
		}
	}
}

func mustText(t *rapid.T, c Cluster) []byte {
	b := &bytes.Buffer{}
	if err := Text(b, []Cluster{c}); err != nil {
		t.Fatal(err)
	}
	if err := Table(b, []Cluster{c}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wrongStep says which law the step breaks.
func wrongStep(w *world, c *Cluster, s *Step) string {
	app := w.facts.Marathon.Apps[s.App]
	i := slices.IndexFunc(app.Tasks, func(x marathon.Task) bool { return s.Task != "" && x.ID == s.Task })
	locked := len(w.facts.Marathon.LockedBy(s.App)) > 0
	switch {
	case locked && s.Verb != CancelOwn:
		return "the app is locked"
	case s.Verb == CancelOwn && w.facts.Marathon.LockedBy(s.App)[0].CurrentActions[0].Action != "ScaleApplication":
		return "what is cancelled is no start"
	case s.Verb == StartNode && s.Instances > len(app.Tasks):
		return "a start would make a new instance"
	case s.Verb == ScaleOut && app.Instances > 0 && slices.ContainsFunc(app.Tasks, func(x marathon.Task) bool { return !w.well(x, app) || outdated(x, app) }):
		return "nodes are added while some are not up or run an older definition"
	case !slices.Contains(dangerous, s.Verb):
		return ""
	case !w.es.Known:
		return "the cluster is not known"
	case s.Touch == nil || s.Touch.Kind == "":
		return "nothing is judged once more before the step"
	case !esgate.Judge(&w.es, *s.Touch).OK:
		return "the rules forbid it"
	case w.es.Status == "red" && len(w.want.Spec.Replace) == 0 && w.es.Node(s.Node) != nil:
		return "the cluster is red"
	}
	switch s.Verb {
	case StopNode, RestartNode, RemoveNode:
		if s.Verb != RemoveNode && app.Tasks[i].Unreachable() {
			return "its agent does not answer"
		}
		for _, k := range []spec.Component{spec.Master, spec.Data} {
			for _, x := range w.app(k).Tasks {
				node := string(k) + "-" + x.Host
				if x.ID != s.Task && !w.well(x, w.app(k)) && (!slices.Contains(c.Leaving, node) || !x.Suspended()) {
					return "another node is down: " + node
				}
			}
		}
		if s.Verb != RemoveNode && slices.Contains(c.Leaving, s.Node) || s.Verb == RemoveNode && !slices.Contains(c.Leaving, s.Node) {
			return "a leaving node is not restarted, and no other is removed"
		}
	case WipeNode:
		if i < 0 || app.Tasks[i].Active() || !slices.Contains(c.Leaving, s.Node) {
			return "the volume is of a node that runs, or does not leave"
		}
		if w.facts.Drained[s.Node].IsZero() && s.Component == spec.Data && len(s.Touch.AcceptLoss) == 0 {
			return "it was not seen empty twice"
		}
		if named := slices.ContainsFunc(w.want.Spec.Replace, func(x spec.Replacement) bool { return x.Instance == string(s.Task) }); !named && !begun(w, s.Node) {
			return "it has not begun to leave: it may be in its turn"
		}
	}
	return ""
}

// well says that a task runs and is healthy, or that Marathon knows nothing of this run's health and the cluster shows
// the instance as a member of the age that its run has.
func (w *world) well(x marathon.Task, app *marathon.App) bool {
	if healthy(x, app) {
		return true
	}
	n := w.es.ByInstance(string(x.ID.Instance()))
	return x.Running() && len(x.HealthCheckResults) == 0 && x.StartedAt != "" && w.es.Known && n != nil && n.Uptime > 0 && n.Uptime < time.Hour
}

func begun(w *world, node string) bool {
	return slices.Contains(esgate.Excluded(&w.es), node) || slices.Contains(w.es.VotingExclusions, node)
}
