package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/render"
)

// watched is how many resting clusters are asked at most between two looks.
const watched = 64

// Watch asks resting clusters, those first that were not asked for longest and none twice within every, whether they are in
// themselves as git says: Marathon shows nothing of a setting that was left behind. A cluster that is not rests no longer:
// the next look plans it with an answer of its own. It says how many there were, and whether more are due.
func (r *Reconciler) Watch(ctx context.Context, every time.Duration) (found int, more bool) {
	r.mu.Lock()
	due := r.due(time.Now().Add(-every))
	r.mu.Unlock()
	if more = len(due) > watched; more {
		due = due[:watched]
	}
	answers := make([]esgate.Health, len(due))
	r.readClusters(ctx, len(due), func(i int) esgate.Target { return due[i].view.Target }, answers)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, d := range due {
		w := r.desired.byID[d.view.ID]
		if w == nil || w.rest != d { // it was roused meanwhile
			continue
		}
		w.rest.asked = time.Now()
		if !answers[i].Known {
			continue // an unknown state is no reason to act; who watches the cluster's health will tell
		}
		templates, err := render.IndexTemplates(w.cluster)
		if err != nil || len(plan.Upkeep(&render.Desired{ID: w.cluster.ID, Spec: w.cluster, IndexTemplates: templates}, &answers[i], nil)) == 0 {
			continue
		}
		found++
		w.ask = true
		w.rouse(r.liveApps(w.cluster.Marathon))
	}
	return found, more
}

// due are the resting clusters that were not asked since, the longest first.
func (r *Reconciler) due(since time.Time) []*rest {
	var out []*rest
	for _, w := range r.desired.list {
		if w.rest != nil && w.rest.asked.Before(since) && len(w.rest.view.Target.Endpoints) > 0 {
			out = append(out, w.rest)
		}
	}
	slices.SortStableFunc(out, func(a, b *rest) int { return a.asked.Compare(b.asked) })
	return out
}
