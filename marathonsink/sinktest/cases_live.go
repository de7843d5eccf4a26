package sinktest

import (
	"strings"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

var lockCases = []testCase{
	{name: "an app in a deployment refuses writes and names the deployment", source: "marathon-lab-api §4 locked", run: func(e *env) {
		d := e.create(e.unplaceable("a"))
		other := e.unplaceable("a")
		other["cmd"] = "sleep 7"
		_, err := e.c.Replace(e.ctx, other)
		x := e.want(err, marathonsink.KindLocked)
		if len(x.Deployments) != 1 || x.Deployments[0] != d {
			e.Errorf("locked by %v, want %s", x.Deployments, d)
		}
		_, err = e.c.Scale(e.ctx, e.id("a"), 3, nil)
		e.want(err, marathonsink.KindLocked)
		_, err = e.c.Replace(e.ctx, other, e.app("b", 0, nil))
		e.want(err, marathonsink.KindLocked)
		_, err = e.c.App(e.ctx, e.id("b"))
		e.want(err, marathonsink.KindNotFound)
		if a := e.get("a"); a.Instances != 1 || a.Doc["cmd"] != "sleep 1000" {
			e.Errorf("%+v", a)
		}
	}},
	{name: "the stored definition is taken even from a locked app", source: "marathon-lab-api §4 PUT identical", run: func(e *env) {
		e.create(e.unplaceable("a"))
		_, err := e.c.Replace(e.ctx, e.unplaceable("a"))
		e.must(err)
	}},
	{name: "a deployment is cancelled once and leaves the definition", source: "marathon §2 force; marathon-lab-api §5 cancel force", run: func(e *env) {
		e.create(e.app("a", 0, nil))
		e.settled("a")
		d, err := e.c.Replace(e.ctx, e.unplaceable("a"))
		e.must(err)
		e.must(e.c.Cancel(e.ctx, d))
		a := e.settled("a")
		if a.Instances != 1 || strings.TrimSuffix(jsonNumber(a.Doc["cpus"]), ".0") != "999" {
			e.Errorf("%+v", a.Doc)
		}
		e.want(e.c.Cancel(e.ctx, d), marathonsink.KindNotFound)
	}},
	{name: "a deployment that never was is not found", source: "marathon-lab-api §4 DELETE unknown deployment", run: func(e *env) {
		e.want(e.c.Cancel(e.ctx, "00000000-0000-4000-8000-000000000000"), marathonsink.KindNotFound)
	}},
	{name: "a running deployment is listed with its app and action", source: "marathon-lab-api §5; marathon §2", run: func(e *env) {
		d := e.create(e.unplaceable("a"))
		e.eventually(func() string {
			list, err := e.c.Deployments(e.ctx)
			e.must(err)
			for _, x := range list {
				if x.ID == d && len(x.AffectedApps) == 1 && x.AffectedApps[0] == e.id("a") && len(x.CurrentActions) == 1 &&
					x.CurrentActions[0].Action == "ScaleApplication" && x.CurrentStep == 2 && x.TotalSteps == 2 {
					return ""
				}
			}
			return "deployments are " + strings.TrimSpace(e.raw("GET", "/v2/deployments", "").body)
		})
	}},
}

var taskCases = []testCase{
	{name: "a killed task comes back", source: "marathon-lab-api §5 plain kill; marathon §3", run: func(e *env) {
		e.create(e.app("a", 1, nil))
		before := e.running("a", 1).Tasks[0]
		e.killed("a", before)
		after := e.until("a", "running again", func(a *marathon.App) bool {
			return len(a.Tasks) == 1 && a.Tasks[0].Running() && a.Tasks[0].ID != before.ID
		}).Tasks[0]
		if same := after.ID.Instance() == before.ID.Instance(); same != e.version.AtLeast(1, 8, 0) {
			e.Errorf("%s became %s", before.ID, after.ID)
		}
	}},
	{name: "a kill with scale takes one instance away", source: "marathon-lab-api §5; marathon-lab-roll §1", run: func(e *env) {
		e.create(e.app("a", 2, nil))
		victim := e.running("a", 2).Tasks[0]
		d, err := e.c.KillTask(e.ctx, e.id("a"), victim.ID, true)
		e.must(err)
		if d == "" {
			e.Error("no deployment id")
		}
		a := e.running("a", 1)
		if a.Instances != 1 || a.Tasks[0].ID == victim.ID {
			e.Errorf("%d instances, task %s, victim %s", a.Instances, a.Tasks[0].ID, victim.ID)
		}
	}},
	{name: "a resident that was scaled away is suspended with its volume", source: "marathon-lab-old §6; marathon-lab-roll E19; marathon §5", run: func(e *env) {
		before, gone := e.suspend()
		if task := gone.Tasks[0]; task.Active() || task.Running() || task.LocalVolumes[0] != before.LocalVolumes[0] || gone.TasksRunning != 0 {
			e.Errorf("%+v", gone)
		}
	}},
	// Up to 1.7 the scale-up claims success and starts nothing until the next scale check (marathon-lab-old §3).
	{name: "a suspended resident comes back on its volume", source: "marathon §5 scale-up re-uses", since: version(1, 8, 0), run: func(e *env) {
		before, _ := e.suspend()
		_, err := e.c.Scale(e.ctx, e.id("a"), 1, nil)
		e.must(err)
		after := e.running("a", 1).Tasks[0]
		if after.LocalVolumes[0] != before.LocalVolumes[0] || after.Host != before.Host || after.ID.Instance() != before.ID.Instance() || after.ID == before.ID {
			e.Errorf("%+v came back as %+v", before, after)
		}
	}},
	{name: "hosts are unique if asked for", source: "marathon §12 UNIQUE", run: func(e *env) {
		e.create(e.app("a", 3, marathon.Doc{"constraints": []any{[]any{"hostname", "UNIQUE"}}}))
		hosts := map[string]bool{}
		for _, task := range e.running("a", 3).Tasks {
			hosts[task.Host] = true
		}
		if len(hosts) != 3 {
			e.Errorf("hosts %v", hosts)
		}
	}},
	{name: "a task's ports are told", source: "marathon-lab-api §1 portDefinitions", run: func(e *env) {
		e.create(e.app("a", 1, marathon.Doc{"portDefinitions": []any{marathon.Doc{"port": 0, "name": "http"}, marathon.Doc{"port": 0, "name": "transport"}}}))
		if task := e.running("a", 1).Tasks[0]; len(task.Ports) != 2 || task.Ports[0] == 0 || task.Ports[0] == task.Ports[1] {
			e.Errorf("ports %v", task.Ports)
		}
	}},
}

var readCases = []testCase{
	{name: "an app that is not there is not found", source: "marathon-lab-api §4 GET missing app", run: func(e *env) {
		_, err := e.c.App(e.ctx, e.id("none"))
		x := e.want(err, marathonsink.KindNotFound)
		if x.Message != "App '"+string(e.id("none"))+"' does not exist" {
			e.Errorf("message %q", x.Message)
		}
	}},
	{name: "a state shows what single reads show", source: "marathon-lab-api §1 list and single answer", run: func(e *env) {
		e.create(e.app("a", 1, nil))
		single := e.running("a", 1)
		foreign := e.app("foreign", 0, nil)
		delete(foreign, "labels")
		e.create(foreign)
		e.settled("foreign")
		s, err := e.c.State(e.ctx, nil)
		e.must(err)
		a := s.Apps[e.id("a")]
		if a == nil || a.Doc["cmd"] != "sleep 1000" || len(a.Tasks) != 1 || a.Tasks[0].ID != single.Tasks[0].ID || !a.Version.Equal(single.Version) {
			e.Errorf("%+v", a)
		}
		if f := s.Apps[e.id("foreign")]; f == nil || f.Doc != nil {
			e.Errorf("foreign: %+v", f)
		}
		if s.Version != e.version || s.Leader == "" {
			e.Errorf("version %s, leader %q", s.Version, s.Leader)
		}
	}},
	{name: "a state shows the deployment that holds an app", source: "marathon-lab-api §4, §5", run: func(e *env) {
		d := e.create(e.unplaceable("a"))
		e.eventually(func() string {
			s, err := e.c.State(e.ctx, nil)
			e.must(err)
			if l := s.LockedBy(e.id("a")); len(l) == 1 && l[0].ID == d {
				return ""
			}
			return "the deployment is not in the state"
		})
	}},
	{name: "the queue says why an app waits", source: "marathon-lab-api §6 cpus too large", run: func(e *env) {
		e.create(e.unplaceable("a"))
		e.eventually(func() string {
			queue, err := e.c.Queue(e.ctx)
			e.must(err)
			for _, q := range queue {
				if q.App == e.id("a") && q.Count == 1 && q.Rejections["InsufficientCpus"] > 0 && q.Offers > 0 {
					return ""
				}
			}
			return "queue: " + e.raw("GET", "/v2/queue", "").body
		})
	}},
	{name: "a crashing task leaves its failure", source: "marathon-lab-api §6 crash loop; marathon §6 lastTaskFailure", run: func(e *env) {
		doc := e.app("a", 1, nil)
		doc["cmd"] = "exit 3"
		e.create(doc)
		e.until("a", "failed", func(a *marathon.App) bool { return a.LastTaskFailure != "" })
	}},
}

// suspend runs a resident with one task and scales it to 0.
func (e *env) suspend() (before marathon.Task, gone *marathon.App) {
	e.Helper()
	e.create(e.resident("a", 1))
	before = e.running("a", 1).Tasks[0]
	if len(before.LocalVolumes) != 1 || before.LocalVolumes[0].ContainerPath != "data" {
		e.Fatalf("volumes %+v", before.LocalVolumes)
	}
	_, err := e.c.Scale(e.ctx, e.id("a"), 0, nil)
	e.must(err)
	gone = e.until("a", "suspended", func(a *marathon.App) bool {
		return len(a.Deployments) == 0 && len(a.Tasks) == 1 && a.Tasks[0].Suspended()
	})
	return before, gone
}

// jsonNumber is the text of a number in a live document.
func jsonNumber(v any) string {
	s, _ := v.(interface{ String() string })
	if s == nil {
		return ""
	}
	return s.String()
}
