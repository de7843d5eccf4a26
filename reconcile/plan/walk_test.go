package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// A walk is a world that steps are taken in, one after the other, each from a plan that remembers nothing. Marathon and
// Elasticsearch do at once what they are told; what goes wrong is for the test to bend between two steps.
type walk struct {
	*world
	t       *testing.T
	changes []drift.Difference
	hosts   int             // given to new nodes
	removed map[string]bool // nodes stopped for good
	broken  map[string]bool // instances that do not come up
	missed  map[string]bool // instances of whose health Marathon hears nothing
	trace   []string
}

func newWalk(t *testing.T, w *world) *walk {
	t.Helper()
	w.es.Persistent, w.es.Transient = map[string]string{}, map[string]string{}
	for i := range w.es.Nodes {
		w.es.Nodes[i].DiskTotal, w.es.Nodes[i].DiskFree = 100<<30, 80<<30
		w.es.Nodes[i].Attributes[esgate.AttrComponent], _, _ = strings.Cut(w.es.Nodes[i].Name, "-")
	}
	w.facts.AskElasticsearch = true // as after a look into a resting cluster
	k := &walk{world: w, t: t, hosts: 10, removed: map[string]bool{}, broken: map[string]bool{}, missed: map[string]bool{}}
	k.place()
	return k
}

// git changes a component's definition, or its number of nodes.
func (k *walk) git(changes ...drift.Difference) { k.changes = append(k.changes, changes...) }

func (k *walk) wants(c spec.Component, n int) {
	k.want.App(c).Instances = n
	k.want.Spec.Nodes[c].Replicas = n
}

// members are the data nodes that may hold shards, sorted.
func (k *walk) members() []string {
	var out []string
	for _, n := range k.es.Nodes {
		if n.Data && !slices.Contains(esgate.Excluded(&k.es), n.Name) {
			out = append(out, n.Name)
		}
	}
	slices.Sort(out)
	return out
}

// place lays one index over all data nodes that may hold shards: two copies of each shard, on neighbours.
func (k *walk) place() {
	k.es.Shards, k.es.Indices, k.es.Unassigned, k.es.Status = nil, nil, 0, "green"
	nodes := k.members()
	if len(nodes) < 2 {
		return
	}
	k.es.Indices = []esgate.Index{{Name: "orders", Shards: len(nodes), Replicas: 1}}
	for i := range nodes {
		for j := range 2 {
			k.es.Shards = append(k.es.Shards, esgate.Shard{Index: "orders", Number: i, Primary: j == 0, State: esgate.Started, Node: nodes[(i+j)%len(nodes)], Bytes: 1 << 30})
		}
	}
}

// away takes a node out of the cluster; its copies stay unassigned.
func (k *walk) away(node string) {
	k.es.Nodes = slices.DeleteFunc(k.es.Nodes, func(n esgate.Node) bool { return n.Name == node })
	for i := range k.es.Shards {
		if s := &k.es.Shards[i]; s.Node == node {
			s.State, s.Node, s.Primary = esgate.Unassigned, "", false
			k.es.Unassigned++
			k.es.Status = "yellow"
		}
	}
	if k.es.Master == node {
		for _, n := range k.es.Nodes {
			if n.MasterEligible {
				k.es.Master = n.Name
				return
			}
		}
	}
}

// back lets the instance run the definition in force, and join.
func (k *walk) back(app *marathon.App, c spec.Component, i int) {
	t := &app.Tasks[i]
	if k.broken[string(t.ID.Instance())] {
		*t = marathon.Task{ID: t.ID, Host: t.Host, State: "TASK_STAGING", Version: stamp(k.facts.Now), LocalVolumes: t.LocalVolumes}
		app.LastTaskFailure, app.LastFailureVersion = "pre-run.sh failed", k.facts.Now
		return
	}
	*t = marathon.Task{ID: t.ID, Host: t.Host, State: "TASK_RUNNING", Version: stamp(k.facts.Now), StagedAt: stamp(k.facts.Now), StartedAt: stamp(k.facts.Now), Ports: []int{31000, 31001},
		LocalVolumes: []marathon.LocalVolume{{PersistenceID: "v"}}, HealthCheckResults: []marathon.HealthResult{{Alive: true, LastSuccess: stamp(k.facts.Now)}}}
	if k.missed[string(t.ID.Instance())] {
		t.HealthCheckResults = nil
	}
	k.es.Nodes = append(k.es.Nodes, esgate.Node{Name: nodeName(app.ID, c, t.Host), ID: string(t.ID), Version: k.want.Spec.Elasticsearch.Version,
		MasterEligible: c == k.want.Spec.MasterComponent(), Data: c == spec.Data,
		DiskTotal: 100 << 30, DiskFree: 80 << 30, Attributes: map[string]string{esgate.AttrInstance: string(t.ID.Instance()), esgate.AttrComponent: string(c)}})
	slices.SortFunc(k.es.Nodes, func(a, b esgate.Node) int { return strings.Compare(a.Name, b.Name) })
	k.place()
}

func nodeName(app marathon.AppID, c spec.Component, host string) string {
	if strings.HasSuffix(string(app), "-g2") {
		return string(c) + "-g2-" + host
	}
	return string(c) + "-" + host
}

func stamp(t time.Time) string { return t.Format(time.RFC3339Nano) }

// stop makes the task of a node only hold its volume.
func (k *walk) stop(s *Step) {
	app := k.facts.Marathon.Apps[s.App]
	i := slices.IndexFunc(app.Tasks, func(t marathon.Task) bool { return t.ID == s.Task })
	if i < 0 {
		k.t.Fatalf("%s of a task that is not there: %s", s.Verb, s.Task)
	}
	app.Tasks[i] = marathon.Task{ID: s.Task, Host: app.Tasks[i].Host, State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{PersistenceID: "v"}}}
	app.Instances--
	app.Version = k.facts.Now
	k.away(s.Node)
}

// take takes a step as Marathon and Elasticsearch would.
func (k *walk) take(s *Step) {
	app := k.facts.Marathon.Apps[s.App]
	switch s.Verb {
	case Commit:
		for _, d := range s.Docs {
			id := marathon.AppID(d["id"].(string))
			a := k.facts.Marathon.Apps[id]
			if n := d["instances"]; n != a.Instances {
				k.t.Errorf("a commit changes %s from %d to %v instances", id, a.Instances, n)
			}
			k.redefine(a, d)
			k.changes = slices.DeleteFunc(k.changes, func(x drift.Difference) bool { return x.App == id && x.Class == drift.Update })
		}
		gate := k.app(spec.Gate)
		gate.Instances, gate.Version = 1, k.facts.Now
	case CreateApp:
		app = &marathon.App{ID: s.App, Labels: map[string]string{marathon.LabelFleet: "demo"}, Doc: marathon.Doc{"healthChecks": []any{map[string]any{}}}, LastConfigChange: k.facts.Now}
		k.facts.Marathon.Apps[s.App] = app
		k.grow(app, s)
	case CloseGate:
		app.Instances = 0
	case StopNode:
		k.stop(s)
	case RemoveNode:
		k.removed[s.Node] = true
		k.stop(s)
		k.place()
	case RestartNode:
		k.stop(s)
		app.Instances++
		k.back(app, s.Component, slices.IndexFunc(app.Tasks, func(t marathon.Task) bool { return t.ID == s.Task }))
	case StartNode:
		app.Instances, app.Version = s.Instances, k.facts.Now
		for i := range app.Tasks {
			if app.Tasks[i].Suspended() {
				delete(k.removed, nodeName(app.ID, s.Component, app.Tasks[i].Host))
				k.back(app, s.Component, i)
			}
		}
	case WipeNode:
		app.Tasks = slices.DeleteFunc(app.Tasks, func(t marathon.Task) bool { return t.ID == s.Task })
		delete(k.removed, s.Node)
	case ScaleOut:
		k.grow(app, s)
	case DrainNodes, ChangeCluster:
		k.write(s.Change)
	case CancelOwn:
		k.facts.Marathon.Deployments = slices.DeleteFunc(k.facts.Marathon.Deployments, func(d marathon.Deployment) bool { return slices.Contains(s.Cancel, d.ID) })
	case StopApp:
		app.Instances, app.Version = 0, k.facts.Now
		for i := range app.Tasks {
			app.Tasks[i] = marathon.Task{ID: app.Tasks[i].ID, Host: app.Tasks[i].Host, State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{}}}
		}
		if !s.Component.Stateful() {
			app.Tasks = nil
		}
	case DeleteApp:
		delete(k.facts.Marathon.Apps, s.App)
	default:
		k.t.Fatalf("%s is no step of a running cluster", s.Verb)
	}
}

// redefine puts a document's environment in force; one without is another than any before. Marathon keeps what there was.
func (k *walk) redefine(a *marathon.App, doc marathon.Doc) {
	a.Former = append([]marathon.Former{{From: a.LastConfigChange, To: k.facts.Now.Add(-time.Nanosecond), Doc: a.Doc}}, a.Former...)
	a.Version, a.LastConfigChange = k.facts.Now, k.facts.Now
	a.Doc = maps.Clone(a.Doc)
	if a.Doc["env"] = doc["env"]; doc["env"] == nil {
		a.Doc["env"] = map[string]any{"AT": stamp(k.facts.Now)}
	}
}

// grow gives an app the instances it lacks, on new hosts.
func (k *walk) grow(app *marathon.App, s *Step) {
	for app.Instances, app.Version = s.Instances, k.facts.Now; len(app.Tasks) < s.Instances; {
		k.hosts++
		app.Tasks = append(app.Tasks, marathon.Task{ID: marathon.TaskID(fmt.Sprintf("%s.%d", s.Component, k.hosts)), Host: fmt.Sprintf("host-%d", k.hosts)})
		k.back(app, s.Component, len(app.Tasks)-1)
	}
}

func (k *walk) write(c *esgate.Change) {
	k.world.write(c)
	if k.es.Unassigned == 0 {
		k.place()
	}
}

// write changes the cluster itself.
func (w *world) write(c *esgate.Change) {
	for key, v := range c.Persistent {
		set(w.es.Persistent, key, v)
	}
	for key, v := range c.Transient {
		set(w.es.Transient, key, v)
	}
	if c.ClearVotes {
		w.es.VotingExclusions = nil
	}
	w.es.VotingExclusions = append(w.es.VotingExclusions, c.ExcludeVotes...)
}

func set(to map[string]string, key string, v *string) {
	if v == nil {
		delete(to, key)
	} else {
		to[key] = *v
	}
}

// pass lets time go by, and looks again.
func (k *walk) pass(d time.Duration) {
	k.facts.Now = k.facts.Now.Add(d)
	k.es.At = k.facts.Now
	for i := range k.es.Nodes {
		k.es.Nodes[i].Uptime += d
	}
	seen := map[string]time.Time{}
	for _, n := range esgate.Excluded(&k.es) {
		if at := k.facts.Drained[n]; esgate.Empty(&k.es, n) {
			if at.IsZero() {
				at = k.facts.Now
			}
			seen[n] = at
		}
	}
	k.facts.Drained = seen
}

// look makes the plan, twice, and checks what must be true of every live state.
func (k *walk) look() Cluster {
	k.t.Helper()
	c := k.plan(k.changes...)
	again := k.plan(k.changes...)
	if a, b := text(k.t, c), text(k.t, again); !bytes.Equal(a, b) || !reflect.DeepEqual(c, again) {
		k.t.Errorf("equal inputs give other plans:\n%s\n%s", a, b)
	}
	down := 0
	for id, app := range k.facts.Marathon.Apps {
		c := spec.Master
		if strings.Contains(string(id), "datanode") {
			c = spec.Data
		} else if !strings.Contains(string(id), "master") || k.want.Spec.State == spec.Retired {
			continue
		}
		for _, task := range app.Tasks {
			if node := nodeName(id, c, task.Host); k.es.Node(node) == nil && !k.removed[node] {
				down++
			}
		}
	}
	if s := c.Next(); s != nil && down > 0 && slices.Contains([]Verb{StopNode, RestartNode, RemoveNode, WipeNode, ScaleOut, Commit}, s.Verb) &&
		!(s.Task != "" && k.es.Node(s.Node) == nil || s.Verb == Commit) {
		k.t.Errorf("after %v: %s %s while %d nodes are down", k.trace, s.Verb, s.Node, down)
	}
	forgotten := *k.world
	forgotten.facts.Drained = nil
	if s := ptr(forgotten.plan(k.changes...)).Next(); s != nil && (s.Verb == RemoveNode && s.Component == spec.Data || s.Verb == WipeNode && s.Component == spec.Data) && len(k.want.Spec.Replace) == 0 {
		k.t.Errorf("after %v: %s of a node that was not seen empty twice", k.trace, s.Verb)
	}
	return c
}

func ptr[T any](v T) *T { return &v }

func text(t *testing.T, c Cluster) []byte {
	t.Helper()
	b, err := json.Marshal(NewDocument("x", []Cluster{c}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// step takes the one step that is due, or lets a minute pass; false if nothing is due and nothing changes by itself.
func (k *walk) step() bool {
	k.t.Helper()
	c := k.look()
	s := c.Next()
	if s == nil {
		before := k.facts.Drained
		k.pass(time.Minute)
		return slices.ContainsFunc(c.Waits, func(w Wait) bool {
			return w.Rule == RuleCanarySoaks || w.Rule == RuleUndoWindow || w.Rule == esgate.RuleProven
		}) || !maps.Equal(before, k.facts.Drained)
	}
	k.trace = append(k.trace, strings.TrimSpace(fmt.Sprintf("%s %s", s.Verb, orNode(s))))
	k.take(s)
	k.pass(time.Minute)
	return true
}

func orNode(s *Step) string {
	switch {
	case s.Verb == ChangeCluster:
		return said(s.Change)
	case s.Node != "":
		return s.Node
	case s.Verb == ScaleOut:
		return fmt.Sprintf("%s to %d", s.Component, s.Instances)
	case s.Verb == Commit:
		var names []string
		for _, d := range s.Docs {
			names = append(names, marathon.AppID(d["id"].(string)).Name())
		}
		return strings.Join(names, "+")
	}
	return s.App.Name()
}

func said(c *esgate.Change) string {
	var parts []string
	for _, m := range []map[string]*string{c.Persistent, c.Transient} {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			v := "null"
			if m[key] != nil {
				v = *m[key]
			}
			parts = append(parts, key[strings.LastIndexByte(key, '.')+1:]+"="+v)
		}
	}
	if c.ClearVotes {
		parts = append(parts, "votes cleared")
	}
	for _, n := range c.ExcludeVotes {
		parts = append(parts, "no vote for "+n)
	}
	return strings.Join(parts, " ")
}

// run takes steps until nothing is due, and returns what was done since the last call.
func (k *walk) run() string {
	k.t.Helper()
	k.trace = nil
	for range 2000 {
		if !k.step() {
			return strings.Join(k.trace, ", ")
		}
	}
	k.t.Fatalf("the walk does not end: %v …", k.trace[:40])
	return ""
}

// takes runs some steps and returns them.
func (k *walk) takes(n int) string {
	k.t.Helper()
	k.trace = nil
	for range 500 {
		if len(k.trace) == n {
			break
		}
		k.step()
	}
	return strings.Join(k.trace, ", ")
}

func (k *walk) expect(got, want string) {
	k.t.Helper()
	if got != want {
		k.t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

// ends checks how the walk stands at last.
func (k *walk) ends(want string) {
	k.t.Helper()
	if want == "converged" {
		_, excluded := k.es.Persistent[keyExclude]
		if _, enabled := k.es.Persistent[keyEnable]; excluded || enabled || len(k.es.Transient)+len(k.es.VotingExclusions) > 0 {
			k.t.Errorf("left behind: %v %v %v", k.es.Persistent, k.es.Transient, k.es.VotingExclusions)
		}
	}
	if got := brief(k.look()); got != want {
		k.t.Errorf("ends with %s, want %s\nwaits %+v\nholds %+v", got, want, k.look().Waits, k.look().Holds)
	}
}
