package sinktest

import (
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// threeHosts keeps an app to three agents, at most once on each.
func (e *env) threeHosts(n int, v string) marathon.Doc {
	hosts := strings.ReplaceAll(strings.Join(e.target.Agents[:3], "|"), ".", "[.]")
	return with(e.node("a", n, v), marathon.Doc{"constraints": []any{[]any{"hostname", "UNIQUE"}, []any{"hostname", "LIKE", hosts}}})
}

// hostsOf counts the running tasks of each host.
func hostsOf(a *marathon.App) map[string]int {
	hosts := map[string]int{}
	for _, t := range a.Tasks {
		if t.Running() {
			hosts[t.Host]++
		}
	}
	return hosts
}

var placementCases = []testCase{
	{name: "while all run one definition, hosts are unique", source: "marathon-lab-old §5 UNIQUE", run: func(e *env) {
		e.upOneByOne(e.threeHosts(3, "1"))
		e.scale("a", 4)
		e.inQueue("a", true)
		e.stays("a", 5*second, "three on three hosts", func(a *marathon.App) bool { return a.TasksRunning == 3 && len(hostsOf(a)) == 3 })
	}},
	{name: "instances of an older definition do not count for unique hosts", source: "marathon-lab-old §5 constraints", run: func(e *env) {
		e.upOneByOne(e.threeHosts(3, "1"))
		e.gate("a", "/ready", false)
		d := e.put(e.threeHosts(3, "2"))
		e.until("a", "mixed", func(a *marathon.App) bool { current, old, _ := count(a); return current == 1 && old == 2 })
		e.cancel(d)
		e.settled("a")
		e.gate("a", "/ready", true)
		e.scale("a", 4)
		e.until("a", "on a host twice", func(a *marathon.App) bool { return a.TasksRunning == 4 && len(hostsOf(a)) == 3 })
	}},
	{name: "scaling down while one waits kills a running one", source: "marathon-lab-old §5 scale-down", since: version(1, 8, 0), run: func(e *env) {
		before := e.unplacedFourth()
		w := e.watch("a")
		e.scale("a", 3)
		e.until("a", "rid of a running one", func(a *marathon.App) bool { return len(w.kills()) > 0 && !untouched(before, a) })
	}},
	{name: "up to 1.7 scaling down while one waits kills none", source: "marathon-lab-old §5 scale-down", until: version(1, 8, 0), run: func(e *env) {
		before := e.unplacedFourth()
		w := e.watch("a")
		e.scale("a", 3)
		e.stays("a", 5*second, "untouched", func(a *marathon.App) bool { return untouched(before, a) })
		if kills := w.kills(); len(kills) != 0 {
			e.Errorf("ended: %v", kills)
		}
	}},
	{name: "LIKE keeps an app to its hosts", source: "marathon §12; marathon-lab-api §6 LIKE", run: func(e *env) {
		host := e.target.Agents[4]
		e.create(e.app("a", 2, marathon.Doc{"constraints": []any{[]any{"hostname", "LIKE", host}}}))
		if hosts := hostsOf(e.running("a", 2)); hosts[host] != 2 {
			e.Errorf("%v", hosts)
		}
	}},
	{name: "UNLIKE keeps an app off a rack", source: "marathon §12", run: func(e *env) {
		e.create(e.app("a", 3, marathon.Doc{"constraints": []any{[]any{"rack", "UNLIKE", "r[13]"}}}))
		for _, t := range e.running("a", 3).Tasks {
			if t.Host != e.target.Agents[1] && t.Host != e.target.Agents[4] && t.Host != e.target.Agents[7] {
				e.Errorf("%s is not in rack r2", t.Host)
			}
		}
	}},
	{name: "MAX_PER bounds the tasks of a host", source: "marathon §12", run: func(e *env) {
		e.create(e.app("a", 6, marathon.Doc{"constraints": []any{[]any{"hostname", "MAX_PER", "2"}}}))
		for host, n := range hostsOf(e.running("a", 6)) {
			if n > 2 {
				e.Errorf("%d on %s", n, host)
			}
		}
	}},
	{name: "GROUP_BY spreads over racks", source: "marathon §12", run: func(e *env) {
		e.create(e.app("a", 6, marathon.Doc{"constraints": []any{[]any{"rack", "GROUP_BY", "3"}}}))
		racks := [3]int{}
		for host, n := range hostsOf(e.running("a", 6)) {
			for i, agent := range e.target.Agents {
				if agent == host {
					racks[i%3] += n
				}
			}
		}
		if racks != [3]int{2, 2, 2} {
			e.Errorf("%v", racks)
		}
	}},
}

// unplacedFourth leaves three of four running, the fourth without a host, and no deployment.
func (e *env) unplacedFourth() *marathon.App {
	e.Helper()
	before := e.upOneByOne(e.threeHosts(3, "1"))
	d := e.scale("a", 4)
	e.inQueue("a", true)
	e.cancel(d)
	e.settled("a")
	e.inQueue("a", true) // up to 1.7 by the next scale check
	return before
}
