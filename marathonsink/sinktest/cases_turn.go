package sinktest

import (
	"slices"
	"strings"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// gateApp is what a commit hangs on: it fits no host.
func (e *env) gateApp(roll string, instances int) marathon.Doc {
	return marathon.Doc{"id": string(e.id("gate")), "cmd": "sleep 1000", "cpus": 0.01, "mem": 8, "instances": instances,
		"env": marathon.Doc{"ROLL": roll}, "constraints": []any{[]any{"hostname", "LIKE", "no-such-host"}},
		"upgradeStrategy": marathon.Doc{"minimumHealthCapacity": 1, "maximumOverCapacity": 1},
		"healthChecks":    []any{marathon.Doc{"protocol": "COMMAND", "command": marathon.Doc{"value": "true"}}}}
}

// behindGate is a node app that is deployed after the gate.
func (e *env) behindGate(n int, v string) marathon.Doc {
	return with(e.node("a", n, v), marathon.Doc{"dependencies": []any{string(e.id("gate"))}})
}

// gated makes the gate and an app behind it that runs.
func (e *env) gated(n int) *marathon.App {
	e.Helper()
	e.create(e.gateApp("0", 0))
	e.settled("gate")
	return e.up(e.behindGate(n, "1"))
}

// commit begins to write a new definition behind the gate, where it hangs.
func (e *env) commit(n int, v string) marathon.DeploymentID {
	e.Helper()
	return e.put(e.behindGate(n, v), e.gateApp(v, 1))
}

// endCommit cancels it and puts the gate back.
func (e *env) endCommit(d marathon.DeploymentID) {
	e.Helper()
	e.cancel(d)
	e.scale("gate", 0)
	e.settled("gate")
}

// isBack waits until the victim runs again, on its volume, with the version of the definition that is asked for.
func (e *env) isBack(victim marathon.Task, current bool) {
	e.Helper()
	e.until("a", "whole again", func(a *marathon.App) bool {
		now := find(a, victim.ID.Instance())
		if now == nil || !now.Running() || now.ID == victim.ID || !sameVolume(victim, *now) {
			return false
		}
		list, _, _ := by(a)
		if slicesContainTask(list, now.ID) != current {
			e.Fatalf("%s came back as %s", victim.ID, e.told(a))
		}
		return true
	})
}

// commitCases: a new definition that restarts nobody.
var commitCases = []testCase{
	{name: "a commit behind a gate changes the definition and no task", source: "marathon-lab-roll §1 way C3; marathon-lab-old §2", run: func(e *env) {
		before := e.gated(3)
		for _, v := range []string{"2", "3"} { // the same gate serves again
			d := e.commit(3, v)
			if steps := e.steps(d); steps != "Restart gate, Restart a" {
				e.Errorf("the plan is %s", steps)
			}
			e.endCommit(d)
		}
		after := e.stays("a", 5*second, "untouched", func(a *marathon.App) bool { return untouched(before, a) && len(a.Deployments) == 0 })
		if got := at(after.Doc, "env.V"); got != `"3"` || !after.LastConfigChange.After(before.LastConfigChange) {
			e.Errorf("V is %s", got)
		}
	}},
	{name: "a commit left open hangs and touches no task", source: "marathon-lab-roll §1 crash table C1; marathon-lab-old §2", run: func(e *env) {
		before := e.gated(2)
		d := e.commit(2, "2")
		e.stays("a", 18*second, "untouched", func(a *marathon.App) bool { return untouched(before, a) && len(a.Deployments) == 1 })
		e.endCommit(d)
		if after := e.get("a"); !untouched(before, after) {
			e.Error(e.told(after))
		}
	}},
	{name: "a node that crashes under an open commit comes back as it was", source: "marathon-lab-roll §1 crash table C1", since: version(1, 8, 0), run: func(e *env) {
		before := e.gated(2)
		d := e.commit(2, "2")
		e.must(e.target.Control.KillTask(before.Tasks[0].ID))
		e.isBack(before.Tasks[0], false)
		e.endCommit(d)
	}},
	{name: "up to 1.7 a node that crashes under an open commit stays down until its end", source: "marathon-lab-old §1.6, §2", until: version(1, 8, 0), run: func(e *env) {
		before := e.gated(2)
		d := e.commit(2, "2")
		e.must(e.target.Control.KillTask(before.Tasks[0].ID))
		e.until("a", "one short", func(a *marathon.App) bool { return a.TasksRunning == 1 })
		e.stays("a", 18*second, "one short", func(a *marathon.App) bool { return a.TasksRunning == 1 })
		e.endCommit(d)
		e.scale("a", 1)
		e.settled("a")
		e.scale("a", 2)
		e.isBack(before.Tasks[0], true)
	}},
	{name: "a cancel keeps what waits for an offer", source: "marathon-lab-roll §2; marathon-lab-old §1.2", since: version(1, 8, 0), how: alone, run: func(e *env) {
		victim := e.cancelWhileQueued()
		e.inQueue("a", true)
		e.must(e.target.Control.ResumeOffers())
		e.isBack(victim, true)
	}},
	{name: "up to 1.7 a cancel purges what waits for an offer", source: "marathon-lab-old §1.2, §2", until: version(1, 8, 0), how: alone, run: func(e *env) {
		victim := e.cancelWhileQueued()
		e.inQueue("a", false)
		e.must(e.target.Control.ResumeOffers())
		e.isBack(victim, true) // by the next scale check
	}},
	{name: "up to 1.7 one instance less and one more bring back who was purged", source: "marathon-lab-old §2 repair", until: version(1, 8, 0), how: alone, run: func(e *env) {
		victim := e.cancelWhileQueued()
		e.must(e.target.Control.ResumeOffers())
		e.scale("a", 1)
		a := e.settled("a")
		if a.TasksRunning < 1 {
			e.Error(e.told(a))
		}
		e.scale("a", 2)
		e.isBack(victim, true)
	}},
}

// cancelWhileQueued commits by the victim's stop, and cancels while no offer came. It leaves offers paused.
func (e *env) cancelWhileQueued() (victim marathon.Task) {
	e.Helper()
	victim = e.up(e.node("a", 2, "1")).Tasks[0]
	e.stop("a", victim)
	e.must(e.target.Control.PauseOffers())
	e.Cleanup(func() { e.must(e.target.Control.ResumeOffers()) })
	d := e.put(e.node("a", 2, "2"))
	e.inQueue("a", true)
	e.cancel(d)
	return victim
}

// inQueue waits until the app is, or is not, among those that wait for offers.
func (e *env) inQueue(name string, want bool) {
	e.Helper()
	e.eventually(func() string {
		if e.queued(name) == want {
			return ""
		}
		return "the queue is " + e.raw("GET", "/v2/queue", "").body
	})
}

// queued says whether the app waits for offers.
func (e *env) queued(name string) bool {
	e.Helper()
	queue, err := e.c.Queue(e.ctx)
	e.must(err)
	return slices.ContainsFunc(queue, func(q marathon.QueueItem) bool { return q.App == e.id(name) && q.Count > 0 })
}

// turnCases: one node after another gets the definition that was committed.
var turnCases = []testCase{
	{name: "a stop and a scaling bring a node back with the committed definition", source: "marathon-lab-roll §1 phase 2", since: version(1, 8, 0), run: func(e *env) {
		before := e.gated(2)
		e.endCommit(e.commit(2, "2"))
		for _, victim := range before.Tasks {
			e.stop("a", victim)
			e.scale("a", 2)
			e.isBack(victim, true)
			e.settled("a")
		}
		after := e.rolled(2)
		e.volumesKept(before, after)
	}},
	{name: "up to 1.7 a plain kill brings a node back with the committed definition", source: "marathon-lab-old §1.3, §3 (b)", until: version(1, 8, 0), run: func(e *env) {
		before := e.gated(2)
		e.endCommit(e.commit(2, "2"))
		for _, victim := range before.Tasks {
			e.killed("a", victim)
			e.isBack(victim, true)
		}
		e.volumesKept(before, e.rolled(2))
	}},
	{name: "a plain kill brings a node back with the definition it had", source: "marathon-lab-roll E8", since: version(1, 8, 0), run: func(e *env) {
		before := e.gated(2)
		e.endCommit(e.commit(2, "2"))
		e.killed("a", before.Tasks[0])
		e.isBack(before.Tasks[0], false)
	}},
	{name: "a crash brings a node back with the definition it had", source: "marathon-lab-roll E8", since: version(1, 8, 0), run: func(e *env) {
		before := e.gated(2)
		e.endCommit(e.commit(2, "2"))
		e.must(e.target.Control.KillTask(before.Tasks[0].ID))
		e.isBack(before.Tasks[0], false)
	}},
	{name: "up to 1.7 a crash spreads the committed definition", source: "marathon-lab-old §3 mixed state", until: version(1, 8, 0), run: func(e *env) {
		before := e.gated(2)
		e.endCommit(e.commit(2, "2"))
		e.must(e.target.Control.KillTask(before.Tasks[0].ID))
		e.isBack(before.Tasks[0], true)
	}},
	{name: "a scaling up ends when the stopped node is back", source: "marathon-lab-roll §1 phase 2b", since: version(1, 8, 0), run: func(e *env) {
		before := e.up(e.node("a", 2, "1"))
		e.stop("a", before.Tasks[0])
		e.gate("a", "/ready", false)
		e.scale("a", 2)
		e.isBack(before.Tasks[0], true)
		e.stays("a", 4*second, "in its deployment", func(a *marathon.App) bool { return len(a.Deployments) == 1 })
		e.gate("a", "/ready", true)
		e.running("a", 2)
	}},
	{name: "up to 1.7 a scaling up claims success and starts nothing", source: "marathon-lab-old §3 (a)", until: version(1, 8, 0), run: func(e *env) {
		before := e.up(e.node("a", 2, "1"))
		e.stop("a", before.Tasks[0])
		e.scale("a", 2)
		if a := e.settled("a"); a.TasksRunning != 1 {
			e.Errorf("%d run: %s", a.TasksRunning, e.told(a))
		}
		e.isBack(before.Tasks[0], true) // by the next scale check
	}},
	{name: "up to 1.7 a scaling up works after a cancel, once", source: "marathon-lab-old §3 (a)", until: version(1, 8, 0), run: func(e *env) {
		before := e.gated(2)
		e.stop("a", before.Tasks[0])
		e.endCommit(e.commit(1, "2"))
		e.gate("a", "/ready", false)
		e.scale("a", 2)
		e.isBack(before.Tasks[0], true)
		if a := e.get("a"); len(a.Deployments) != 1 {
			e.Error("it claimed success before the node was ready")
		}
		e.gate("a", "/ready", true)
		e.settled("a")
	}},
	{name: "a stop ends when the task is gone, and nobody brings it back", source: "marathon-lab-roll §1 crash table 2a", run: func(e *env) {
		before := e.up(e.node("a", 2, "1"))
		e.stop("a", before.Tasks[0])
		e.stays("a", 18*second, "one short", func(a *marathon.App) bool { return a.Instances == 1 && a.TasksRunning == 1 && len(a.Deployments) == 0 })
	}},
	{name: "a stop in a roll is refused", source: "marathon-lab-roll §2 (b) scale=true; marathon-lab-old §4", run: func(e *env) {
		e.beginRoll(2)
		_, err := e.c.KillTask(e.ctx, e.id("a"), e.anOld().ID, true)
		e.want(err, marathonsink.KindLocked)
	}},
	{name: "a kill answers with the task it kills", source: "marathon-lab-old §7 DELETE of a task", run: func(e *env) {
		task := e.up(e.app("a", 1, nil)).Tasks[0]
		a := e.raw("DELETE", "/v2/apps"+string(e.id("a"))+"/tasks/"+string(task.ID), "")
		e.wantAnswer(a, 200, `"task"`)
		if named := strings.Contains(a.body, `"id":"`+string(task.ID)+`"`); named != e.version.AtLeast(1, 6, 0) {
			e.Errorf("named by its id: %v: %.300s", named, a.body)
		}
	}},
}
