package reconcile_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/mesosclient"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/reconcile/preflight"
	"github.com/esfleet/esfleet/spec"
)

// A mesos asks the simulator's Mesos master, and counts.
type mesos struct {
	t     *testing.T
	p     *pool
	asked atomic.Int32
	down  bool
}

func (m *mesos) Pool(ctx context.Context, d spec.Marathon) preflight.Pool {
	m.asked.Add(1)
	if m.down {
		return preflight.Pool{Why: "Mesos does not answer"}
	}
	c, err := mesosclient.New(mesosclient.Options{Addresses: d.URLs, Transport: m.p.sim.Transport()})
	if err != nil {
		m.t.Error(err)
	}
	return c.Pool(ctx, "marathon")
}

func (p *pool) withMesos() (*reconcile.Reconciler, *mesos) {
	m := &mesos{t: p.t, p: p}
	o := p.options(&journal{})
	o.Mesos = m
	return reconcile.New(o), m
}

func held(v *reconcile.View, rule string) (ids []string, why string) {
	for _, c := range v.Clusters {
		for _, h := range c.Plan.Holds {
			if h.Rule == rule {
				ids, why = append(ids, c.ID.String()), h.Why
			}
		}
	}
	return ids, why
}

func TestAFleetThatFitsIsSetUpAndMesosIsAskedForNothingAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 5)
		r, m := p.withMesos()
		mustConverge(t, p.converge(r, fleet(t, nil)))
		if m.asked.Load() == 0 {
			t.Error("clusters were begun, and nobody asked for room")
		}
		before := m.asked.Load()
		r.Look(t.Context(), fleet(t, nil))
		if m.asked.Load() != before {
			t.Error("nothing starts, and Mesos is asked")
		}
	})
}

// Three hosts of 1.6 cpus hold the two smaller clusters of the example, and no third.
func TestOfClustersThatDoNotAllFitOnlyThoseThatDoAreBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agents := marathonsim.DefaultAgents(3)
		for i := range agents {
			agents[i].CPUs = 1.6
		}
		p, in := newPoolOf(t, agents), fleet(t, nil)
		r, _ := p.withMesos()
		v := r.Look(t.Context(), in)
		ids, why := held(v, plan.RuleNoRoom)
		if strings.Join(ids, " ") != "search/logs" || !strings.Contains(why, "lacks") {
			t.Fatalf("held are %v: %s", ids, why)
		}
		v = p.converge(r, in)
		if ids, _ := held(v, plan.RuleNoRoom); strings.Join(ids, " ") != "search/logs" {
			t.Errorf("in the end held are %v", ids)
		}
		for _, w := range p.wire.sorted() {
			if strings.Contains(w, "/search/logs/") {
				t.Errorf("a cluster that has no room was begun: %s", w)
			}
		}
	})
}

func TestAMesosThatCannotBeAskedHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 5)
		r, m := p.withMesos()
		m.down = true
		v := r.Look(t.Context(), fleet(t, nil))
		for _, c := range v.Clusters {
			if len(c.Plan.Holds) > 0 || len(c.Plan.Notes) != 1 || c.Plan.Notes[0].Rule != plan.RuleRoomUnknown {
				t.Errorf("%s: holds %v, notes %v", c.ID, c.Plan.Holds, c.Plan.Notes)
			}
		}
		mustConverge(t, p.converge(r, fleet(t, nil)))
	})
}
