package plan

import (
	"slices"
	"testing"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// holds lets the data nodes of these hosts only hold their volumes.
func (k *walk) holds(app *marathon.App, component string, hosts ...int) {
	for _, i := range hosts {
		t := &app.Tasks[i]
		*t = marathon.Task{ID: t.ID, Host: t.Host, State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{}}}
		app.Instances--
		k.away(component + "-" + t.Host)
	}
}

func TestANodeThatIsStoppedComesBack(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(*walk)
		want string
	}{
		{"although the cluster does not answer", func(k *walk) { k.es.Known = false }, "converging | start-node es-datanode"},
		{"although git wants fewer nodes by now", func(k *walk) { k.wants(spec.Data, 2) }, "converging | start-node es-datanode"},
		{"but not before the cluster tells who has begun to leave", func(k *walk) { k.wants(spec.Data, 2); k.es = unknownHealth() },
			"waiting | wait elasticsearch-unknown"},
		{"but not one that has begun to leave", func(k *walk) {
			k.wants(spec.Data, 2)
			k.es.Persistent[keyExclude] = "data-host-1"
			k.place()
			k.want.Spec.Rollout.Hold = 5 * time.Hour
		}, "converged | wait undo-window"},
		{"but not one that git gives up", func(k *walk) { k.gives("data.1", false) }, "converging | drain es-datanode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newWalk(t, standard().all())
			k.holds(k.app(spec.Data), "data", 1)
			c.bend(k)
			expect(t, k.plan(), c.want)
		})
	}
}

// Which of two stopped instances Marathon starts is not ours to choose: the one that leaves is wiped first.
func TestWhoLeavesIsWipedBeforeAnotherStoppedNodeStarts(t *testing.T) {
	k := newWalk(t, standard().all())
	k.wants(spec.Data, 5)
	k.run()
	k.holds(k.app(spec.Data), "data", 3, 4)
	k.es.Persistent[keyExclude] = "data-host-11,data-host-12"
	k.place()
	k.wants(spec.Data, 4)
	k.want.Spec.Rollout.Hold = time.Hour
	k.pass(time.Minute)
	k.pass(time.Minute)
	k.expect(k.run(), "elasticsearch _name=data-host-12, wipe data-host-12, start-node data-host-11, elasticsearch _name=null")
	k.ends("converged")
}

// Before version 7 a lowered quorum must not meet masters that come back.
func TestMastersThatComeBackMeetAQuorumThatCoversThem(t *testing.T) {
	k := newWalk(t, standard().all())
	k.runs(6, 8)
	k.wants(spec.Master, 4)
	k.run()
	k.holds(k.app(spec.Master), "master", 3)
	k.es.Persistent[keyQuorum] = "2"
	k.expect(k.takes(2), "elasticsearch minimum_master_nodes=3, start-node master-host-11")
	k.holds(k.app(spec.Master), "master", 3)
	k.es = unknownHealth()
	expect(t, k.plan(), "waiting | wait elasticsearch-unknown")
	// After a turn it covers them, whatever it is.
	k = newWalk(t, standard().all())
	k.runs(6, 8)
	k.run()
	k.holds(k.app(spec.Master), "master", 1)
	k.es = unknownHealth()
	expect(t, k.plan(), "converging | start-node es-master")
}

func TestAPauseHoldsHoweverManyHaveTheChange(t *testing.T) {
	k := newWalk(t, standard().all())
	k.want.Spec.Rollout.Canary = 1
	k.git(changed()...)
	k.takes(6) // two of three
	k.want.Spec.Rollout.Pause = true
	expect(t, k.plan(), "held | hold canary-paused")
}

func TestANodeThatCameBackWithSomethingElseStopsTheRoll(t *testing.T) {
	for name, bend := range map[string]func(*walk){
		"another version": func(k *walk) { k.es.Node("data-host-0").Version.Minor = 16 },
		"another instance": func(k *walk) {
			k.es.Node("data-host-0").Attributes = map[string]string{esgate.AttrInstance: "somebody-elses"}
		},
		"no plugin": func(k *walk) { k.want.Spec.Plugins = []spec.Plugin{{Name: "analysis-icu"}} },
	} {
		t.Run(name, func(t *testing.T) {
			k := newWalk(t, standard().all())
			k.git(changed()...)
			k.takes(4)
			bend(k)
			c := k.plan()
			if !slices.ContainsFunc(c.Holds, func(h Hold) bool { return h.Rule == RuleCameBackWrong && h.Node == "data-host-0" }) || c.Next() != nil {
				t.Error(brief(c))
			}
			k.git(change(spec.Data, drift.Update, "env.X"))
			if s := ptr(k.plan(k.changes...)).Next(); s == nil || s.Verb != Commit {
				t.Errorf("the commit that mends it is not taken up: %s", brief(k.plan(k.changes...)))
			}
		})
	}
}

func TestANodeThatNobodyReachesIsNotRestarted(t *testing.T) {
	k := newWalk(t, standard().all())
	k.git(changed()...)
	k.takes(4)
	k.unreachable(1)
	expect(t, k.plan(), "waiting | wait tasks-not-ready | wait instance-unreachable")
}

// An instance that waits to be started again shows no definition. What the app's last failure was says something of that
// instance only if it was its own. Marathon stops nothing that does not run: the turn comes with the next start.
func TestADownInstanceHasItsTurnForItsOwnFailureOnceItIsStartedAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		whose  int
		starts bool
		want   string
	}{
		{"its own failure", 0, false, "waiting | wait tasks-not-ready | wait tasks-not-ready"},
		{"its own failure, and it starts", 0, true, "converging | stop-node es-datanode | wait tasks-not-ready"},
		{"another's failure", 1, false, "waiting | wait tasks-not-ready"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := standard().all()
			app := w.app(spec.Data)
			app.LastFailureVersion, app.LastFailureTask = configuredAt.Add(-time.Hour), app.Tasks[c.whose].ID
			app.Tasks[0] = marathon.Task{ID: app.Tasks[0].ID, Host: app.Tasks[0].Host, State: "TASK_FAILED", LocalVolumes: []marathon.LocalVolume{{PersistenceID: "v"}}}
			if c.starts {
				app.Tasks[0].State, app.Tasks[0].Version = "TASK_STAGING", configuredAt.Add(-time.Hour).Format(time.RFC3339)
			}
			w.es.Nodes = slices.DeleteFunc(w.es.Nodes, func(n esgate.Node) bool { return n.Name == "data-host-0" })
			w.facts.AskElasticsearch = true
			expect(t, w.plan(), c.want)
		})
	}
}

func TestAClusterWhoseGateWasTakenAwayIsGivenOneBeforeAnythingElse(t *testing.T) {
	w := standard().all()
	delete(w.facts.Marathon.Apps, id(spec.Gate))
	c := w.plan(append(changed(), change(spec.Gate, drift.Create))...)
	if s := c.Next(); s == nil || s.Verb != CreateApp || s.Component != spec.Gate {
		t.Error(brief(c))
	}
}
