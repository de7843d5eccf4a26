package sinktest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// loseHostOf cuts a task's agent off until the end of the case.
func (e *env) loseHostOf(t marathon.Task) {
	e.Helper()
	e.must(e.target.Control.LoseAgent(t.Host))
	e.Cleanup(func() { _ = e.target.Control.BackAgent(t.Host) }) // it may be back
	e.until("a", "partly unreachable", func(a *marathon.App) bool { now := find(a, t.ID.Instance()); return now != nil && now.Unreachable() })
}

// stopUnreachable stops the older of two tasks while its agent is lost, and lets the agent return.
func (e *env) stopUnreachable() (lost marathon.Task) {
	e.Helper()
	before := e.upOneByOne(with(e.node("a", 2, "1"), unique()))
	lost = slices.MinFunc(before.Tasks, func(x, y marathon.Task) int { return strings.Compare(x.StagedAt, y.StagedAt) })
	e.loseHostOf(lost)
	_, err := e.c.KillTask(e.ctx, e.id("a"), lost.ID, true)
	e.must(err)
	if a := e.settled("a"); a.Instances != 1 || !find(a, lost.ID.Instance()).Unreachable() {
		e.Error(e.told(a))
	}
	e.must(e.target.Control.BackAgent(lost.Host))
	return lost
}

// agentCases: machines that go and come, launches that fail. They run alone, because others stand on the same agents.
var agentCases = []testCase{
	{name: "a task on a lost agent is unreachable and is not replaced", source: "marathon-lab-roll E23", how: alone, run: func(e *env) {
		before := e.up(e.node("a", 2, "1"))
		lost := before.Tasks[0]
		e.loseHostOf(lost)
		e.stays("a", 5*second, "one short", func(a *marathon.App) bool {
			now := find(a, lost.ID.Instance())
			return a.Instances == 2 && len(a.Tasks) == 2 && now.ID == lost.ID && now.Version != "" && len(a.Deployments) == 0
		})
		e.must(e.target.Control.BackAgent(lost.Host))
		e.until("a", "as before", func(a *marathon.App) bool { return untouched(before, a) })
	}},
	{name: "stopping an unreachable task ends at once, and it is killed when its agent returns", source: "marathon-lab-roll E23 scale=true", since: version(1, 8, 0), how: alone, run: func(e *env) {
		lost := e.stopUnreachable()
		e.until("a", "with a left-over", func(a *marathon.App) bool { now := find(a, lost.ID.Instance()); return now != nil && now.Suspended() })
	}},
	// Its log: "Ignoring kill request ...; killing it while it is Unreachable is unsupported".
	{name: "in 1.6 and 1.7 stopping an unreachable task ends at once, and when its agent returns the younger one is stopped", source: "marathon-lab-roll E23 scale=true",
		since: version(1, 6, 0), until: version(1, 8, 0), how: alone, run: func(e *env) {
			lost := e.stopUnreachable()
			e.until("a", "with the other left over", func(a *marathon.App) bool {
				now := find(a, lost.ID.Instance())
				return now != nil && now.ID == lost.ID && now.Running() && a.TasksRunning == 1 && slices.ContainsFunc(a.Tasks, marathon.Task.Suspended)
			})
		}},
	{name: "up to 1.5 stopping an unreachable task hangs, and the task runs on when its agent returns", source: "marathon-lab-roll E23 scale=true", until: version(1, 6, 0), how: alone, run: func(e *env) {
		before := e.upOneByOne(with(e.node("a", 2, "1"), unique()))
		lost := before.Tasks[0]
		e.loseHostOf(lost)
		_, err := e.c.KillTask(e.ctx, e.id("a"), lost.ID, true)
		e.must(err)
		e.stays("a", 5*second, "waiting", func(a *marathon.App) bool { return len(a.Deployments) == 1 && a.Instances == 1 })
		e.must(e.target.Control.BackAgent(lost.Host))
		e.until("a", "as before", func(a *marathon.App) bool { return untouched(before, a) })
		e.stays("a", 5*second, "stuck", func(a *marathon.App) bool { return len(a.Deployments) == 1 && untouched(before, a) })
	}},
	{name: "a roll with one unreachable never begins and never ends", source: "marathon-lab-roll E23 PUT", since: version(1, 10, 0), how: alone, run: func(e *env) {
		before := e.upOneByOne(with(e.node("a", 2, "1"), unique()))
		lost := before.Tasks[0]
		e.loseHostOf(lost)
		e.put(with(e.node("a", 2, "2"), unique()))
		e.stays("a", 4*second, "stuck", func(a *marathon.App) bool { return len(a.Deployments) == 1 && untouched(before, a, lost.ID.Instance()) })
		e.must(e.target.Control.BackAgent(lost.Host))
		e.until("a", "reachable", func(a *marathon.App) bool { return find(a, lost.ID.Instance()).Running() })
		e.stays("a", 5*second, "stuck", func(a *marathon.App) bool { return len(a.Deployments) == 1 && untouched(before, a) })
	}},
	{name: "a launch that fails is tried again", source: "marathon-lab-api §6 crash loop", how: alone, run: func(e *env) {
		e.must(e.target.Control.FailNextLaunches(1))
		e.create(e.app("a", 1, nil))
		e.running("a", 1)
		e.until("a", "told to have failed", func(a *marathon.App) bool { return a.LastTaskFailure != "" })
	}},
	{name: "without offers an app waits", source: "marathon-lab-api §6", how: alone, run: func(e *env) {
		e.must(e.target.Control.PauseOffers())
		e.Cleanup(func() { e.must(e.target.Control.ResumeOffers()) })
		e.create(e.app("a", 1, nil))
		e.inQueue("a", true)
		e.stays("a", 3*second, "waiting", func(a *marathon.App) bool { return a.TasksRunning == 0 && len(a.Deployments) == 1 })
		e.must(e.target.Control.ResumeOffers())
		e.running("a", 1)
	}},
}

// leaderCases: what a change of the leader does to what is under way. They prepare beside each other, then the leader
// is changed once for all of them.
var leaderCases = []testCase{
	{name: "tasks outlive their leader", source: "marathon-lab-roll E25; marathon-lab-api §9", how: leaders, run: func(e *env) {
		before := e.up(e.node("a", 2, "1"))
		e.changeLeader()
		after := e.stays("a", 8*second, "as before", func(a *marathon.App) bool { return untouched(before, a) && len(a.Deployments) == 0 })
		if !after.Version.Equal(before.Version) {
			e.Errorf("version %s became %s", before.Version, after.Version)
		}
	}},
	{name: "a list of apps is never short while the leader changes", source: "marathon-lab-api §0.10", how: leaders, run: func(e *env) {
		before := e.up(e.app("a", 1, nil))
		answers := 0
		end := e.meanwhile(func() (complaint string) {
			a, err := e.try("GET", "/v2/apps", "")
			if err != nil || a.status != 200 {
				return ""
			}
			if answers++; strings.Contains(a.body, fmt.Sprintf("%q", before.ID)) {
				return ""
			}
			return fmt.Sprintf("an answer without %s: %.200s", before.ID, a.body)
		})
		e.changeLeader()
		if end(); answers == 0 {
			e.Error("nothing was answered")
		}
	}},
	{name: "the stream of events ends with the leader and begins again with a gap", source: "marathon-lab-api §5 leader loss", how: leaders, run: func(e *env) {
		ch := e.stream("event_stream_attached")
		<-ch
		<-ch
		e.changeLeader()
		for ev := range ch {
			if ev.Gap {
				return
			}
		}
	}},
	{name: "a scaling that hangs is a success for the next leader", source: "marathon-lab-api §0.4, §9; marathon-lab-roll E25", since: version(1, 8, 0), how: leaders, run: func(e *env) {
		e.create(e.unplaceable("a"))
		e.inQueue("a", true)
		e.changeLeader()
		if a := e.settled("a"); a.TasksRunning != 0 || a.Instances != 1 {
			e.Error(e.told(a))
		}
		e.inQueue("a", true)
	}},
	{name: "an open roll kills one more under the next leader, gate closed or not", source: "marathon-lab-roll E25; marathon-lab-old §4 leader change", how: leaders, run: func(e *env) {
		w, _, d := e.beginRoll(3)
		e.until("a", "healthy", func(a *marathon.App) bool { current, _, _ := by(a); return len(current) == 1 && healthy(&current[0]) })
		kills := len(w.kills())
		e.changeLeader()
		a := e.until("a", "one further", func(a *marathon.App) bool { current, old, _ := count(a); return current == 2 && old == 1 })
		if kills != 1 || len(a.Deployments) != 1 || a.Deployments[0] != d {
			e.Errorf("%d kills before; deployments %v", kills, a.Deployments)
		}
		e.stays("a", 5*second, "waiting", func(a *marathon.App) bool { current, old, _ := count(a); return current == 2 && old == 1 })
		e.cancel(d)
	}},
	{name: "a commit behind a gate hangs on under the next leader", source: "marathon-lab-roll §1 crash table; marathon-lab-old §4", how: leaders, run: func(e *env) {
		before := e.gated(2)
		d := e.commit(2, "2")
		e.changeLeader()
		e.until("a", "in its deployment", func(a *marathon.App) bool { return len(a.Deployments) == 1 && a.Deployments[0] == d })
		e.stays("a", 10*second, "untouched", func(a *marathon.App) bool { return untouched(before, a) && len(a.Deployments) == 1 })
		e.endCommit(d)
		e.endCommit(e.commit(2, "3")) // the gate serves again
		if after := e.get("a"); !untouched(before, after) {
			e.Error(e.told(after))
		}
	}},
	{name: "a gate that is new opens under the next leader, and everybody is rolled", source: "marathon-lab-roll §1 crash table, fresh gate", since: version(1, 10, 0), how: leaders, run: func(e *env) {
		before := e.freshGate()
		e.changeLeader()
		e.volumesKept(before, e.rolled(2))
	}},
	{name: "up to 1.7 a gate that is new stays closed under the next leader", source: "marathon-lab-old §4 fresh gate", until: version(1, 8, 0), how: leaders, run: func(e *env) {
		before := e.freshGate()
		e.changeLeader()
		e.until("a", "in its deployment", func(a *marathon.App) bool { return len(a.Deployments) == 1 })
		e.stays("a", 10*second, "untouched", func(a *marathon.App) bool { return untouched(before, a) && len(a.Deployments) == 1 })
	}},
	{name: "a node that is stopped stays so under the next leader", source: "marathon-lab-roll §1 crash table 2a; marathon-lab-old §4", how: leaders, run: func(e *env) {
		before := e.gated(2)
		e.endCommit(e.commit(2, "2"))
		e.stop("a", before.Tasks[0])
		e.changeLeader()
		e.stays("a", 10*second, "one short", func(a *marathon.App) bool {
			return a.Instances == 1 && a.TasksRunning == 1 && untouched(before, a, before.Tasks[0].ID.Instance())
		})
		e.scale("a", 2) // also up to 1.7: no launcher is alive
		e.isBack(before.Tasks[0], true)
	}},
	{name: "the next leader misses the health of a node whose start is open", source: "marathon-lab-roll E25; its tasks' health measured on 1.11.24, 1.8.222, 1.7.236 and 1.5.15", how: leaders, run: func(e *env) {
		e.gate("a", "/ready", false) // healthy, and its start does not end
		e.create(e.node("a", 1, "1"))
		node := e.until("a", "healthy", func(a *marathon.App) bool { return len(a.Tasks) == 1 && healthy(&a.Tasks[0]) }).Tasks[0]
		e.changeLeader()
		e.until("a", "started, as the leader has it", func(a *marathon.App) bool { return len(a.Deployments) == 0 })
		e.stays("a", 10*second, "unknown", func(a *marathon.App) bool {
			now := &a.Tasks[0]
			return now.ID == node.ID && now.Running() && len(now.HealthCheckResults) == 0
		})
		e.gate("a", "/health", false) // of a change it is told
		e.until("a", "known to be ill", func(a *marathon.App) bool { return unhealthy(&a.Tasks[0]) })
	}},
	{name: "the next leader misses the health of the one that starts, not of those beside it", source: "marathon-lab-roll E25; its tasks' health measured on 1.11.24 and 1.8.222", since: version(1, 8, 0), how: leaders, run: func(e *env) {
		before := e.up(e.node("a", 2, "1"))
		starts, beside := before.Tasks[0].ID.Instance(), before.Tasks[1].ID.Instance()
		e.stop("a", before.Tasks[0])
		e.gate("a", "/ready", false)
		e.scale("a", 2)
		e.until("a", "healthy", func(a *marathon.App) bool { return a.TasksRunning == 2 && healthy(find(a, starts)) })
		e.changeLeader()
		e.until("a", "known in part", func(a *marathon.App) bool { return len(a.Deployments) == 0 && healthy(find(a, beside)) })
		e.stays("a", 10*second, "known in part", func(a *marathon.App) bool {
			return a.TasksRunning == 2 && !healthy(find(a, starts)) && !unhealthy(find(a, starts)) && healthy(find(a, beside))
		})
	}},
	{name: "a definition above 1 MiB ends the leader", source: "marathon-lab-api §0.3", how: alone, run: func(e *env) {
		e.up(e.app("a", 1, nil))
		doc := e.app("b", 0, marathon.Doc{"labels": marathon.Doc{"x": strings.Repeat("x", 1_049_000)}})
		if a, err := e.try("PUT", "/v2/apps"+string(e.id("b")), e.json(doc)); err == nil && a.status/100 == 2 {
			e.Fatalf("it was taken: %d %.200s", a.status, a.body)
		}
		e.must(e.target.Control.AwaitLeader())
		_, err := e.c.App(e.ctx, e.id("b"))
		e.want(err, marathonsink.KindNotFound)
		e.running("a", 1)
	}},
}

// changeLeader returns when the next leader has answered and its list of deployments can be trusted.
func (e *env) changeLeader() {
	e.Helper()
	e.must(e.target.Control.ChangeLeader())
	e.eventually(func() string {
		if _, err := e.c.State(e.ctx, nil); err != nil {
			return err.Error()
		}
		return ""
	})
}

// freshGate leaves a commit open behind a gate that did not exist before.
func (e *env) freshGate() *marathon.App {
	e.Helper()
	before := e.up(e.behindGate(2, "1"))
	e.put(e.behindGate(2, "2"), e.gateApp("2", 1))
	e.inQueue("gate", true)
	return before
}

// meanwhile calls ask again and again beside the case, until end is called or the case is over. The last complaint is a
// failure of the case.
func (e *env) meanwhile(ask func() (complaint string)) (end func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	complaint := ""
	go func() {
		defer close(done)
		for {
			if c := ask(); c != "" {
				complaint = c
			}
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	end = sync.OnceFunc(func() {
		close(stop)
		if <-done; complaint != "" {
			e.Error(complaint)
		}
	})
	e.Cleanup(end)
	return end
}
