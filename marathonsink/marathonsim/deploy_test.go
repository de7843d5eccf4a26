package marathonsim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

func TestARollOfTwentyFourResidentsGoesOneByOneAndKeepsEveryVolume(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{Agents: marathonsim.DefaultAgents(24)}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/es", resident("/es", 24, "1"))
		l.settle(time.Minute)
		before := map[marathon.InstanceID]string{}
		for _, task := range l.tasks("/es") {
			before[task.ID.Instance()] = task.Host + task.LocalVolumes[0].PersistenceID
		}
		if len(before) != 24 {
			t.Fatalf("%d tasks, want 24", len(before))
		}
		l.must(200, "PUT", "/v2/apps/es?partialUpdate=false", resident("/es", 24, "2"))
		least := 24
		for v := l.View(); len(v.Deployments) > 0; v = l.View() {
			up := 0
			for _, task := range v.Apps[0].Tasks {
				if task.State == "TASK_RUNNING" {
					up++
				}
			}
			least = min(least, up)
			time.Sleep(50 * time.Millisecond)
		}
		if least != 23 {
			t.Errorf("at least %d ran at any time, want 23", least)
		}
		version := l.app("/es")["version"]
		for _, task := range l.tasks("/es") {
			if before[task.ID.Instance()] != task.Host+task.LocalVolumes[0].PersistenceID {
				t.Errorf("%s moved", task.ID)
			}
			if task.Version != version || !task.Running() {
				t.Errorf("%s is %s at %s", task.ID, task.State, task.Version)
			}
		}
	})
}

func TestHowManyDieAtOnceFollowsTheUpgradeStrategy(t *testing.T) {
	for _, c := range []struct {
		name      string
		resident  bool
		min, over float64
		killed    int // of four, at once
		extra     int // started at once beside the old ones
	}{
		{"1/1 starts all beside", false, 1, 1, 0, 4},
		{"1/0 starts one beside", false, 1, 0, 0, 1},
		{"0.5/0 kills half", false, 0.5, 0, 2, 0},
		{"0/0 kills all", false, 0, 0, 4, 0},
		{"a resident's 1/0 kills one", true, 1, 0, 1, 0},
		{"a resident's 0.5/0 kills half", true, 0.5, 0, 2, 0},
		{"a resident's 0/0 kills all", true, 0, 0, 4, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, marathonsim.Options{Agents: marathonsim.DefaultAgents(9)}, func(l lab) {
				app := func(v string) doc {
					d := resident("/a", 4, v)
					d["upgradeStrategy"] = doc{"minimumHealthCapacity": c.min, "maximumOverCapacity": c.over}
					if !c.resident {
						delete(d, "container")
					}
					return d
				}
				l.must(201, "PUT", "/v2/apps/a", app("1"))
				l.settle(time.Minute)
				l.must(200, "PUT", "/v2/apps/a", app("2"))
				time.Sleep(250 * time.Millisecond) // killed, nothing new launched yet
				if n := 4 - running(l.tasks("/a")); n != c.killed {
					t.Errorf("%d killed at once, want %d", n, c.killed)
				}
				if w := l.View().Apps[0].Waiting; w != c.killed+c.extra {
					t.Errorf("%d wait for an offer, want %d", w, c.killed+c.extra)
				}
				l.settle(time.Minute)
				if n := running(l.tasks("/a")); n != 4 || len(l.tasks("/a")) != 4 {
					t.Errorf("%d run at the end: %+v", n, l.tasks("/a"))
				}
			})
		})
	}
}

func TestALeaderChangeInARollKillsOneMoreThoughTheGateIsClosed(t *testing.T) {
	for _, v := range generations {
		t.Run(v, func(t *testing.T) {
			opt, open := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es", resident("/es", 4, "1"))
				l.settle(time.Minute)
				open.Store(false)
				l.must(200, "PUT", "/v2/apps/es", resident("/es", 4, "2"))
				time.Sleep(time.Minute)
				l.LeaderChange()
				time.Sleep(time.Minute)
				config := l.app("/es")["versionInfo"].(doc)["lastConfigChangeAt"].(string)
				upgraded := 0
				for _, task := range l.tasks("/es") {
					if task.Version >= config {
						upgraded++
					}
				}
				if upgraded != 2 || l.deployments() != 1 {
					t.Errorf("%d upgraded, want 2", upgraded)
				}
			})
		})
	}
}

func TestALeaderChangeEndsAHangingScaleUpWithNothingRunning(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/es/gate", gateApp(1, "0"))
		time.Sleep(time.Minute)
		if l.deployments() != 1 {
			t.Fatal("the creation does not hang")
		}
		l.LeaderChange()
		time.Sleep(time.Minute)
		if n := l.deployments(); n != 0 || len(l.tasks("/es/gate")) != 0 {
			t.Errorf("%d deployments, tasks %v; want a false success", n, l.tasks("/es/gate"))
		}
	})
}

func TestAnUnreachableOldTaskMakesARollHangAndKillsNobody(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
		l.settle(time.Minute)
		if err := l.LoseAgent(l.tasks("/es")[0].Host); err != nil {
			t.Fatal(err)
		}
		before := taskIDs(l.tasks("/es"))
		l.must(200, "PUT", "/v2/apps/es", resident("/es", 3, "2"))
		time.Sleep(10 * time.Minute)
		if !slices.Equal(before, taskIDs(l.tasks("/es"))) || l.deployments() != 1 {
			t.Errorf("tasks %v became %v, %d deployments", before, taskIDs(l.tasks("/es")), l.deployments())
		}
	})
}

func TestStepsFollowTheDependenciesLeavesFirst(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		app := func(id string, n int, deps ...string) doc {
			return doc{"id": id, "cmd": "run", "instances": n, "cpus": 0.1, "mem": 32, "dependencies": deps, "env": doc{"N": id}}
		}
		l.must(200, "PUT", "/v2/apps", []doc{app("/o/a", 1), app("/o/b", 1, "/o/a"), app("/o/c", 1, "/o/b")})
		l.settle(time.Minute)
		c := app("/o/c", 2, "/o/b")
		a, b := app("/o/a", 1), app("/o/b", 1, "/o/a")
		a["labels"], b["labels"] = doc{"x": "1"}, doc{"x": "1"}
		l.must(200, "PUT", "/v2/apps", []doc{c, b, a, app("/o/e", 1)})
		got := []string{}
		for _, st := range l.must(200, "GET", "/v2/deployments", nil).([]any)[0].(doc)["steps"].([]any) {
			step := ""
			for _, act := range st.(doc)["actions"].([]any) {
				step += act.(doc)["action"].(string)[:5] + act.(doc)["app"].(string)
			}
			got = append(got, step)
		}
		want := []string{"Start/o/e", "Resta/o/aScale/o/e", "Resta/o/b", "Scale/o/c"}
		if !slices.Equal(got, want) {
			t.Errorf("steps %q, want %q", got, want)
		}
		if took := l.settle(time.Minute); took == 0 {
			t.Error("it took no time")
		}
	})
}
