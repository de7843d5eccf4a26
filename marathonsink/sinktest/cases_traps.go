package sinktest

import (
	"fmt"
	"slices"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// healthy says that a check of this run passed and none failed since. Results of a resident's earlier runs stay listed.
func healthy(t *marathon.Task) bool {
	passed := false
	for _, r := range t.HealthCheckResults {
		passed = passed || r.Alive && r.LastSuccess > t.StartedAt
	}
	return passed && !unhealthy(t)
}

// unhealthy says that a check failed.
func unhealthy(t *marathon.Task) bool {
	return slices.ContainsFunc(t.HealthCheckResults, func(r marathon.HealthResult) bool { return !r.Alive })
}

// anOld is one task that still runs the definition before.
func (e *env) anOld() marathon.Task {
	e.Helper()
	_, old, _ := by(e.get("a"))
	if len(old) == 0 {
		e.Fatal("no task runs the old definition")
	}
	return old[0]
}

// leftOvers makes two running nodes and two stopped ones.
func (e *env) leftOvers() *marathon.App {
	e.Helper()
	e.up(e.node("a", 4, "1"))
	e.scale("a", 2)
	return e.until("a", "half stopped", func(a *marathon.App) bool {
		suspended := 0
		for _, t := range a.Tasks {
			if t.Suspended() {
				suspended++
			}
		}
		return suspended == 2 && a.TasksRunning == 2 && len(a.Deployments) == 0
	})
}

// distinct counts the instances that hold a volume.
func distinct(a *marathon.App) int {
	ids := map[marathon.InstanceID]bool{}
	for _, t := range a.Tasks {
		ids[t.ID.Instance()] = true
	}
	return len(ids)
}

// rollTrapCases: Marathon's own defects in a roll, each behind its versions.
var rollTrapCases = []testCase{
	{name: "a refused write opens the lock of the running roll", source: "marathon-lab-roll E9 new", since: version(1, 10, 0), run: func(e *env) {
		e.beginRoll(3)
		_, err := e.c.Scale(e.ctx, e.id("a"), 4, nil)
		e.want(err, marathonsink.KindLocked)
		e.gate("a", "/ready", true)
		e.until("a", "more than asked for", func(a *marathon.App) bool { return distinct(a) > 3 })
	}},
	{name: "before 1.10 a refused write leaves the lock closed", source: "marathon-lab-roll §4; marathon-lab-old §4", until: version(1, 10, 0), run: func(e *env) {
		_, before, _ := e.beginRoll(3)
		_, err := e.c.Scale(e.ctx, e.id("a"), 4, nil)
		e.want(err, marathonsink.KindLocked)
		e.gate("a", "/ready", true)
		after := e.rolled(3)
		e.volumesKept(before, after)
		if distinct(after) != 3 {
			e.Error(e.told(after))
		}
	}},
	{name: "left-overs add kills to a roll", source: "marathon-lab-roll E19; marathon-lab-old §1.7", run: func(e *env) {
		e.leftOvers()
		w := e.watch("a")
		e.gate("a", "/ready", false)
		e.put(e.node("a", 2, "2"))
		want := 1
		if e.version.AtLeast(1, 10, 0) {
			want = 2
		}
		e.eventually(func() string {
			if n := len(w.kills()); n == want {
				return ""
			}
			return fmt.Sprintf("ended: %v", w.kills())
		})
		e.stays("a", 5*second, "waiting", func(*marathon.App) bool { return len(w.kills()) == want })
	}},
	{name: "health once seen is remembered though it is gone", source: "marathon-lab-roll E7 trap", run: func(e *env) {
		w, _, _ := e.beginRoll(2)
		current, _, _ := by(e.get("a"))
		first := current[0].ID.Instance()
		e.until("a", "healthy", func(a *marathon.App) bool { t := find(a, first); return t != nil && healthy(t) })
		e.gateAt("a", first, "/health", false)
		e.until("a", "unhealthy", func(a *marathon.App) bool { t := find(a, first); return t != nil && unhealthy(t) })
		e.gate("a", "/ready", true)
		e.eventually(func() string {
			if len(w.kills()) == 2 {
				return ""
			}
			return fmt.Sprintf("ended: %v", w.kills())
		})
	}},
	{name: "an unhealthy old node keeps a roll from beginning", source: "marathon-lab-roll E24; marathon-lab-api §0.2", since: version(1, 10, 0), run: func(e *env) {
		before := e.up(e.node("a", 2, "1"))
		sick := before.Tasks[0].ID.Instance()
		e.gateAt("a", sick, "/health", false)
		e.until("a", "unhealthy", func(a *marathon.App) bool { return unhealthy(find(a, sick)) })
		e.put(e.node("a", 2, "2"))
		e.gateAt("a", sick, "/health", true) // too late: it was counted
		e.stays("a", 8*second, "stuck", func(a *marathon.App) bool { return len(a.Deployments) == 1 && untouched(before, a) })
	}},
	{name: "before 1.10 an unhealthy old node is rolled", source: "marathon-lab-old §4 unhealthy old", until: version(1, 10, 0), run: func(e *env) {
		before := e.up(e.node("a", 2, "1"))
		sick := before.Tasks[0].ID.Instance()
		e.gateAt("a", sick, "/health", false)
		e.until("a", "unhealthy", func(a *marathon.App) bool { return unhealthy(find(a, sick)) })
		e.put(e.node("a", 2, "2"))
		e.gateAt("a", sick, "/health", true)
		e.rolled(2)
	}},
	{name: "up to 1.7 a kill in a roll is answered and ignored", source: "marathon-lab-old §1.4, §4", until: version(1, 8, 0), run: func(e *env) {
		w, before, _ := e.beginRoll(3)
		victim := e.anOld()
		e.kill("a", victim)
		e.wantAnswer(e.raw("POST", "/v2/tasks/delete", fmt.Sprintf(`{"ids":[%q]}`, victim.ID)), 200, string(victim.ID))
		e.stays("a", 6*second, "as it was", func(a *marathon.App) bool {
			now := find(a, victim.ID.Instance())
			return now != nil && now.ID == victim.ID && now.Running()
		})
		e.gate("a", "/ready", true)
		e.volumesKept(before, e.rolled(3))
		if w.most() != 1 {
			e.Errorf("%d down at once", w.most())
		}
	}},
	{name: "a kill in a roll may bring the old definition back, and then the roll hangs with that node down", source: "marathon-lab-roll §4 plain kill mid-roll",
		since: version(1, 8, 0), until: version(1, 10, 0), run: func(e *env) {
			e.beginRoll(3)
			victim := e.anOld()
			e.kill("a", victim)
			back := e.until("a", "back", func(a *marathon.App) bool {
				now := find(a, victim.ID.Instance())
				return now != nil && now.Running() && now.ID != victim.ID
			})
			e.gate("a", "/ready", true)
			if find(back, victim.ID.Instance()).Version != victim.Version {
				return // the roll won the race for it
			}
			e.until("a", "one short", func(a *marathon.App) bool {
				now := find(a, victim.ID.Instance())
				return a.TasksRunning == 2 && !now.Active() && len(a.Deployments) == 1
			})
			e.stays("a", 18*second, "one short", func(a *marathon.App) bool { return a.TasksRunning == 2 && len(a.Deployments) == 1 })
		}},
	// Or, seen once on a busy machine, the launch wins the race with the roll and brings the old definition back; then, as in
	// 1.8, the roll stops it and never starts it again.
	{name: "a kill in a roll brings the new definition, and the node is stopped again", source: "marathon-lab-roll §2 (b)", since: version(1, 10, 0), run: func(e *env) {
		w, before, _ := e.beginRoll(3)
		victim := e.anOld()
		e.kill("a", victim)
		e.until("a", "back with the new definition, or stopped again", func(a *marathon.App) bool {
			now := find(a, victim.ID.Instance())
			return e.isNew(a, victim) || now != nil && now.Suspended() && w.killsOf(victim.ID.Instance()) == 2
		})
		if e.isNew(e.get("a"), victim) {
			e.stoppedAgain(w, victim, before)
			return
		}
		e.gate("a", "/ready", true)
		e.until("a", "one short", func(a *marathon.App) bool { current, _, _ := count(a); return current == 2 })
		e.stays("a", 5*second, "one short", func(a *marathon.App) bool { return a.TasksRunning == 2 && len(a.Deployments) == 1 })
	}},
	{name: "an old node that crashes in a roll comes back new and is stopped again", source: "marathon-lab-roll E20 old", since: version(1, 10, 0), run: func(e *env) {
		w, before, _ := e.beginRoll(3)
		victim := e.anOld()
		e.must(e.target.Control.KillTask(victim.ID))
		e.stoppedAgain(w, victim, before)
	}},
	{name: "up to 1.7 an old node that crashes in a roll comes back new and stays", source: "marathon-lab-old §4 crash mid-roll", until: version(1, 8, 0), run: func(e *env) {
		w, before, _ := e.beginRoll(3)
		victim := e.anOld()
		e.must(e.target.Control.KillTask(victim.ID))
		e.until("a", "back", func(a *marathon.App) bool { current, old, _ := count(a); return current == 2 && old == 1 })
		e.gate("a", "/ready", true)
		e.volumesKept(before, e.rolled(3))
		if n := w.killsOf(victim.ID.Instance()); n != 1 {
			e.Errorf("it ended %d times", n)
		}
	}},
	{name: "a new node that crashes in a roll lets two old ones be stopped at once", source: "marathon-lab-roll E20 new", since: version(1, 10, 0), run: func(e *env) {
		w, before, _ := e.beginRoll(4)
		e.crashNew()
		e.gate("a", "/ready", true)
		e.volumesKept(before, e.rolled(4))
		if w.mostUnhealthy() < 2 {
			e.Errorf("no second one was stopped before the first was healthy: %v", w.told())
		}
	}},
	{name: "a new node that crashes in a roll makes one too many", source: "marathon-lab-roll §4 crash of the upgraded one", since: version(1, 8, 0), until: version(1, 10, 0), run: func(e *env) {
		e.beginRoll(4)
		e.crashNew()
		e.gate("a", "/ready", true)
		e.until("a", "more than asked for", func(a *marathon.App) bool { return distinct(a) > 4 })
	}},
	{name: "up to 1.7 a new node that crashes in a roll comes back", source: "marathon-lab-old §4 crash mid-roll", until: version(1, 8, 0), run: func(e *env) {
		_, before, _ := e.beginRoll(3)
		e.crashNew()
		e.gate("a", "/ready", true)
		after := e.rolled(3)
		e.volumesKept(before, after)
		if distinct(after) != 3 {
			e.Error(e.told(after))
		}
	}},
	{name: "a definition with more instances runs away", source: "marathon-lab-old §5 runaway", until: version(1, 8, 0), run: func(e *env) {
		e.upOneByOne(with(e.node("a", 2, "1"), unique()))
		e.put(with(e.node("a", 3, "2"), unique()))
		e.until("a", "far more than asked for, on volumes of their own", func(a *marathon.App) bool { return distinct(a) >= 5 })
	}},
	{name: "a definition with more instances does not run away", source: "marathon-lab-old §5 1.8.222, 1.11.24", since: version(1, 8, 0), run: func(e *env) {
		e.upOneByOne(with(e.node("a", 2, "1"), unique()))
		e.put(with(e.node("a", 3, "2"), unique()))
		// Whether all three come up depends on the host of the new one: on that of an old one, this cannot come back.
		e.stays("a", 12*second, "three at most", func(a *marathon.App) bool { return distinct(a) <= 3 })
	}},
}

func unique() marathon.Doc {
	return marathon.Doc{"constraints": []any{[]any{"hostname", "UNIQUE"}}}
}

// crashNew kills the upgraded node's process, and waits until it is back and waits for the gate again.
func (e *env) crashNew() {
	e.Helper()
	current, _, _ := by(e.get("a"))
	id := current[0].ID.Instance()
	e.until("a", "healthy", func(a *marathon.App) bool { t := find(a, id); return t != nil && healthy(t) })
	e.must(e.target.Control.KillTask(current[0].ID))
	e.until("a", "back", func(a *marathon.App) bool {
		now, _, _ := by(a)
		return len(now) == 1 && now[0].ID != current[0].ID && healthy(&now[0])
	})
	e.stays("a", 3*second, "back", func(a *marathon.App) bool { now, _, _ := by(a); return len(now) == 1 }) // its readiness is asked for
}

// isNew says that the victim has been replaced on its volume by the new definition, beside one other.
func (e *env) isNew(a *marathon.App, victim marathon.Task) bool {
	now := find(a, victim.ID.Instance())
	current, _, _ := count(a)
	return now != nil && now.Running() && now.Version != victim.Version && sameVolume(victim, *now) && current == 2
}

// stoppedAgain: victim died in the roll; it is back with the new definition, and is stopped once more behind the gate.
func (e *env) stoppedAgain(w *watch, victim marathon.Task, before *marathon.App) {
	e.Helper()
	e.until("a", "back with the new definition", func(a *marathon.App) bool { return e.isNew(a, victim) })
	e.gate("a", "/ready", true)
	e.volumesKept(before, e.rolled(3))
	if n := w.killsOf(victim.ID.Instance()); n != 2 {
		e.Errorf("it ended %d times", n)
	}
}
