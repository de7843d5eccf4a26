package marathonsim_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"context"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// gated is a Program whose readiness somebody else decides.
type gated struct{ open *atomic.Bool }

func (gated) Run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func (g gated) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ready" && !g.open.Load() {
		w.WriteHeader(503)
	}
}

func withGate(v marathon.Version) (marathonsim.Options, *atomic.Bool) {
	open := &atomic.Bool{}
	open.Store(true)
	return marathonsim.Options{Version: v, Programs: func(marathonsim.Task) marathonsim.Program { return gated{open} }}, open
}

// gateApp is the app that is never placed, by which a new definition is committed without touching a task.
func gateApp(n int, roll string) doc {
	return doc{"id": "/es/gate", "cmd": "sleep 1000", "cpus": 0.01, "mem": 8, "instances": n, "env": doc{"ROLL": roll},
		"constraints":     [][]string{{"hostname", "LIKE", "no-such-host"}},
		"upgradeStrategy": doc{"minimumHealthCapacity": 1, "maximumOverCapacity": 1},
		"healthChecks":    []doc{{"protocol": "COMMAND", "command": doc{"value": "true"}}}}
}

func node(n int, v string) doc {
	d := resident("/es/data", n, v)
	d["dependencies"] = []string{"/es/gate"}
	return d
}

func taskIDs(tasks []marathon.Task) []string {
	var out []string
	for _, t := range tasks {
		out = append(out, string(t.ID))
	}
	slices.Sort(out)
	return out
}

// commit is C3 of the lab: an array PUT behind a gate that never opens, cancelled at once.
func (l lab) commit(v string, pause time.Duration) {
	l.Helper()
	res := l.must(200, "PUT", "/v2/apps?partialUpdate=false", []doc{node(3, v), gateApp(1, v)}).(doc)
	time.Sleep(pause)
	if n := l.deployments(); n != 1 {
		l.Fatalf("%d deployments while the gate hangs, want 1", n)
	}
	l.must(202, "DELETE", "/v2/deployments/"+res["deploymentId"].(string)+"?force=true", nil)
	l.must(200, "PUT", "/v2/apps/es/gate", doc{"instances": 0})
	l.settle(time.Second)
}

var generations = []string{"1.5.15", "1.7.236", "1.8.222", "1.11.24"}

func TestACommitBehindTheGateTouchesNoTask(t *testing.T) {
	for _, v := range generations {
		t.Run(v, func(t *testing.T) {
			opt, _ := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es/gate", gateApp(0, "0"))
				l.must(201, "PUT", "/v2/apps/es/data", node(3, "1"))
				l.settle(time.Minute)
				before := taskIDs(l.tasks("/es/data"))
				for roll, pause := range []time.Duration{0, time.Minute, 10 * time.Minute} {
					l.commit([]string{"2", "3", "4"}[roll], pause)
				}
				time.Sleep(20 * time.Minute)
				if after := taskIDs(l.tasks("/es/data")); !slices.Equal(before, after) {
					t.Errorf("tasks %v became %v", before, after)
				}
				if env := l.app("/es/data")["env"].(doc); env["V"] != "4" {
					t.Errorf("the definition has V=%v, want 4", env["V"])
				}
			})
		})
	}
}

func TestACommitBehindTheGateTouchesNoTaskThoughTheLeaderChanges(t *testing.T) {
	for _, v := range generations {
		t.Run(v, func(t *testing.T) {
			opt, _ := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es/gate", gateApp(0, "0"))
				l.must(201, "PUT", "/v2/apps/es/data", node(3, "1"))
				l.settle(time.Minute)
				before := taskIDs(l.tasks("/es/data"))
				res := l.must(200, "PUT", "/v2/apps?partialUpdate=false", []doc{node(3, "2"), gateApp(1, "2")}).(doc)
				l.LeaderChange()
				time.Sleep(time.Minute)
				l.must(202, "DELETE", "/v2/deployments/"+res["deploymentId"].(string)+"?force=true", nil)
				if after := taskIDs(l.tasks("/es/data")); !slices.Equal(before, after) {
					t.Errorf("tasks %v became %v", before, after)
				}
			})
		})
	}
}

func TestATurnBringsTheVictimBackOnItsVolumeWithTheCommittedDefinition(t *testing.T) {
	for _, v := range []string{"1.8.222", "1.11.24"} {
		t.Run(v, func(t *testing.T) {
			opt, _ := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es/gate", gateApp(0, "0"))
				l.must(201, "PUT", "/v2/apps/es/data", node(3, "1"))
				l.settle(time.Minute)
				l.commit("2", 0)
				config := l.app("/es/data")["versionInfo"].(doc)["lastConfigChangeAt"].(string)
				for _, victim := range l.tasks("/es/data") {
					l.must(200, "DELETE", "/v2/apps/es/data/tasks/"+string(victim.ID)+"?scale=true", nil)
					l.settle(time.Minute)
					stopped := l.tasks("/es/data")
					if running(stopped) != 2 || l.app("/es/data")["instances"] != 2.0 {
						t.Fatalf("after the stop: %+v", stopped)
					}
					i := slices.IndexFunc(stopped, func(x marathon.Task) bool { return x.ID == victim.ID })
					if i < 0 || !stopped[i].Suspended() || stopped[i].State != "TASK_KILLED" {
						t.Fatalf("the victim is not shown as suspended: %+v", stopped)
					}
					l.must(200, "PUT", "/v2/apps/es/data", doc{"instances": 3})
					l.settle(time.Minute)
					back := l.tasks("/es/data")
					i = slices.IndexFunc(back, func(x marathon.Task) bool { return x.ID.Instance() == victim.ID.Instance() })
					if i < 0 || !back[i].Running() || back[i].ID == victim.ID || back[i].Version < config ||
						back[i].Host != victim.Host || back[i].LocalVolumes[0] != victim.LocalVolumes[0] {
						t.Fatalf("the victim %+v came back as %+v", victim, back)
					}
				}
			})
		})
	}
}

func TestAPlainKillBringsTheOldDefinitionBackFrom18OnAndTheNewOneBefore(t *testing.T) {
	for v, wantNew := range map[string]bool{"1.5.15": true, "1.7.236": true, "1.8.222": false, "1.11.24": false} {
		t.Run(v, func(t *testing.T) {
			opt, _ := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es/gate", gateApp(0, "0"))
				l.must(201, "PUT", "/v2/apps/es/data", node(3, "1"))
				l.settle(time.Minute)
				l.commit("2", 0)
				config := l.app("/es/data")["versionInfo"].(doc)["lastConfigChangeAt"].(string)
				victim := l.tasks("/es/data")[0]
				l.must(200, "DELETE", "/v2/apps/es/data/tasks/"+string(victim.ID), nil)
				time.Sleep(10 * time.Second)
				back := l.tasks("/es/data")
				i := slices.IndexFunc(back, func(x marathon.Task) bool { return x.ID.Instance() == victim.ID.Instance() })
				if len(back) != 3 || i < 0 || !back[i].Running() || back[i].ID == victim.ID || back[i].LocalVolumes[0] != victim.LocalVolumes[0] {
					t.Fatalf("the victim %+v came back as %+v", victim, back)
				}
				if isNew := back[i].Version >= config; isNew != wantNew {
					t.Errorf("came back at %s; the definition changed at %s", back[i].Version, config)
				}
			})
		})
	}
}

func TestAResidentRollWaitsForReadinessBeforeTheNextKill(t *testing.T) {
	for _, v := range generations {
		t.Run(v, func(t *testing.T) {
			opt, open := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es", resident("/es", 4, "1"))
				l.settle(time.Minute)
				open.Store(false)
				l.must(200, "PUT", "/v2/apps/es", resident("/es", 4, "2"))
				time.Sleep(10 * time.Minute)
				upgraded := 0
				config := l.app("/es")["versionInfo"].(doc)["lastConfigChangeAt"].(string)
				for _, task := range l.tasks("/es") {
					if task.Version >= config {
						upgraded++
					}
				}
				if upgraded != 1 || running(l.tasks("/es")) != 4 || l.deployments() != 1 {
					t.Fatalf("%d upgraded while the gate is closed: %+v", upgraded, l.tasks("/es"))
				}
				open.Store(true)
				l.settle(time.Minute)
				for _, task := range l.tasks("/es") {
					if task.Version < config {
						t.Errorf("%s is still old", task.ID)
					}
				}
			})
		})
	}
}

func TestAnAppWithReadinessButNoHealthCheckCannotBeRolledFrom110On(t *testing.T) {
	for v, hangs := range map[string]bool{"1.7.236": false, "1.9.109": false, "1.10.26": true, "1.11.24": true} {
		t.Run(v, func(t *testing.T) {
			opt, _ := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				app := func(v string) doc {
					d := resident("/es", 2, v)
					delete(d, "healthChecks")
					return d
				}
				l.must(201, "PUT", "/v2/apps/es", app("1"))
				l.settle(time.Minute)
				before := taskIDs(l.tasks("/es"))
				l.must(200, "PUT", "/v2/apps/es", app("2"))
				time.Sleep(time.Hour)
				if got := l.deployments() == 1; got != hangs {
					t.Errorf("hangs: %v, want %v", got, hangs)
				}
				if same := slices.Equal(before, taskIDs(l.tasks("/es"))); same != hangs {
					t.Errorf("tasks untouched: %v, want %v", same, hangs)
				}
			})
		})
	}
}

func TestUpTo17ACancelEmptiesTheLaunchQueueUntilTheNextScaleCheck(t *testing.T) {
	for v, lost := range map[string]bool{"1.7.236": true, "1.11.24": false} {
		t.Run(v, func(t *testing.T) {
			opt, _ := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
				l.settle(time.Minute)
				time.Sleep(time.Minute)
				victim := l.tasks("/es")[0]
				l.must(200, "DELETE", "/v2/apps/es/tasks/"+string(victim.ID)+"?scale=true", nil)
				l.settle(time.Minute)
				res := l.must(200, "PUT", "/v2/apps/es?partialUpdate=false", resident("/es", 3, "2")).(doc)
				l.must(202, "DELETE", "/v2/deployments/"+res["deploymentId"].(string)+"?force=true", nil)
				time.Sleep(30 * time.Second)
				if got := running(l.tasks("/es")) == 2; got != lost {
					t.Errorf("victim lost: %v, want %v: %+v", got, lost, l.tasks("/es"))
				}
				time.Sleep(6 * time.Minute)
				if n := running(l.tasks("/es")); n != 3 {
					t.Errorf("%d run after the scale check, want 3", n)
				}
			})
		})
	}
}

func TestUpTo17EveryScaleUpOfAResidentAfterALaunchEndsFalsely(t *testing.T) {
	opt, _ := withGate(version(t, "1.7.236"))
	inVirtualTime(t, opt, func(l lab) {
		l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
		l.settle(time.Minute)
		time.Sleep(20 * time.Second) // past the first scale check
		l.must(200, "PUT", "/v2/apps/es", doc{"instances": 2})
		l.settle(time.Minute)
		l.must(200, "PUT", "/v2/apps/es", doc{"instances": 3})
		if n := l.deployments(); n != 0 {
			t.Errorf("the deployment is open: %d", n)
		}
		time.Sleep(time.Minute)
		if n := running(l.tasks("/es")); n != 2 {
			t.Errorf("%d run, want 2", n)
		}
		time.Sleep(5 * time.Minute)
		if n := running(l.tasks("/es")); n != 3 {
			t.Errorf("%d run after the scale check, want 3", n)
		}
	})
}

func TestUpTo17APlainKillOfALockedAppIsAnsweredAndIgnored(t *testing.T) {
	for v, ignored := range map[string]bool{"1.7.236": true, "1.11.24": false} {
		t.Run(v, func(t *testing.T) {
			opt, open := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
				l.settle(time.Minute)
				open.Store(false)
				l.must(200, "PUT", "/v2/apps/es", resident("/es", 3, "2"))
				time.Sleep(time.Minute)
				victim := l.tasks("/es")[2]
				l.must(200, "DELETE", "/v2/apps/es/tasks/"+string(victim.ID), nil)
				time.Sleep(10 * time.Second)
				if got := slices.Contains(taskIDs(l.tasks("/es")), string(victim.ID)); got != ignored {
					t.Errorf("ignored: %v, want %v", got, ignored)
				}
			})
		})
	}
}

func TestALockedAppRefusesEveryChangeButNotTheSameDefinition(t *testing.T) {
	opt, open := withGate(version(t, "1.9.109"))
	inVirtualTime(t, opt, func(l lab) {
		l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
		l.settle(time.Minute)
		open.Store(false)
		res := l.must(200, "PUT", "/v2/apps/es", resident("/es", 3, "2")).(doc)
		refused := l.must(409, "PUT", "/v2/apps/es", doc{"instances": 4}).(doc)
		if got := refused["deployments"].([]any)[0].(doc)["id"]; got != res["deploymentId"] {
			t.Errorf("locked by %v, want %v", got, res["deploymentId"])
		}
		l.must(409, "POST", "/v2/apps/es/restart", nil)
		l.must(409, "DELETE", "/v2/apps/es?force=false", nil)
		l.must(200, "PUT", "/v2/apps/es", resident("/es", 3, "2"))
		l.must(200, "PUT", "/v2/apps/es?force=true", doc{"instances": 4})
		open.Store(true)
		l.settle(time.Minute)
		if n := running(l.tasks("/es")); n != 4 {
			t.Errorf("%d run after the forced scaling, want 4", n)
		}
	})
}

func TestFrom110ARefusedWriteOpensTheLockAndARollEndsWithAnEmptyVolume(t *testing.T) {
	for v, broken := range map[string]bool{"1.9.109": false, "1.11.24": true} {
		t.Run(v, func(t *testing.T) {
			opt, _ := withGate(version(t, v))
			opt.Agents = marathonsim.DefaultAgents(6)
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
				l.settle(time.Minute)
				l.must(200, "PUT", "/v2/apps/es", resident("/es", 3, "2"))
				l.must(409, "PUT", "/v2/apps/es", doc{"instances": 4})
				time.Sleep(10 * time.Minute)
				if got := len(l.tasks("/es")) != 3; got != broken {
					t.Errorf("an extra instance: %v, want %v: %+v", got, broken, l.tasks("/es"))
				}
			})
		})
	}
}
