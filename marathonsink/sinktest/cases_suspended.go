package sinktest

import (
	"fmt"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// suspendedCases: residents that are stopped, and what is left of them.
var suspendedCases = []testCase{
	{name: "a stopped resident is shown with its volume and without a version", source: "marathon-lab-roll E19; marathon-lab-old §6", run: func(e *env) {
		before, gone := e.suspend()
		task, want := gone.Tasks[0], "TASK_STAGING"
		if e.version.AtLeast(1, 8, 0) {
			want = "TASK_KILLED"
		}
		if task.State != want || task.Version != "" || task.StagedAt != "" || task.StartedAt != "" || task.Host != before.Host || task.SlaveID != before.SlaveID || len(task.Ports) != 0 {
			e.Errorf("%+v", task)
		}
	}},
	{name: "a stopped resident is in no list of what runs or is staged", source: "marathon-lab-roll E19; marathon-lab-old §6", run: func(e *env) {
		before, _ := e.suspend()
		id := string(before.ID.Instance())
		if all := e.raw("GET", "/v2/tasks", "").body; !strings.Contains(all, id) {
			e.Error("it is not in the list of all tasks")
		}
		for _, status := range []string{"running", "staging"} {
			if strings.Contains(e.raw("GET", "/v2/tasks?status="+status, "").body, id) {
				e.Errorf("it is %s", status)
			}
		}
		if a := e.raw("GET", "/v2/apps"+string(e.id("a")), "").json()["app"].(map[string]any); a["tasksStaged"] != 0.0 || a["tasksRunning"] != 0.0 {
			e.Errorf("%v staged, %v running", a["tasksStaged"], a["tasksRunning"])
		}
	}},
	{name: "up to 1.7 stopped residents are counted as healthy", source: "marathon-lab-old §6 tasksHealthy", until: version(1, 8, 0), run: func(e *env) {
		e.leftOvers()
		e.eventually(func() string {
			a := e.raw("GET", "/v2/apps"+string(e.id("a")), "").json()["app"].(map[string]any)
			if a["tasksRunning"] == 2.0 && a["tasksHealthy"] == 4.0 {
				return ""
			}
			return fmt.Sprintf("%v running, %v healthy", a["tasksRunning"], a["tasksHealthy"])
		})
	}},
	{name: "a kill of a stopped resident is answered and does nothing", source: "marathon-lab-old §2 plain DELETE of the suspended id", run: func(e *env) {
		before, _ := e.suspend()
		e.kill("a", before)
		e.stays("a", 3*second, "suspended", func(a *marathon.App) bool { return len(a.Tasks) == 1 && a.Tasks[0].Suspended() })
	}},
	// The wipe is repeated: the first, right after the stop, is answered and may yet be forgotten (seen on a busy machine).
	{name: "wiping a stopped resident destroys its volume", source: "marathon-lab-roll E22", run: func(e *env) {
		before, _ := e.suspend()
		wipe := func() rawAnswer {
			return e.raw("DELETE", "/v2/apps"+string(e.id("a"))+"/tasks/"+string(before.ID)+"?wipe=true", "")
		}
		e.wantAnswer(wipe(), 200)
		tries := 0
		a := e.until("a", "without tasks", func(a *marathon.App) bool {
			if tries++; len(a.Tasks) > 0 && tries%looksBeforeAgain == 0 {
				wipe()
			}
			return len(a.Tasks) == 0
		})
		if a.Instances != 0 || len(a.Deployments) != 0 {
			e.Errorf("%d instances", a.Instances)
		}
	}},
	{name: "wiping a running resident replaces it by an empty one", source: "marathon-lab-roll E22; marathon-lab-old §6", run: func(e *env) {
		before := e.up(e.resident("a", 1)).Tasks[0]
		e.wantAnswer(e.raw("DELETE", "/v2/apps"+string(e.id("a"))+"/tasks/"+string(before.ID)+"?wipe=true", ""), 200)
		e.until("a", "replaced", func(a *marathon.App) bool {
			return a.Instances == 1 && len(a.Tasks) == 1 && a.Tasks[0].Running() && a.Tasks[0].LocalVolumes[0] != before.LocalVolumes[0]
		})
	}},
	{name: "scaling up takes a stopped resident before a new one", source: "marathon-lab-roll E19 scale-out", since: version(1, 8, 0), run: func(e *env) {
		before := e.leftOvers()
		e.scale("a", 3)
		after := e.running("a", 3)
		e.volumesKept(before, after)
		if distinct(after) != 4 {
			e.Error(e.told(after))
		}
	}},
	{name: "a stopped resident takes the current definition when it comes back", source: "marathon-lab-roll E19", since: version(1, 8, 0), run: func(e *env) {
		before, _ := e.suspend()
		e.put(with(e.resident("a", 0), marathon.Doc{"cmd": "sleep 1001"}))
		e.settled("a")
		e.scale("a", 1)
		after := e.running("a", 1)
		if current, _, _ := by(after); len(current) != 1 || !sameVolume(before, current[0]) {
			e.Error(e.told(after))
		}
	}},
	{name: "an id of a task that is gone scales nothing while others run", source: "marathon-lab-roll E22 stale id", run: func(e *env) {
		before := e.up(e.app("a", 1, nil))
		e.wantAnswer(e.raw("DELETE", "/v2/apps"+string(e.id("a"))+"/tasks/"+string(e.staleTask())+"?scale=true", ""), 200, "deploymentId")
		if after := e.settled("a"); after.Instances != 1 || !untouched(before, after) {
			e.Error(e.told(after))
		}
	}},
	{name: "a crashed task of an app without volumes comes back", source: "marathon-lab-api §5 crash", run: func(e *env) {
		before := e.up(e.app("a", 1, nil)).Tasks[0]
		w := e.watch("a")
		e.must(e.target.Control.KillTask(before.ID))
		after := e.until("a", "back", func(a *marathon.App) bool {
			return len(a.Tasks) == 1 && a.Tasks[0].Running() && a.Tasks[0].ID != before.ID && len(w.kills()) > 0
		})
		if len(after.Deployments) != 0 || after.Instances != 1 || len(w.kills()) != 1 {
			e.Errorf("ended %v: %s", w.kills(), e.told(after))
		}
	}},
	{name: "a crashed resident comes back on its volume", source: "marathon-lab-roll E8; marathon-lab-old §3", run: func(e *env) {
		before := e.up(e.resident("a", 1)).Tasks[0]
		e.must(e.target.Control.KillTask(before.ID))
		e.isBack(before, true)
	}},
	// Up to 1.7 it may run again before anybody sees that it waits.
	{name: "a crashed resident cannot be stopped before it is started again", source: "marathon-lab-roll E8, and as E22 stale id", since: version(1, 8, 0), run: func(e *env) {
		before := e.up(with(e.resident("a", 1), marathon.Doc{"backoffSeconds": 600, "maxLaunchDelaySeconds": 3600})).Tasks[0]
		e.must(e.target.Control.KillTask(before.ID))
		looks := 0 // the first start after a failure may come before Marathon has noted the pause
		crashed := e.until("a", "waiting for its next start", func(a *marathon.App) bool {
			if len(a.Tasks) == 1 && a.Tasks[0].Suspended() {
				looks++
				return looks > looksBeforeAgain
			}
			if looks = 0; len(a.Tasks) == 1 && a.Tasks[0].Running() {
				_ = e.target.Control.KillTask(a.Tasks[0].ID) // it may have ended by itself
			}
			return false
		})
		e.wantAnswer(e.raw("DELETE", "/v2/apps"+string(e.id("a"))+"/tasks/"+string(crashed.Tasks[0].ID)+"?scale=true", ""), 200, "deploymentId")
		e.stays("a", 3*second, "one that waits for its next start", func(a *marathon.App) bool {
			return a.Instances == 1 && len(a.Tasks) == 1 && a.Tasks[0].Suspended()
		})
	}},
	{name: "a kill of all tasks of an app brings them all back", source: "marathon-lab-api §4 tasks plain delete; marathon §8", run: func(e *env) {
		before := e.up(e.app("a", 2, nil))
		e.wantAnswer(e.raw("DELETE", "/v2/apps"+string(e.id("a"))+"/tasks", ""), 200, string(before.Tasks[0].ID), string(before.Tasks[1].ID))
		looks := 0
		e.until("a", "back", func(a *marathon.App) bool {
			if looks++; looks%looksBeforeAgain == 0 && untouched(before, a) { // ignored, as a kill of one task may be
				e.raw("DELETE", "/v2/apps"+string(e.id("a"))+"/tasks", "")
			}
			return a.TasksRunning == 2 && !slicesContainTask(a.Tasks, before.Tasks[0].ID) && !slicesContainTask(a.Tasks, before.Tasks[1].ID)
		})
	}},
}
