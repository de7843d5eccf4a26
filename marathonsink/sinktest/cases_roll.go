package sinktest

import (
	"fmt"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// beginRoll leaves an app of n nodes in a roll with its first node replaced, behind a closed gate.
func (e *env) beginRoll(n int) (w *watch, before *marathon.App, d marathon.DeploymentID) {
	e.Helper()
	before = e.up(e.node("a", n, "1"))
	w = e.watch("a")
	e.gate("a", "/ready", false)
	d = e.put(e.node("a", n, "2"))
	e.until("a", "waiting behind the gate", func(a *marathon.App) bool {
		current, old, rest := count(a)
		return current == 1 && old == n-1 && rest == 0
	})
	return w, before, d
}

// rolled waits until the roll is over and n nodes run the current definition.
func (e *env) rolled(n int) *marathon.App {
	e.Helper()
	return e.until("a", "rolled", func(a *marathon.App) bool {
		current, old, _ := count(a)
		return current == n && old == 0 && len(a.Deployments) == 0
	})
}

// volumesKept says that each node of before has its data still.
func (e *env) volumesKept(before, after *marathon.App) {
	e.Helper()
	for _, t := range before.Tasks {
		if now := find(after, t.ID.Instance()); now == nil || !sameVolume(t, *now) {
			e.Errorf("%s lost its place: %s", t.ID, e.told(after))
		}
	}
}

// readinessOnly is a node without a health check, healthOnly one without a readiness check.
func (e *env) readinessOnly(n int, v string) marathon.Doc {
	return with(e.node("a", n, v), marathon.Doc{"healthChecks": nil})
}

func (e *env) healthOnly(n int, v string) marathon.Doc {
	return with(e.node("a", n, v), marathon.Doc{"readinessChecks": nil})
}

// oneByOne is a case about a roll that never has more than one node down.
func oneByOne(name, source string, k testCase, doc func(e *env, n int, v string) marathon.Doc) testCase {
	k.name, k.source = name, source
	k.run = func(e *env) {
		before := e.up(doc(e, 3, "1"))
		w := e.watch("a")
		e.put(doc(e, 3, "2"))
		after := e.rolled(3)
		e.volumesKept(before, after)
		if kills := w.kills(); len(kills) != 3 || w.most() != 1 {
			e.Errorf("%d down at once, ended %v", w.most(), kills)
		}
	}
	return k
}

// neverBegins is a case about a roll that kills nothing, starts nothing and does not end.
func neverBegins(name, source string, k testCase, old, next func(e *env, v string) marathon.Doc) testCase {
	k.name, k.source = name, source
	k.run = func(e *env) {
		before := e.up(old(e, "1"))
		e.put(next(e, "2"))
		e.stays("a", 8*second, "stuck", func(a *marathon.App) bool { return len(a.Deployments) == 1 && untouched(before, a) })
	}
	return k
}

var rollCases = []testCase{
	oneByOne("residents are rolled one by one", "marathon-lab-roll E7; marathon-lab-old §4", testCase{},
		func(e *env, n int, v string) marathon.Doc { return e.node("a", n, v) }),
	oneByOne("health alone paces a roll", "marathon-lab-roll E7 health only; marathon-lab-old §4", testCase{}, (*env).healthOnly),
	oneByOne("before 1.10 readiness alone paces a roll", "marathon-lab-old §4 readiness only", testCase{until: version(1, 10, 0)}, (*env).readinessOnly),
	oneByOne("without checks a roll is paced by running tasks", "marathon-lab-roll E7 no checks; marathon-lab-old §4", testCase{},
		func(e *env, n int, v string) marathon.Doc {
			return with(e.healthOnly(n, v), marathon.Doc{"healthChecks": nil})
		}),
	neverBegins("readiness without health never lets a roll begin", "marathon-lab-api §0.1, §3", testCase{since: version(1, 10, 0)},
		func(e *env, v string) marathon.Doc { return e.readinessOnly(2, v) },
		func(e *env, v string) marathon.Doc { return e.readinessOnly(2, v) }),
	neverBegins("taking away a readiness check never begins either", "marathon-lab-api §3 PUT that removes readinessChecks", testCase{since: version(1, 10, 0)},
		func(e *env, v string) marathon.Doc { return e.readinessOnly(1, v) },
		func(e *env, v string) marathon.Doc {
			return with(e.readinessOnly(1, v), marathon.Doc{"readinessChecks": nil})
		}),
	{name: "adding a readiness check rolls", source: "marathon-lab-api §3 PUT that adds readinessChecks", run: func(e *env) {
		e.up(with(e.readinessOnly(1, "1"), marathon.Doc{"readinessChecks": nil}))
		e.put(e.readinessOnly(1, "2"))
		e.rolled(1)
	}},
	{name: "readiness without health can be rolled with a surplus", source: "marathon-lab-api §3 1/1", run: func(e *env) {
		ephemeral := func(v string) marathon.Doc {
			return with(e.readinessOnly(2, v), marathon.Doc{"container": nil, "residency": nil,
				"upgradeStrategy": marathon.Doc{"minimumHealthCapacity": 1, "maximumOverCapacity": 1}})
		}
		e.up(ephemeral("1"))
		e.put(ephemeral("2"))
		e.rolled(2)
	}},
	{name: "behind a closed gate one node is replaced and no more", source: "marathon-lab-roll E5d, E7; marathon-lab-old §2", run: func(e *env) {
		w, before, d := e.beginRoll(3)
		e.stays("a", 6*second, "waiting", func(a *marathon.App) bool {
			current, old, _ := count(a)
			return current == 1 && old == 2 && len(a.Deployments) == 1 && a.Deployments[0] == d
		})
		e.gate("a", "/ready", true)
		e.volumesKept(before, e.rolled(3))
		if w.most() != 1 {
			e.Errorf("%d down at once", w.most())
		}
	}},
	{name: "a cancelled roll stays as it is", source: "marathon-lab-roll §1 D3, §5; marathon-lab-old §2", run: func(e *env) {
		w, before, d := e.beginRoll(3)
		e.cancel(d)
		e.stays("a", 18*second, "mixed", func(a *marathon.App) bool { // longer than the interval of the scale check
			current, old, _ := count(a)
			return current == 1 && old == 2
		})
		e.volumesKept(before, e.get("a"))
		if kills := w.kills(); len(kills) != 1 {
			e.Errorf("ended: %v", kills)
		}
	}},
	{name: "the same definition after a cancelled roll changes nothing", source: "marathon-lab-roll §2 repeated identical PUT; marathon-lab-old §2", run: func(e *env) {
		_, _, d := e.beginRoll(2)
		e.cancel(d)
		e.put(e.node("a", 2, "2"))
		e.stays("a", 4*second, "mixed", func(a *marathon.App) bool {
			current, old, _ := count(a)
			return current == 1 && old == 1 && len(a.Deployments) == 0
		})
	}},
	{name: "a roll cancelled without force goes back through every node", source: "marathon-lab-roll E10; marathon-lab-old §4 cancel", run: func(e *env) {
		w, before, d := e.beginRoll(2)
		put := e.until("a", "healthy", func(a *marathon.App) bool { current, _, _ := by(a); return len(current) == 1 && healthy(&current[0]) }).Version
		e.wantAnswer(e.raw("DELETE", "/v2/deployments/"+string(d), ""), 200, "deploymentId")
		e.gate("a", "/ready", true)
		after := e.until("a", "rolled back", func(a *marathon.App) bool {
			return len(a.Deployments) == 0 && a.TasksRunning == 2 && len(w.kills()) >= 3
		})
		if got := at(after.Doc, "env.V"); got != `"1"` {
			e.Errorf("env V is %s", got)
		}
		if older := after.Version.Before(put); older != e.version.AtLeast(1, 9, 0) {
			e.Errorf("the version is %s, that of the roll was %s", after.Version, put)
		}
		e.volumesKept(before, after)
	}},
	{name: "a forced scaling abandons a roll", source: "marathon-lab-roll E9 scale_force; marathon-lab-old §4", run: func(e *env) {
		e.beginRoll(2)
		e.wantAnswer(e.raw("PUT", "/v2/apps"+string(e.id("a"))+"?force=true", `{"instances":3}`), 200)
		e.gate("a", "/ready", true)
		e.until("a", "scaled", func(a *marathon.App) bool { return len(a.Deployments) == 0 && a.TasksRunning == 3 })
		e.put(e.node("a", 3, "2"))
		e.stays("a", 4*second, "mixed", func(a *marathon.App) bool {
			_, old, _ := count(a)
			return old == 1 && len(a.Deployments) == 0
		})
	}},
	{name: "a new definition for one node less takes a second node down", source: "marathon-lab-roll E5c", run: func(e *env) {
		before := e.up(e.node("a", 3, "1"))
		w := e.watch("a")
		e.gate("a", "/ready", false)
		e.stop("a", before.Tasks[0])
		e.put(e.node("a", 2, "2"))
		e.eventually(func() string {
			if len(w.kills()) == 2 && w.most() == 2 {
				return ""
			}
			return fmt.Sprintf("ended: %v", w.kills())
		})
	}},
	{name: "after a stop a new definition kills nothing and brings the stopped node back", source: "marathon-lab-roll §1 way D; marathon-lab-old §2", run: func(e *env) {
		before := e.up(e.node("a", 3, "1"))
		victim := before.Tasks[1]
		e.gate("a", "/ready", false)
		e.stop("a", victim)
		w := e.watch("a")
		d := e.put(e.node("a", 3, "2"))
		e.until("a", "back", func(a *marathon.App) bool {
			now := find(a, victim.ID.Instance())
			return now != nil && now.Running() && now.ID != victim.ID && sameVolume(victim, *now)
		})
		after := e.stays("a", 5*second, "one of three", func(a *marathon.App) bool {
			current, old, _ := count(a)
			return current == 1 && old == 2
		})
		e.cancel(d)
		if !untouched(before, after, victim.ID.Instance()) || len(w.kills()) != 0 {
			e.Errorf("ended: %v: %s", w.kills(), e.told(after))
		}
	}},
	{name: "one node alone is rolled by a stop and its definition", source: "marathon-lab-roll E5b n=1", run: func(e *env) {
		before := e.up(e.node("a", 1, "1"))
		e.stop("a", before.Tasks[0])
		e.put(e.node("a", 1, "2"))
		e.volumesKept(before, e.rolled(1))
	}},
}
