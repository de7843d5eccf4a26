package reconcile

import (
	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// gather puts what is kept of these clusters into a few pieces of memory. It was made amid all that a look leaves behind,
// where each bit of it would hold a page of its own.
func gather(light []*wanted) {
	ids, progress := 0, 0
	for _, w := range light {
		ids, progress = ids+len(w.rest.ids), progress+len(w.rest.view.Plan.Progress)
	}
	rests, drifts := make([]rest, len(light)), make([]drift.Drift, len(light))
	allIDs, allProgress := make([]marathon.AppID, 0, ids), make([]plan.Progress, 0, progress)
	for i, w := range light {
		rests[i], drifts[i] = *w.rest, *w.rest.view.Drift
		r := &rests[i]
		allIDs, r.ids = gathered(allIDs, r.ids)
		allProgress, r.view.Plan.Progress = gathered(allProgress, r.view.Plan.Progress)
		r.view.Drift, w.rest = &drifts[i], r
	}
}

// gathered appends part to all, which has room for it, and gives its copy there.
func gathered[T any](all, part []T) (longer, copied []T) {
	from := len(all)
	all = append(all, part...)
	return all, all[from:len(all):len(all)]
}
