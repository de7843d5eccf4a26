package plan

import (
	"testing"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

const (
	commitBoth = "commit es-master+es-datanode, close-gate gate"
	rollData   = "stop-node data-host-0, start-node data-host-0, stop-node data-host-1, start-node data-host-1, stop-node data-host-2, start-node data-host-2"
	rollMaster = "stop-node master-host-1, start-node master-host-1, stop-node master-host-2, start-node master-host-2, stop-node master-host-0, start-node master-host-0"
)

// changed is a commit that changes the definition of all nodes.
func changed() []drift.Difference {
	return []drift.Difference{change(spec.Data, drift.Update, "env.X"), change(spec.Master, drift.Update, "env.X")}
}

func marathon15(k *walk) { k.facts.Marathon.Version = marathon.Version{Major: 1, Minor: 5, Patch: 15} }

// version lets git want it; the nodes run it only after their turn.
func (k *walk) version(major, minor int) {
	k.want.Spec.Elasticsearch.Version = spec.Version{Major: major, Minor: minor}
}

func (k *walk) runs(major, minor int) {
	k.version(major, minor)
	for i := range k.es.Nodes {
		k.es.Nodes[i].Version = k.want.Spec.Elasticsearch.Version
	}
}

func (k *walk) unreachable(i int) {
	k.app(spec.Data).Tasks[i].State = "TASK_UNREACHABLE"
	k.away("data-" + k.app(spec.Data).Tasks[i].Host)
}

func (k *walk) gives(instance string, lose bool) {
	k.want.Spec.Replace = []spec.Replacement{{Instance: instance, LoseCopies: lose}}
}

// Each walk goes from live state to live state, every step from a plan that knows nothing of those before; what is true of
// every single state is checked by walk.look.
func TestWalks(t *testing.T) {
	for _, c := range []struct {
		name string
		// then changes what git wants or what lives, and what follows must be the steps in want.
		parts []part
	}{
		{"a changed definition rolls data nodes by name, then masters, the elected one last", []part{
			{func(k *walk) { k.git(changed()...) }, commitBoth + ", " + rollData + ", " + rollMaster},
		}},
		{"Marathon misses the health of nodes that had their turn: the cluster tells of them, and the roll goes on", []part{
			{func(k *walk) { k.git(changed()...); k.missed["data.1"], k.missed["master.2"] = true, true }, commitBoth + ", " + rollData + ", " + rollMaster},
		}},
		{"the same up to Marathon 1.7, and git changes once more", []part{
			{func(k *walk) { marathon15(k); k.git(changed()[:1]...); k.missed["data.1"] = true }, "commit es-datanode, close-gate gate, restart-node data-host-0, restart-node data-host-1, restart-node data-host-2"},
			{func(k *walk) { k.git(changed()[:1]...) }, "commit es-datanode, close-gate gate, restart-node data-host-0, restart-node data-host-1, restart-node data-host-2"},
			{func(k *walk) { k.wants(spec.Data, 4) }, "scale-out data to 4"},
			{func(k *walk) { k.wants(spec.Data, 3) }, "drain data-host-2, remove-node data-host-2, wipe data-host-2, elasticsearch _name=null"},
		}},
		{"up to Marathon 1.7 each turn is one kill", []part{
			{func(k *walk) { marathon15(k); k.git(changed()...) }, commitBoth + ", restart-node data-host-0, restart-node data-host-1, restart-node data-host-2, " +
				"restart-node master-host-1, restart-node master-host-2, restart-node master-host-0"},
		}},
		{"data nodes are added together", []part{{func(k *walk) { k.wants(spec.Data, 5) }, "scale-out data to 5"}}},
		{"a data node is drained, proven empty, stopped, kept, wiped, and its name is free again", []part{
			{func(k *walk) { k.wants(spec.Data, 2); k.want.Spec.Rollout.Hold = time.Hour },
				"drain data-host-2, remove-node data-host-2, wipe data-host-2, elasticsearch _name=null"},
		}},
		{"git changes back in the middle of a drain: the node stays", []part{
			{func(k *walk) { k.wants(spec.Data, 2); k.takes(1); k.wants(spec.Data, 3) }, "elasticsearch _name=null"},
		}},
		{"git changes back in the undo window: the node comes back on its volume", []part{
			{func(k *walk) {
				k.wants(spec.Data, 2)
				k.want.Spec.Rollout.Hold = time.Hour
				k.takes(2)
				k.wants(spec.Data, 3)
			}, "start-node data-host-2, elasticsearch _name=null"},
		}},
		{"masters from three to five to three, from version 7 on", []part{
			{func(k *walk) { k.wants(spec.Master, 5) }, "scale-out master to 4, scale-out master to 5"},
			{func(k *walk) { k.wants(spec.Master, 3) }, "elasticsearch no vote for master-host-2, remove-node master-host-2, wipe master-host-2, elasticsearch votes cleared, " +
				"elasticsearch no vote for master-host-12, remove-node master-host-12, wipe master-host-12, elasticsearch votes cleared"},
		}},
		{"masters from three to five to three, before version 7: the quorum goes up before them and down after them, and files follow it", []part{
			{func(k *walk) { k.runs(6, 8) }, "elasticsearch minimum_master_nodes=2"},
			{func(k *walk) { k.wants(spec.Master, 5); k.git(changed()...) }, commitBoth + ", " + rollData + ", " + rollMaster +
				", elasticsearch minimum_master_nodes=3, scale-out master to 4, scale-out master to 5"},
			{func(k *walk) { k.wants(spec.Master, 3); k.git(changed()...) }, "drain master-host-2, master-host-12, remove-node master-host-2, wipe master-host-2, " +
				"elasticsearch _name=master-host-12, remove-node master-host-12, elasticsearch minimum_master_nodes=2, " +
				"wipe master-host-12, elasticsearch _name=null, " + commitBoth + ", " + rollData + ", stop-node master-host-0, start-node master-host-0, " +
				"stop-node master-host-11, start-node master-host-11, stop-node master-host-1, start-node master-host-1"},
		}},
		{"a node is replaced by a blank one", []part{
			{func(k *walk) { k.gives("data.1", false) }, "drain data-host-1, remove-node data-host-1, wipe data-host-1, elasticsearch _name=null, scale-out data to 3"},
			{func(k *walk) { k.gives("master.1", false) }, "elasticsearch no vote for master-host-1, remove-node master-host-1, wipe master-host-1, elasticsearch votes cleared, scale-out master to 3"},
		}},
		{"a node whose agent is gone is replaced once its copies are elsewhere", []part{
			{func(k *walk) { k.unreachable(1) }, ""},
			{func(k *walk) { k.gives("data.1", false) }, "drain data-host-1"},
			{func(k *walk) { k.place() }, "remove-node data-host-1, wipe data-host-1, elasticsearch _name=null, scale-out data to 3"},
		}},
		{"a master and a data node of one agent that is gone are replaced: neither waits for the other", []part{
			{func(k *walk) {
				k.unreachable(1)
				k.app(spec.Master).Tasks[1].State = "TASK_UNREACHABLE"
				k.away("master-host-1")
				k.want.Spec.Replace = []spec.Replacement{{Instance: "data.1"}, {Instance: "master.1"}}
			}, "drain data-host-1"},
			{func(k *walk) { k.place() }, "remove-node data-host-1, elasticsearch no vote for master-host-1, remove-node master-host-1, wipe master-host-1, " +
				"elasticsearch votes cleared, wipe data-host-1, elasticsearch _name=null, scale-out master to 3, scale-out data to 3"},
		}},
		{"the same where the copies of the data node are lost", []part{
			{func(k *walk) {
				k.unreachable(1)
				k.app(spec.Master).Tasks[1].State = "TASK_UNREACHABLE"
				k.away("master-host-1")
				k.es.Status = "red"
				k.want.Spec.Replace = []spec.Replacement{{Instance: "master.1"}, {Instance: "data.1", LoseCopies: true}}
			}, "drain data-host-1, remove-node data-host-1, elasticsearch no vote for master-host-1, remove-node master-host-1, " +
				"wipe master-host-1, elasticsearch votes cleared, wipe data-host-1, elasticsearch _name=null, scale-out master to 3, scale-out data to 3"},
		}},
		{"a node whose agent is gone is replaced with the loss of a copy if git says so", []part{
			{func(k *walk) { k.unreachable(1); k.es.Status = "red"; k.gives("data.1", false) }, ""},
			{func(k *walk) { k.gives("data.1", true) }, "drain data-host-1, remove-node data-host-1, wipe data-host-1, elasticsearch _name=null, scale-out data to 3"},
		}},
		{"data nodes are upgraded before the masters' definition is even in place", []part{
			{func(k *walk) { k.version(8, 19); k.git(changed()...) }, "commit es-datanode, close-gate gate, " + rollData + ", commit es-master, close-gate gate, " + rollMaster},
		}},
		{"with the upgrade to version 7 the quorum is taken back", []part{
			{func(k *walk) { k.runs(6, 8) }, "elasticsearch minimum_master_nodes=2"},
			{func(k *walk) { k.version(7, 17); k.git(changed()...) }, "commit es-datanode, close-gate gate, " + rollData + ", commit es-master, close-gate gate, " + rollMaster +
				", elasticsearch minimum_master_nodes=null"},
		}},
		{"no downgrade", []part{{func(k *walk) { k.version(7, 10); k.git(changed()...) }, ""}, {func(k *walk) { k.version(7, 17); k.runs(7, 17) }, commitBoth + ", " + rollData + ", " + rollMaster}}},
		{"a canary soaks before the others follow", []part{
			{func(k *walk) {
				k.want.Spec.Rollout = spec.Rollout{Canary: 1, Soak: 90 * time.Minute}
				k.git(changed()...)
			}, commitBoth + ", " + rollData + ", " + rollMaster},
		}},
		{"a paused canary is rolled back", []part{
			{func(k *walk) { k.want.Spec.Rollout = spec.Rollout{Canary: 1, Pause: true}; k.git(changed()...) }, commitBoth + ", stop-node data-host-0, start-node data-host-0"},
			{func(k *walk) { k.git(changed()...) }, commitBoth + ", stop-node data-host-0, start-node data-host-0"},
			{func(k *walk) { k.want.Spec.Rollout.Pause = false }, rollData[len("stop-node data-host-0, start-node data-host-0, "):] + ", " + rollMaster},
		}},
		{"a paused canary is promoted", []part{
			{func(k *walk) { k.want.Spec.Rollout = spec.Rollout{Canary: 2, Pause: true}; k.git(changed()...) }, commitBoth + ", stop-node data-host-0, start-node data-host-0, stop-node data-host-1, start-node data-host-1"},
			{func(k *walk) { k.want.Spec.Rollout.Pause = false }, "stop-node data-host-2, start-node data-host-2, " + rollMaster},
		}},
		{"the second node does not come back: nobody else is touched until a commit mends it", []part{
			{func(k *walk) { k.git(changed()...); k.broken["data.1"] = true }, commitBoth + ", stop-node data-host-0, start-node data-host-0, stop-node data-host-1, start-node data-host-1"},
			{func(k *walk) { k.broken["data.1"] = false; k.git(changed()...) }, commitBoth + ", stop-node data-host-1, start-node data-host-1, stop-node data-host-0, start-node data-host-0, " +
				"stop-node data-host-2, start-node data-host-2, " + rollMaster},
		}},
		{"up to Marathon 1.7 too", []part{
			{func(k *walk) { marathon15(k); k.git(changed()...); k.broken["data.1"] = true }, commitBoth + ", restart-node data-host-0, restart-node data-host-1"},
			{func(k *walk) { k.broken["data.1"] = false; k.git(changed()[:1]...) }, "commit es-datanode, close-gate gate, restart-node data-host-1, restart-node data-host-0, restart-node data-host-2, " +
				"restart-node master-host-1, restart-node master-host-2, restart-node master-host-0"},
		}},
		{"git wants fewer nodes in the middle of a turn: the one in its turn comes back before another leaves", []part{
			{func(k *walk) { k.git(changed()...); k.takes(3); k.wants(spec.Data, 2) }, "start-node data-host-0, stop-node data-host-1, start-node data-host-1, " + rollMaster +
				", drain data-host-2, remove-node data-host-2, wipe data-host-2, elasticsearch _name=null"},
		}},
		{"git wants more nodes in the middle of a turn: they come when the roll is over", []part{
			{func(k *walk) { k.git(changed()...); k.takes(3); k.wants(spec.Data, 5) }, rollData[len("stop-node data-host-0, "):] + ", " + rollMaster + ", scale-out data to 5"},
		}},
		{"a change and fewer nodes at once: who leaves is not restarted first", []part{
			{func(k *walk) { k.git(changed()...); k.wants(spec.Data, 2) }, commitBoth + ", stop-node data-host-0, start-node data-host-0, stop-node data-host-1, start-node data-host-1, " + rollMaster +
				", drain data-host-2, remove-node data-host-2, wipe data-host-2, elasticsearch _name=null"},
		}},
		{"a change and more nodes at once", []part{
			{func(k *walk) { k.git(changed()...); k.wants(spec.Data, 4) }, commitBoth + ", " + rollData + ", " + rollMaster + ", scale-out data to 4"},
		}},
		{"two of five leave, and one of them is wanted again when the first has stopped", []part{
			{func(k *walk) { k.wants(spec.Data, 5) }, "scale-out data to 5"},
			{func(k *walk) {
				k.want.Spec.Rollout.Hold = time.Hour
				k.wants(spec.Data, 3)
				k.takes(2)
				k.wants(spec.Data, 4)
			}, "elasticsearch _name=data-host-2, wipe data-host-2, elasticsearch _name=null"},
		}},
		{"a cluster that is reported on ends its turn, and no other begins", []part{
			{func(k *walk) { k.git(changed()...); k.takes(3); k.want.Spec.Drift = spec.Report }, "start-node data-host-0"},
			{func(k *walk) { k.want.Spec.Drift = spec.Enforce }, rollData[len("stop-node data-host-0, start-node data-host-0, "):] + ", " + rollMaster},
		}},
		{"the guard lets a turn end", []part{
			{func(k *walk) { k.git(changed()...); k.takes(3); k.facts.Guard = &Hold{Rule: RuleBlastRadius} }, "start-node data-host-0"},
			{func(k *walk) { k.facts.Guard = nil }, rollData[len("stop-node data-host-0, start-node data-host-0, "):] + ", " + rollMaster},
		}},
		{"a suspension stops everything at once; then it goes on where it was", []part{
			{func(k *walk) {
				k.git(changed()...)
				k.takes(3)
				k.want.Spec.Suspend = &spec.Suspension{Reason: "disks"}
			}, ""},
			{func(k *walk) { k.want.Spec.Suspend = nil }, rollData[len("stop-node data-host-0, "):] + ", " + rollMaster},
		}},
		{"larger data nodes come up beside the smaller ones, which leave, and their empty app with them", []part{
			{func(k *walk) {
				k.want.Spec.Nodes[spec.Data].Generation = 2
				a := k.want.App(spec.Data)
				a.ID += "-g2"
				a.Doc["id"] = string(a.ID)
			}, "create es-datanode-g2, drain data-host-0, data-host-1, data-host-2, remove-node data-host-0, wipe data-host-0, elasticsearch _name=data-host-1,data-host-2, " +
				"remove-node data-host-1, wipe data-host-1, elasticsearch _name=data-host-2, remove-node data-host-2, wipe data-host-2, elasticsearch _name=null, delete es-datanode"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newWalk(t, standard().all())
			for i, p := range c.parts {
				p.then(k)
				if got := k.run(); got != p.want {
					t.Fatalf("part %d\ngot  %s\nwant %s\nnow  %s", i, got, p.want, brief(k.look()))
				}
			}
			k.ends("converged")
		})
	}
}

type part struct {
	then func(*walk)
	want string
}

func TestARetirementInMidTurnEndsWithNothingWhereGitSaysSo(t *testing.T) {
	k := newWalk(t, standard().all())
	k.git(changed()...)
	k.takes(3)
	k.want.Spec.State = spec.Retired
	k.expect(k.run(), "stop kibana, stop es2graphite, stop es-datanode, stop es-master, stop discovery")
	k.ends("retired")
	k.want.Spec.Retirement = spec.Retirement{Destroy: true, Grace: time.Hour}
	k.expect(k.run(), "delete kibana, delete es2graphite, delete es-datanode, delete es-master, delete discovery, delete gate")
}

// open lets a deployment be open on an app.
func (k *walk) open(c spec.Component, action string) {
	k.facts.Marathon.Deployments = []marathon.Deployment{{ID: "d", AffectedApps: []marathon.AppID{id(c)}, CurrentActions: []marathon.Action{{Action: action, App: id(c)}}}}
}

func TestWhileAnAppIsLocked(t *testing.T) {
	starts := func(k *walk) { // data-host-0 is on its way up in its turn
		k.git(changed()...)
		k.takes(4)
		k.app(spec.Data).Tasks[0].State = "TASK_STAGING"
		k.away("data-host-0")
		k.open(spec.Data, "ScaleApplication")
	}
	for _, c := range []struct {
		name string
		bend func(*walk)
		want string
	}{
		{"nothing else is done", func(*walk) {}, "waiting | wait deployment-open"},
		{"a start is let go when git wants something else", func(k *walk) { k.git(changed()...) }, "converging | cancel es-datanode | wait deployment-open"},
		{"a restart is not, whoever began it", func(k *walk) {
			k.git(changed()...)
			k.open(spec.Data, "RestartApplication")
		}, "waiting | wait foreign-deployment"},
		{"nor is one that does not say what it does", func(k *walk) {
			k.git(changed()...)
			k.facts.Marathon.Deployments[0].CurrentActions = nil
		}, "waiting | wait deployment-open"},
		{"what keeps copies from the node is taken back", func(k *walk) { k.es.Persistent[keyExclude] = "data-host-0" }, "converging | elasticsearch es-master | wait deployment-open"},
		{"and waits where the masters themselves are locked", func(k *walk) {
			k.es.Persistent[keyExclude] = "data-host-0"
			k.facts.Marathon.Deployments[0].AffectedApps = append(k.facts.Marathon.Deployments[0].AffectedApps, id(spec.Master))
		}, "waiting | wait deployment-open | wait deployment-open"},
		{"a start in an upgrade is let go when all nodes are up, and yellow is what mixed versions must be", func(k *walk) {
			k.back(k.app(spec.Data), spec.Data, 0)
			k.es.Status, k.es.Unassigned = "yellow", 1
			k.es.Shards[0].State, k.es.Shards[0].Node, k.es.Shards[0].Primary, k.es.Shards[0].Decider = esgate.Unassigned, "", false, "node_version"
		}, "converging | cancel es-datanode | wait deployment-open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newWalk(t, standard().all())
			starts(k)
			c.bend(k)
			expect(t, k.plan(k.changes...), c.want)
		})
	}
}

func TestAnOpenCommitIsEndedBeforeAnythingElse(t *testing.T) {
	for name, bend := range map[string]func(*walk){
		"by the daemon that began it, or by any other": func(*walk) {},
		"also of a cluster that is only reported on":   func(k *walk) { k.want.Spec.Drift = spec.Report },
		"also of a cluster that is retired meanwhile":  func(k *walk) { k.want.Spec.State = spec.Retired },
		"also of a cluster that does not answer":       func(k *walk) { k.es = esgate.Health{Asked: true} },
	} {
		t.Run(name, func(t *testing.T) {
			k := newWalk(t, standard().all())
			k.git(changed()...)
			k.takes(1)
			k.facts.Marathon.Deployments = []marathon.Deployment{{ID: "c", AffectedApps: []marathon.AppID{id(spec.Gate), id(spec.Data), id(spec.Master)},
				CurrentActions: []marathon.Action{{Action: "RestartApplication", App: id(spec.Gate)}}}}
			bend(k)
			for _, want := range []Verb{CancelOwn, CloseGate} {
				c := k.plan(k.changes...)
				if s := c.Next(); s == nil || s.Verb != want {
					t.Fatalf("%s instead of %s", brief(c), want)
				}
				k.take(c.Next())
			}
		})
	}
}
