package reconcile

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// A View is one look at everything: what git wants, what lives, how they differ and what would be done.
type View struct {
	Commit   string
	Digest   string // of the rendered fleet
	At       time.Time
	Clusters []ClusterView // sorted by id
	// Marathons that could not be read, and why. Their clusters are unknown: nothing is done there.
	Unknown map[spec.MarathonName]error
	// Read are the Marathons that could be read, with their versions.
	Read map[spec.MarathonName]marathon.Version
	// Vanished are clusters that run and that git no longer has: held, never deleted.
	Vanished []plan.Hold
	// Orphans carry our label and belong to no cluster of git; Foreign stand under our groups' paths without our label.
	// Both are shown, never touched.
	Orphans []drift.Difference
	Foreign []marathon.AppID
}

// A ClusterView is one cluster of a View.
type ClusterView struct {
	ID       spec.ClusterID
	Marathon spec.MarathonName
	Desired  *render.Desired // nil if it could not be rendered
	Drift    *drift.Drift    // nil if live is unknown
	Plan     plan.Cluster
}

// Plans are all clusters' plans, in order.
func (v *View) Plans() []plan.Cluster {
	out := make([]plan.Cluster, 0, len(v.Clusters))
	for _, c := range v.Clusters {
		out = append(out, c.Plan)
	}
	return out
}

// Settled says that nothing is due, under way or unknown: every cluster is as git wants it, or waits for a person.
func (v *View) Settled() bool {
	for _, c := range v.Clusters {
		switch c.Plan.Phase {
		case plan.Converging, plan.Waiting, plan.Unknown:
			return false
		}
	}
	return len(v.Unknown) == 0
}

// Converged says that every cluster is as git wants it and nothing is held.
func (v *View) Converged() bool {
	for _, c := range v.Clusters {
		if c.Plan.Phase != plan.Converged && c.Plan.Phase != plan.IsRetired || len(c.Plan.Holds) > 0 {
			return false
		}
	}
	return len(v.Unknown) == 0 && len(v.Vanished) == 0
}

// Look reads every Marathon once and plans every cluster. It changes nothing.
func (r *Reconciler) Look(ctx context.Context, in Input) *View {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &View{Commit: in.Fleet.Commit, At: time.Now(), Unknown: map[spec.MarathonName]error{}}
	states := r.readAll(ctx, in.Fleet, v)
	v.Read = map[spec.MarathonName]marathon.Version{}
	for name, s := range states {
		v.Read[name] = s.Version
	}
	desired, errs, digest := r.desired.get(in, v.Read)
	if digest != r.refusedOf { // other content deserves another try
		r.refused, r.refusedOf = map[string]string{}, digest
	}
	v.Digest = digest

	orphans := r.strangers(in.Fleet, desired, states, v)

	var touched []spec.ClusterID
	for _, d := range desired {
		c := r.clusterView(ctx, d, states, orphans[d.ID], v.At, nil)
		if c.Plan.Touches() {
			touched = append(touched, c.ID)
		}
		v.Clusters = append(v.Clusters, c)
	}
	if guard := plan.Guard(in.Fleet.Guards, touched, digest); guard != nil {
		for i := range v.Clusters {
			if v.Clusters[i].Plan.Touches() {
				d := v.Clusters[i].Desired
				v.Clusters[i] = r.clusterView(ctx, d, states, orphans[d.ID], v.At, guard)
			}
		}
	}
	for id, err := range errs {
		v.Clusters = append(v.Clusters, ClusterView{ID: id, Plan: unknownPlan(id, "not-rendered", err.Error())})
	}
	slices.SortFunc(v.Clusters, func(a, b ClusterView) int {
		if a.ID.Less(b.ID) {
			return -1
		}
		return 1
	})
	return v
}

// strangers finds what runs under our label or path and is not wanted: orphans by the cluster they belong to, clusters
// that have vanished from git, foreign apps.
func (r *Reconciler) strangers(f *spec.Fleet, desired []*render.Desired, states map[spec.MarathonName]*marathon.State, v *View) map[spec.ClusterID][]drift.Difference {
	known := map[spec.ClusterID]bool{}
	for _, g := range f.Groups {
		for _, c := range g.Clusters {
			known[c.ID] = true
		}
	}
	orphans := map[spec.ClusterID][]drift.Difference{}
	gone := map[spec.ClusterID]int{}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		s := states[name]
		var here []*render.Desired
		for _, d := range desired {
			if d.Spec.Marathon == name {
				here = append(here, d)
			}
		}
		for _, o := range drift.Orphans(f.Name, here, s) {
			live := s.Apps[o.App]
			id := spec.ClusterID{Group: spec.GroupName(live.Labels[marathon.LabelGroup]), Name: spec.ClusterName(live.Labels[marathon.LabelCluster])}
			if known[id] {
				orphans[id] = append(orphans[id], o)
			} else {
				gone[id] += live.Instances
				v.Orphans = append(v.Orphans, o)
			}
		}
		v.Foreign = append(v.Foreign, drift.ForeignUnder(f.Name, here, s)...)
	}
	for id, n := range gone {
		v.Vanished = append(v.Vanished, plan.Hold{App: marathon.AppID("/" + id.String()), Rule: plan.RuleVanished, Pos: f.Pos,
			Why:    fmt.Sprintf("%s is in Marathon with %d instances and no longer in git; nothing is deleted because a file is missing", id, n),
			WayOut: "put its folder back; to end the cluster write state: retired there"})
	}
	slices.SortFunc(v.Vanished, func(a, b plan.Hold) int { return strings.Compare(string(a.App), string(b.App)) })
	return orphans
}

// Report is the view's differences, for diff.
func (v *View) Report() *drift.Report {
	r := &drift.Report{Orphans: v.Orphans, Foreign: v.Foreign}
	for _, c := range v.Clusters {
		if c.Drift != nil {
			r.Clusters = append(r.Clusters, c.Drift)
		}
	}
	return r
}

func unknownPlan(id spec.ClusterID, rule, why string) plan.Cluster {
	return plan.Cluster{ID: id, Phase: plan.Unknown, Waits: []plan.Wait{{Rule: rule, Why: why}}}
}

// readAll reads each Marathon that a group of the fleet uses.
func (r *Reconciler) readAll(ctx context.Context, f *spec.Fleet, v *View) map[spec.MarathonName]*marathon.State {
	used := map[spec.MarathonName]bool{}
	for _, g := range f.Groups {
		used[g.Marathon] = true
	}
	states := map[spec.MarathonName]*marathon.State{}
	for _, decl := range f.Marathons {
		if !used[decl.Name] {
			continue
		}
		s, err := r.read(ctx, decl)
		if err != nil {
			v.Unknown[decl.Name] = err
			continue
		}
		states[decl.Name] = s
	}
	return states
}

func (r *Reconciler) read(ctx context.Context, decl spec.Marathon) (*marathon.State, error) {
	m, err := r.connectLocked(decl)
	if err != nil {
		return nil, err
	}
	s, err := m.client.State(ctx, m.prev)
	if err != nil {
		return nil, fmt.Errorf("read Marathon %q: %w", decl.Name, err)
	}
	if m.prev != nil && m.prev.Leader != s.Leader {
		m.settleUntil = time.Now().Add(r.opts.Settle)
	}
	m.prev = s
	r.forget(s)
	return s, nil
}

// forget drops deployments of ours that have ended. One that was just started may not show yet, so it is kept for a while.
func (r *Reconciler) forget(s *marathon.State) {
	open := map[marathon.DeploymentID]bool{}
	for _, d := range s.Deployments {
		open[d.ID] = true
	}
	for id, at := range r.own {
		if !open[id] && time.Since(at) > 10*time.Minute {
			delete(r.own, id)
		}
	}
}

// clusterView compares and plans one cluster; it asks Elasticsearch only where the plan needs an answer.
func (r *Reconciler) clusterView(ctx context.Context, d *render.Desired, states map[spec.MarathonName]*marathon.State, orphans []drift.Difference, now time.Time, guard *plan.Hold) ClusterView {
	c := ClusterView{ID: d.ID, Marathon: d.Spec.Marathon, Desired: d}
	s := states[d.Spec.Marathon]
	if s == nil {
		c.Plan = unknownPlan(d.ID, "marathon-unknown", fmt.Sprintf("Marathon %q could not be read", d.Spec.Marathon))
		return c
	}
	c.Drift = drift.Compare(d, s)
	c.Drift.Differences = append(c.Drift.Differences, orphans...)
	f := plan.Facts{Now: now, Marathon: s, OwnDeployments: r.ownIDs(), Settling: r.settlingWhy(d, now), Refused: r.refused, Guard: guard}
	c.Plan = plan.Make(d, c.Drift, f)
	if waitsFor(c.Plan, plan.RuleAskElasticsearch) {
		f.Elasticsearch = r.opts.Elasticsearch.Ask(ctx, endpoints(d, s))
		c.Plan = plan.Make(d, c.Drift, f)
	}
	return c
}

func (r *Reconciler) ownIDs() map[marathon.DeploymentID]bool {
	out := make(map[marathon.DeploymentID]bool, len(r.own))
	for id := range r.own {
		out[id] = true
	}
	return out
}

func (r *Reconciler) settlingWhy(d *render.Desired, now time.Time) string {
	if s, ok := r.settling[d.ID]; ok && now.Before(s.until) {
		return s.why
	}
	if m := r.marathons[d.Spec.Marathon]; m != nil && now.Before(m.settleUntil) {
		return "Marathon's leader has changed; what it shows may be old for a moment"
	}
	return ""
}

func waitsFor(c plan.Cluster, rule string) bool {
	return slices.ContainsFunc(c.Waits, func(w plan.Wait) bool { return w.Rule == rule })
}

// endpoints are the HTTP addresses of the running master-eligible nodes, sorted.
func endpoints(d *render.Desired, s *marathon.State) []string {
	var out []string
	live := s.Apps[d.App(d.Spec.MasterComponent()).ID]
	if live == nil {
		return nil
	}
	for _, t := range live.Tasks {
		if t.Running() && len(t.Ports) > 0 {
			out = append(out, "http://"+net.JoinHostPort(t.Host, strconv.Itoa(t.Ports[0])))
		}
	}
	slices.Sort(out)
	return out
}
