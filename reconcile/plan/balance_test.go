package plan

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// A front is a walk of a cluster whose clients come through the discovery app.
type front struct {
	*walk
	byHand bool // somebody writes the label beside esfleet
}

func newFront(t *testing.T) *front {
	f := &front{walk: newWalk(t, standard().all())}
	f.want.Spec.Discovery = spec.DiscoverySpec{Mode: spec.HAProxy, ClientPort: 9200, Drain: 10 * time.Second}
	return f
}

func (f *front) out() string { return f.app(spec.Gate).Labels[marathon.LabelDetached] }

// detach leaves a label behind, as old as said.
func (f *front) detach(instances string, age time.Duration) {
	gate := f.app(spec.Gate)
	gate.Labels[marathon.LabelDetached], gate.Version = instances, f.facts.Now.Add(-age)
}

// check is what must be true of every state, whatever is due in it.
func (f *front) check(c *Cluster) {
	f.t.Helper()
	if f.want.Spec.ClientComponent() != spec.Data {
		return
	}
	if strings.Contains(f.out(), ",") && !f.byHand {
		f.t.Errorf("after %v: two nodes are out at once: %s", f.trace, f.out())
	}
	attached := 0
	for _, x := range f.app(spec.Data).Tasks {
		if healthy(x, f.app(spec.Data)) && !strings.Contains(f.out(), string(x.ID.Instance())) {
			attached++
		}
	}
	if attached == 0 && !f.byHand {
		f.t.Errorf("after %v: nobody is in the front", f.trace)
	}
	s := c.Next()
	if s == nil || s.Component != spec.Data || !slices.Contains([]Verb{StopNode, RestartNode, RemoveNode}, s.Verb) {
		return
	}
	i := slices.IndexFunc(f.app(spec.Data).Tasks, func(x marathon.Task) bool { return x.ID == s.Task })
	age := f.facts.Now.Sub(f.app(spec.Gate).Version)
	if x := f.app(spec.Data).Tasks[i]; healthy(x, f.app(spec.Data)) && len(f.app(spec.Data).Tasks) > 1 && (f.out() != string(x.ID.Instance()) || age < reach+10*time.Second) {
		f.t.Errorf("after %v: %s of %s, which clients were led away from %s ago (out is %q)", f.trace, s.Verb, s.Node, age, f.out())
	}
}

// step is walk.step with the two verbs of the front.
func (f *front) step() bool {
	f.t.Helper()
	c := f.look()
	f.check(&c)
	s := c.Next()
	if s == nil {
		drains := slices.ContainsFunc(c.Waits, func(w Wait) bool { return w.Rule == RuleClientsDrain })
		return f.walk.step() || drains
	}
	if s.Verb != DetachNode && s.Verb != AttachNode {
		return f.walk.step()
	}
	f.trace = append(f.trace, string(s.Verb)+" "+s.Node)
	gate := f.app(spec.Gate)
	gate.Version, gate.Labels = f.facts.Now, map[string]string{}
	for k, v := range s.Doc["labels"].(map[string]any) {
		gate.Labels[k] = v.(string)
	}
	f.pass(time.Minute)
	return true
}

func (f *front) run() string {
	f.t.Helper()
	f.trace = nil
	for range 2000 {
		if !f.step() {
			return strings.Join(f.trace, ", ")
		}
	}
	f.t.Fatalf("the walk does not end: %v …", f.trace[:40])
	return ""
}

// takes runs some steps.
func (f *front) takes(n int) {
	f.t.Helper()
	for f.trace = nil; len(f.trace) < n; {
		if !f.step() {
			f.t.Fatalf("the walk ends with %v", f.trace)
		}
	}
}

const (
	turn0 = "detach data-host-0, stop-node data-host-0, start-node data-host-0, attach data-host-0"
	turn1 = "detach data-host-1, stop-node data-host-1, start-node data-host-1, attach data-host-1"
	turn2 = "detach data-host-2, stop-node data-host-2, start-node data-host-2, attach data-host-2"
)

func TestClientsAreLedAwayFromANodeBeforeItStops(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(*front)
		want string
	}{
		{"each data node in its turn, and no master", func(f *front) { f.git(changed()...) },
			commitBoth + ", " + turn0 + ", " + turn1 + ", " + turn2 + ", " + rollMaster},
		{"up to Marathon 1.7 too", func(f *front) { marathon15(f.walk); f.git(changed()[:1]...) },
			"commit es-datanode, close-gate gate, detach data-host-0, restart-node data-host-0, attach data-host-0, detach data-host-1, restart-node data-host-1, attach data-host-1, " +
				"detach data-host-2, restart-node data-host-2, attach data-host-2"},
		{"one that leaves for good, which is not put back", func(f *front) { f.wants(spec.Data, 2) },
			"drain data-host-2, detach data-host-2, remove-node data-host-2, attach data-host-2, wipe data-host-2, elasticsearch _name=null"},
		{"one that is given up for a blank one", func(f *front) { f.gives("data.1", false) },
			"drain data-host-1, detach data-host-1, remove-node data-host-1, attach data-host-1, wipe data-host-1, elasticsearch _name=null, scale-out data to 3"},
		{"not one that is down anyway", func(f *front) {
			f.git(changed()...)
			f.broken["data.1"] = true
			f.run()
			f.broken["data.1"] = false
			f.git(changed()...)
		}, commitBoth + ", stop-node data-host-1, start-node data-host-1, attach data-host-1, " + turn0 + ", " + turn2 + ", " + rollMaster},
		{"nor one that fails in the midst of serving", func(f *front) {
			f.old(spec.Data, 0, 1, 2)
			f.app(spec.Data).Tasks[1].HealthCheckResults = nil
		}, "stop-node data-host-1, start-node data-host-1, " + turn0 + ", " + turn2},
		{"not where coordinating nodes serve them", func(f *front) {
			f.want.Spec.Nodes[spec.Coordinating] = &spec.Nodes{Replicas: 2}
			f.git(changed()...)
		}, commitBoth + ", " + rollData + ", " + rollMaster},
		{"not where they find the nodes in their own way", func(f *front) { f.want.Spec.Discovery.ClientPort = 0; f.git(changed()...) },
			commitBoth + ", " + rollData + ", " + rollMaster},
		{"the canaries as the others, and the front is whole while they soak", func(f *front) {
			f.want.Spec.Rollout = spec.Rollout{Canary: 1, Soak: 90 * time.Minute}
			f.git(changed()[:1]...)
		}, "commit es-datanode, close-gate gate, " + turn0 + ", " + turn1 + ", " + turn2},
		{"and the turn ends in a cluster that is only reported on by then", func(f *front) {
			f.git(changed()[:1]...)
			f.takes(4)
			f.want.Spec.Drift = spec.Report
			f.takes(2)
			f.want.Spec.Drift = spec.Enforce
		}, turn1 + ", " + turn2},
		{"nor does the guard keep it from ending", func(f *front) {
			f.git(changed()[:1]...)
			f.takes(4)
			f.facts.Guard = &Hold{Rule: RuleBlastRadius}
			f.takes(2)
			f.facts.Guard = nil
		}, turn1 + ", " + turn2},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFront(t)
			c.then(f)
			f.expect(f.run(), c.want)
			f.ends("converged")
			if f.out() != "" {
				t.Errorf("left behind: %s", f.out())
			}
		})
	}
}

// Between any two steps the daemon may be away for any time: only time is lost.
func TestWhereverTheDaemonDiesClientsAreLedBack(t *testing.T) {
	for _, change := range []func(*front){
		func(f *front) { f.git(changed()[:1]...) },
		func(f *front) { f.wants(spec.Data, 2); f.want.Spec.Rollout.Hold = 30 * time.Minute },
	} {
		f := newFront(t)
		change(f)
		whole := f.run()
		for i := range strings.Count(whole, ", ") + 1 {
			for _, away := range []time.Duration{0, time.Second, time.Hour} {
				f := newFront(t)
				change(f)
				f.takes(i)
				before := f.trace
				f.pass(away)
				f.run()
				if got := strings.Join(slices.Concat(before, f.trace), ", "); got != whole {
					t.Errorf("away for %s after %d steps:\ngot  %s\nwant %s", away, i, got, whole)
				}
				if f.out() != "" {
					t.Errorf("away for %s after %d steps: left behind: %s", away, i, f.out())
				}
			}
		}
	}
}

func TestANodeThatIsOutOfTheFrontWithoutAReasonIsPutBackFirst(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(*front)
		want string
	}{
		{"nothing is to be done with it", func(*front) {}, "attach data-host-1"},
		{"another one's turn is next", func(f *front) { f.old(spec.Data, 0, 1, 2) }, "attach data-host-1, " + turn0 + ", " + turn1 + ", " + turn2},
		{"it is next but may not be stopped", func(f *front) {
			f.old(spec.Data, 0, 1, 2)
			f.want.Spec.Rollout = spec.Rollout{Canary: 1, Pause: true}
			f.app(spec.Data).Tasks[0].Version = configuredAt.Format(time.RFC3339)
		}, "attach data-host-1"},
		{"it is unknown", func(f *front) { f.detach("data.77", time.Hour) }, `attach instance "data.77"`},
		{"some are gone and some are up", func(f *front) { f.byHand = true; f.detach("data.77, data.1,,data.0", time.Hour) }, `attach instance "data.77", data-host-1, data-host-0`},
		{"it serves nobody", func(f *front) { f.detach("master.1", time.Hour) }, "attach master-host-1"},
		{"git has no front any longer", func(f *front) { f.want.Spec.Discovery.ClientPort = 0 }, "attach data-host-1"},
		{"coordinating nodes serve now", func(f *front) { f.want.Spec.Nodes[spec.Coordinating] = &spec.Nodes{Replicas: 2} }, "attach data-host-1"},
		{"the cluster is only reported on", func(f *front) { f.want.Spec.Drift = spec.Report }, "attach data-host-1"},
		{"settings of the cluster differ as well", func(f *front) {
			f.facts.AskElasticsearch = true
			f.want.Spec.ClusterSettings = map[string]string{"x": "1"}
		}, "attach data-host-1, elasticsearch x=1"},
		{"it is not up", func(f *front) { f.app(spec.Data).Tasks[1].HealthCheckResults = nil }, ""},
		{"it has not joined", func(f *front) { f.away("data-host-1") }, ""},
		{"the cluster does not answer", func(f *front) { f.es = esgate.Health{Asked: true} }, ""},
		{"the cluster is suspended", func(f *front) { f.want.Spec.Suspend = &spec.Suspension{Reason: "disks"} }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFront(t)
			f.facts.AskElasticsearch = false // the label alone is a reason to ask
			f.detach("data.1", time.Hour)
			c.bend(f)
			if s := ptr(f.look()).Next(); s != nil && (!s.Closing || !maps.Equal(labelsOf(s), map[string]string{marathon.LabelFleet: "demo", marathon.LabelClusterUUID: "u-1"})) {
				t.Errorf("closing %v, labels %v", s.Closing, labelsOf(s))
			}
			for i, x := range f.look().Steps {
				if i > 0 && x.Node != "" && x.After == "" {
					t.Errorf("%s %s is due beside what goes before it", x.Verb, x.Node)
				}
			}
			f.expect(f.run(), c.want)
		})
	}
}

func labelsOf(s *Step) map[string]string {
	out := map[string]string{}
	for k, v := range s.Doc["labels"].(map[string]any) {
		out[k] = v.(string)
	}
	return out
}

func TestRequestsHaveTheirTimeToEnd(t *testing.T) {
	for age, want := range map[time.Duration]string{
		0:                            "waiting | wait client-connections-drain",
		reach + 10*time.Second - 1:   "waiting | wait client-connections-drain",
		reach + 10*time.Second:       "converging | stop-node es-datanode",
		reach + backOut + time.Hour:  "converging | stop-node es-datanode",
		-time.Minute:                 "waiting | wait client-connections-drain", // clocks differ
		reach + 10*time.Second - 9e9: "waiting | wait client-connections-drain",
	} {
		f := newFront(t)
		f.old(spec.Data, 0, 1, 2)
		f.detach("data.0", age)
		c := f.look()
		if brief(c) != want {
			t.Errorf("after %s: %s, want %s", age, brief(c), want)
		}
		if i := slices.IndexFunc(c.Steps, func(s Step) bool { return s.Verb == StopNode }); i < 0 || c.Steps[i].Node != "data-host-0" {
			t.Errorf("after %s the plan does not show whose stop comes: %+v", age, c.Steps)
		}
	}
}

// Shards that move for a moment are no reason to lead clients back and forth; a cluster that is not well for long is.
func TestANodeWaitsForItsStopOutsideTheFrontButNotForLong(t *testing.T) {
	f := newFront(t)
	f.old(spec.Data, 0)
	f.detach("data.0", reach+11*time.Second)
	f.es.Status, f.es.Relocating = "yellow", 1
	f.es.Shards[0].State = esgate.Unassigned
	f.es.Unassigned = 1
	if c := f.look(); c.Next() != nil || c.Phase != Waiting {
		t.Errorf("at once: %s", brief(c))
	}
	f.pass(backOut)
	if c := f.look(); c.Next() == nil || c.Next().Verb != AttachNode || c.Next().Node != "data-host-0" {
		t.Errorf("after %s: %s", backOut, brief(c))
	}
	f.es.Relocating = 0
	f.place()
	f.expect(f.run(), "stop-node data-host-0, start-node data-host-0, attach data-host-0")
}

func TestTheLastNodeStaysInTheFront(t *testing.T) {
	f := newFront(t)
	data := f.app(spec.Data)
	data.Tasks, data.Instances = data.Tasks[:1], 1
	f.wants(spec.Data, 1)
	f.es.Nodes = slices.DeleteFunc(f.es.Nodes, func(n esgate.Node) bool { return n.Data && n.Name != "data-host-0" })
	f.place()
	f.old(spec.Data, 0)
	c := f.look()
	if s := c.Next(); s == nil || s.Verb != StopNode {
		t.Errorf("one node alone: %s\n%+v", brief(c), c.Waits)
	}
}

func TestClientsAreLedAwayBesideWhatTheGateAlreadyKnows(t *testing.T) {
	f := newFront(t)
	f.old(spec.Data, 0)
	f.app(spec.Gate).Labels[marathon.LabelSuspended] = `{"reason":"old","until":"2020-01-01T00:00:00Z"}`
	c := f.look()
	s := c.Next()
	if s == nil || s.Verb != DetachNode || s.App != id(spec.Gate) || s.Closing || s.Task != "" || !s.Seen.Equal(f.app(spec.Gate).Version) {
		t.Fatalf("%+v", s)
	}
	want := map[string]string{marathon.LabelFleet: "demo", marathon.LabelClusterUUID: "u-1", marathon.LabelSuspended: f.app(spec.Gate).Labels[marathon.LabelSuspended], marathon.LabelDetached: "data.0"}
	if got := labelsOf(s); !maps.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
	f.want.Spec.Drift = spec.Report
	expect(t, f.look(), "held | hold report-only")
}

// Whoever writes whatever into the label, and however long the daemon is away: every node has its turn, and all are in the
// front at the end.
func TestWhateverStandsInTheLabelTheRollEndsWithAllInTheFront(t *testing.T) {
	labels := []string{"", "data.0", "data.1", "data.2", "data.0,data.1,data.2", "master.0", "nobody", " ,;x"}
	for seed := range uint64(12) {
		f, r := newFront(t), rand.New(rand.NewPCG(seed, 0))
		f.byHand = true
		f.git(changed()[:1]...)
		for range 12 {
			switch r.IntN(4) {
			case 0:
				f.detach(labels[r.IntN(len(labels))], time.Duration(r.IntN(200))*time.Second)
			case 1:
				f.pass(time.Duration(r.IntN(900)) * time.Second)
			default:
				f.step()
			}
		}
		f.trace = nil
		f.run()
		f.ends("converged")
		for _, x := range f.app(spec.Data).Tasks {
			if outdated(x, f.app(spec.Data)) {
				t.Errorf("seed %d: %s did not have its turn", seed, x.ID)
			}
		}
		if f.out() != "" {
			t.Errorf("seed %d: left behind: %q", seed, f.out())
		}
	}
}
