package mutants_test

// A mutant is one change of one function. kind is the bug that others had: B1 to B22 of the project's reference.
type mutant struct {
	kind, what string
	file, fn   string
	old, new   string // in the function's text, where old stands once
}

var mutants = []mutant{
	{"B1", "acts on an app that has changed since it was judged", "reconcile/act.go", "same", "!live.Version.Equal(x.Version) || ", ""},
	{"B1", "wipes by what it saw, not by what lives", "reconcile/act.go", "unchanged", "return t.ID == s.Task && (s.Verb != plan.WipeNode || !t.Active())", "return true"},
	{"B2", "does not compare the cluster's uuid", "reconcile/plan/evolve.go", "sameCluster", "h.UUID == recorded && ", ""},
	{"B3", "takes a node that has its turn for one that leaves", "reconcile/plan/leave.go", "surplus", "if !h.Known || !stopped(&r.slots[j]) {", "if true {"},
	{"B4", "takes any instance for the one that was stopped", "reconcile/plan/turn.go", "wrong", "got != \"\" && got != string(s.instance)", "false && got != \"\""},
	{"B5", "never ends a commit that a dead daemon left open", "reconcile/plan/commit.go", "endCommit", "case act.Action == \"RestartApplication\":", "case false:"},
	{"B6", "finds what was left behind and does nothing", "reconcile/watch.go", "Watch", "w.ask = true", "w.ask = false"},
	{"B7", "commits git's number of instances with the definition", "reconcile/plan/commit.go", "commit", "doc[\"instances\"] = r.live.Instances", "doc[\"instances\"] = r.declared()"},
	{"B8", "stops a node twice", "reconcile/act.go", "effect", "return m.KillTask(ctx, s.App, s.Task, true)", "_, _ = m.KillTask(ctx, s.App, s.Task, true)\n\t\treturn m.KillTask(ctx, s.App, s.Task, true)"},
	{"B9", "believes that there is always a gate", "reconcile/plan/evolve.go", "recorded", "gate != nil", "true"},
	{"B10", "removes a node whose drain is not done", "reconcile/esgate/stop.go", "isEmpty", "lossAccepted(h, t) || Empty(h, t.Node)", "true"},
	{"B10", "believes one reading that a node is empty", "reconcile/esgate/stop.go", "provenTwice", "t.Drained.IsZero()", "false"},
	{"B11", "never clears an exclusion", "reconcile/plan/upkeep.go", "leftBehind", "if v, ok := scope.have[keyExclude]; ok {", "if v, ok := scope.have[keyExclude]; ok && false {"},
	{"B12", "leaves the gate open", "reconcile/plan/commit.go", "endCommit", "gate.Instances == 0 || ", "true || "},
	{"B13", "swallows a no of the last look", "reconcile/act.go", "stillAllowed", "!v.OK {", "!v.OK && false {"},
	{"B14", "restarts nodes whose shards have no other copy", "reconcile/esgate/restart.go", "anotherCopy", "case len(last) == 0:", "case true:"},
	{"B15", "takes the word of a commit for a difference", "drift/compare.go", "*", "delete(env, GateEnv)", "_ = env"},
	{"B16", "grows by one more than git wants", "reconcile/plan/grow.go", "grow", "n := r.declared()", "n := r.declared() + 1"},
	{"B17", "does not look at the neighbours of a node that it stops", "reconcile/plan/turn.go", "neighbours", "if s == next.slot || ", "if true || s == next.slot || "},
	{"B17", "restarts the elected master whenever its name comes", "reconcile/plan/turn.go", "queue", "return 3", "return 1"},
	{"B17", "adds all masters at once", "reconcile/plan/grow.go", "grow", "n = r.live.Instances + 1", "n = r.declared()"},
	{"B18", "never gives a place of its pool back", "reconcile/act.go", "Act", "defer func() { <-slots }()", "defer func() {}()"},
	{"B19", "goes on at once after an answer was lost", "reconcile/act.go", "remember", "settle{until: now.Add(r.opts.Settle), why: fmt.Sprintf(\"the answer", "settle{until: now, why: fmt.Sprintf(\"the answer"},
	{"B20", "believes a new leader at once", "reconcile/look.go", "read", "m.settleUntil = time.Now().Add(r.opts.Settle)", "m.settleUntil = time.Now()"},
	{"B21", "cancels deployments that do more than scale", "reconcile/plan/evolve.go", "starting", "act.Action != \"ScaleApplication\" || ", ""},
	{"B22", "forgets a node that is stopped for its turn", "reconcile/plan/turn.go", "finishTurn", "if r.stopped == 0 || ", "if true || "},
}
