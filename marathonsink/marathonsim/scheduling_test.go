package marathonsim_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

func constrained(n int, c ...[]string) doc {
	return doc{"id": "/a", "cmd": "run", "instances": n, "cpus": 0.1, "mem": 32, "constraints": c}
}

func TestConstraintsPlaceTasksAsMarathonDoes(t *testing.T) {
	// six agents at .11 to .16; racks r1 r2 r3 r1 r2 r3
	for _, c := range []struct {
		name       string
		app        doc
		placed     int
		everyHost  bool // no two on one
		onlyOnRack string
	}{
		{name: "UNIQUE puts one on a host and leaves the rest waiting", app: constrained(8, []string{"hostname", "UNIQUE"}), placed: 6, everyHost: true},
		{name: "LIKE takes matching hosts only", app: constrained(2, []string{"hostname", "LIKE", `127\.0\.0\.1[12]`}), placed: 2},
		{name: "LIKE nothing places nothing", app: constrained(2, []string{"hostname", "LIKE", "no-such-host"}), placed: 0},
		{name: "LIKE matches the whole value", app: constrained(1, []string{"hostname", "LIKE", "127"}), placed: 0},
		{name: "UNLIKE avoids", app: constrained(5, []string{"rack", "UNLIKE", "r[23]"}), placed: 5, onlyOnRack: "r1"},
		{name: "CLUSTER keeps together", app: constrained(4, []string{"rack", "CLUSTER", "r2"}), placed: 4, onlyOnRack: "r2"},
		{name: "IS compares", app: constrained(3, []string{"rack", "IS", "r3"}), placed: 3, onlyOnRack: "r3"},
		{name: "MAX_PER counts per value", app: constrained(9, []string{"rack", "MAX_PER", "2"}), placed: 6},
		{name: "a missing attribute passes no one", app: constrained(1, []string{"zone", "UNIQUE"}), placed: 0},
		{name: "but UNLIKE", app: constrained(1, []string{"zone", "UNLIKE", "x"}), placed: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, marathonsim.Options{Agents: marathonsim.DefaultAgents(6)}, func(l lab) {
				l.must(201, "PUT", "/v2/apps/a", c.app)
				time.Sleep(time.Minute)
				tasks := l.tasks("/a")
				if len(tasks) != c.placed {
					t.Fatalf("%d placed, want %d", len(tasks), c.placed)
				}
				hosts := map[string]int{}
				for _, task := range tasks {
					hosts[task.Host]++
					if c.everyHost && hosts[task.Host] > 1 {
						t.Errorf("two on %s", task.Host)
					}
					rack := "r" + string(rune('1'+(int(task.Host[len(task.Host)-1]-'1')%3)))
					if c.onlyOnRack != "" && rack != c.onlyOnRack {
						t.Errorf("one on %s in %s", task.Host, rack)
					}
				}
			})
		})
	}
}

func TestGroupBySpreadsEvenly(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{Agents: marathonsim.DefaultAgents(6)}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/a", constrained(9, []string{"rack", "GROUP_BY", "3"}))
		time.Sleep(time.Minute)
		racks := map[byte]int{}
		for _, task := range l.tasks("/a") {
			racks[(task.Host[len(task.Host)-1]-'1')%3]++
		}
		if racks[0] != 3 || racks[1] != 3 || racks[2] != 3 {
			t.Errorf("spread %v, want 3 in each rack", racks)
		}
	})
}

func TestPlacementForgetsInstancesOfAnOlderDefinition(t *testing.T) {
	for name, mixed := range map[string]bool{"all of one definition": false, "mixed": true} {
		t.Run(name, func(t *testing.T) {
			opt, _ := withGate(version(t, "1.11.24"))
			opt.Agents = marathonsim.DefaultAgents(3)
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es/gate", gateApp(0, "0"))
				l.must(201, "PUT", "/v2/apps/es/data", node(3, "1"))
				l.settle(time.Minute)
				want := 3
				if mixed {
					l.commit("2", 0)
					want = 4
				}
				l.must(200, "PUT", "/v2/apps/es/data", doc{"instances": 4})
				time.Sleep(time.Hour)
				if n := running(l.tasks("/es/data")); n != want {
					t.Errorf("%d of 4 run on three hosts under UNIQUE, want %d", n, want)
				}
			})
		})
	}
}

func TestScalingDownWhileOneIsUnplaceableKillsARunningOneFrom18On(t *testing.T) {
	for v, want := range map[string]int{"1.7.236": 3, "1.11.24": 2} {
		t.Run(v, func(t *testing.T) {
			opt, _ := withGate(version(t, v))
			opt.Agents = marathonsim.DefaultAgents(3)
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
				l.settle(time.Minute)
				l.must(200, "PUT", "/v2/apps/es", doc{"instances": 4})
				time.Sleep(time.Minute)
				l.must(200, "PUT", "/v2/apps/es?force=true", doc{"instances": 3})
				time.Sleep(time.Minute)
				if n := running(l.tasks("/es")); n != want {
					t.Errorf("%d run, want %d", n, want)
				}
			})
		})
	}
}

func TestTheQueueSaysWhyNobodyFits(t *testing.T) {
	for reason, more := range map[string]doc{
		"InsufficientCpus":      {"cpus": 99},
		"InsufficientMemory":    {"mem": 99999},
		"InsufficientDisk":      {"disk": 9999999},
		"InsufficientPorts":     {"portDefinitions": []doc{{"port": 80}}, "requirePorts": true},
		"UnfulfilledConstraint": {"constraints": [][]string{{"hostname", "LIKE", "nope"}}, "cpus": 99},
	} {
		t.Run(reason, func(t *testing.T) {
			inVirtualTime(t, marathonsim.Options{}, func(l lab) {
				app := doc{"id": "/a", "cmd": "run", "instances": 2}
				for k, v := range more {
					app[k] = v
				}
				l.must(201, "PUT", "/v2/apps/a", app)
				time.Sleep(time.Minute)
				q := l.must(200, "GET", "/v2/queue", nil).(doc)["queue"].([]any)
				if len(q) != 1 || q[0].(doc)["count"] != 2.0 || q[0].(doc)["delay"].(doc)["overdue"] != true {
					t.Fatalf("queue %v", q)
				}
				for _, r := range q[0].(doc)["processedOffersSummary"].(doc)["rejectSummaryLastOffers"].([]any) {
					want := 0.0
					if r.(doc)["reason"] == reason {
						want = 5
					}
					if r.(doc)["declined"] != want {
						t.Errorf("%v, want %v declined", r, want)
					}
				}
			})
		})
	}
}

func TestAResidentComesBackWhereItsVolumeIs(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
		l.settle(time.Minute)
		victim := l.tasks("/es")[1]
		if err := l.LoseAgent(victim.Host); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if lost := l.tasks("/es")[1]; lost.State != "TASK_UNREACHABLE" || len(l.tasks("/es")) != 3 || l.app("/es")["tasksRunning"] != 2.0 {
			t.Errorf("while its agent is lost: %+v", l.tasks("/es"))
		}
		if err := l.BackAgent(victim.Host); err != nil {
			t.Fatal(err)
		}
		if back := l.tasks("/es")[1]; back.ID != victim.ID || !back.Running() {
			t.Errorf("after its return %+v, want %s running", back, victim.ID)
		}
		if err := l.KillTask(victim.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if back := l.tasks("/es")[1]; back.Host != victim.Host || back.LocalVolumes[0] != victim.LocalVolumes[0] || back.ID == victim.ID || !back.Running() {
			t.Errorf("after a crash %+v, was %+v", back, victim)
		}
		l.must(200, "DELETE", "/v2/apps/es/tasks/"+string(victim.ID)+"?wipe=true", nil)
		time.Sleep(10 * time.Second)
		for _, task := range l.tasks("/es") {
			if task.LocalVolumes[0] == victim.LocalVolumes[0] {
				t.Errorf("the wiped volume still exists: %+v", task)
			}
		}
		if n := running(l.tasks("/es")); n != 3 {
			t.Errorf("%d run after the wipe, want 3", n)
		}
	})
}

func TestACrashLoopIsHeldBackLongerEachTime(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{Programs: func(marathonsim.Task) marathonsim.Program { return failing{} }}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/a", doc{"id": "/a", "cmd": "run", "instances": 1, "backoffSeconds": 1, "backoffFactor": 2, "maxLaunchDelaySeconds": 20})
		time.Sleep(10 * time.Minute)
		tasks := l.tasks("/a")
		if len(tasks) != 1 || tasks[0].State != "TASK_FAILED" && tasks[0].State != "TASK_STARTING" {
			t.Fatalf("%+v", tasks)
		}
		id := string(tasks[0].ID)
		if run := id[len(id)-2:]; run < "30" || run > "36" { // about one in 20 s
			t.Errorf("after ten minutes it is at %s", id)
		}
		if f := l.app("/a")["lastTaskFailure"].(doc); f["message"] != "out of luck" {
			t.Errorf("lastTaskFailure %v", f)
		}
		q := l.must(200, "GET", "/v2/queue", nil).(doc)["queue"].([]any)
		if len(q) == 1 && q[0].(doc)["delay"].(doc)["overdue"] == true {
			t.Errorf("not held back: %v", q)
		}
	})
}

func TestEqualOptionsAndCallsGiveEqualAnswers(t *testing.T) {
	story := func() (out []byte) {
		inVirtualTime(t, marathonsim.Options{Seed: 7}, func(l lab) {
			l.must(201, "PUT", "/v2/apps/es", resident("/es", 4, "1"))
			l.must(201, "PUT", "/v2/apps/b", constrained(6, []string{"rack", "GROUP_BY"}))
			l.settle(time.Minute)
			l.must(200, "PUT", "/v2/apps/es", resident("/es", 4, "2"))
			if err := l.KillTask(l.tasks("/b")[0].ID); err != nil {
				t.Fatal(err)
			}
			l.settle(time.Minute)
			out, _ = json.Marshal(l.must(200, "GET", "/v2/apps?embed=apps.tasks", nil))
		})
		return out
	}
	if a, b := story(), story(); !slices.Equal(a, b) {
		t.Errorf("two runs differ:\n%s\n%s", a, b)
	}
}
