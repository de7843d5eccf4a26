package marathonsim_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

func TestFrom110EachLeftOverAddsAKillToTheNextRoll(t *testing.T) {
	for v, killed := range map[string]int{"1.7.236": 1, "1.8.222": 1, "1.11.24": 2} {
		t.Run(v, func(t *testing.T) {
			opt, open := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es", resident("/es", 4, "1"))
				l.settle(time.Minute)
				l.must(200, "PUT", "/v2/apps/es", doc{"instances": 2})
				l.settle(time.Minute)
				open.Store(false)
				l.must(200, "PUT", "/v2/apps/es", resident("/es", 2, "2"))
				time.Sleep(200 * time.Millisecond)
				if n := 2 - running(l.tasks("/es")); n != killed {
					t.Errorf("%d killed at once, want %d", n, killed)
				}
			})
		})
	}
}

func TestAPlainKillInARollBringsTheNewDefinitionFrom110AndHangsForEverBefore(t *testing.T) {
	for v, ends := range map[string]bool{"1.8.222": false, "1.11.24": true} {
		t.Run(v, func(t *testing.T) {
			opt, open := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es", resident("/es", 4, "1"))
				l.settle(time.Minute)
				open.Store(false)
				l.must(200, "PUT", "/v2/apps/es", resident("/es", 4, "2"))
				time.Sleep(time.Minute)
				config := l.app("/es")["versionInfo"].(doc)["lastConfigChangeAt"].(string)
				for _, victim := range l.tasks("/es") {
					if victim.Version >= config {
						continue
					}
					l.must(200, "DELETE", "/v2/apps/es/tasks/"+string(victim.ID), nil)
					time.Sleep(10 * time.Second)
					for _, back := range l.tasks("/es") {
						if back.ID.Instance() == victim.ID.Instance() && (back.Version >= config) != ends {
							t.Errorf("came back at %s, the definition is of %s", back.Version, config)
						}
					}
					break
				}
				open.Store(true)
				time.Sleep(10 * time.Minute)
				if got := l.deployments() == 0; got != ends {
					t.Errorf("the roll ended: %v, want %v", got, ends)
				}
				if n := running(l.tasks("/es")); (n == 4) != ends {
					t.Errorf("%d of 4 run", n)
				}
			})
		})
	}
}

// ailing is a Program whose health somebody else decides, host by host.
type ailing struct {
	task marathonsim.Task
	sick *sync.Map
}

func (ailing) Run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func (a ailing) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if _, ill := a.sick.Load(a.task.Host); ill {
		w.WriteHeader(500)
	}
}

func TestFrom110AnUnhealthyOldTaskMakesARollWithoutSurplusHang(t *testing.T) {
	for v, hangs := range map[string]bool{"1.7.236": false, "1.9.109": false, "1.11.24": true} {
		t.Run(v, func(t *testing.T) {
			sick := &sync.Map{}
			opt := marathonsim.Options{Version: version(t, v), Programs: func(task marathonsim.Task) marathonsim.Program { return ailing{task, sick} }}
			inVirtualTime(t, opt, func(l lab) {
				app := func(v string) doc {
					d := resident("/es", 3, v)
					d["healthChecks"].([]doc)[0]["maxConsecutiveFailures"] = 0 // or it would be killed for it
					return d
				}
				l.must(201, "PUT", "/v2/apps/es", app("1"))
				l.settle(time.Minute)
				sick.Store(l.tasks("/es")[0].Host, true)
				time.Sleep(10 * time.Second)
				if n := l.app("/es")["tasksUnhealthy"]; n != 1.0 {
					t.Fatalf("%v unhealthy, want 1", n)
				}
				l.must(200, "PUT", "/v2/apps/es", app("2"))
				sick.Clear() // too late on 1.10 and later: it was counted
				time.Sleep(10 * time.Minute)
				if got := l.deployments() == 1; got != hangs {
					t.Errorf("hangs: %v, want %v", got, hangs)
				}
			})
		})
	}
}

func TestAFailingHealthCheckEndsTheTaskAfterItsGraceAndFailures(t *testing.T) {
	sick := &sync.Map{}
	opt := marathonsim.Options{Programs: func(task marathonsim.Task) marathonsim.Program { return ailing{task, sick} }}
	inVirtualTime(t, opt, func(l lab) {
		l.must(201, "PUT", "/v2/apps/a", doc{"id": "/a", "cmd": "run", "instances": 1,
			"healthChecks": []doc{{"protocol": "HTTP", "intervalSeconds": 5, "gracePeriodSeconds": 60, "maxConsecutiveFailures": 3}}})
		l.settle(time.Minute)
		first := l.tasks("/a")[0].ID
		take := l.record("?event_type=unhealthy_instance_kill_event&event_type=failed_health_check_event")
		for _, ag := range l.View().Agents {
			sick.Store(ag.Hostname, true)
		}
		time.Sleep(9 * time.Second)
		if l.tasks("/a")[0].ID != first {
			t.Error("it was killed after fewer than three failures")
		}
		time.Sleep(time.Minute)
		want := []string{"failed_health_check_event", "failed_health_check_event", "failed_health_check_event", "unhealthy_instance_kill_event"}
		if got := kinds(take()); !slices.Equal(got, want) { // its next run is in its grace period
			t.Errorf("events %v, want %v", got, want)
		}
		if now := l.tasks("/a"); now[0].ID == first {
			t.Errorf("it still runs: %+v", now)
		}
	})
}

func TestAPortIsGivenOnceOnAHost(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{Agents: marathonsim.DefaultAgents(1)}, func(l lab) {
		app := doc{"cmd": "run", "instances": 1, "cpus": 0.1, "mem": 32, "portDefinitions": []doc{{"port": 9200}}, "requirePorts": true}
		l.must(201, "PUT", "/v2/apps/one", app)
		l.settle(time.Minute)
		l.must(201, "PUT", "/v2/apps/two", app)
		time.Sleep(time.Minute)
		if len(l.tasks("/two")) != 0 {
			t.Fatalf("both have port 9200: %+v", l.tasks("/two"))
		}
		l.must(200, "DELETE", "/v2/apps/one", nil)
		time.Sleep(time.Minute)
		if got := l.tasks("/two"); len(got) != 1 || got[0].Ports[0] != 9200 {
			t.Errorf("once the port is free: %+v", got)
		}
	})
}

func TestACrashOfTheUpgradedOneLetsTwoOldOnesDieAtOnceWhenTheGateOpens(t *testing.T) {
	opt, open := withGate(version(t, "1.11.24"))
	inVirtualTime(t, opt, func(l lab) {
		l.must(201, "PUT", "/v2/apps/es", resident("/es", 4, "1"))
		l.settle(time.Minute)
		open.Store(false)
		l.must(200, "PUT", "/v2/apps/es", resident("/es", 4, "2"))
		time.Sleep(time.Minute)
		config := l.app("/es")["versionInfo"].(doc)["lastConfigChangeAt"].(string)
		for _, task := range l.tasks("/es") {
			if task.Version >= config {
				if err := l.KillTask(task.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Minute)
		open.Store(true)
		least := 4
		for range 100 {
			time.Sleep(50 * time.Millisecond)
			least = min(least, l.running("/es"))
		}
		if least != 2 {
			t.Errorf("at least %d of 4 ran, want 2: the readiness of the crashed run counts too", least)
		}
	})
}

// running counts without a call, so that it can be asked often.
func (l lab) running(id marathon.AppID) int {
	n := 0
	for _, a := range l.View().Apps {
		for _, task := range a.Tasks {
			if a.ID == id && task.State == "TASK_RUNNING" {
				n++
			}
		}
	}
	return n
}

func TestAGateWithoutAHealthCheckOpensWhenTheLeaderChanges(t *testing.T) {
	opt, _ := withGate(version(t, "1.11.24"))
	inVirtualTime(t, opt, func(l lab) {
		gate := func(n int, roll string) doc {
			d := gateApp(n, roll)
			delete(d, "healthChecks")
			return d
		}
		l.must(201, "PUT", "/v2/apps/es/gate", gate(0, "0"))
		l.must(201, "PUT", "/v2/apps/es/data", node(3, "1"))
		l.settle(time.Minute)
		l.must(200, "PUT", "/v2/apps?partialUpdate=false", []doc{node(3, "2"), gate(1, "2")})
		time.Sleep(time.Hour)
		before := taskIDs(l.tasks("/es/data"))
		l.LeaderChange()
		time.Sleep(10 * time.Minute)
		if slices.Equal(before, taskIDs(l.tasks("/es/data"))) || l.deployments() != 0 {
			t.Error("nothing was restarted: the gate held without its health check")
		}
	})
}
