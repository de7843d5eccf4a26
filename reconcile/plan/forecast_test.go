package plan

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// rolled takes a whole roll in which a step takes as long as took says, and returns the forecasts on the way and when each
// was made, and when the roll ended.
func rolled(k *walk, took func(*Step) time.Duration) (forecasts map[time.Time]time.Duration, end time.Time) {
	forecasts = map[time.Time]time.Duration{}
	for range 1000 {
		c := k.look()
		for i := range c.Work {
			if left, ok := c.Work[i].Left(); ok && c.Work[i].What == WorkRestart {
				forecasts[k.facts.Now] = left
			}
		}
		s := c.Next()
		switch {
		case s != nil:
			k.take(s)
			k.pass(took(s))
		case c.Phase == Converged:
			return forecasts, k.facts.Now
		default:
			k.pass(30 * time.Second)
		}
	}
	k.t.Fatal("the roll does not end")
	return nil, end
}

func TestTheEndOfARollIsForetoldWithinAFifth(t *testing.T) {
	for name, c := range map[string]struct {
		bend func(*walk)
		took func(i int, s *Step) time.Duration
	}{
		"of even turns": {func(*walk) {}, func(int, *Step) time.Duration { return 2 * time.Minute }},
		"of turns that take some longer, some shorter": {func(*walk) {}, func(i int, _ *Step) time.Duration {
			return time.Duration(110+[]int{-10, 25, -20, 15, -5}[i%5]) * time.Second
		}},
		"with canaries that soak": {func(k *walk) { k.want.Spec.Rollout = spec.Rollout{Canary: 2, Soak: 20 * time.Minute} },
			func(int, *Step) time.Duration { return 90 * time.Second }},
		"with masters that are a little quicker": {func(*walk) {}, func(_ int, s *Step) time.Duration {
			if s.Component == spec.Master {
				return 105 * time.Second
			}
			return 2 * time.Minute
		}},
		"that somebody suspends overnight": {func(*walk) {}, func(i int, _ *Step) time.Duration {
			if i == 4 {
				return 10 * time.Hour
			}
			return 2 * time.Minute
		}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newWalk(t, standard().all())
			k.wants(spec.Data, 9)
			k.run()
			k.git(changed()...)
			c.bend(k)
			i := 0
			var resumed time.Time
			forecasts, end := rolled(k, func(s *Step) time.Duration {
				if s.Verb == StopNode { // what takes long is the start, and what follows it
					return 5 * time.Second
				}
				i++
				d := c.took(i, s)
				if d > time.Hour {
					resumed = k.facts.Now.Add(d)
				}
				return d
			})
			if len(forecasts) < 10 {
				t.Fatalf("only %d forecasts", len(forecasts))
			}
			for at, left := range forecasts {
				real := end.Sub(at)
				if at.Before(resumed) || real < 4*time.Minute { // nobody foretells a pause; the last turn is no long wait
					continue
				}
				if off := math.Abs(left.Seconds()-real.Seconds()) / real.Seconds(); off > 0.2 {
					t.Errorf("at %s: %s left, it was %s: %.0f %% off", at.Format(time.TimeOnly), left, real, 100*off)
				}
			}
		})
	}
}

func (k *walk) workOf(what WorkKind) Work {
	k.t.Helper()
	for _, w := range k.plan(k.changes...).Work {
		if w.What == what {
			return w
		}
	}
	k.t.Fatalf("%s is not under way: %+v", what, k.plan(k.changes...).Work)
	return Work{}
}

func TestWhatIsUnderWay(t *testing.T) {
	for _, c := range []struct {
		name string
		what WorkKind
		bend func(*walk)
		want string
	}{
		{"before the first turn nobody can tell", WorkRestart, func(k *walk) { k.git(changed()...) },
			"restart: 0 of 6 done, nobody can tell yet how long it will take (no node has had its turn yet)"},
		{"in the first turn neither", WorkRestart, func(k *walk) { k.git(changed()...); k.takes(4) },
			"restart: 1 of 6 done, nobody can tell yet how long it will take (the first turn has not ended yet)"},
		{"unless its recoveries tell", WorkRestart, func(k *walk) {
			k.git(changed()...)
			k.takes(4)
			k.es.Status, k.es.Initializing = "yellow", 1
			k.es.Recoveries = []esgate.Recovery{{Bytes: 4 << 30, Done: 1 << 30, Running: time.Minute}, {OperationsOnly: true, Bytes: 99}}
		}, "restart: 1 of 6 done, about 23m0s left (the first turn, and the speed of its recoveries)"}, // a turn of 1+3 minutes, five times, and the rest of 3
		{"while the canaries soak", WorkRestart, func(k *walk) {
			k.want.Spec.Rollout = spec.Rollout{Canary: 1, Soak: time.Hour}
			k.git(changed()...)
			k.takes(4)
		}, "restart: 1 of 6 done, nobody can tell yet how long it will take (no two turns have passed yet; the canaries soak for 59m0s more)"},
		{"a turn is not over before its recoveries are", WorkRestart, func(k *walk) {
			k.git(changed()...)
			k.takes(6)
			k.es.Status, k.es.Initializing = "yellow", 1
			k.es.Recoveries = []esgate.Recovery{{Bytes: 11 << 30, Done: 1 << 30, Running: time.Minute}}
		}, "restart: 2 of 6 done, about 18m0s left (a turn takes 2m0s by the 1 so far)"}, // ten minutes, and four turns of two
		{"a drain by the speed at which copies leave", WorkLeave, func(k *walk) {
			k.wants(spec.Data, 2)
			k.es.Persistent[keyExclude] = "data-host-2"
			for i := range k.es.Shards { // two copies of 1 GiB are on it
				if s := &k.es.Shards[i]; s.Node == "data-host-0" {
					s.Node = "data-host-2"
				}
			}
			k.es.Relocating = 1
			k.es.Recoveries = []esgate.Recovery{{From: "data-host-2", To: "data-host-0", Bytes: 1 << 30, Done: 512 << 20, Running: time.Minute}, {From: "data-host-1", Bytes: 9 << 30, Done: 9 << 30, Running: time.Second}}
		}, "leave: 0 of 1 done, about 7m0s left (3.5 GiB to move at 8.5 MiB/s)"},
		{"a drain in which nothing moves", WorkLeave, func(k *walk) { k.wants(spec.Data, 2) },
			"leave: 0 of 1 done, nobody can tell yet how long it will take (2.0 GiB to move, and nothing moves now)"},
		{"the time for which a volume is kept", WorkLeave, func(k *walk) {
			k.want.Spec.Rollout.Hold = 2 * time.Hour
			k.wants(spec.Data, 2)
			k.takes(2)
		}, "leave: 1 of 1 done, about 1h59m0s left (all have stopped; their volumes are kept as long as git says)"},
		{"nodes that are added", WorkJoin, func(k *walk) { k.wants(spec.Data, 5) },
			"join: 3 of 5 done, nobody can tell yet how long it will take (nodes start when Marathon has offers that fit)"},
		{"in an upgrade both waves count", WorkRestart, func(k *walk) {
			k.version(8, 19)
			k.git(changed()...)
			k.takes(10) // all data nodes, and the masters' commit
		}, "restart: 3 of 6 done, about 6m0s left (a turn takes 2m0s by the 2 so far)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newWalk(t, standard().all())
			c.bend(k)
			if got := ptr(k.workOf(c.what)).String(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAClusterThatDoesNotAnswerTellsNoDrain(t *testing.T) {
	k := newWalk(t, standard().all())
	k.wants(spec.Data, 2)
	k.es = esgate.Health{Asked: true, Why: "timeout"}
	if w := k.workOf(WorkLeave); w.LeftSeconds != nil || !strings.Contains(w.Basis, "does not tell") {
		t.Errorf("%+v", w)
	}
}
