package reconcile

import (
	"strings"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// gather puts what is kept of these clusters into a few pieces of memory. It was made amid all that a look leaves behind,
// where each bit of it would hold a page of its own.
func gather(light []*wanted) {
	ids, progress, endpoints := 0, 0, 0
	var all strings.Builder
	for _, w := range light {
		t := &w.rest.view.Target
		ids, progress, endpoints = ids+len(w.rest.ids), progress+len(w.rest.view.Plan.Progress), endpoints+len(t.Endpoints)
		all.WriteString(t.Name + t.UUID)
		for _, e := range t.Endpoints {
			all.WriteString(e)
		}
	}
	text := all.String()
	cut := func(s *string) { *s, text = text[:len(*s)], text[len(*s):] }
	rests, drifts := make([]rest, len(light)), make([]drift.Drift, len(light))
	allIDs, allProgress, allEndpoints := make([]marathon.AppID, 0, ids), make([]plan.Progress, 0, progress), make([]string, 0, endpoints)
	for i, w := range light {
		rests[i], drifts[i] = *w.rest, *w.rest.view.Drift
		r := &rests[i]
		t := &r.view.Target
		allIDs, r.ids = gathered(allIDs, r.ids)
		allProgress, r.view.Plan.Progress = gathered(allProgress, r.view.Plan.Progress)
		allEndpoints, t.Endpoints = gathered(allEndpoints, t.Endpoints)
		cut(&t.Name)
		cut(&t.UUID)
		for i := range t.Endpoints {
			cut(&t.Endpoints[i])
		}
		r.view.Drift, w.rest = &drifts[i], r
	}
}

// gathered appends part to all, which has room for it, and gives its copy there.
func gathered[T any](all, part []T) (longer, copied []T) {
	from := len(all)
	all = append(all, part...)
	return all, all[from:len(all):len(all)]
}
