package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// A cluster rests when live is just as git wants it, nothing is under way, and what was found can only change with git or
// with Marathon's bytes: no clock, no answer of Elasticsearch, no deployment went into it. Of a resting cluster neither the
// rendering nor the live apps are kept; what was found stands until one of the two sides changes. Then it is rendered and
// read anew. Nearly all of a fleet rests nearly always, and that is what a look at ten thousand clusters costs.

// A rest is what was found when the cluster came to rest.
type rest struct {
	ids   []marathon.AppID
	view  ClusterView // without Desired
	light bool        // its live apps are given up: they are atRest in the State

	asked time.Time // when its masters answered last
}

// atRest stands in a State for every app of a resting cluster.
var atRest = &marathon.App{}

// putToRest lets w rest if it may; s must hold no orphans of it.
func putToRest(w *wanted, s *marathon.State) {
	if w.ask || w.cluster.Suspend != nil || s == nil {
		return // what differs in Elasticsearch is to be seen first; a suspension ends by the clock
	}
	d := w.full
	s, err := s.Opened(appIDs(d))
	if err != nil {
		return // it is opened once more with all that do not rest, and that is where it is told
	}
	gate := s.Apps[d.App(spec.Gate).ID]
	if gate == nil || gate.Labels[marathon.LabelSuspended] != "" {
		return
	}
	c := ClusterView{ID: d.ID, Marathon: d.Spec.Marathon, Drift: drift.Compare(d, s), Target: clusterTarget(d, s)}
	if !c.Drift.Empty() {
		return
	}
	c.Plan = plan.Make(d, c.Drift, plan.Facts{Marathon: s})
	if c.Plan.Phase != plan.Converged || len(c.Plan.Holds) > 0 || len(c.Plan.Waits) > 0 || len(c.Plan.Steps) > 0 {
		return
	}
	w.rest, w.full = &rest{ids: idsIn(s, d), view: c}, nil
	for i := range w.rest.view.Plan.Progress {
		p := &w.rest.view.Plan.Progress[i]
		p.App = s.Apps[p.App].ID
	}
}

// idsIn are the ids as the State has them, so that they need no memory of their own.
func idsIn(s *marathon.State, d *render.Desired) []marathon.AppID {
	ids := appIDs(d)
	for i := range ids {
		ids[i] = s.Apps[ids[i]].ID
	}
	return ids
}

// seen is the view of a resting cluster now.
func (r *rest) seen(settling string) ClusterView {
	c := r.view
	if settling != "" { // as plan says it
		c.Plan.Phase = plan.Unknown
		c.Plan.Waits = []plan.Wait{{Rule: plan.RuleSettling, Why: settling}}
	}
	return c
}

// lighten gives up the live apps of clusters that have come to rest.
func (ds *desires) lighten(states map[spec.MarathonName]*marathon.State) {
	var light []*wanted
	for _, w := range ds.list {
		s := states[w.cluster.Marathon]
		if w.rest == nil || w.rest.light || s == nil {
			continue
		}
		for _, id := range w.rest.ids {
			s.Apps[id] = atRest
		}
		w.rest.light = true
		light = append(light, w)
	}
	gather(light)
}

// rouse ends w's rest. Apps that were given up are taken out of apps: they must be read again, and lacking says so.
func (w *wanted) rouse(apps map[marathon.AppID]*marathon.App) (lacking bool) {
	if w == nil || w.rest == nil {
		return false
	}
	for _, id := range w.rest.ids {
		if apps[id] == atRest {
			delete(apps, id)
			lacking = true
		}
	}
	w.rest = nil
	return lacking
}

// expect rouses the clusters that a commit changes or takes away, so that the next reading decodes their apps.
func (r *Reconciler) expect(f *spec.Fleet) {
	if f == r.desired.fleet {
		return
	}
	if r.desired.fleet == nil {
		return
	}
	now := map[spec.GroupName]*spec.Group{}
	for _, g := range f.Groups {
		now[g.Name] = g
	}
	for _, old := range r.desired.fleet.Groups {
		g := now[old.Name]
		if g == old {
			continue // and so are its clusters: most groups of most commits
		}
		for _, c := range old.Clusters {
			if !holds(g, c) {
				r.desired.byID[c.ID].rouse(r.liveApps(c.Marathon))
			}
		}
	}
}

// holds says that this very cluster is in the group.
func holds(g *spec.Group, c *spec.Cluster) bool {
	if g == nil {
		return false
	}
	i, ok := slices.BinarySearchFunc(g.Clusters, c.ID, func(x *spec.Cluster, id spec.ClusterID) int {
		return strings.Compare(string(x.ID.Name), string(id.Name))
	})
	return ok && g.Clusters[i] == c
}

func (r *Reconciler) liveApps(name spec.MarathonName) map[marathon.AppID]*marathon.App {
	if m := r.marathons[name]; m != nil && m.prev != nil {
		return m.prev.Apps
	}
	return nil
}

// rouse ends the rest of every cluster that s, the newest reading of a Marathon, shows otherwise than the reading before.
// lacking says that apps which had been given up are needed now: s cannot be used.
func (r *Reconciler) rouse(name spec.MarathonName, s *marathon.State, sameVersion bool) (lacking bool) {
	if !s.Incremental || !sameVersion {
		for _, w := range r.desired.list {
			if w.cluster.Marathon == name {
				lacking = w.rouse(s.Apps) || lacking
			}
		}
		return lacking
	}
	wake := func(id spec.ClusterID) {
		if w := r.desired.byID[id]; w != nil && w.cluster.Marathon == name {
			lacking = w.rouse(s.Apps) || lacking
		}
	}
	for _, id := range s.Changed {
		wake(clusterAt(id))
		if app := s.Apps[id]; app != nil { // an orphan is its cluster's business whatever its path
			wake(labelledCluster(app))
		}
	}
	for _, d := range s.Deployments {
		for _, id := range d.AffectedApps {
			wake(clusterAt(id))
		}
	}
	return lacking
}

// clusterAt is the cluster that an app of this id belongs to if it is one of ours.
func clusterAt(id marathon.AppID) spec.ClusterID {
	group, rest, _ := strings.Cut(strings.TrimPrefix(string(id), "/"), "/")
	name, _, _ := strings.Cut(rest, "/")
	return spec.ClusterID{Group: spec.GroupName(group), Name: spec.ClusterName(name)}
}

func labelledCluster(app *marathon.App) spec.ClusterID {
	return spec.ClusterID{Group: spec.GroupName(app.Labels[marathon.LabelGroup]), Name: spec.ClusterName(app.Labels[marathon.LabelCluster])}
}
