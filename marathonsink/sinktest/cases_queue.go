package sinktest

import (
	"fmt"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// refuses is a case about the reason that the queue gives for an app that fits nowhere.
func refuses(name string, more marathon.Doc, reason string) testCase {
	return testCase{name: name, source: "marathon-lab-api §6", run: func(e *env) {
		e.create(e.app("a", 1, more))
		e.eventually(func() string {
			queue, err := e.c.Queue(e.ctx)
			e.must(err)
			for _, q := range queue {
				others := 0
				for r, n := range q.Rejections {
					if r != reason {
						others += n
					}
				}
				if q.App == e.id("a") && q.Rejections[reason] > 0 && others == 0 {
					return ""
				}
			}
			return "the queue is " + e.raw("GET", "/v2/queue", "").body
		})
	}}
}

// queueCases: why an app waits.
var queueCases = []testCase{
	refuses("too much memory is told", marathon.Doc{"mem": 999_999}, "InsufficientMemory"),
	refuses("too much disk is told", marathon.Doc{"disk": 999_999_999}, "InsufficientDisk"),
	refuses("a volume that is too large is told as disk", marathon.Doc{"container": marathon.Doc{"type": "MESOS", "volumes": []any{
		marathon.Doc{"containerPath": "data", "mode": "RW", "persistent": marathon.Doc{"size": 999_999_999}}}}}, "InsufficientDisk"),
	refuses("a port that no agent offers is told", marathon.Doc{"portDefinitions": []any{marathon.Doc{"port": 80}}, "requirePorts": true}, "InsufficientPorts"),
	refuses("a host that is not there is told", marathon.Doc{"constraints": []any{[]any{"hostname", "LIKE", "no-such-host"}}}, "UnfulfilledConstraint"),
	refuses("a role that nothing is reserved for is told", marathon.Doc{"acceptedResourceRoles": []any{"marathon"}}, "UnfulfilledRole"),
	refuses("of resources and constraints the summary tells constraints only", marathon.Doc{"cpus": 999, "constraints": []any{[]any{"hostname", "LIKE", "no-such-host"}}},
		"UnfulfilledConstraint"),
	{name: "a crash loop is held back, and the hold can be lifted", source: "marathon-lab-api §6 crash loop, DELETE delay", run: func(e *env) {
		e.create(e.app("a", 1, marathon.Doc{"cmd": "exit 3", "backoffSeconds": 600, "maxLaunchDelaySeconds": 3600}))
		held := func(want bool) func() string {
			return func() string {
				queue, err := e.c.Queue(e.ctx)
				e.must(err)
				i := slices.IndexFunc(queue, func(q marathon.QueueItem) bool { return q.App == e.id("a") })
				if i >= 0 && (queue[i].BackoffSeconds > 300) == want {
					return ""
				}
				return "the queue is " + e.raw("GET", "/v2/queue", "").body
			}
		}
		e.eventually(held(true))
		e.until("a", "failed", func(a *marathon.App) bool { return a.LastTaskFailure != "" && a.TasksRunning == 0 })
		w := e.watch("a")
		e.eventually(func() string { // between two looks it may be out of the queue
			if a := e.raw("DELETE", "/v2/queue"+string(e.id("a"))+"/delay", ""); a.status != 204 {
				return a.body
			}
			return ""
		})
		e.eventually(func() string {
			if len(w.kills()) > 0 {
				return ""
			}
			return "it was not launched again"
		})
	}},
	{name: "an app that does not wait has no hold to lift", source: "marathon-lab-api §6 DELETE delay", run: func(e *env) {
		e.create(e.app("a", 0, nil))
		e.settled("a")
		e.wantAnswer(e.raw("DELETE", "/v2/queue"+string(e.id("a"))+"/delay", ""), 404, fmt.Sprintf("Application %s not found in tasks queue.", e.id("a")))
	}},
}
