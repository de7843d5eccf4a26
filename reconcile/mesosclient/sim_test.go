package mesosclient_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/reconcile/mesosclient"
	"github.com/esfleet/esfleet/reconcile/preflight"
)

func drawAgents(t *rapid.T) []marathonsim.Agent {
	agents := marathonsim.DefaultAgents(rapid.IntRange(1, 4).Draw(t, "agents"))
	for i := range agents {
		agents[i].CPUs = float64(rapid.IntRange(1, 4).Draw(t, "cpus"))
		agents[i].Ports = []marathonsim.PortRange{{First: 31000, Last: 31000 + rapid.IntRange(1, 4).Draw(t, "ports")}}
	}
	return agents
}

func appID(i int) marathon.AppID { return marathon.AppID(fmt.Sprintf("/app-%d", i)) }

func drawApp(t *rapid.T, id marathon.AppID) marathon.Doc {
	n := rapid.IntRange(1, 4).Draw(t, "instances")
	doc := marathon.Doc{"id": string(id), "cmd": "run", "instances": n, "cpus": float64(rapid.IntRange(1, 6).Draw(t, "half cpus")) / 2, "mem": 32,
		"constraints":     rapid.SliceOfN(rapid.SampledFrom([][]string{{"hostname", "UNIQUE"}, {"rack", "LIKE", "r1|r2"}, {"hostname", "MAX_PER", "2"}, {"rack", "UNIQUE"}}), 0, 2).Draw(t, "constraints"),
		"upgradeStrategy": marathon.Doc{"minimumHealthCapacity": 0, "maximumOverCapacity": 0}}
	switch rapid.IntRange(0, 2).Draw(t, "ports") {
	case 0:
		doc["portDefinitions"] = []any{}
	case 1:
		doc["portDefinitions"], doc["requirePorts"] = []any{marathon.Doc{"port": 31001}}, true
	default:
		doc["portDefinitions"] = []any{marathon.Doc{"port": 0}}
	}
	if rapid.Bool().Draw(t, "resident") {
		doc["container"] = marathon.Doc{"type": "MESOS", "volumes": []any{marathon.Doc{"containerPath": "d", "mode": "RW",
			"persistent": marathon.Doc{"type": "root", "size": rapid.SampledFrom([]int{1000, 60_000}).Draw(t, "size")}}}}
	}
	return doc
}

// App after app is asked about and then started, each amid what those before it have left: what fits is placed, and where
// something does not fit, not all of it ever is.
func TestTheSimulatorPlacesWhatFitsAndNothingElse(t *testing.T) {
	said := map[preflight.Answer]int{}
	rapid.Check(t, func(rt *rapid.T) {
		agents := drawAgents(rt)
		var docs []marathon.Doc
		for i := range rapid.IntRange(1, 4).Draw(rt, "apps") {
			docs = append(docs, drawApp(rt, appID(i)))
		}
		wrong := ""
		synctest.Test(t, func(t *testing.T) {
			sim := marathonsim.New(marathonsim.Options{Agents: agents})
			defer sim.Close()
			sink, err := marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon.test"}, Transport: sim.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			mesos, err := mesosclient.New(mesosclient.Options{Addresses: []string{"http://marathon.test"}, Transport: sim.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			for i, doc := range docs {
				id, n := appID(i), doc["instances"].(int)
				it, err := preflight.ItemOf(id, doc, n)
				if err != nil {
					t.Fatal(err)
				}
				pool := mesos.Pool(t.Context(), "marathon")
				v := preflight.Place(&pool, preflight.Ask{Items: []preflight.Item{it}})
				said[v.Answer]++
				if _, err := sink.Create(t.Context(), doc); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute) // virtual: offers come many times
				a, err := sink.App(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				all := a.TasksRunning == n
				if v.Answer == preflight.NoRoom && all || v.Answer == preflight.Fits && v.AnyOrder && !all || v.Answer == preflight.Unknown {
					wrong = fmt.Sprintf("%s runs %d of %d; preflight said %s (in any order: %t): %s\n%v", id, a.TasksRunning, n, v.Answer, v.AnyOrder, v.Why, doc)
					return
				}
			}
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
	if said[preflight.Fits] == 0 || said[preflight.NoRoom] == 0 {
		t.Errorf("only one answer was ever given: %v", said)
	}
}
