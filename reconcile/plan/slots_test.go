package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

func slotOf(t *testing.T, c Cluster, node string) Slot {
	t.Helper()
	i := slices.IndexFunc(c.Slots, func(s Slot) bool { return s.Node == node })
	if i < 0 {
		t.Fatalf("%s is not listed: %+v", node, c.Slots)
	}
	return c.Slots[i]
}

func TestASlotIsToldInAWordWithWhatItWaitsFor(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(*walk)
		node string
		want string // state, rule, part of why
	}{
		{"before a commit", func(k *walk) { k.git(changed()...) }, "data-host-0", "old | one-node-at-a-time | after the definition is committed"},
		{"while its turn is due", func(k *walk) { k.git(changed()...); k.takes(2) }, "data-host-0", "old |  | stop-node is due now"},
		{"while others come first", func(k *walk) { k.git(changed()...); k.takes(2) }, "data-host-1", "old | one-node-at-a-time | after data-host-0 is back"},
		{"in its turn", func(k *walk) { k.git(changed()...); k.takes(3) }, "data-host-0", "restarting |  | start-node is due now"},
		{"suspended in its turn", func(k *walk) {
			k.git(changed()...)
			k.takes(3)
			k.want.Spec.Suspend = &spec.Suspension{Reason: "disks", By: "me"}
		}, "data-host-0", "restarting | suspended | disks (me), in git"},
		{"on its way up", func(k *walk) {
			k.git(changed()...)
			k.takes(4)
			k.app(spec.Data).Tasks[0].State = "TASK_STAGING"
			k.app(spec.Data).LastTaskFailure = "pre-run.sh failed"
			k.open(spec.Data, "ScaleApplication")
		}, "data-host-0", "starting | tasks-not-ready | not up and healthy yet; last failure: pre-run.sh failed"},
		{"on its way up and without a process yet", func(k *walk) {
			k.git(changed()...)
			k.takes(3)
			k.app(spec.Data).Instances = 3
			k.open(spec.Data, "ScaleApplication")
		}, "data-host-0", "starting | tasks-not-ready | not up"},
		{"with its change", func(k *walk) { k.git(changed()...); k.takes(4) }, "data-host-0", "current |  | "},
		{"next in its turn, and not allowed", func(k *walk) {
			k.git(changed()...)
			k.takes(4)
			k.es.Status, k.es.Initializing = "yellow", 2
		}, "data-host-1", "old | cluster-not-green | data-host-1 waits: the cluster is yellow: 2 initializing"},
		{"behind one that is not allowed", func(k *walk) {
			k.git(changed()...)
			k.takes(4)
			k.es.Status, k.es.Initializing = "yellow", 2
		}, "data-host-2", "old | one-node-at-a-time | after data-host-1 is back"},
		{"back with something else", func(k *walk) {
			k.git(changed()...)
			k.takes(4)
			k.es.Node("data-host-0").Version.Minor = 16
		}, "data-host-0", "current | node-came-back-wrong | data-host-0 came back with version 7.16.28"},
		{"held by what Marathon cannot change", func(k *walk) { k.git(change(spec.Data, drift.Replace, "mem")) }, "data-host-1", "old | immutable-with-volumes | es-datanode: mem changes"},
		{"whose copies move away", func(k *walk) {
			k.wants(spec.Data, 2)
			k.es.Persistent[keyExclude] = "data-host-2"
		}, "data-host-2", "draining | node-empty | removing data-host-2 waits: 2 copies on data-host-2"},
		{"not drained yet", func(k *walk) { k.wants(spec.Data, 2) }, "data-host-2", "leaving |  | drain is due now"},
		{"left, with its volume kept", func(k *walk) {
			k.wants(spec.Data, 2)
			k.want.Spec.Rollout.Hold = 3 * time.Hour
			k.takes(2)
		}, "data-host-2", "stopped | undo-window | data-host-2 is stopped; its volume is kept for 2h59m0s more"},
		{"without its process", func(k *walk) {
			k.git(changed()...)
			k.takes(4)
			k.app(spec.Data).Tasks[2].State = "TASK_FAILED"
			k.away("data-host-2")
		}, "data-host-2", "down | tasks-not-ready | "},
		{"without its agent", func(k *walk) { k.unreachable(1) }, "data-host-1", "unreachable | instance-unreachable | its agent does not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newWalk(t, standard().all())
			c.bend(k)
			s := slotOf(t, k.plan(k.changes...), c.node)
			if got := strings.Join([]string{string(s.State), s.Rule, s.Why}, " | "); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s…", got, c.want)
			}
		})
	}
}

func TestOfAClusterThatIsAsGitWantsItNoSlotIsListed(t *testing.T) {
	c := standard().all().plan()
	if c.Phase != Converged || c.Slots != nil || c.Work != nil || c.SlotCounts() != nil {
		t.Errorf("%s with %v and %v", c.Phase, c.Slots, c.Work)
	}
}

func TestEverySlotIsCountedOnce(t *testing.T) {
	k := newWalk(t, standard().all())
	k.git(changed()...)
	k.takes(5)
	got := ptr(k.look()).SlotCounts()
	if len(got) != 3 || got[SlotCurrent] != 1 || got[SlotOld] != 4 || got[SlotRestarting] != 1 {
		t.Error(got)
	}
}

func TestTheRunOfATaskIsTheLastPartOfItsID(t *testing.T) {
	for id, want := range map[marathon.TaskID]bool{
		"search_logs_es-datanode.instance-ca3b6d7c-0d4f-11ee-be56-0242ac120002._app.1":  false,
		"search_logs_es-datanode.instance-ca3b6d7c-0d4f-11ee-be56-0242ac120002._app.12": true,
		"search_logs_es-datanode.ca3b6d7c-0d4f-11ee-be56-0242ac120002":                  false,
		"search_logs_es-datanode.ca3b6d7c-0d4f-11ee-be56-0242ac120002.2":                true,
	} {
		if got := again(id); got != want {
			t.Errorf("%s: %v", id, got)
		}
	}
}

func TestTheStatusOfARollFitsOnAScreen(t *testing.T) {
	k := newWalk(t, standard().all())
	k.wants(spec.Data, 9)
	k.run()
	k.git(changed()...)
	k.takes(8)
	k.es.Status, k.es.Initializing = "yellow", 1
	b := &strings.Builder{}
	if err := Table(b, []Cluster{standard().all().plan(), k.plan(k.changes...)}); err != nil {
		t.Fatal(err)
	}
	const want = `CLUSTER      PHASE      RUNS                                                                        WAITS FOR
search/logs  converged  discovery 1/1  es-master 3/3  es-datanode 3/3  es2graphite 1/1  kibana 1/1  
search/logs  waiting    discovery 1/1  es-master 3/3  es-datanode 9/9  es2graphite 1/1  kibana 1/1  cluster-not-green: data-host-12 waits: the cluster is yellow: 1 initializing, 0 relocating, 0 delayed, 0 looked for, 0 unassigned
  restart: 3 of 12 done, about 19m0s left (a turn takes 2m0s by the 2 so far)
    data-host-12  old  cluster-not-green: data-host-12 waits: the cluster is yellow: 1 initializing, 0 relocating, 0 delayed, 0 looked for, 0 unassigned
    data-host-13  old  one-node-at-a-time: after data-host-12 is back and the cluster is well
    data-host-14  old  one-node-at-a-time: after data-host-13 is back and the cluster is well
    data-host-15  old  one-node-at-a-time: after data-host-14 is back and the cluster is well
    data-host-16  old  one-node-at-a-time: after data-host-15 is back and the cluster is well
    data-host-2   old  one-node-at-a-time: after data-host-16 is back and the cluster is well
    and 3 more    old  one-node-at-a-time: after those
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
}

func TestWhatComesFromAClusterStaysOnItsLine(t *testing.T) {
	c := Cluster{Phase: Waiting, Waits: []Wait{{Rule: "x", Why: "a\nb"}, {Rule: "y", Why: "c\td"}},
		Slots: []Slot{{Node: "n", State: SlotDown, Rule: "z", Why: "e\r\nf\tg"}}}
	b := &strings.Builder{}
	if err := Table(b, []Cluster{c}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != 4 || strings.ContainsAny(b.String(), "\t\r") {
		t.Errorf("%d lines:\n%s", n, b)
	}
}

func TestAPlanTellsHowFarItIsAndWhoIsBesideTheRow(t *testing.T) {
	k := newWalk(t, standard().all())
	k.git(changed()...)
	k.takes(4)
	k.unreachable(0)
	c := k.plan(k.changes...)
	for name, write := range map[string]func(*strings.Builder) error{
		"text":     func(b *strings.Builder) error { return Text(b, []Cluster{c}) },
		"markdown": func(b *strings.Builder) error { return Markdown(b, []Cluster{c}) },
	} {
		b := &strings.Builder{}
		if err := write(b); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"restart: 0 of 6 done, nobody can tell yet", "is unreachable: ", "its agent does not answer"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s lacks %q:\n%s", name, want, b)
			}
		}
	}
	d := NewDocument("c", []Cluster{c}).Clusters[0]
	if len(d.Slots) != 6 || len(d.Work) != 1 || d.Work[0].What != WorkRestart {
		t.Errorf("the document has %d slots and %v", len(d.Slots), d.Work)
	}
}
