package esclient_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

var update = flag.Bool("u", false, "write testdata/*.golden anew")

// recorded are the situations of one version, by name.
func recorded(t testing.TB, version string) map[string]situation {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", version+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]situation
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRecordedAnswersOfRealClustersAreUnderstood(t *testing.T) {
	for version, about := range map[string]struct {
		uuid   string
		target esgate.Target
	}{
		"6.8.23":            {"1hLpmcMmQPeyOXdj91eSbQ", esgate.Target{Dist: spec.ElasticsearchDist, Version: spec.Version{Major: 6, Minor: 8, Patch: 23}}},
		"7.17.28":           {"vhBkOc6HQ2GK08ncerGeRw", esgate.Target{Dist: spec.ElasticsearchDist, Version: spec.Version{Major: 7, Minor: 17, Patch: 28}}},
		"8.7.1":             {"yWPxn6XjTsOceeeMorQNqg", esgate.Target{Dist: spec.ElasticsearchDist, Version: spec.Version{Major: 8, Minor: 7, Patch: 1}}},
		"opensearch-2.11.0": {"AbZ33MTVQQ6ZS0ro11T56A", esgate.Target{Dist: spec.OpenSearchDist, Version: spec.Version{Major: 2, Minor: 11}}},
	} {
		t.Run(version, func(t *testing.T) {
			all := recorded(t, version)
			if len(all) < 13 {
				t.Fatalf("only %d situations", len(all))
			}
			var out strings.Builder
			for _, name := range slices.Sorted(maps.Keys(all)) {
				about.target.Endpoints = []string{"http://a:9200", "http://b:9200"}
				about.target.Explain = true
				about.target.Snapshots = name == "snapshot"
				s := all[name]
				if about.target.Snapshots {
					s = s.with("repositories", `{"r1":{"type":"fs"}}`)
				}
				h := both(s).Read(t.Context(), about.target)
				if h.Known && h.UUID != about.uuid {
					t.Errorf("%s: uuid is %s", name, h.UUID)
				}
				fmt.Fprintf(&out, "# %s\n%s\n", name, shown(&h))
			}
			golden(t, version, out.String())
		})
	}
}

func golden(t *testing.T, version, got string) {
	t.Helper()
	file := filepath.Join("testdata", version+".golden")
	if *update {
		must(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("it is read otherwise than %s says; -u writes it anew:\n%s", file, d)
	}
}

// shown is a reading in lines.
func shown(h *esgate.Health) string {
	if !h.Known {
		return "unknown: " + h.Why + "\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s leads; initializing %d, relocating %d, unassigned %d, delayed %d, pending %d, in flight %d\n",
		h.Status, h.Master, h.Initializing, h.Relocating, h.Unassigned, h.Delayed, h.PendingTasks, h.InFlightFetch)
	for _, n := range h.Nodes {
		kind := map[[2]bool]string{{true, false}: "master", {false, true}: "data", {true, true}: "master and data"}[[2]bool{n.MasterEligible, n.Data}]
		fmt.Fprintf(&b, "node %s: %s %s at %s, up %s, %d MiB free, bundle %s, plugins %v\n",
			n.Name, kind, n.Version, n.HTTP, n.Uptime.Round(time.Second), n.DiskFree>>20, n.Attributes["bundle"], n.Plugins)
	}
	for _, s := range h.Shards {
		where := s.Node
		if s.To != "" {
			where += " to " + s.To
		}
		if s.Decider != "" {
			where = "kept away by " + s.Decider
		}
		kind := "replica"
		if s.Primary {
			kind = "primary"
		}
		fmt.Fprintln(&b, strings.TrimSpace(fmt.Sprintf("%s %d %s: %s %s", s.Index, s.Number, kind, s.State, where)))
	}
	for _, k := range slices.Sorted(maps.Keys(h.Persistent)) {
		fmt.Fprintf(&b, "persistent %s: %s\n", k, h.Persistent[k])
	}
	for _, k := range slices.Sorted(maps.Keys(h.Transient)) {
		fmt.Fprintf(&b, "transient %s: %s\n", k, h.Transient[k])
	}
	for _, r := range h.Recoveries {
		fmt.Fprintf(&b, "recovery of %s %d from %q to %s: %d of %d bytes in %s, operations only: %v\n",
			r.Index, r.Number, r.From, r.To, r.Done, r.Bytes, r.Running, r.OperationsOnly)
	}
	if len(h.VotingExclusions) > 0 {
		fmt.Fprintf(&b, "without a vote: %v\n", h.VotingExclusions)
	}
	if h.Snapshotting || !h.LastSnapshot.IsZero() {
		fmt.Fprintf(&b, "newest snapshot %s, running: %v\n", h.LastSnapshot.Format(time.RFC3339), h.Snapshotting)
	}
	return b.String()
}
