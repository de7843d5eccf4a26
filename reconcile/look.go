package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
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
	// Target is where the cluster's nodes answer and who must answer there.
	Target esgate.Target
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
	quiet = quiet && in.Fleet == r.desired.fleet
	r.desired.follow(in, r.versions(), func(w *wanted) { putToRest(w, states[w.cluster.Marathon]) })
	r.unshelve(states, v)
	v.Read = map[spec.MarathonName]marathon.Version{}
	for name, s := range states {
		v.Read[name] = s.Version
	}
	v.Digest = r.desired.digest
	if v.Digest != r.refusedOf { // other content deserves another try
		r.refused, r.refusedOf = map[string]string{}, v.Digest
	}
	if !quiet || r.strange == nil || r.strange.partial {
		r.strange = r.desired.find(in.Fleet, states)
		r.strange.partial = len(v.Unknown) > 0
	}
	v.Vanished, v.Orphans, v.Foreign = r.strange.vanished, r.strange.orphans, r.strange.foreign
	r.planAll(ctx, in, states, v)
	r.desired.lighten(states)
	closeShelves(states)
	return v
}

// LookWhole is a Look into resting clusters as well: what a person sees who asks once.
func (r *Reconciler) LookWhole(ctx context.Context, in Input) *View {
	v := r.Look(ctx, in)
	for {
		found, more := r.Watch(ctx, time.Hour)
		if found > 0 && !more {
			return r.Look(ctx, in)
		}
		if !more || ctx.Err() != nil {
			return v
		}
	}
}

// A looked is a cluster's view and what it was planned from.
type looked struct {
	w     *wanted
	view  ClusterView
	facts *plan.Facts // nil where nothing was planned: it rests, or a side of it is not known
}

// planAll makes the view of every cluster, in the order of git. Decisions are made one after the other; only the questions
// to the clusters that need an answer go out at once.
func (r *Reconciler) planAll(ctx context.Context, in Input, states map[spec.MarathonName]*marathon.State, v *View) {
	all := make([]looked, len(r.desired.list))
	var asking []*looked
	for i, w := range r.desired.list {
		all[i] = r.viewOf(in, w, states, v.At)
		if waitsFor(all[i].view.Plan, plan.RuleAskElasticsearch) {
			asking = append(asking, &all[i])
		}
	}
	r.askAll(ctx, asking)
	r.makeRoom(ctx, in.Fleet, all)
	var touched []spec.ClusterID
	for i := range all {
		if l := &all[i]; l.view.Plan.Touches() {
			touched = append(touched, l.view.ID)
		}
	}
	if guard := plan.Guard(in.Fleet.Guards, touched, v.Digest); guard != nil {
		for i := range all {
			if l := &all[i]; l.facts != nil && l.view.Plan.Touches() {
				l.facts.Guard = guard
				l.view.Plan = plan.Make(l.view.Desired, l.view.Drift, *l.facts)
			}
		}
	}
	v.Clusters = make([]ClusterView, len(all))
	for i := range all {
		v.Clusters[i] = all[i].view
		r.settleDown(&all[i], states)
	}
}

// settleDown lets a cluster rest that is as git wants it.
func (r *Reconciler) settleDown(l *looked, states map[spec.MarathonName]*marathon.State) {
	if l.facts == nil || l.view.Plan.Phase != plan.Converged || len(r.strange.byCluster[l.view.ID]) > 0 {
		return
	}
	if l.facts.Elasticsearch.Known {
		l.w.ask = false
	}
	if !l.w.ask {
		putToRest(l.w, states[l.view.Marathon])
	}
}

// askAll reads the clusters whose plan needs it, several at once, and plans them again.
func (r *Reconciler) askAll(ctx context.Context, asking []*looked) {
	answers := make([]esgate.Health, len(asking))
	r.readClusters(ctx, len(asking), func(i int) esgate.Target { return asking[i].view.Target }, answers)
	for i, l := range asking {
		l.facts.Elasticsearch = answers[i]
		l.facts.Now = time.Now()
		l.facts.Drained = r.stillDrained(l.view.ID, &answers[i])
		l.view.Plan = plan.Make(l.view.Desired, l.view.Drift, *l.facts)
		r.noteDrained(l.view.ID, &answers[i], l.view.Plan.Leaving)
	}
}

// readClusters reads n clusters, as many at once as may be changed at once.
func (r *Reconciler) readClusters(ctx context.Context, n int, target func(int) esgate.Target, into []esgate.Health) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, r.opts.Parallel)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			into[i] = r.opts.Elasticsearch.Read(ctx, target(i))
		})
	}
	wg.Wait()
}

// viewOf is what is found of one cluster; where nothing can have changed since it was found, it is not worked out again.
func (r *Reconciler) viewOf(in Input, w *wanted, states map[spec.MarathonName]*marathon.State, now time.Time) looked {
	id, s := w.cluster.ID, states[w.cluster.Marathon]
	orphans := r.strange.byCluster[id]
	if w.rest != nil && s != nil && len(orphans) == 0 {
		return looked{w: w, view: w.rest.seen(r.settlingWhy(w.cluster, now))}
	}
	if w.err != nil {
		return looked{w: w, view: ClusterView{ID: id, Plan: unknownPlan(id, "not-rendered", w.err.Error())}}
	}
	if s == nil {
		return looked{w: w, view: unread(w.cluster)}
	}
	if w.rest != nil { // it came to rest in this very look, when its orphans were not known yet
		if err := w.openAgain(s); err != nil {
			return looked{w: w, view: ClusterView{ID: id, Plan: unknownPlan(id, "marathon-unknown", err.Error())}}
		}
		if r.desired.fill(w, in.Blobs); w.err != nil {
			return looked{w: w, view: ClusterView{ID: id, Plan: unknownPlan(id, "not-rendered", w.err.Error())}}
		}
	}
	return r.clusterView(w, s, orphans, now)
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
		if m.prev == nil {
			s, err = m.client.Anew(ctx)
		} else {
			s, err = m.client.State(ctx, m.prev)
		}
		if err != nil {
			return nil, false, fmt.Errorf("read Marathon %q: %w", decl.Name, err)
		}
		if m.since.IsZero() {
			m.since = time.Now()
		}
		if m.leader != "" && m.leader != s.Leader {
			m.settleUntil = time.Now().Add(r.opts.Settle)
		}
		sameVersion := s.Version == m.version
		lacking := r.rouse(decl.Name, s, sameVersion)
		changed = changed || !s.Incremental || len(s.Changed) > 0 || !sameVersion
		m.prev, m.version, m.leader = s, s.Version, s.Leader
		if lacking && !sameVersion {
			m.prev = nil // all of it is lacking: from nothing it is decoded cluster by cluster
		}
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

// clusterView compares and plans one cluster by what Marathon shows.
func (r *Reconciler) clusterView(w *wanted, s *marathon.State, orphans []drift.Difference, now time.Time) looked {
	d := w.full
	c := ClusterView{ID: d.ID, Marathon: d.Spec.Marathon, Desired: d, Drift: drift.Compare(d, s), Target: clusterTarget(d, s)}
	c.Drift.Differences = append(c.Drift.Differences, orphans...)
	f := &plan.Facts{Now: now, Marathon: s, OwnDeployments: r.ownIDs(), Settling: r.settlingWhy(d.Spec, now), Refused: r.refused, AskElasticsearch: w.ask}
	c.Plan = plan.Make(d, c.Drift, *f)
	return looked{w: w, view: c, facts: f}
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
