package plan

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// says lets git give the data nodes an environment, which is a change wherever another one is in force.
func (k *walk) says(x string) {
	app := k.want.App(spec.Data)
	app.Doc = maps.Clone(app.Doc)
	app.Doc["env"] = map[string]any{"X": x}
	k.changes = slices.DeleteFunc(k.changes, func(d drift.Difference) bool { return d.App == app.ID })
	if env, _ := k.app(spec.Data).Doc["env"].(map[string]any); env["X"] != x {
		k.git(change(spec.Data, drift.Update, "env.X"))
	}
}

// rolledOut is a cluster in which every data node runs "1", one node the canary of what follows.
func rolledOut(t *testing.T, canaries int) *walk {
	k := newWalk(t, standard().all())
	k.want.Spec.Rollout.Soak = 10 * time.Minute
	for _, a := range k.want.Apps {
		k.app(a.Component).Doc = maps.Clone(a.Doc)
	}
	k.says("1")
	k.run()
	k.want.Spec.Rollout.Canary = canaries
	return k
}

const (
	commitData = "commit es-datanode, close-gate gate"
	turnFirst  = "stop-node data-host-0, start-node data-host-0"
	turnOthers = "stop-node data-host-1, start-node data-host-1, stop-node data-host-2, start-node data-host-2"
)

func TestOnlyWhoHasAChangeTurnsBackWhenGitTakesItBack(t *testing.T) {
	k := rolledOut(t, 1)
	k.says("2")
	k.expect(k.takes(4), commitData+", "+turnFirst)
	k.says("1")
	before := k.look()
	var foreseen []string
	for _, s := range before.Steps {
		foreseen = append(foreseen, string(s.Verb)+" "+s.Node)
	}
	if got := strings.Join(foreseen, ", "); got != "commit , stop-node data-host-0" {
		t.Errorf("the plan foresees %s", got)
	}
	for _, s := range before.Slots {
		if want := map[bool]SlotState{true: SlotOld, false: SlotCurrent}[s.Node == "data-host-0"]; s.Component == spec.Data && s.State != want {
			t.Errorf("%s is %s, want %s", s.Node, s.State, want)
		}
	}
	k.expect(k.run(), commitData+", "+turnFirst)
	k.ends("converged")
	// Every further change concerns all of them again.
	k.want.Spec.Rollout.Canary = 0
	k.says("3")
	k.expect(k.run(), commitData+", "+rollData)
}

func TestTheWayBackNeedsNoTrial(t *testing.T) {
	for name, bend := range map[string]func(*walk){
		"not of several canaries": func(k *walk) {},
		"not while git pauses":    func(k *walk) { k.want.Spec.Rollout.Pause = true },
	} {
		t.Run(name, func(t *testing.T) {
			k := rolledOut(t, 2)
			k.says("2")
			k.expect(k.takes(6), commitData+", "+turnFirst+", stop-node data-host-1, start-node data-host-1")
			bend(k)
			k.says("1")
			k.expect(k.run(), commitData+", "+turnFirst+", stop-node data-host-1, start-node data-host-1")
			k.ends("converged")
		})
	}
}

// The same again after it was taken back is a change like any other: the one node that has it goes on being its trial.
func TestWhatIsTakenUpAgainIsTriedLikeBefore(t *testing.T) {
	k := rolledOut(t, 1)
	k.says("2")
	k.takes(4)
	k.want.Spec.Rollout.Pause = true
	k.says("1")
	k.expect(k.takes(2), commitData)
	k.says("2")
	k.expect(k.takes(2), commitData)
	expect(t, k.look(), "held | hold canary-paused")
	k.want.Spec.Rollout.Pause = false
	k.expect(k.run(), turnOthers)
	k.ends("converged")
}

// Marathon's placement rules forget every older version, whatever it says.
func TestNodesOfAnOlderVersionHaveTheirTurnBeforeMarathonPlacesANode(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(*walk)
		want string
	}{
		{"another one", func(k *walk) { k.wants(spec.Data, 4) }, turnOthers + ", scale-out data to 4"},
		{"a blank one instead of a named one", func(k *walk) { k.gives("data.2", false) },
			"stop-node data-host-1, start-node data-host-1, drain data-host-2, remove-node data-host-2, wipe data-host-2, elasticsearch _name=null, scale-out data to 3"},
		{"none: git wants fewer", func(k *walk) { k.wants(spec.Data, 2) }, "drain data-host-2, remove-node data-host-2, wipe data-host-2, elasticsearch _name=null"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := rolledOut(t, 1)
			k.want.Spec.Rollout.Pause = true // holds no turn that changes nothing
			k.says("2")
			k.takes(4)
			k.says("1")
			k.expect(k.run(), commitData+", "+turnFirst)
			c.bend(k)
			k.expect(k.run(), c.want)
			k.ends("converged")
		})
	}
}

func TestWhatCannotBeReadIsOutdated(t *testing.T) {
	k := rolledOut(t, 1)
	k.says("2")
	k.takes(4)
	k.says("1")
	k.takes(2)
	k.app(spec.Data).Former = nil // Marathon keeps some fifty versions
	k.want.Spec.Rollout.Canary = 0
	k.expect(k.run(), rollData)
}

// A node that fails with the definition in force is not helped by another start of the same, under whatever version.
func TestAFailureWithTheDefinitionInForceIsNoReasonForATurn(t *testing.T) {
	for _, same := range []bool{true, false} {
		k := rolledOut(t, 1)
		k.says("2")
		k.takes(4)
		k.says("1")
		k.run()
		app := k.app(spec.Data)
		app.LastFailureTask, app.LastFailureVersion = app.Tasks[1].ID, app.Former[len(app.Former)-2].From // when "1" came into force first
		if !same {
			app.LastFailureVersion = app.Former[0].From
		}
		t1 := app.Tasks[1]
		app.Tasks[1] = marathon.Task{ID: t1.ID, Host: t1.Host, State: "TASK_FAILED", LocalVolumes: t1.LocalVolumes}
		k.away("data-host-1")
		c := k.plan()
		turns := slices.ContainsFunc(c.Waits, func(w Wait) bool { return strings.Contains(w.Why, "failed with an older definition") })
		if turns == same {
			t.Errorf("same %v: %s, %+v", same, brief(c), c.Waits)
		}
	}
}
