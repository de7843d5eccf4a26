package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// doubled is a roll in whose middle somebody scales the data nodes by hand: the new one is on the host of an old one.
func doubled(t *testing.T) *walk {
	k := newWalk(t, standard().all())
	k.git(changed()...)
	k.takes(4) // data-host-0 has had its turn
	app := k.app(spec.Data)
	second := app.Tasks[1]
	second.ID, second.StagedAt, second.Version = "data.9", stamp(k.facts.Now), stamp(k.facts.Now)
	app.Tasks, app.Instances, app.Version = append(app.Tasks, second), 4, k.facts.Now
	k.es = esgate.Health{Asked: true, Why: "two members are named data-host-1"}
	return k
}

func TestTwoNodesOfOneNameAreHeldForAPersonWithTheNumbersAndTheWayOut(t *testing.T) {
	k := doubled(t)
	c := k.plan(k.changes...)
	expect(t, c, "held | hold two-nodes-of-one-name")
	h := c.Holds[0]
	for _, want := range []string{"data-host-1", "on host-1", "data.1 and", "as data.9", "to run 4 nodes", "git wants 3"} {
		if !strings.Contains(h.Why, want) {
			t.Errorf("the reason lacks %q: %s", want, h.Why)
		}
	}
	if !strings.Contains(h.WayOut, "exclude._id") || !strings.Contains(h.WayOut, "DELETE /v2/apps/search/logs/es-datanode/tasks/data.9?scale=true") {
		t.Errorf("the way out is %s", h.WayOut)
	}
}

func TestWhenThePersonHasEndedOneOfTwoNamesakesTheRollGoesOn(t *testing.T) {
	k := newWalk(t, standard().all())
	k.git(changed()...)
	k.takes(4)
	good := k.es
	app := k.app(spec.Data)
	tasks := app.Tasks
	second := tasks[1]
	second.ID = "data.9"
	app.Tasks, app.Instances = append(append([]marathon.Task{}, tasks...), second), 4
	k.es = esgate.Health{Asked: true, Why: "two members are named data-host-1"}
	k.expect(k.run(), "")
	app.Tasks, app.Instances, k.es = tasks, 3, good
	k.pass(time.Minute)
	k.expect(k.run(), rollData[len("stop-node data-host-0, start-node data-host-0, "):]+", "+rollMaster)
	k.ends("converged")
}

func TestAStoppedNamesakeIsNotStartedAgain(t *testing.T) {
	k := doubled(t)
	app := k.app(spec.Data)
	app.Tasks[3] = marathon.Task{ID: "data.9", Host: "host-1", State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{}}}
	app.Instances = 3
	c := k.plan(k.changes...)
	expect(t, c, "held | hold two-nodes-of-one-name")
	if way := c.Holds[0].WayOut; !strings.Contains(way, "tasks/data.9?wipe=true") {
		t.Errorf("the way out is %s", way)
	}
}

func TestANamesakeWhoseAgentIsGoneIsInNobodysWay(t *testing.T) {
	k := doubled(t)
	k.app(spec.Data).Tasks[3].State = "TASK_UNREACHABLE"
	for _, h := range k.plan(k.changes...).Holds {
		if h.Rule == RuleNamesakes {
			t.Errorf("held: %s", h.Why)
		}
	}
}
