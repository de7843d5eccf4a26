package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// strangers are what runs under our label or path and is not wanted.
type strangers struct {
	byCluster map[spec.ClusterID][]drift.Difference // orphans in the Marathon of the cluster they belong to
	vanished  []plan.Hold
	orphans   []drift.Difference // all others
	foreign   []marathon.AppID
	partial   bool // a Marathon could not be read
}

// find looks for them in all Marathons that could be read.
func (ds *desires) find(f *spec.Fleet, states map[spec.MarathonName]*marathon.State) *strangers {
	out := &strangers{byCluster: map[spec.ClusterID][]drift.Difference{}}
	gone := map[spec.ClusterID]int{}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		odd := ds.odd(f.Name, name, states[name])
		for _, o := range drift.Orphans(f.Name, nil, odd) {
			live := odd.Apps[o.App]
			id := labelledCluster(live)
			w := ds.byID[id]
			if w != nil && w.cluster.Marathon == name {
				out.byCluster[id] = append(out.byCluster[id], o)
				continue
			}
			// A cluster that git wants in another Marathon may have an app of this very id there: its plan must not take the
			// one for the other.
			out.orphans = append(out.orphans, o)
			if w == nil {
				gone[id] += live.Instances
			}
		}
		out.foreign = append(out.foreign, drift.ForeignUnder(f.Name, ds.groupsOn(name), odd)...)
	}
	for id, n := range gone {
		out.vanished = append(out.vanished, plan.Hold{App: marathon.AppID("/" + id.String()), Rule: plan.RuleVanished, Pos: f.Pos,
			Why:    fmt.Sprintf("%s is in Marathon with %d instances and no longer in git; nothing is deleted because a file is missing", id, n),
			WayOut: "put its folder back; to end the cluster write state: retired there"})
	}
	slices.SortFunc(out.vanished, func(a, b plan.Hold) int { return strings.Compare(string(a.App), string(b.App)) })
	return out
}

// odd is s without the apps that are ours and wanted there.
func (ds *desires) odd(fleet spec.FleetName, name spec.MarathonName, s *marathon.State) *marathon.State {
	odd := &marathon.State{Version: s.Version, Apps: map[marathon.AppID]*marathon.App{}}
	for id, app := range s.Apps {
		if app == atRest {
			continue
		}
		if w := ds.byID[clusterAt(id)]; w != nil && w.cluster.Marathon == name && drift.Owner(app) == fleet && slices.Contains(w.ids(), id) {
			continue
		}
		odd.Apps[id] = app
	}
	return odd
}

// groupsOn stands for everything that is wanted on a Marathon, as far as its groups go.
func (ds *desires) groupsOn(name spec.MarathonName) []*render.Desired {
	var out []*render.Desired
	for _, g := range ds.fleet.Groups {
		if g.Marathon == name && slices.ContainsFunc(g.Clusters, func(c *spec.Cluster) bool { return ds.byID[c.ID].err == nil }) {
			out = append(out, &render.Desired{ID: spec.ClusterID{Group: g.Name}})
		}
	}
	return out
}
