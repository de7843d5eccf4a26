package esgate

import (
	"fmt"
	"slices"
	"time"

	"github.com/esfleet/esfleet/spec"
)

// deciderVersion keeps a replica from nodes older than the one with its primary.
const deciderVersion = "node_version"

// MixedVersions says that h is yellow for one reason only: replicas wait for nodes of a newer version. A version upgrade
// goes through such states, and no waiting ends them: only the next node's upgrade does.
func MixedVersions(h *Health) bool {
	if h.Status != "yellow" || stateOf(h).moving() {
		return false
	}
	waiting := 0
	for i := range h.Shards {
		s := &h.Shards[i]
		if s.State != Unassigned {
			continue
		}
		if s.Primary || s.Decider != deciderVersion {
			return false
		}
		waiting++
	}
	// Both counts must agree: a copy that was not listed was not explained.
	return waiting > 0 && waiting == h.Unassigned
}

func mixedVersions(h *Health, t *Touch) no {
	if !t.Upgrading || h.Status == "green" && stateOf(h).unassigned == 0 || outside(h, t) || MixedVersions(h) {
		return no{}
	}
	if t.Data == 1 && onlyReplicasMissing(h) {
		return no{}
	}
	var other []string
	for i := range h.Shards {
		if s := &h.Shards[i]; s.State == Unassigned && (s.Primary || s.Decider != deciderVersion) {
			other = append(other, s.label())
		}
	}
	return no{why: fmt.Sprintf("the cluster is %s for more than mixed versions: %s; unassigned for another reason: %s", name(h.Status), stateOf(h), several(other))}
}

// Hop says whether nodes of version from may be upgraded to version to one by one, and if not, why and what to do.
func Hop(from, to spec.Version, dist spec.Distribution) (ok bool, why string) {
	n := hop(from, to, dist)
	if n.why == "" {
		return true, ""
	}
	return false, n.why + ": " + n.wayOut
}

// lastMinor is the minor of a major version from which the next major can be reached node by node.
var lastMinor = map[spec.Distribution]map[int]int{
	spec.ElasticsearchDist: {5: 6, 6: 8, 7: 17},
	spec.OpenSearchDist:    {1: 3},
}

func hop(from, to spec.Version, dist spec.Distribution) no {
	step := fmt.Sprintf("%s %s to %s", dist, from, to)
	minor, rolling := lastMinor[dist][from.Major]
	switch {
	case from.Major < 1 || to.Major < 1:
		return no{step + ": a version is not known", "find out what runs"}
	case compare(to, from) < 0:
		return no{step + " is a downgrade", "go on to the newer version, or restore a snapshot into a new cluster of the older one"}
	case from.Major == to.Major:
		return no{}
	case dist == spec.ElasticsearchDist && (from.Major == 1 && to.Major == 2 || from.Major == 2 && to.Major == 5):
		return no{step + " is no rolling upgrade: nodes of both cannot be in one cluster",
			"build a new cluster and restore a snapshot, or stop the whole cluster after one"}
	case !rolling || to.Major > from.Major+1:
		return no{step + " is more than one step", wayUp(from, dist)}
	case from.Minor < minor:
		return no{step + fmt.Sprintf(" is only possible from %d.%d", from.Major, minor), wayUp(from, dist)}
	}
	return no{}
}

func wayUp(from spec.Version, dist spec.Distribution) string {
	minor, rolling := lastMinor[dist][from.Major]
	switch {
	case !rolling:
		return "build a new cluster and restore a snapshot"
	case from.Minor < minor:
		return fmt.Sprintf("upgrade to %d.%d first", from.Major, minor)
	}
	return fmt.Sprintf("upgrade to a version %d.x first", from.Major+1)
}

func compare(a, b spec.Version) int {
	return slices.Compare([]int{a.Major, a.Minor, a.Patch}, []int{b.Major, b.Minor, b.Patch})
}

// hopAllowed asks for each version that runs: after a change of mind in mid-roll some nodes are newer than git wants.
func hopAllowed(h *Health, t *Touch) no {
	if t.Version == (spec.Version{}) || outside(h, t) && t.Kind == Restart {
		return no{}
	}
	for i := range h.Nodes {
		n := &h.Nodes[i]
		if n.Version == t.Version {
			continue
		}
		if r := hop(n.Version, t.Version, t.Dist); r.why != "" {
			r.why = fmt.Sprintf("node %s: %s", name(n.Name), r.why)
			return r
		}
	}
	return no{}
}

// versionChanges says that a Commit makes nodes come back with another version.
func versionChanges(h *Health, t *Touch) bool {
	return t.Upgrading || slices.ContainsFunc(h.Nodes, func(n Node) bool { return t.Version.Major > 0 && n.Version != t.Version })
}

func noSnapshotRuns(h *Health, t *Touch) no {
	if !h.Snapshotting || t.Kind == Commit && !versionChanges(h, t) || t.Kind == Restart && outside(h, t) {
		return no{}
	}
	return no{why: "a snapshot is being taken"}
}

func snapshotFresh(h *Health, t *Touch) no {
	const wayOut = "take a snapshot of all indices"
	if t.SnapshotWithin == 0 {
		return no{}
	}
	if h.LastSnapshot.IsZero() {
		return no{fmt.Sprintf("no successful snapshot is known; one within %s is demanded", t.SnapshotWithin), wayOut}
	}
	if age := t.Now.Sub(h.LastSnapshot); age > t.SnapshotWithin {
		return no{fmt.Sprintf("the newest successful snapshot is %s old, more than %s", age.Round(time.Second), t.SnapshotWithin), wayOut}
	}
	return no{}
}

// dataFirst keeps the order of an upgrade: a master of a newer version would not be joined by older nodes that restart.
func dataFirst(h *Health, t *Touch) no {
	n := h.Node(t.Node)
	if !t.Upgrading || n == nil || !n.MasterEligible {
		return no{}
	}
	var before []string
	for i := range h.Nodes {
		o := &h.Nodes[i]
		if o.Name == n.Name || slices.Contains(t.Leaving, o.Name) || compare(o.Version, t.Version) >= 0 {
			continue
		}
		if !n.Data && o.Data && !o.MasterEligible || n.Name == h.Master && (o.Data || o.MasterEligible) {
			before = append(before, o.Name)
		}
	}
	if len(before) == 0 {
		return no{}
	}
	who := "a master"
	if n.Name == h.Master {
		who = "the elected master"
	}
	return no{why: fmt.Sprintf("%s is %s: nodes that go before it still run an older version than %s: %s", name(n.Name), who, t.Version, several(before))}
}
