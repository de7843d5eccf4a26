package reconcile

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
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
	// Orphans carry our label and belong to no cluster that git wants in their Marathon; Foreign stand under our groups' paths without our label.
	// Both are shown, never touched.
	Orphans []drift.Difference
	Foreign []marathon.AppID
}

// A ClusterView is one cluster of a View.
type ClusterView struct {
	ID       spec.ClusterID
	Marathon spec.MarathonName
	Desired  *render.Desired // nil if it could not be rendered, and of a cluster that rests: it is not kept
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
	r.expect(in.Fleet)
	states, quiet := r.readAll(ctx, in.Fleet, v)
	v.Read = map[spec.MarathonName]marathon.Version{}
	for name, s := range states {
		v.Read[name] = s.Version
	}
	quiet = quiet && in.Fleet == r.desired.fleet
	r.desired.follow(in, r.versions(), func(w *wanted) { putToRest(w, states[w.cluster.Marathon]) })
	v.Digest = r.desired.digest
	if v.Digest != r.refusedOf { // other content deserves another try
		r.refused, r.refusedOf = map[string]string{}, v.Digest
	}
	if !quiet || r.strange == nil {
		r.strange = r.desired.find(in.Fleet, states)
	}
	v.Vanished, v.Orphans, v.Foreign = r.strange.vanished, r.strange.orphans, r.strange.foreign
	r.planAll(ctx, in, states, v)
	r.desired.lighten(states)
	return v
}

// planAll makes the view of every cluster, in the order of git.
func (r *Reconciler) planAll(ctx context.Context, in Input, states map[spec.MarathonName]*marathon.State, v *View) {
	v.Clusters = make([]ClusterView, 0, len(r.desired.list))
	var touched []spec.ClusterID
	for _, w := range r.desired.list {
		c := r.viewOf(ctx, in, w, states, v.At)
		if c.Plan.Touches() {
			touched = append(touched, c.ID)
		}
		v.Clusters = append(v.Clusters, c)
	}
	if guard := plan.Guard(in.Fleet.Guards, touched, v.Digest); guard != nil {
		for i, c := range v.Clusters {
			if c.Plan.Touches() {
				v.Clusters[i] = r.clusterView(ctx, c.Desired, states, r.strange.byCluster[c.ID], v.At, guard)
			}
		}
	}
}

// viewOf is what is found of one cluster; where nothing can have changed since it was found, it is not worked out again.
func (r *Reconciler) viewOf(ctx context.Context, in Input, w *wanted, states map[spec.MarathonName]*marathon.State, now time.Time) ClusterView {
	id, s := w.cluster.ID, states[w.cluster.Marathon]
	orphans := r.strange.byCluster[id]
	if w.rest != nil && s != nil && len(orphans) == 0 {
		return w.rest.seen(r.settlingWhy(w.cluster, now))
	}
	if w.err != nil {
		return ClusterView{ID: id, Plan: unknownPlan(id, "not-rendered", w.err.Error())}
	}
	if s == nil {
		return unread(w.cluster)
	}
	if w.rest != nil { // it came to rest in this very look, when its orphans were not known yet
		w.rest = nil
		if w.full, w.err = renderOne(w.cluster, in.Blobs, w.target); w.err != nil {
			return ClusterView{ID: id, Plan: unknownPlan(id, "not-rendered", w.err.Error())}
		}
	}
	c := r.clusterView(ctx, w.full, states, orphans, now, nil)
	if c.Plan.Phase == plan.Converged && len(orphans) == 0 {
		putToRest(w, s)
	}
	return c
}

func unread(c *spec.Cluster) ClusterView {
	return ClusterView{ID: c.ID, Marathon: c.Marathon, Plan: unknownPlan(c.ID, "marathon-unknown", fmt.Sprintf("Marathon %q could not be read", c.Marathon))}
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

// readAll reads each Marathon that a group of the fleet uses. quiet says that all could be read and none has changed.
func (r *Reconciler) readAll(ctx context.Context, f *spec.Fleet, v *View) (states map[spec.MarathonName]*marathon.State, quiet bool) {
	used := map[spec.MarathonName]bool{}
	for _, g := range f.Groups {
		used[g.Marathon] = true
	}
	states, quiet = map[spec.MarathonName]*marathon.State{}, true
	for _, decl := range f.Marathons {
		if !used[decl.Name] {
			continue
		}
		s, changed, err := r.read(ctx, decl)
		quiet = quiet && err == nil && !changed
		if err != nil {
			v.Unknown[decl.Name] = err
			continue
		}
		states[decl.Name] = s
	}
	return states, quiet
}

// versions are those of the Marathons as last read: what is wanted does not change because one cannot be reached.
func (r *Reconciler) versions() map[spec.MarathonName]marathon.Version {
	out := map[spec.MarathonName]marathon.Version{}
	for name, m := range r.marathons {
		if m.version != (marathon.Version{}) {
			out[name] = m.version
		}
	}
	return out
}

func (r *Reconciler) read(ctx context.Context, decl spec.Marathon) (s *marathon.State, changed bool, err error) {
	m, err := r.connectLocked(decl)
	if err != nil {
		return nil, false, err
	}
	const most = 3
	for try := 1; ; try++ {
		if try == most { // a Marathon in which ever more resting clusters change; from nothing there is nothing to lack
			m.prev = nil
		}
		if s, err = m.client.State(ctx, m.prev); err != nil {
			return nil, false, fmt.Errorf("read Marathon %q: %w", decl.Name, err)
		}
		if m.leader != "" && m.leader != s.Leader {
			m.settleUntil = time.Now().Add(r.opts.Settle)
		}
		lacking := r.rouse(decl.Name, s, s.Version == m.version)
		changed = changed || !s.Incremental || len(s.Changed) > 0 || s.Version != m.version
		m.prev, m.version, m.leader = s, s.Version, s.Leader
		if !lacking {
			r.forget(s)
			return s, changed, nil
		}
	}
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
	c.Drift = drift.Compare(d, s)
	c.Drift.Differences = append(c.Drift.Differences, orphans...)
	f := plan.Facts{Now: now, Marathon: s, OwnDeployments: r.ownIDs(), Settling: r.settlingWhy(d.Spec, now), Refused: r.refused, Guard: guard}
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

func (r *Reconciler) settlingWhy(c *spec.Cluster, now time.Time) string {
	if s, ok := r.settling[c.ID]; ok && now.Before(s.until) {
		return s.why
	}
	if m := r.marathons[c.Marathon]; m != nil && now.Before(m.settleUntil) {
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
