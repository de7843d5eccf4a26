package world

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// judge looks at one write by the truth of this moment, and says whether it restarts, stops or destroys something.
func (l *Law) judge(d *daemon, r *http.Request, kind callKind, app marathon.AppID, docs []marathon.Doc) (destructive bool) {
	if app != "" {
		l.check("foreign-apps-are-not-touched")
		if live := l.truth(app); live != nil && live.Labels[marathon.LabelFleet] == "" {
			l.breaks("%s %s: the app is foreign", r.Method, r.URL)
		}
	}
	task := marathon.TaskID("")
	if _, id, ok := strings.Cut(r.URL.Path, "/tasks/"); ok {
		task = marathon.TaskID(id)
	}
	switch kind {
	case create:
		l.created(r, app)
	case commit:
		l.committed(docs)
		return true
	case change:
		return l.changed(r, app, docs)
	case cancel:
		l.cancelled(d, marathon.DeploymentID(strings.TrimPrefix(r.URL.Path, "/v2/deployments/")))
		return true
	case removeApp:
		l.removed(app)
		return true
	case stopTask, restartTask:
		l.stopped(d, kind, app, task)
		return true
	case wipeTask:
		l.wiped(app, task)
		return true
	case elasticsearch:
		l.settings(r, docs)
		return strings.Contains(r.URL.Path, "voting")
	default:
		l.breaks("%s %s is never asked", r.Method, r.URL)
	}
	return false
}

// The order of creation.
var order = []string{"gate", "discovery", "es-master", "es-datanode", "es2graphite", "kibana"}

func (l *Law) created(r *http.Request, app marathon.AppID) {
	l.check("creation-in-order")
	if l.truth(app) != nil && !l.stale {
		l.breaks("%s %s: %s exists", r.Method, r.URL, app)
	}
	group, name := app.Group(), app.Name()
	if n, ok := render.GenerationOf(app); ok && n > 1 {
		name = "es-datanode"
	}
	at := slices.Index(order, name)
	if at < 0 {
		l.breaks("%s is created, which is no component", app)
	}
	for _, before := range order[:max(at, 0)] {
		a := l.truth(marathon.AppID(group + "/" + before))
		switch {
		case a == nil && l.wants(group, before) && !(before == "es-datanode" && l.laterGeneration(group)):
			l.breaks("%s is created before %s", app, before)
		case a == nil:
		case before == "gate" && at > slices.Index(order, "es-datanode") && a.Labels[marathon.LabelClusterUUID] == "",
			before == "es-master" && l.truth(marathon.AppID(group + "/gate")).Labels[marathon.LabelClusterUUID] == "":
			l.breaks("%s is created before the cluster's uuid is recorded", app)
		}
	}
}

func (l *Law) laterGeneration(group string) bool {
	c := wanted(l.w.Input(), group)
	return c != nil && c.Nodes[spec.Data].Generation > 1
}

// wants says whether git has the component.
func (l *Law) wants(group, component string) bool {
	switch component {
	case "gate", "discovery", "es-datanode":
		return true
	}
	c := wanted(l.w.Input(), group)
	return c != nil && (component == "es-master" && c.Nodes[spec.Master] != nil || component == "es2graphite" && c.Exporter != nil)
}

// committed: new definitions come with the gate, which holds their deployment open, and change no number of instances.
func (l *Law) committed(docs []marathon.Doc) {
	l.check("commits-touch-no-instance")
	gates := 0
	for _, doc := range docs {
		id := idOf([]marathon.Doc{doc})
		live := l.truth(id)
		l.monotone(id, doc)
		n, _ := doc["instances"].(float64)
		switch {
		case live == nil:
			l.breaks("commit of %s, which does not exist", id)
		case id.Name() == "gate":
			if gates++; n != 1 {
				l.breaks("commit with a gate of %v instances", n)
			}
		case int(n) != live.Instances && !l.stale:
			l.breaks("commit of %s changes %d instances to %v", id, live.Instances, n)
		}
		if id.Group() != idOf(docs).Group() {
			l.breaks("commit of apps of two clusters: %s and %s", idOf(docs), id)
		}
	}
	if gates != 1 {
		l.breaks("commit with %d gates", gates)
	}
}

// changed judges a PUT of one app.
func (l *Law) changed(r *http.Request, app marathon.AppID, docs []marathon.Doc) (destructive bool) {
	live := l.truth(app)
	if live == nil || len(docs) != 1 {
		l.breaks("%s %s: there is no such app", r.Method, r.URL)
		return false
	}
	doc, n := docs[0], live.Instances
	if v, ok := doc["instances"].(float64); ok {
		n = int(v)
	}
	_, whole := doc["id"]
	l.monotone(app, doc)
	if !strings.HasPrefix(app.Name(), "es-") {
		return whole && app.Name() != "gate" || n < live.Instances
	}
	l.check("stateful-apps-change-behind-the-gate")
	for key := range doc {
		formed := l.keeper.groups[app.Group()] != nil && l.keeper.groups[app.Group()].formed
		if key != "instances" && key != "resourceLimits" && key != "executorResources" && formed {
			l.breaks("%s %s changes %s", r.Method, r.URL, key)
		}
	}
	c := wanted(l.w.Input(), app.Group())
	if retired := c != nil && c.State == spec.Retired && n == 0; n < running(live) && !retired && !l.stale {
		l.breaks("%s %s: %d → %d instances of which %d run: Marathon would choose who goes", r.Method, r.URL, live.Instances, n, running(live))
	}
	if n > live.Instances {
		l.grown(app, live, n)
	}
	return n < live.Instances
}

// running counts the tasks that Marathon could choose to end.
func running(a *marathonsim.AppView) (n int) {
	for i := range a.Tasks {
		if !a.Tasks[i].Suspended {
			n++
		}
	}
	return n
}

// monotone: what disks hold was written by a version that no older one can read, and a volume cannot shrink.
func (l *Law) monotone(app marathon.AppID, doc marathon.Doc) {
	live := marathon.Doc(l.w.Sim.Definition(app))
	if live == nil || !strings.HasPrefix(app.Name(), "es-") || doc["container"] == nil || l.stale {
		return
	}
	l.check("version-and-disk-never-go-down")
	if was, is := release(live), release(doc); slices.Compare(was[:], is[:]) > 0 {
		l.breaks("%s goes from Elasticsearch %v back to %v", app, was, is)
	}
	if was, is := disk(live), disk(doc); is < was {
		l.breaks("%s shrinks its volume from %v to %v MiB", app, was, is)
	}
}

// release is the version in the tag of an app's image.
func release(doc marathon.Doc) (v [3]int) {
	container, _ := doc["container"].(map[string]any)
	docker, _ := container["docker"].(map[string]any)
	image, _ := docker["image"].(string)
	_, tag, _ := strings.Cut(image, ":")
	_, _ = fmt.Sscanf(tag, "%d.%d.%d", &v[0], &v[1], &v[2]) // one without a version is 0.0.0
	return v
}

// disk is the size of an app's first persistent volume.
func disk(doc marathon.Doc) float64 {
	container, _ := doc["container"].(map[string]any)
	volumes, _ := container["volumes"].([]any)
	for _, v := range volumes {
		v, _ := v.(map[string]any)
		if p, ok := v["persistent"].(map[string]any); ok {
			size, _ := strconv.ParseFloat(fmt.Sprint(p["size"]), 64)
			return size
		}
	}
	return 0
}

// grown: nobody joins while an older definition runs, masters one by one.
func (l *Law) grown(app marathon.AppID, live *marathonsim.AppView, n int) {
	l.check("grows-only-when-all-run-one-definition")
	held := 0
	for i := range live.Tasks {
		if live.Tasks[i].Suspended {
			held++
		}
	}
	c := wanted(l.w.Input(), app.Group())
	if c == nil || n == live.Instances+held || l.stale {
		return // those who were stopped for their turn come back
	}
	for i := range live.Tasks {
		if t := &live.Tasks[i]; t.State == "TASK_RUNNING" && !l.current(t) {
			l.breaks("%s grows to %d while %s runs an older definition", app, n, t.ID)
		}
	}
	l.check("masters-join-one-by-one")
	if formed := l.keeper.groups[app.Group()]; app.Name() == spec.Master.AppName() && formed != nil && formed.formed && live.Instances > 0 && n > live.Instances+1 {
		l.breaks("%s grows from %d to %d at once", app, live.Instances, n)
	}
}

// cancelled: only what this daemon began, the restart of a gate, and a scaling.
func (l *Law) cancelled(d *daemon, id marathon.DeploymentID) {
	l.check("only-own-deployments-are-cancelled")
	if l.deployments[id] == d {
		return
	}
	for app, action := range l.deployment(id) {
		if action == "RestartApplication" && app.Name() == "gate" || action == "ScaleApplication" && (app.Name() == "gate" || strings.HasPrefix(app.Name(), "es-")) {
			continue
		}
		l.breaks("cancels %s of %s, which is not this daemon's", action, app)
	}
}

// removed: an app goes with its volumes only if git retires its cluster and says so, or if it is an empty older generation.
func (l *Law) removed(app marathon.AppID) {
	l.check("apps-go-only-by-a-word-in-git")
	c := wanted(l.w.Input(), app.Group())
	live := l.truth(app)
	if live == nil || c == nil {
		l.breaks("deletes %s, which git does not know", app)
		return
	}
	for _, t := range live.Tasks {
		if !t.Suspended {
			l.breaks("deletes %s while %s runs", app, t.ID)
		}
	}
	g, isData := render.GenerationOf(app)
	older := isData && g < c.Nodes[spec.Data].Generation && len(live.Tasks) == 0
	if !older {
		l.keeper.group(app.Group()).destroyed = true
	}
	if !older && !(c.State == spec.Retired && c.Retirement.Destroy) {
		l.breaks("deletes %s without a word in git", app)
	}
	l.keeper.allow(live.ID, live.Tasks...)
}

// stopped judges the call that ends a node, for its turn or for good.
func (l *Law) stopped(d *daemon, kind callKind, app marathon.AppID, id marathon.TaskID) {
	t := l.task(app, id)
	group := app.Group()
	if t == nil || t.Suspended {
		return // it has ended since it was looked at
	}
	if !strings.HasPrefix(app.Name(), "es-") {
		l.check("without-data-nothing-is-scaled-by-a-kill")
		if kind != restartTask {
			l.breaks("kills %s, which holds no data, with scale: nobody would start it again", id)
		}
		return
	}
	l.check("scale-and-plain-kill-by-version")
	if kind == restartTask && l.w.version.AtLeast(1, 8, 0) {
		l.breaks("kills %s without scale on a Marathon that would start it elsewhere", id)
	}
	g := l.keeper.group(group)
	l.check("one-node-at-a-time")
	for instance, was := range g.down {
		if instance != string(t.Instance) && !was.left && !l.stale {
			l.breaks("stops %s while %s is down by our hand", id, was.task)
		}
	}
	l.check("only-a-well-cluster-is-touched")
	if age := time.Since(g.well); age > lookAge && !l.excused() && !l.outside(t) {
		l.breaks("stops %s although the cluster was last well %s ago (%s)", id, age.Round(time.Second), g.ill)
	}
	l.check("the-last-look-is-heeded")
	if looked := d.last[group]; g.ill != "" && !looked.IsZero() && g.illSince.Before(looked) && !l.outside(t) && !l.stale {
		l.breaks("stops %s although the last look, %s ago, must have shown: %s", id, time.Since(looked).Round(time.Millisecond), g.ill)
	}
	l.electedLast(d, g, t)
	delete(d.last, group)
	g.down[string(t.Instance)] = stop{task: id, at: time.Now(), leaves: kind == stopTask && d.verbIs("remove-node")}
}

// flushed: what follows is the last look before a node's turn. A test may let something happen just now.
func (l *Law) flushed(d *daemon, group string) {
	if f := l.w.atFlush; f != nil {
		l.w.atFlush = nil
		f()
		l.sample()
	}
	d.last[group] = time.Time{} // not begun yet
}

// asks notes when the last look at a cluster began.
func (d *daemon) asks(group string) {
	if at, flushed := d.last[group]; flushed && at.IsZero() {
		d.last[group] = time.Now()
	}
}

// lookAge is how long after it was true something may still be believed: the age that a reading may have, and its own time.
const lookAge = 25 * time.Second

// excused says that the daemon stood still in the middle of its work: it cannot know how old what it read is.
func (l *Law) excused() bool { return !l.paused.IsZero() && time.Since(l.paused) < time.Minute }

// outside says that the run is no node that the cluster could miss: it never came up, or its cluster does without it.
func (l *Law) outside(t *marathonsim.Task) bool {
	c := l.w.Nodes.Cluster(marathon.AppID(t.App.Group()))
	return !t.Healthy || !slices.ContainsFunc(c.Members, func(m pretend.Member) bool { return m.Task == t.ID && !m.Gone })
}

func (d *daemon) verbIs(verb string) bool {
	for _, e := range d.journal.open {
		if e.Verb == verb {
			return true
		}
	}
	return false
}

// OneDefinition says that all tasks of an app that run have the definition that it has now.
func (l *Law) OneDefinition(app marathon.AppID) bool {
	a := l.truth(app)
	return a != nil && !slices.ContainsFunc(a.Tasks, func(t marathonsim.Task) bool { return t.State != "TASK_RUNNING" || !l.current(&t) })
}

// electedLast: while another node of the cluster has yet to be restarted, the elected master is left alone.
func (l *Law) electedLast(d *daemon, g *groupTruth, t *marathonsim.Task) {
	if !d.verbIs("stop-node") && !d.verbIs("restart-node") {
		return
	}
	l.check("the-elected-master-comes-last")
	if !t.Healthy || g.masterTask != t.ID || time.Since(g.masterSince) < lookAge || l.excused() || l.stale {
		return
	}
	for _, a := range l.view().Apps {
		if a.ID.Group() != t.App.Group() || !strings.HasPrefix(a.ID.Name(), "es-") {
			continue
		}
		spare := l.spare(&a) // who will leave needs no turn
		for i := range a.Tasks {
			o := &a.Tasks[i]
			if o.ID == t.ID || o.State != "TASK_RUNNING" || l.current(o) || l.leaving(o) || g.down[string(o.Instance)].leaves {
				continue
			}
			if spare--; spare < 0 {
				l.breaks("restarts the elected master %s before %s, which runs an older definition", t.ID, o.ID)
			}
		}
	}
}

// spare is how many nodes an app has beyond what git wants.
func (l *Law) spare(a *marathonsim.AppView) int {
	c := wanted(l.w.Input(), a.ID.Group())
	component := spec.Data
	if a.ID.Name() == spec.Master.AppName() {
		component = spec.Master
	}
	if c == nil || c.Nodes[component] == nil {
		return 0
	}
	return max(0, a.Instances-c.Nodes[component].Replicas)
}

// leaving says that the node of a run is excluded from its cluster, or given up by name in git.
func (l *Law) leaving(t *marathonsim.Task) bool {
	c := l.w.Nodes.Cluster(marathon.AppID(t.App.Group()))
	if in := wanted(l.w.Input(), t.App.Group()); in != nil {
		for _, x := range in.Replace {
			if x.Instance == string(t.Instance) {
				return true
			}
		}
		if g, ok := render.GenerationOf(t.App); ok && g < in.Nodes[spec.Data].Generation {
			return true
		}
	}
	for _, m := range c.Members {
		if m.Task == t.ID {
			return slices.Contains(strings.Split(c.Persistent["cluster.routing.allocation.exclude._name"], ","), m.Name) || slices.Contains(c.VotingExclusions, m.Name)
		}
	}
	return false
}

// wiped: a volume is destroyed only of an instance that was stopped for good, or that git gives up by name.
func (l *Law) wiped(app marathon.AppID, id marathon.TaskID) {
	t := l.task(app, id)
	if t == nil {
		return // it is gone already
	}
	l.check("wiped-only-when-stopped-for-good")
	g := l.keeper.group(app.Group())
	named := false
	if c := wanted(l.w.Input(), app.Group()); c != nil {
		named = slices.ContainsFunc(c.Replace, func(x spec.Replacement) bool { return x.Instance == string(t.Instance) })
	}
	if !t.Suspended && t.State != "TASK_UNREACHABLE" && !l.excused() {
		l.breaks("wipes %s, which is %s", id, t.State)
	}
	if stop, ok := g.down[string(t.Instance)]; (!ok || !stop.leaves) && !named {
		l.breaks("wipes %s, which was not removed", id)
	}
	l.keeper.allow(app, *t)
}

// settings: allocation is never switched off, and nothing is set that git does not own.
func (l *Law) settings(r *http.Request, docs []marathon.Doc) {
	l.check("allocation-is-never-switched-off")
	if !strings.HasSuffix(r.URL.Path, "/_cluster/settings") || len(docs) != 1 {
		return
	}
	for _, scope := range docs[0] {
		set, _ := scope.(map[string]any)
		for key, v := range set {
			if strings.HasSuffix(key, "allocation.enable") && v != nil && v != "all" {
				l.breaks("sets %s to %v", key, v)
			}
		}
	}
}
