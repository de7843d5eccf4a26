package pretend_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
)

// kill ends a task's process; Marathon starts it again on its volume.
func (s stage) kill(component string, i int) {
	s.Helper()
	if err := s.sim.KillTask(s.tasks(component)[i].ID); err != nil {
		s.Fatal(err)
	}
}

// wipe destroys a component with its volumes and starts it anew.
func (s stage) wipe(component string, n int) {
	s.Helper()
	s.send("DELETE", "http://marathon.sim/v2/apps"+logs+"/"+component, nil)
	time.Sleep(30 * time.Second)
	s.put(component, n)
}

func TestTheElectedMasterIsReplacedSoonAfterItEnds(t *testing.T) {
	for _, version := range []string{"5.6.16", "6.8.23", "7.17.28", "8.7.1"} {
		t.Run(version, func(t *testing.T) {
			play(t, func(s stage) {
				s.bundle = bundleOf(t, version, "elasticsearch", 2)
				s.put("master", 3)
				s.put("data", 2)
				s.formed(5)
				first := s.fleet.Cluster(logs)
				for i, task := range s.tasks("master") {
					if "master-"+task.Host == first.Master {
						s.kill("master", i)
					}
				}
				time.Sleep(500 * time.Millisecond)
				if v := s.fleet.Cluster(logs); v.Master != "" {
					t.Errorf("%s is elected at once", v.Master)
				}
				s.formed(5)
				v := s.fleet.Cluster(logs)
				if v.UUID != first.UUID || v.Master == "" || len(v.Violations) > 0 {
					t.Errorf("%+v", v)
				}
			})
		})
	}
}

func TestWithoutAMajorityOfMastersEverythingThatNeedsOneIsRefused(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.put("data", 2)
		s.formed(5)
		s.hold("master")
		time.Sleep(time.Minute)
		s.hold("master")
		time.Sleep(10 * time.Second)
		at, _ := s.node("data")
		began := time.Now()
		code, out := s.send("GET", at+"/_cluster/health?master_timeout=2s", nil)
		if code != 503 || out["error"].(map[string]any)["type"] != "master_not_discovered_exception" || time.Since(began) != 2*time.Second {
			t.Errorf("%d %v after %s", code, out, time.Since(began))
		}
		began = time.Now()
		if code, _ := s.send("GET", at+"/_cluster/settings", nil); code != 503 || time.Since(began) != 30*time.Second {
			t.Errorf("without master_timeout: %d after %s", code, time.Since(began))
		}
		if code, out := s.send("GET", at+"/_cluster/health?local=true", nil); code != 200 || out["status"] != "red" {
			t.Errorf("local health: %d %v", code, out)
		}
		code, out = s.send("GET", at+"/_cluster/state/master_node,nodes?local=true", nil)
		if code != 200 || out["master_node"] != nil || out["blocks"] == nil {
			t.Errorf("local state: %d %v", code, out)
		}
		if code, _ = s.send("PUT", at+"/pretended/_doc/x", nil); code != 503 {
			t.Errorf("write: %d", code)
		}
		if code, _ = s.send("GET", at+"/", nil); code != 200 {
			t.Errorf("GET /: %d", code)
		}
	})
}

func TestBlankMastersEndAClusterFromSevenOnAndFormAnotherBefore(t *testing.T) {
	for _, c := range []struct {
		version        string
		newUUID        bool
		doomed         bool
		violation      string
		documentsStill bool
	}{
		{version: "1.7.6", newUUID: true, violation: "deleted its copy", documentsStill: false},
		{version: "2.4.6", newUUID: true, violation: "imported as dangling", documentsStill: true},
		{version: "6.8.23", newUUID: true, violation: "imported as dangling", documentsStill: true},
		{version: "7.17.28", doomed: true, documentsStill: true},
	} {
		t.Run(c.version, func(t *testing.T) {
			play(t, func(s stage) {
				gate := ""
				s.fleet.GateUUID = func(marathon.AppID) string { return gate }
				s.bundle = bundleOf(t, c.version, "elasticsearch", 2)
				s.put("master", 3)
				s.put("data", 2)
				s.formed(5)
				for range 10 {
					s.write("pretended")
				}
				first := s.fleet.Cluster(logs)
				gate = first.UUID
				s.wipe("master", 3)
				time.Sleep(3 * time.Minute)
				v := s.fleet.Cluster(logs)
				if again := v.Master != "" && v.UUID != first.UUID; again != c.newUUID {
					t.Errorf("formed another: %v: %+v", again, v)
				}
				if (v.Doomed != "") != c.doomed {
					t.Errorf("doomed: %q", v.Doomed)
				}
				if (len(v.Lost) == 0) != c.documentsStill {
					t.Errorf("lost %d", len(v.Lost))
				}
				if !slices.ContainsFunc(v.Violations, func(x string) bool { return strings.Contains(x, c.violation) }) && c.violation != "" {
					t.Errorf("violations %q", v.Violations)
				}
			})
		})
	}
}

func TestTheVotingConfigurationFollowsTheMasters(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 5)
		s.formed(5)
		at, _ := s.node("master")
		voters := func() int {
			_, out := s.send("GET", at+"/_cluster/state/metadata?filter_path=metadata.cluster_coordination", nil)
			return len(out["metadata"].(map[string]any)["cluster_coordination"].(map[string]any)["last_committed_config"].([]any))
		}
		if n := voters(); n != 5 {
			t.Errorf("%d of 5 vote", n)
		}
		leaving := []string{}
		for _, m := range s.fleet.Cluster(logs).Members[:2] {
			leaving = append(leaving, m.Name)
		}
		code, _ := s.send("POST", at+"/_cluster/voting_config_exclusions?node_names="+strings.Join(leaving, ","), nil)
		if code != 200 || voters() != 3 {
			t.Errorf("%d, %d vote after exclusion", code, voters())
		}
		if v := s.fleet.Cluster(logs); !slices.Equal(v.VotingExclusions, leaving) {
			t.Errorf("excluded %v", v.VotingExclusions)
		}
		if code, _ := s.send("DELETE", at+"/_cluster/voting_config_exclusions?timeout=5s", nil); code != 400 {
			t.Errorf("DELETE with timeout: %d", code)
		}
		if code, _ := s.send("DELETE", at+"/_cluster/voting_config_exclusions?wait_for_removal=false", nil); code != 200 || voters() != 5 {
			t.Errorf("%d, %d vote in the end", code, voters())
		}
	})
}

func TestOfThreeVotersNoneIsDroppedWhenOneLeaves(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.formed(3)
		s.hold("master")
		time.Sleep(time.Minute)
		out := s.ask("GET", "/_cluster/state/metadata?filter_path=metadata.cluster_coordination.last_committed_config", nil)
		if voters := out["metadata"].(map[string]any)["cluster_coordination"].(map[string]any)["last_committed_config"].([]any); len(voters) != 3 {
			t.Errorf("%v vote", voters)
		}
	})
}

func TestDataOfAnotherClusterNeverJoinsFromSevenOn(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.put("data", 2)
		s.formed(5)
		s.fleet.GateUUID = nil // nobody recorded that it was formed
		s.wipe("master", 3)
		time.Sleep(10 * time.Minute)
		if v := s.fleet.Cluster(logs); len(v.Members) != 3 || len(v.Violations) != 1 {
			t.Errorf("%+v", v)
		}
	})
}

func TestTheFormOfAVotingExclusionGoesWithTheVersion(t *testing.T) {
	for _, c := range []struct {
		version     string
		path, query int
	}{{"6.8.23", 400, 400}, {"7.5.2", 200, 405}, {"7.17.28", 200, 200}, {"8.7.1", 400, 200}} {
		play(t, func(s stage) {
			s.bundle = bundleOf(t, c.version, "elasticsearch", 2)
			s.put("master", 3)
			s.formed(3)
			at, _ := s.node("master")
			name := s.fleet.Cluster(logs).Members[0].Name
			if code, out := s.send("POST", at+"/_cluster/voting_config_exclusions/"+name, nil); code != c.path {
				t.Errorf("%s: path: %d %v", c.version, code, out)
			}
			if code, out := s.send("POST", at+"/_cluster/voting_config_exclusions?node_names="+name, nil); code != c.query {
				t.Errorf("%s: query: %d %v", c.version, code, out)
			}
		})
	}
}

func TestAMinoritySideKnowsNoMasterAfterAWhileAndTakesNoWrites(t *testing.T) {
	for _, c := range []struct {
		version  string
		patience time.Duration
	}{{"6.8.23", 91 * time.Second}, {"7.17.28", 33 * time.Second}} {
		play(t, func(s stage) {
			s.bundle = bundleOf(t, c.version, "elasticsearch", 2)
			s.put("master", 3)
			s.put("data", 2)
			s.formed(5)
			cut := s.tasks("data")[0]
			at := "http://" + cut.Host + ":" + itoa(cut.Ports[0])
			s.fleet.Partition(logs, cut.ID)
			time.Sleep(c.patience - time.Second)
			if v := s.fleet.Cluster(logs); len(v.Members) != 5 {
				t.Errorf("%s: %d members before the loss is noticed", c.version, len(v.Members))
			}
			time.Sleep(2 * time.Second)
			if v := s.fleet.Cluster(logs); len(v.Members) != 4 || v.Health != "yellow" {
				t.Errorf("%s: %+v", c.version, v)
			}
			if code, _ := s.send("GET", at+"/_cluster/health?master_timeout=1s", nil); code != http.StatusServiceUnavailable {
				t.Errorf("%s: the minority says %d", c.version, code)
			}
			s.fleet.Heal(logs)
			s.formed(5)
		})
	}
}

func TestALowMinimumMakesTwoMasters(t *testing.T) {
	play(t, func(s stage) {
		s.bundle = bundleOf(t, "6.8.23", "elasticsearch", 1)
		s.put("master", 3)
		s.formed(3)
		s.fleet.Partition(logs, s.tasks("master")[0].ID, s.tasks("master")[1].ID)
		time.Sleep(5 * time.Minute)
		v := s.fleet.Cluster(logs)
		if !slices.ContainsFunc(v.Violations, func(x string) bool { return strings.Contains(x, "two masters") }) {
			t.Errorf("%+v", v)
		}
	})
}

func TestAFrozenNodeAnswersNothingAndLeavesLate(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.put("data", 2)
		s.formed(5)
		frozen := s.tasks("data")[0]
		if err := s.fleet.Freeze(frozen.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.fleet.Write(logs, "pretended"); err == nil {
			t.Error("a write is acknowledged though a copy in sync does not answer")
		}
		client := http.Client{Transport: s.sim.Transport(), Timeout: 5 * time.Second}
		if res, err := client.Get("http://" + frozen.Host + ":" + itoa(frozen.Ports[0]) + "/"); err == nil {
			t.Errorf("a frozen node answers %d", res.StatusCode)
		}
		time.Sleep(30 * time.Second)
		if v := s.fleet.Cluster(logs); len(v.Members) != 4 || v.Health != "yellow" {
			t.Errorf("%+v", v)
		}
		s.write("pretended")
		if err := s.fleet.Thaw(frozen.ID); err != nil {
			t.Fatal(err)
		}
		s.formed(5)
		if err := s.fleet.Freeze("nobody"); err != pretend.ErrNoSuchNode {
			t.Error(err)
		}
	})
}
