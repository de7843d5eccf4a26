package pretend_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/render/bundle"
)

// A stage is a Sim with a Fleet and one cluster, in virtual time.
type stage struct {
	*testing.T
	sim    *marathonsim.Sim
	fleet  *pretend.Fleet
	client *http.Client
	bundle map[string]string // of every node; nil: they have none
}

const logs = "/search/logs"

func play(t *testing.T, story func(s stage)) { playWith(t, &pretend.Fleet{}, story) }

func playWith(t *testing.T, fleet *pretend.Fleet, story func(s stage)) {
	synctest.Test(t, func(t *testing.T) {
		sim := marathonsim.New(marathonsim.Options{Programs: fleet.Program})
		defer sim.Close()
		fleet.Watch(sim)
		story(stage{T: t, sim: sim, fleet: fleet, client: clientOf(sim)})
	})
}

func clientOf(sim *marathonsim.Sim) *http.Client { return &http.Client{Transport: sim.Transport()} }

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
	s.putAs(component, component, n)
}

// putAs makes an app of some name out of a component's nodes.
func (s stage) putAs(app, component string, n int) {
	s.Helper()
	id := logs + "/" + app
	env := map[string]string{}
	for k, v := range s.bundle {
		env[k] = v
	}
	code, out := s.send("PUT", "http://marathon.sim/v2/apps"+id, map[string]any{
		"id": id, "cmd": "es", "instances": n, "cpus": 0.1, "mem": 32, "env": env, "constraints": [][]string{{"hostname", "UNIQUE"}},
		"labels":          map[string]string{marathon.LabelComponent: component, marathon.LabelGroup: "search", marathon.LabelCluster: "logs"},
		"upgradeStrategy": map[string]any{"minimumHealthCapacity": 1, "maximumOverCapacity": 0},
		"portDefinitions": []any{map[string]any{"port": 0, "name": "http"}},
		"container": map[string]any{"type": "MESOS", "volumes": []any{map[string]any{
			"containerPath": "data", "mode": "RW", "persistent": map[string]any{"size": 16 << 10}}}},
	})
	if code >= 300 {
		s.Fatalf("PUT %s: %d %v", id, code, out)
	}
}

// sendAny is send for answers that are no object.
func (s stage) sendAny(method, url string) (int, any) {
	s.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		s.Fatal(err)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	var out any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		s.Fatalf("%s %s: %v", method, url, err)
	}
	return resp.StatusCode, out
}

// bundleOf is the environment of a node of some version, as render makes it.
func bundleOf(t *testing.T, version, distribution string, minimumMasters int, plugins ...string) map[string]string {
	t.Helper()
	major, _, _ := strings.Cut(version, ".")
	list := strings.Join(plugins, " - -\n")
	if list != "" {
		list += " - -\n"
	}
	yml := "cluster.name: \"search-logs\"\n"
	if minimumMasters > 0 {
		yml += "discovery.zen.minimum_master_nodes: " + itoa(minimumMasters) + "\n"
	}
	b, err := bundle.Pack([]bundle.File{
		{Path: "facts.sh", Content: []byte("distribution='" + distribution + "'\nmajor='" + major + "'\nunique='1'\nversion='" + version + "'\n")},
		{Path: "config/elasticsearch.yml", Content: []byte(yml)},
		{Path: "plugins.txt", Content: []byte(list)},
	})
	if err != nil {
		t.Fatal(err)
	}
	env, err := bundle.ToEnv(b)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// tasks are those of a component, in order.
func (s stage) tasks(component string) []marathonsim.Task {
	for _, a := range s.sim.View().Apps {
		if a.ID.Name() == component {
			return a.Tasks
		}
	}
	return nil
}

// hold stops one node of a component for good, its volume kept, and answers which.
func (s stage) hold(component string) marathonsim.Task {
	s.Helper()
	all := s.tasks(component)
	task := all[slices.IndexFunc(all, func(t marathonsim.Task) bool { return !t.Suspended })]
	code, out := s.send("DELETE", "http://marathon.sim/v2/apps"+logs+"/"+component+"/tasks/"+string(task.ID)+"?scale=true", nil)
	if code != 200 {
		s.Fatalf("stop %s: %d %v", task.ID, code, out)
	}
	return task
}

// node is the address of some running task of a component.
func (s stage) node(component string) (string, marathon.TaskID) {
	s.Helper()
	for _, a := range s.sim.View().Apps {
		for _, t := range a.Tasks {
			if a.ID.Name() == component && !t.Suspended {
				return "http://" + t.Host + ":" + itoa(t.Ports[0]), t.ID
			}
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
