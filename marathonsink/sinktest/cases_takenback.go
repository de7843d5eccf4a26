package sinktest

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// takenBack commits a change, lets the first node have it, and commits what there was before: now the other nodes run the
// definition in force under an older version.
func (e *env) takenBack(n int, first func(v string) marathon.Doc) (canary marathon.Task, others []marathon.Task) {
	e.Helper()
	commit := func(v string) {
		e.endCommit(e.put(first(v), e.gateApp(v+" "+time.Now().String(), 1)))
	}
	e.create(e.gateApp("0", 0))
	e.settled("gate")
	before := e.upOneByOne(first("1"))
	commit("2")
	e.turn(n, before.Tasks[0])
	commit("1")
	a := e.settled("a")
	current, _, _ := by(a)
	if len(current) > 0 || at(a.Doc, "env.V") != `"1"` {
		e.Fatalf("V %s, %s", at(a.Doc, "env.V"), e.told(a))
	}
	return *find(a, before.Tasks[0].ID.Instance()), before.Tasks[1:]
}

// turn restarts a node with the definition in force, as each generation has to.
func (e *env) turn(n int, victim marathon.Task) {
	e.Helper()
	if e.version.AtLeast(1, 8, 0) {
		e.stop("a", victim)
		e.scale("a", n)
	} else {
		e.kill("a", victim)
	}
	e.isBack(victim, true)
	e.settled("a")
}

// ours is a node app behind the gate with a fleet's label, of which a State reads all.
func (e *env) ours(n int, v string) marathon.Doc {
	return with(e.behindGate(n, v), marathon.Doc{"labels": marathon.Doc{marathon.LabelFleet: "suite"}})
}

// sameButInstances says that two live documents are one definition.
func (e *env) sameButInstances(x, y marathon.Doc) bool {
	e.Helper()
	var out [2][]byte
	for i, d := range []marathon.Doc{x, y} {
		d = maps.Clone(d)
		delete(d, "instances")
		b, err := json.Marshal(d)
		e.must(err)
		out[i] = b
	}
	return string(out[0]) == string(out[1])
}

// takenBackCases: a change that is put back leaves nodes that run the definition in force under an older version.
var takenBackCases = []testCase{
	{name: "what nodes of an older version run can be read, and is just as the app was", source: "marathon-lab-api §7 versions", run: func(e *env) {
		canary, others := e.takenBack(2, func(v string) marathon.Doc { return e.ours(2, v) })
		s, err := e.c.State(e.ctx, nil)
		e.must(err)
		a := s.Apps[e.id("a")]
		if len(a.Former) != 2 {
			e.Fatalf("%d older definitions, want two: %+v", len(a.Former), a.Former)
		}
		for task, same := range map[marathon.TaskID]bool{canary.ID: false, others[0].ID: true} {
			v, err := time.Parse(time.RFC3339, find(a, task.Instance()).Version)
			e.must(err)
			doc := a.FormerOf(v)
			if doc == nil || e.sameButInstances(doc, a.Doc) != same {
				e.Errorf("%s: version %s is %v, in force is %v", task, v, doc, a.Doc)
			}
		}
	}},
	{name: "a scaling does not make another definition of a version", source: "marathon-lab-api §2 lastConfigChangeAt", run: func(e *env) {
		e.create(e.gateApp("0", 0))
		e.settled("gate")
		e.upOneByOne(e.ours(2, "1")) // each under a version of its own
		e.endCommit(e.put(e.ours(2, "2"), e.gateApp("2", 1)))
		s, err := e.c.State(e.ctx, nil)
		e.must(err)
		if a := s.Apps[e.id("a")]; len(a.OlderVersions()) != 2 || len(a.Former) != 1 || at(a.Former[0].Doc, "env.V") != `"1"` {
			e.Errorf("older versions %v, definitions %+v", a.OlderVersions(), a.Former)
		}
	}},
	{name: "a node that never left a definition that is put back keeps its old version when it crashes", source: "marathon-lab-roll E8", since: version(1, 8, 0), run: func(e *env) {
		_, others := e.takenBack(2, func(v string) marathon.Doc { return e.behindGate(2, v) })
		e.must(e.target.Control.KillTask(others[0].ID))
		e.isBack(others[0], false)
	}},
	{name: "up to 1.7 a node that never left a definition that is put back has the new version when it crashes", source: "marathon-lab-old §3 mixed state", until: version(1, 8, 0), run: func(e *env) {
		_, others := e.takenBack(2, func(v string) marathon.Doc { return e.behindGate(2, v) })
		e.must(e.target.Control.KillTask(others[0].ID))
		e.isBack(others[0], true)
	}},
	{name: "when only the canary has turned back nobody else is touched by anything that Marathon does alone", source: "marathon-lab-roll §2 after cancel", run: func(e *env) {
		canary, others := e.takenBack(3, func(v string) marathon.Doc { return e.behindGate(3, v) })
		e.turn(3, canary)
		a := e.stays("a", 18*second, "as it was", func(a *marathon.App) bool { // longer than a scale check
			current, old, rest := count(a)
			return current == 1 && old == 2 && rest == 0 && len(a.Deployments) == 0
		})
		for _, t := range others {
			if now := find(a, t.ID.Instance()); now == nil || now.ID != t.ID {
				e.Errorf("%s: %s", t.ID, e.told(a))
			}
		}
		e.turn(3, others[0]) // and it has its turn like any other
	}},
	{name: "nodes that never left a definition that is put back do not count for unique hosts", source: "marathon-lab-old §5 constraints", run: func(e *env) {
		canary, others := e.takenBack(3, func(v string) marathon.Doc {
			return with(e.threeHosts(3, v), marathon.Doc{"dependencies": []any{string(e.id("gate"))}})
		})
		e.turn(3, canary)
		e.scale("a", 4)
		a := e.running("a", 4)
		if hosts := hostsOf(a); len(hosts) != 3 || hosts[canary.Host] != 1 {
			e.Errorf("the fourth, beside %v, went to a free host: %s", others, strings.TrimSpace(e.told(a)))
		}
	}},
}
