package reconcile

import (
	"context"
	"maps"
	"slices"

	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/reconcile/preflight"
	"github.com/esfleet/esfleet/spec"
)

// makeRoom plans those again that would start something new, each with what those before it leave of the pool: two
// clusters that fit one at a time do not both begin. What runs already comes before what is new. A pool is read only for
// those, once in a look.
func (r *Reconciler) makeRoom(ctx context.Context, f *spec.Fleet, all []looked) {
	var wanting []*looked
	for i := range all {
		if l := &all[i]; l.facts != nil && l.view.Plan.Room != nil && r.opts.Mesos != nil {
			wanting = append(wanting, l)
		}
	}
	slices.SortStableFunc(wanting, func(a, b *looked) int { return rankOf(&a.view.Plan) - rankOf(&b.view.Plan) })
	pools := map[spec.MarathonName]preflight.Pool{}
	for _, l := range wanting { // all before the first claim, which is to count for each of them
		name := l.view.Marathon
		if _, read := pools[name]; !read {
			pools[name] = r.opts.Mesos.Pool(ctx, marathonOf(f, name))
		}
	}
	for _, l := range wanting {
		pool := pools[l.view.Marathon]
		l.facts.Pool = &pool
		l.view.Plan = plan.Make(l.view.Desired, l.view.Drift, *l.facts)
		claim(pools, pool.Master, &l.view.Plan)
	}
}

// rankOf is 0 for a cluster that has begun to be, 1 for one of which nothing is there.
func rankOf(c *plan.Cluster) int {
	if slices.ContainsFunc(c.Progress, func(p plan.Progress) bool { return p.Exists }) {
		return 0
	}
	return 1
}

// claim takes what a plan's placement uses out of every pool that has the same master. A plan that waits for a person
// takes nothing.
func claim(pools map[spec.MarathonName]preflight.Pool, master string, c *plan.Cluster) {
	if c.Room == nil || c.Room.Verdict.Answer != preflight.Fits || c.Phase == plan.Held || c.Phase == plan.IsSuspended {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		if p := pools[name]; p.Known && p.Master == master {
			pools[name] = p.Claim(c.Room.Ask, c.Room.Verdict.Placement)
		}
	}
}

func marathonOf(f *spec.Fleet, name spec.MarathonName) spec.Marathon {
	for _, m := range f.Marathons {
		if m.Name == name {
			return m
		}
	}
	return spec.Marathon{Name: name}
}
