package plan

import (
	"testing"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// unknownHealth is a reading that failed.
func unknownHealth() esgate.Health { return esgate.Health{Asked: true, Why: "timeout"} }

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
