package marathonsim_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// meddle does something at random to a Sim. Refusals are fine.
func (l lab) meddle(rng *rand.Rand) {
	id := []string{"/g/a", "/g/b", "/g/h/c"}[rng.IntN(3)]
	v := fmt.Sprint(rng.IntN(3))
	force := []string{"", "?force=true"}[rng.IntN(2)]
	host := fmt.Sprintf("127.0.0.%d", 11+rng.IntN(5))
	task := func() string {
		if v := l.View(); len(v.Apps) > 0 {
			if ts := v.Apps[rng.IntN(len(v.Apps))].Tasks; len(ts) > 0 {
				return string(ts[rng.IntN(len(ts))].ID)
			}
		}
		return "g_a.instance-00000000-0000-4000-8000-000000000000._app.1"
	}
	switch rng.IntN(14) {
	case 0, 1:
		l.call("PUT", "/v2/apps"+id+force, resident(id, rng.IntN(5), v))
	case 2:
		app := resident(id, rng.IntN(5), v)
		delete(app, "container")
		app["upgradeStrategy"] = doc{"minimumHealthCapacity": rng.Float64(), "maximumOverCapacity": rng.Float64()}
		l.call("PUT", "/v2/apps"+id+force, app)
	case 3:
		l.call("PUT", "/v2/apps"+id+force, doc{"instances": rng.IntN(6)})
	case 4:
		l.call("DELETE", "/v2/apps"+id+force, nil)
	case 5:
		l.call("POST", "/v2/apps"+id+"/restart"+force, nil)
	case 6:
		l.call("POST", "/v2/tasks/delete?"+[]string{"scale=true", "wipe=true", "scale=true&force=true", ""}[rng.IntN(4)], doc{"ids": []string{task()}})
	case 7:
		_, d := l.call("GET", "/v2/deployments", nil)
		if open, _ := d.([]any); len(open) > 0 {
			l.call("DELETE", "/v2/deployments/"+open[0].(doc)["id"].(string)+force, nil)
		}
	case 8:
		_ = l.LoseAgent(host)
	case 9:
		_ = l.BackAgent(host)
	case 10:
		l.LeaderChange()
	case 11:
		l.FailNextLaunches(rng.IntN(3))
	case 12:
		_ = l.KillTask(marathon.TaskID(task()))
	case 13:
		l.PauseOffers()
		time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
		l.ResumeOffers()
	}
	time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond)
}

// checkAccounts looks for what can never be: a port or a volume twice, more taken than there is.
func (l lab) checkAccounts() {
	l.Helper()
	volumes := map[string]bool{}
	for _, a := range l.View().Apps {
		for _, task := range a.Tasks {
			for _, v := range task.Volumes {
				if volumes[v.PersistenceID] {
					l.Errorf("volume %s belongs to two instances", v.PersistenceID)
				}
				volumes[v.PersistenceID] = true
			}
		}
	}
	for _, ag := range l.View().Agents {
		ports := map[int]bool{}
		for _, task := range ag.Tasks {
			for _, p := range task.Ports {
				if ports[p] {
					l.Errorf("%s has port %d twice", ag.Hostname, p)
				}
				ports[p] = true
			}
		}
		if ag.FreeCPUs < -1e-6 || ag.FreeMem < -1e-6 {
			l.Errorf("%s has %v cpus and %v MiB left", ag.Hostname, ag.FreeCPUs, ag.FreeMem)
		}
	}
}

func TestWhateverIsDoneToItTheAccountsStayRightAndAFreshStartConverges(t *testing.T) {
	for seed := range uint64(32) {
		v := []string{"1.4.2", "1.7.236", "1.8.222", "1.11.24"}[seed%4]
		t.Run(fmt.Sprintf("%s seed %d", v, seed), func(t *testing.T) {
			inVirtualTime(t, marathonsim.Options{Version: version(t, v), Seed: seed}, func(l lab) {
				rng := rand.New(rand.NewPCG(seed, 1))
				for range 60 {
					l.meddle(rng)
					l.checkAccounts()
				}
				for _, ag := range l.View().Agents {
					_ = l.BackAgent(ag.Hostname)
				}
				l.FailNextLaunches(0)
				time.Sleep(time.Minute)
				for _, a := range l.View().Apps {
					l.must(200, "DELETE", "/v2/apps"+string(a.ID), nil)
				}
				time.Sleep(time.Minute)
				for _, ag := range l.View().Agents {
					if ag.FreeCPUs != ag.CPUs || len(ag.Tasks) > 0 || ag.Suspended > 0 {
						t.Errorf("%s has %v of %v cpus and %v after every app is gone", ag.Hostname, ag.FreeCPUs, ag.CPUs, ag.Tasks)
					}
				}
				l.must(201, "PUT", "/v2/apps/g/a", resident("/g/a", 5, "9"))
				l.settle(time.Minute)
				if n := running(l.tasks("/g/a")); n != 5 {
					t.Errorf("%d of 5 run after a fresh start", n)
				}
			})
		})
	}
}
