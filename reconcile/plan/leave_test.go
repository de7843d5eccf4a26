package plan

import (
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// unknownHealth is a reading that failed.
func unknownHealth() esgate.Health { return esgate.Health{Asked: true, Why: "timeout"} }

// A stopped instance beside it does not make a node removed whose agent is gone, nor does that one come back meanwhile.
func TestANodeWhoseAgentIsGoneIsRemovedBeforeItIsForgotten(t *testing.T) {
	k := newWalk(t, standard().all())
	app := k.app(spec.Data)
	app.Tasks = append(app.Tasks, marathon.Task{ID: "data.9", Host: "host-9", State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{}}})
	k.removed["data-host-9"] = true
	k.unreachable(1)
	k.place()
	k.gives("data.1", true)
	k.want.Spec.Rollout.Hold = time.Hour
	k.es.Persistent[keyExclude] = "data-host-1,data-host-9"
	k.pass(time.Minute)
	k.pass(time.Minute)
	c := k.plan()
	if s := c.Next(); s == nil || s.Verb != RemoveNode || s.Node != "data-host-1" {
		t.Errorf("%s, %+v", brief(c), s)
	}
}

func TestWhoLeavesIsChosenByWhoHasBegun(t *testing.T) {
	k := newWalk(t, standard().all())
	k.wants(spec.Data, 2)
	k.es.Persistent[keyExclude] = "data-host-0"
	k.place()
	k.expect(k.run(), "remove-node data-host-0, wipe data-host-0, elasticsearch _name=null")
}

func TestTheElectedMasterLeavesOnlyIfNoOtherWillDo(t *testing.T) {
	k := newWalk(t, standard().all())
	k.wants(spec.Master, 5)
	k.run()
	k.es.Master = "master-host-2" // the last by name
	k.wants(spec.Master, 4)
	k.expect(k.takes(1), "elasticsearch no vote for master-host-12")
}

func TestADrainThatCannotEndIsHeldBeforeItBegins(t *testing.T) {
	k := newWalk(t, standard().all())
	k.wants(spec.Data, 2)
	k.es.Indices[0].Replicas = 2
	for i := range 3 {
		k.es.Shards = append(k.es.Shards, esgate.Shard{Index: "orders", Number: i, State: esgate.Started, Node: []string{"data-host-2", "data-host-0", "data-host-1"}[i]})
	}
	c := k.plan()
	if len(c.Holds) != 1 || c.Holds[0].Rule != esgate.RuleDrainCopies || c.Holds[0].WayOut == "" || c.Phase != Held {
		t.Errorf("%s %+v", brief(c), c.Holds)
	}
}
