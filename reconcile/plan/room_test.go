package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/preflight"
	"github.com/esfleet/esfleet/spec"
)

// hosts is a pool of host-0 … with cpus each, of which used are taken on the first ones.
func hosts(n int, cpus float64, used ...float64) *preflight.Pool {
	p := &preflight.Pool{Known: true, Role: "search", Master: "mesos:5050"}
	for i := range n {
		a := preflight.Agent{ID: fmt.Sprint("S", i), Hostname: fmt.Sprint("host-", i)}
		a.Total = preflight.Resources{CPUs: preflight.AmountOf(cpus)}
		a.Free = a.Total
		if i < len(used) {
			a.Free.CPUs = preflight.AmountOf(cpus - used[i])
		}
		p.Agents = append(p.Agents, a)
	}
	return p
}

// unique makes every app take a cpu and a host of its own for each of its tasks.
func (w *world) unique() *world {
	for i := range w.want.Apps {
		w.want.Apps[i].Doc["constraints"] = []any{[]any{"hostname", "UNIQUE"}}
	}
	return w
}

func TestANewClusterIsBegunOnlyWhereAllOfItHasRoom(t *testing.T) {
	w := standard().unique()
	w.facts.Pool = hosts(3, 2)
	c := w.plan()
	if c.Phase != Held || c.Next() != nil || len(c.Holds) != 1 {
		t.Fatalf("nine tasks and six cpus: %s, due %v, holds %v", c.Phase, c.Next(), c.Holds)
	}
	h := c.Holds[0]
	if h.Rule != RuleNoRoom || !strings.Contains(h.Why, "es-datanode needs 3 hosts with 1 cpu: 2 have it beside what else is to come; host-0 lacks 1 cpu") || !strings.Contains(h.WayOut, "add an agent") {
		t.Errorf("%+v", h)
	}
	if len(c.Steps) == 0 || c.Steps[0].Verb != CreateApp || c.Steps[0].After != "the pool has room" {
		t.Errorf("what it would do is no longer shown: %+v", c.Steps)
	}
	w.facts.Pool = hosts(3, 3)
	if c = w.plan(); c.Phase != Converging || c.Next().Component != spec.Gate {
		t.Fatalf("nine tasks and nine cpus: %s, due %v, holds %v", c.Phase, c.Next(), c.Holds)
	}
	if n := c.Notes; len(n) != 1 || n[0].Rule != RuleRoom || !strings.Contains(n[0].Why, "9 new tasks can be placed") || !strings.Contains(n[0].Why, "es-master on host-0, host-1, host-2") {
		t.Errorf("the placement is not shown: %+v", n)
	}
}

func TestRoomIsAskedForOnlyWhereSomethingNewStarts(t *testing.T) {
	cases := []struct {
		name  string
		world func() (*world, []drift.Difference)
		wants int
	}{
		{"a converged cluster", func() (*world, []drift.Difference) { return standard().all(), nil }, 0},
		{"a changed definition of nodes that are there", func() (*world, []drift.Difference) {
			return standard().all(), []drift.Difference{change(spec.Data, drift.Update, "env.X")}
		}, 0},
		{"one data node more", func() (*world, []drift.Difference) {
			w := standard().all()
			w.want.App(spec.Data).Instances, w.want.Spec.Nodes[spec.Data].Replicas = 4, 4
			return w, []drift.Difference{{App: id(spec.Data), Component: spec.Data, Class: drift.Scale}}
		}, 1},
		{"a new cluster", func() (*world, []drift.Difference) { return standard(), nil }, 9},
		{"a cluster of which the masters are there", func() (*world, []drift.Difference) {
			return standard().up(spec.Gate, spec.Discovery, spec.Master), nil
		}, 5},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w, changes := c.world()
			got := w.plan(changes...)
			n := 0
			if got.Room != nil {
				n = got.Room.Ask.Count()
			}
			if n != c.wants {
				t.Errorf("room is asked for %d tasks, want %d; steps %v", n, c.wants, got.Steps)
			}
		})
	}
}

func TestANodeMoreThanFitsIsHeldAndTheRestGoesOn(t *testing.T) {
	w := standard().all().unique()
	w.want.App(spec.Data).Instances, w.want.Spec.Nodes[spec.Data].Replicas = 5, 5
	w.want.App(spec.Kibana).Doc["env"] = map[string]any{"X": "1"}
	w.facts.Pool = hosts(4, 8)
	for i := range w.app(spec.Data).Tasks {
		w.app(spec.Data).Tasks[i].SlaveID = fmt.Sprint("S", i)
	}
	c := w.plan(drift.Difference{App: id(spec.Data), Component: spec.Data, Class: drift.Scale}, change(spec.Kibana, drift.Update, "env.X"))
	if len(c.Holds) != 1 || !strings.Contains(c.Holds[0].Why, "es-datanode needs 2 more hosts with 1 cpu: 1 has it; host-0, host-1, host-2: holds 1 already (hostname UNIQUE)") {
		t.Errorf("holds %+v", c.Holds)
	}
	if c.Holds[0].App != id(spec.Data) || c.Holds[0].Component != spec.Data {
		t.Errorf("the hold is about %s", c.Holds[0].App)
	}
	if s := c.Next(); s == nil || s.Component != spec.Kibana {
		t.Errorf("due is %v: a change that starts nothing new waits for room", s)
	}
}

// A node that is given up for a blank one is only drained where the blank one has a place: its own counts, once it is gone.
func TestANodeIsGivenUpOnlyWhereABlankOneHasRoom(t *testing.T) {
	for _, c := range []struct {
		name string
		pool func(held marathon.InstanceID) *preflight.Pool
		rule string
	}{
		{"on its own host", func(held marathon.InstanceID) *preflight.Pool {
			p := hosts(3, 1, 1, 1, 1)
			p.Agents[0].Held = map[marathon.InstanceID]preflight.Resources{held: {CPUs: 1000}}
			return p
		}, ""},
		{"nowhere", func(marathon.InstanceID) *preflight.Pool { return hosts(3, 1, 1, 1, 1) }, RuleNoRoom},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := standard().all().unique()
			for i := range w.app(spec.Data).Tasks {
				w.app(spec.Data).Tasks[i].SlaveID = fmt.Sprint("S", i)
			}
			instance := w.app(spec.Data).Tasks[0].ID.Instance()
			w.want.Spec.Replace = []spec.Replacement{{Instance: string(instance)}}
			w.facts.Pool = c.pool(instance)
			got := w.plan()
			if c.rule == "" && (got.Next() == nil || got.Next().Verb != DrainNodes) {
				t.Errorf("due %v, holds %v", got.Next(), got.Holds)
			}
			if c.rule != "" && (got.Next() != nil || len(got.Holds) != 1 || got.Holds[0].Rule != c.rule) {
				t.Errorf("due %v, holds %v", got.Next(), got.Holds)
			}
		})
	}
}

func TestAPoolThatIsNotKnownKeepsNothingBackAndIsNoted(t *testing.T) {
	w := standard()
	w.facts.Pool = &preflight.Pool{Why: "Mesos does not answer"}
	c := w.plan()
	if c.Phase != Converging || len(c.Holds) != 0 {
		t.Errorf("%s, holds %v", c.Phase, c.Holds)
	}
	if len(c.Notes) != 1 || c.Notes[0].Rule != RuleRoomUnknown || !strings.Contains(c.Notes[0].Why, "Mesos does not answer") {
		t.Errorf("notes %v", c.Notes)
	}
	if c.Room == nil || c.Room.Verdict.Answer == preflight.Fits {
		t.Errorf("room is claimed: %+v", c.Room)
	}
}
