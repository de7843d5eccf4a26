package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/preflight"
	"github.com/esfleet/esfleet/spec"
)

// Capacity reads every Marathon of the fleet and the pool under it, and says for how many more instances of each cluster's
// apps there is room. A pool that cannot be read is in the report as unknown; a Marathon that cannot be read is an error.
func (r *Reconciler) Capacity(ctx context.Context, in Input) (preflight.Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &View{Unknown: map[spec.MarathonName]error{}}
	states, _ := r.readAll(ctx, in.Fleet, v)
	defer func() { // a look that comes after it begins anew
		for name, s := range states {
			if s.Shelf != nil {
				r.discard(name, s)
			}
		}
	}()
	for _, err := range v.Unknown {
		return preflight.Report{}, err
	}
	pools := map[spec.MarathonName]*preflight.Pool{}
	for name := range states {
		p := preflight.Pool{Why: "no Mesos is known"}
		if r.opts.Mesos != nil {
			p = r.opts.Mesos.Pool(ctx, marathonOf(in.Fleet, name))
		}
		pools[name] = &p
	}
	report := preflight.NewReport()
	for _, shared := range sharing(in.Fleet, pools) {
		report.Pools = append(report.Pools, pools[shared[0]].Use(shared))
	}
	desired, errs := Render(in, r.versions())
	for _, err := range errs {
		return report, err
	}
	for _, d := range desired {
		for i := range d.Apps {
			a := &d.Apps[i]
			if a.Component == spec.Gate || d.Spec.State == spec.Retired {
				continue
			}
			it, err := preflight.ItemOf(a.ID, a.Doc, 1)
			if err != nil {
				return report, fmt.Errorf("%s: %w", d.ID, err)
			}
			live, err := states[d.Spec.Marathon].Opened([]marathon.AppID{a.ID})
			if err != nil {
				return report, fmt.Errorf("%s: %w", d.ID, err)
			}
			if live := live.Apps[a.ID]; live != nil {
				it.Placed = preflight.Places(live, nil)
			}
			report.Apps = append(report.Apps, pools[d.Spec.Marathon].Growth(d.ID.String(), it))
		}
	}
	return report, nil
}

// sharing are the Marathons that were read, those with the same master together, in the order of git.
func sharing(f *spec.Fleet, pools map[spec.MarathonName]*preflight.Pool) [][]spec.MarathonName {
	var out [][]spec.MarathonName
	for _, m := range f.Marathons {
		p := pools[m.Name]
		if p == nil {
			continue
		}
		i := slices.IndexFunc(out, func(s []spec.MarathonName) bool {
			return p.Known && pools[s[0]].Known && pools[s[0]].Master == p.Master
		})
		if i < 0 {
			out = append(out, []spec.MarathonName{m.Name})
		} else {
			out[i] = append(out[i], m.Name)
		}
	}
	return out
}
