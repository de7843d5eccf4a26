package roll_test

import (
	"os"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/sinktest"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// all says that the whole table is wanted: every version, every point, the leader too.
func all() bool { return os.Getenv(sinktest.EnvE2E) == "all" }

// writes are those of a commit and of a turn, as a generation of Marathon needs them.
func writes(version string) []verb {
	if version == "1.7" || version == "1.5" {
		return []verb{commit, cancel, closeGate, restartNode}
	}
	return []verb{commit, cancel, closeGate, stopNode, startNode}
}

func deathsAt(verbs []verb, moments ...moment) (out []point) {
	for _, v := range verbs {
		for _, m := range moments {
			out = append(out, point{v, m})
		}
	}
	return out
}

// The daemon dies at every write of a commit and of a turn, and Marathon's leader in between. Never is more than one node
// down, none by any other hand than the daemon's; each comes back where it was; and the end is what git says.
func TestWhereverTheDaemonOrTheLeaderDiesOneNodeAtMostIsDownAndTheEndIsWhatGitSays(t *testing.T) {
	versions := []string{"1.11", "1.5"}
	if all() {
		versions = generations
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			if !all() {
				t.Parallel() // most of the time is Marathon's wait before its first health check
			}
			todo := passes(version, all())
			w := newWorld(t, newTable(version, ownMasters(version, all()), todo))
			defer func() {
				t.Logf("at most %d node down at once\n%s", w.law.most, w.table)
				write(t, w.table, w.law.most)
			}()
			w.create()
			for _, p := range todo {
				if !t.Run(p.name, func(t *testing.T) { w.run(t, p) }) {
					w.table.fail(p.name)
					break
				}
			}
		})
	}
}

// ownMasters says whether the cluster has masters besides its data nodes: one generation is enough for that.
func ownMasters(version string, whole bool) bool { return whole && version == "1.8" }

// passes are what a version goes through. In make test, where it is not the whole, the newest one dies at every point, the
// oldest one at a few.
func passes(version string, whole bool) []pass {
	verbs := writes(version)
	deaths := pass{name: "deaths", deaths: deathsAt(verbs, beforeSent, afterSent, afterAnswer), again: true}
	if !whole {
		if version == "1.5" {
			deaths = pass{name: "deaths", deaths: deathsAt(verbs, afterSent)}
		}
		return []pass{deaths}
	}
	deaths.alone = 30 * time.Second
	turn := plan.StopNode
	if verbs[3] == restartNode {
		turn = plan.RestartNode
	}
	return []pass{
		deaths,
		{name: "leader", leader: append([]verb{commit}, verbs[2:]...)}, // a cancel has nothing left to lose
		{name: "foreign", foreign: []plan.Verb{plan.Commit, turn}},
	}
}
