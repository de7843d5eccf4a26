package pretend_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
)

// ask is send to a master that must answer 200.
func (s stage) ask(method, path string, body any) map[string]any {
	s.Helper()
	at, _ := s.node("master")
	code, out := s.send(method, at+path, body)
	if code != 200 {
		s.Fatalf("%s %s: %d %v", method, path, code, out)
	}
	return out
}

func (s stage) setting(key string, value any) {
	s.Helper()
	s.ask("PUT", "/_cluster/settings", map[string]any{"persistent": map[string]any{key: value}})
}

// copies are the numbers of copies by node.
func (s stage) copies() map[string]int {
	out := map[string]int{}
	for _, m := range s.fleet.Cluster(logs).Members {
		if m.Data {
			out[m.Name] = m.Copies
		}
	}
	return out
}

func TestADecidedPlaceIsExplainedByItsDecider(t *testing.T) {
	for _, c := range []struct {
		decider string
		data    int
		prepare func(s stage)
	}{
		{"same_shard", 1, func(stage) {}},
		{"shards_limit", 2, func(s stage) {
			s.ask("PUT", "/x/_settings", map[string]any{"index.routing.allocation.total_shards_per_node": 1})
		}},
		{"filter", 2, func(s stage) { s.setting("cluster.routing.allocation.exclude._name", "data-*") }},
		{"enable", 2, func(s stage) { s.setting("cluster.routing.allocation.enable", "primaries") }},
		{"disk_threshold", 2, func(s stage) {
			for _, task := range s.tasks("data") {
				s.fleet.FillDisk(task.Host, 0.88)
			}
		}},
	} {
		t.Run(c.decider, func(t *testing.T) {
			playWith(t, &pretend.Fleet{Indices: []pretend.Index{}}, func(s stage) {
				s.put("master", 3)
				s.put("data", c.data)
				s.formed(3 + c.data)
				s.ask("PUT", "/x", map[string]any{"settings": map[string]any{"number_of_shards": 2, "number_of_replicas": 0}})
				time.Sleep(time.Minute)
				c.prepare(s)
				s.ask("PUT", "/x/_settings", map[string]any{"number_of_replicas": 1})
				time.Sleep(time.Minute)
				out := s.ask("GET", "/_cluster/allocation/explain", nil)
				if text := fmt.Sprint(out); out["can_allocate"] != "no" || !strings.Contains(text, "decider:"+c.decider) {
					t.Errorf("%s", text)
				}
				if v := s.fleet.Cluster(logs); v.Health != "yellow" {
					t.Errorf("%+v", v)
				}
			})
		})
	}
}

// In the middle of a version upgrade a copy that lost its node finds no place but on new nodes.
func TestAReplicaNeverGoesToAnOlderNode(t *testing.T) {
	playWith(t, &pretend.Fleet{Indices: []pretend.Index{{Name: "docs", Primaries: 1, Replicas: 1}}}, func(s stage) {
		s.put("master", 3)
		s.bundle = bundleOf(t, "7.17.28", "elasticsearch", 0)
		s.putAs("new", "data", 2)
		s.formed(5)
		s.bundle = bundleOf(t, "7.10.2", "elasticsearch", 0)
		s.putAs("old", "data", 1)
		s.formed(6)
		s.hold("new")
		time.Sleep(5 * time.Minute)
		text := fmt.Sprint(s.ask("GET", "/_cluster/allocation/explain", nil))
		if !strings.Contains(text, "can_allocate:no") || !strings.Contains(text, "cannot allocate replica shard to a node with version [7.10.2] since this is older than the primary version [7.17.28]") {
			t.Error(text)
		}
		s.bundle = bundleOf(t, "7.17.28", "elasticsearch", 0)
		s.putAs("newer", "data", 1)
		s.formed(6)
	})
}

func TestADrainMovesEveryCopyAndTakesItsTime(t *testing.T) {
	playWith(t, &pretend.Fleet{Indices: []pretend.Index{{Name: "big", Primaries: 3, Replicas: 1, Bytes: 400 << 20}}}, func(s stage) {
		s.put("master", 3)
		s.put("data", 3)
		s.formed(6)
		time.Sleep(time.Minute)
		leaving := "data-" + s.tasks("data")[0].Host
		before := s.copies()[leaving]
		s.setting("cluster.routing.allocation.exclude._name", leaving)
		out := s.ask("GET", "/_cluster/health", nil)
		if out["status"] != "green" || out["relocating_shards"] != 2.0 || out["initializing_shards"] != 0.0 || before != 2 {
			t.Errorf("%v, %d copies", out, before)
		}
		if r := s.ask("GET", "/_recovery?active_only=true", nil)["big"]; r == nil {
			t.Error("no recovery is under way")
		}
		time.Sleep(10 * time.Second) // 400 MiB at 40 MiB/s and the fixed part
		if n := s.copies()[leaving]; n != 2 {
			t.Errorf("%d copies are left after 10 s", n)
		}
		time.Sleep(10 * time.Second)
		if n := s.copies()[leaving]; n != 0 {
			t.Errorf("%d copies are left after 20 s", n)
		}
		s.setting("cluster.routing.allocation.exclude._name", nil)
		time.Sleep(time.Minute)
		if n := s.copies()[leaving]; n != 2 {
			t.Errorf("%d copies are back", n)
		}
	})
}

func TestADrainThatCannotEndStaysGreenAndQuiet(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.put("data", 2)
		s.formed(5)
		s.setting("cluster.routing.allocation.exclude._name", "data-"+s.tasks("data")[0].Host)
		time.Sleep(time.Hour)
		out := s.ask("GET", "/_cluster/health", nil)
		if out["status"] != "green" || out["relocating_shards"] != 0.0 {
			t.Errorf("%v", out)
		}
		var found bool
		for _, primary := range []bool{true, false} {
			out = s.ask("POST", "/_cluster/allocation/explain", map[string]any{"index": "pretended", "shard": 0, "primary": primary})
			found = found || out["can_remain_on_current_node"] == "no" && out["can_move_to_other_node"] == "no"
		}
		if !found {
			t.Errorf("%v", out)
		}
	})
}

func TestADepartedNodeIsWaitedFor(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.put("data", 3)
		s.formed(6)
		time.Sleep(time.Minute) // copies are evened out
		s.ask("PUT", "/_all/_settings", map[string]any{"index.unassigned.node_left.delayed_timeout": "1m"})
		s.hold("data")
		time.Sleep(10 * time.Second)
		out := s.ask("GET", "/_cluster/health", nil)
		if out["status"] != "yellow" || out["delayed_unassigned_shards"] != 2.0 || out["initializing_shards"] != 0.0 {
			t.Errorf("%v", out)
		}
		time.Sleep(time.Minute)
		s.formed(5)
		s.ask("PUT", "/_all/_settings", map[string]any{"index.unassigned.node_left.delayed_timeout": "5m"})
		s.hold("data")
		time.Sleep(4 * time.Minute)
		if v := s.fleet.Cluster(logs); v.Health != "yellow" {
			t.Errorf("%+v", v)
		}
	})
}

func TestANodeThatComesBackRecoversByOperationsAlone(t *testing.T) {
	for _, c := range []struct {
		version        string
		flush, written bool
		opsOnly        bool
	}{
		{"6.8.23", true, false, true}, {"6.8.23", false, false, false}, {"6.8.23", true, true, false},
		{"7.17.28", true, false, true}, {"7.17.28", false, true, true},
	} {
		name := fmt.Sprintf("%s flushed %v written %v", c.version, c.flush, c.written)
		t.Run(name, func(t *testing.T) {
			playWith(t, &pretend.Fleet{Indices: []pretend.Index{{Name: "docs", Primaries: 1, Replicas: 1, Bytes: 4 << 30}}}, func(s stage) {
				s.bundle = bundleOf(t, c.version, "elasticsearch", 2)
				s.put("master", 3)
				s.put("data", 2)
				time.Sleep(3 * time.Minute) // 4 GiB are copied
				s.formed(5)
				s.write("docs")
				if c.flush {
					s.ask("POST", "/_flush", nil)
				}
				s.kill("data", 0)
				if time.Sleep(time.Second); c.written {
					s.write("docs")
				}
				time.Sleep(15 * time.Second)
				if got := s.fleet.Cluster(logs).Health == "green"; got != c.opsOnly {
					t.Errorf("green after 15 s: %v", got)
				}
			})
		})
	}
}

func TestTemplatesShapeNewIndices(t *testing.T) {
	playWith(t, &pretend.Fleet{Indices: []pretend.Index{}}, func(s stage) {
		s.put("master", 3)
		s.put("data", 2)
		s.formed(5)
		body := map[string]any{"index_patterns": []string{"*"}, "order": 100, "settings": map[string]any{"index": map[string]any{"number_of_replicas": 0, "routing.allocation.total_shards_per_node": 2}}}
		s.ask("PUT", "/_template/esfleet", body)
		got := s.ask("GET", "/_template/esfleet", nil)["esfleet"].(map[string]any)["settings"]
		if fmt.Sprint(got) != "map[index:map[number_of_replicas:0 routing:map[allocation:map[total_shards_per_node:2]]]]" {
			t.Errorf("%v", got)
		}
		s.ask("PUT", "/fresh", nil)
		set := s.ask("GET", "/fresh/_settings?flat_settings=true", nil)["fresh"].(map[string]any)["settings"].(map[string]any)
		if set["index.number_of_replicas"] != "0" || set["index.routing.allocation.total_shards_per_node"] != "2" {
			t.Errorf("%v", set)
		}
	})
}

func TestDisturbedAnswersAreWhatAClientMustSurvive(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.formed(3)
		at, task := s.node("master")
		try := func(a pretend.Answers) (int, time.Duration, error) {
			s.fleet.Disturb(logs, a)
			defer s.fleet.Undisturb(logs)
			client := http.Client{Transport: s.sim.Transport(), Timeout: 10 * time.Second}
			began := time.Now()
			res, err := client.Get(at + "/_cluster/health")
			if err != nil {
				return 0, time.Since(began), err
			}
			defer res.Body.Close()
			b := make([]byte, 4096)
			for err == nil {
				_, err = res.Body.Read(b)
			}
			return res.StatusCode, time.Since(began), err
		}
		if code, _, _ := try(pretend.Answers{Status: 429}); code != 429 {
			t.Error(code)
		}
		if _, _, err := try(pretend.Answers{Cut: true}); err == nil || err.Error() != "unexpected EOF" {
			t.Error(err)
		}
		if _, _, err := try(pretend.Answers{Reset: true}); err == nil {
			t.Error("no error")
		}
		if code, took, _ := try(pretend.Answers{Late: 3 * time.Second}); code != 200 || took != 3*time.Second {
			t.Error(code, took)
		}
		if _, took, err := try(pretend.Answers{Never: true, Task: task}); err == nil || took != 10*time.Second {
			t.Error(err, took)
		}
		if code, _, _ := try(pretend.Answers{Status: 401, Path: "/_cat"}); code != 200 {
			t.Error(code)
		}
		if err := s.fleet.Pose(task, &pretend.Impostor{Cluster: "other", UUID: "u"}); err != nil {
			t.Fatal(err)
		}
		if _, out := s.send("GET", at+"/_cluster/state/metadata", nil); out["cluster_uuid"] != "u" || out["cluster_name"] != "other" {
			t.Error(out)
		}
	})
}

func TestFaultsOfAClusterShow(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.put("data", 3)
		s.formed(6)
		if !s.fleet.FailCopy(logs, "pretended") {
			t.Fatal("no copy failed")
		}
		if v := s.fleet.Cluster(logs); v.Health != "yellow" {
			t.Errorf("%+v", v)
		}
		s.formed(6)
		s.fleet.StallRecovery(logs, true)
		s.fleet.FailCopy(logs, "pretended")
		time.Sleep(time.Hour)
		if v := s.fleet.Cluster(logs); v.Initializing != 1 {
			t.Errorf("%+v", v)
		}
		s.fleet.StallRecovery(logs, false)
		s.formed(6)
		s.fleet.RefuseMoves(logs, true)
		s.setting("cluster.routing.allocation.exclude._name", "data-"+s.tasks("data")[0].Host)
		time.Sleep(time.Hour)
		if n := s.copies()["data-"+s.tasks("data")[0].Host]; n != 2 {
			t.Errorf("%d copies are left", n)
		}
		s.fleet.RefuseMoves(logs, false)
		if err := s.fleet.Snapshot(logs, "r", "s", time.Minute); err != nil {
			t.Fatal(err)
		}
		if n := len(s.ask("GET", "/_snapshot/_status", nil)["snapshots"].([]any)); n != 1 {
			t.Errorf("%d snapshots run", n)
		}
		time.Sleep(2 * time.Minute)
		if n := len(s.ask("GET", "/_snapshot/_status", nil)["snapshots"].([]any)); n != 0 {
			t.Errorf("%d snapshots run", n)
		}
		host := s.tasks("data")[1].Host
		s.fleet.FailStart(host, 3*time.Second, fmt.Errorf("pre-run.sh failed"))
		s.kill("data", 1)
		time.Sleep(10 * time.Minute)
		if v := s.fleet.Cluster(logs); slices.ContainsFunc(v.Members, func(m pretend.Member) bool { return m.Data && m.Host == host && m.Copies > 0 }) {
			t.Errorf("%+v", v)
		}
		s.fleet.FailStart(host, 0, nil)
	})
}
