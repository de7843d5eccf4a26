package pretend_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
)

type stage struct {
	*testing.T
	sim    *marathonsim.Sim
	fleet  *pretend.Fleet
	client *http.Client
}

const logs = "/search/logs"

func play(t *testing.T, story func(s stage)) { playWith(t, &pretend.Fleet{}, story) }

func playWith(t *testing.T, fleet *pretend.Fleet, story func(s stage)) {
	synctest.Test(t, func(t *testing.T) {
		sim := marathonsim.New(marathonsim.Options{Programs: fleet.Program})
		defer sim.Close()
		fleet.Watch(sim)
		story(stage{t, sim, fleet, &http.Client{Transport: sim.Transport()}})
	})
}

func (s stage) send(method, url string, body any) (int, map[string]any) {
	s.Helper()
	b, _ := json.Marshal(body)
	r, err := http.NewRequest(method, url, strings.NewReader(string(b)))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(all, &out)
	return resp.StatusCode, out
}

func (s stage) put(component string, n int) {
	s.Helper()
	id := "/search/logs/" + component
	code, out := s.send("PUT", "http://marathon.sim/v2/apps"+id, map[string]any{
		"id": id, "cmd": "es", "instances": n, "cpus": 0.1, "mem": 32, "constraints": [][]string{{"hostname", "UNIQUE"}},
		"labels":          map[string]string{marathon.LabelComponent: component, marathon.LabelGroup: "search", marathon.LabelCluster: "logs"},
		"upgradeStrategy": map[string]any{"minimumHealthCapacity": 1, "maximumOverCapacity": 0},
		"portDefinitions": []any{map[string]any{"port": 0, "name": "http"}},
		"container": map[string]any{"type": "MESOS", "volumes": []any{map[string]any{
			"containerPath": "data", "mode": "RW", "persistent": map[string]any{"size": 64}}}},
	})
	if code >= 300 {
		s.Fatalf("PUT %s: %d %v", id, code, out)
	}
}

// node is the address of some running task of a component.
func (s stage) node(component string) (string, marathon.TaskID) {
	s.Helper()
	for _, a := range s.sim.View().Apps {
		if a.ID.Name() == component && len(a.Tasks) > 0 {
			t := a.Tasks[0]
			return "http://" + t.Host + ":" + itoa(t.Ports[0]), t.ID
		}
	}
	s.Fatalf("no task of %s", component)
	return "", ""
}

// in waits until the cluster has a colour.
func (s stage) in(colour string, limit time.Duration) {
	s.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		v := s.fleet.Cluster(logs)
		if v.Health == colour && v.Master != "" {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("not %s after %s: %+v", colour, limit, v)
		}
	}
}

func (s stage) green(limit time.Duration) {
	s.Helper()
	s.in("green", limit)
}

// formed waits until so many nodes are members and all is green.
func (s stage) formed(nodes int) {
	s.Helper()
	for range 600 {
		if v := s.fleet.Cluster(logs); len(v.Members) == nodes && v.Health == "green" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.Fatalf("not green with %d nodes: %+v", nodes, s.fleet.Cluster(logs))
}

// write must be acknowledged.
func (s stage) write(index string) string {
	s.Helper()
	id, err := s.fleet.Write(logs, index)
	if err != nil {
		s.Fatal(err)
	}
	return id
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestMastersFormDataJoinsAndTheClusterTurnsGreen(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		time.Sleep(4 * time.Second)
		at, _ := s.node("master")
		code, out := s.send("GET", at+"/_cluster/health?master_timeout=0s", nil)
		if code != 503 || out["error"].(map[string]any)["type"] != "master_not_discovered_exception" {
			t.Errorf("before formation: %d %v", code, out)
		}
		time.Sleep(10 * time.Second)
		s.put("data", 2)
		time.Sleep(5500 * time.Millisecond)
		code, out = s.send("GET", at+"/_cluster/health?wait_for_status=green&timeout=1s", nil)
		if code != 408 || out["timed_out"] != true || out["status"] != "yellow" {
			t.Errorf("while data joins: %d %v", code, out)
		}
		code, out = s.send("GET", at+"/_cluster/health?wait_for_status=green&timeout=10s", nil)
		if code != 200 || out["cluster_name"] != "search-logs" || out["number_of_nodes"] != 5.0 || out["number_of_data_nodes"] != 2.0 {
			t.Errorf("at the end: %d %v", code, out)
		}
	})
}

func TestTheClusterKeepsItsUUIDAsLongAsItsVolumesLive(t *testing.T) {
	play(t, func(s stage) {
		uuid := func() any {
			at, _ := s.node("master")
			_, out := s.send("GET", at+"/_cluster/state/metadata?master_timeout=1s", nil)
			return out["cluster_uuid"]
		}
		s.put("master", 3)
		time.Sleep(time.Minute)
		first := uuid()
		for _, task := range s.sim.View().Apps[0].Tasks {
			if err := s.sim.KillTask(task.ID); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if again := uuid(); first == nil || again != first {
			t.Errorf("uuid %v after a restart, %v before", again, first)
		}
		s.send("DELETE", "http://marathon.sim/v2/apps/search/logs/master", nil)
		time.Sleep(time.Minute)
		s.put("master", 3)
		time.Sleep(time.Minute)
		if blank := uuid(); blank == nil || blank == first {
			t.Errorf("blank masters have uuid %v, the lost cluster had %v", blank, first)
		}
	})
}

func TestBlankMastersNeverFormAClusterWhereTheGateRecordsOne(t *testing.T) {
	play(t, func(s stage) {
		s.send("PUT", "http://marathon.sim/v2/apps/search/logs/gate", map[string]any{"id": "/search/logs/gate", "cmd": "run",
			"instances": 0, "labels": map[string]string{marathon.LabelClusterUUID: "known"}})
		s.put("master", 3)
		time.Sleep(10 * time.Minute)
		at, _ := s.node("master")
		if code, _ := s.send("GET", at+"/_cluster/health?master_timeout=1s", nil); code != 503 {
			t.Errorf("health answers %d, want 503", code)
		}
		if code, out := s.send("GET", at+"/", nil); code != 200 || out["cluster_uuid"] != "_na_" {
			t.Errorf("GET /: %d %v", code, out)
		}
	})
}
