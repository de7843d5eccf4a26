package e2e_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Older Marathons get one cluster without masters of its own, by `esfleet apply`: enough to see that each of them takes
// what is rendered for it, that nodes form a cluster there, and that nothing is left to do afterwards.
func TestAClusterOfTheExampleLivesOnOlderMarathons(t *testing.T) {
	versions := []string{"1.5"} // the oldest; 1.8 and 1.7 with ESFLEET_E2E=all
	if all() {
		versions = []string{"1.8", "1.7", "1.5"}
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorkspace(t)
			s := newStory(t, w, "Marathon "+version)
			s.startLab(version)
			s.publish(nil, "groups/billing/", "groups/search/clusters/logs/")
			if got := s.esfleet("apply", "--timeout", "15m"); got.code != 0 || !strings.Contains(got.out, "No changes") {
				t.Fatalf("apply ended with %d:\n%s%s", got.code, got.out, got.errs)
			}
			s.stage("apply has created the cluster")
			live := s.marathon.apps()
			data := live["/search/catalog/es-datanode"]
			colour, uuid := health(t, data.url())
			if nodes := nodesOf(t, data.url()); len(nodes) != 3 || colour != "green" {
				t.Errorf("the cluster is %s with %d nodes", colour, len(nodes))
			}
			if got := live["/search/catalog/gate"].Labels["esfleet.cluster-uuid"]; got != uuid || uuid == "" {
				t.Errorf("the gate records the cluster %q, it is %q", got, uuid)
			}
			before := s.marathon.standing()
			s.nothingIsLeftToDo()
			if got := s.esfleet("apply", "--timeout", "5m"); got.code != 0 || !strings.Contains(got.out, "No changes") {
				t.Errorf("a second apply ended with %d:\n%s%s", got.code, got.out, got.errs)
			}
			if d := differences(before, s.marathon.standing()); len(d) > 0 {
				t.Errorf("a second apply changed\n%s", strings.Join(d, "\n"))
			}
			s.stage("a second apply wrote nothing")
		})
	}
}

// without leaves out what lies below the folders.
func (f files) without(folders ...string) files {
	out := maps.Clone(f)
	maps.DeleteFunc(out, func(path, _ string) bool {
		return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(path, folder) })
	})
	return out
}
