package mesosclient_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/sinktest"
	"github.com/esfleet/esfleet/reconcile/mesosclient"
	"github.com/esfleet/esfleet/reconcile/preflight"
)

// A bench is a real Marathon, what runs on it, and the Mesos under it.
type bench struct {
	t     *testing.T
	lab   *sinktest.Lab
	sink  *marathonsink.Client
	mesos *mesosclient.Client
}

// trial is one app that is asked about and then really started.
type trial struct {
	name string
	doc  marathon.Doc
	n    int
	// fits is what both are to say; where it does not, placed is how many of the instances find a place all the same.
	fits   bool
	placed int
	keep   bool // for the trials after it
}

const (
	soon = 3 * time.Minute
	beat = 200 * time.Millisecond
)

func unique(more ...[]string) [][]string { return append([][]string{{"hostname", "UNIQUE"}}, more...) }

func onDisk(mib int) marathon.Doc {
	return marathon.Doc{"type": "MESOS", "volumes": []any{marathon.Doc{"containerPath": "data", "mode": "RW", "persistent": marathon.Doc{"type": "root", "size": mib}}}}
}

// trials run one after the other on three agents of 8 cpus, 16384 MiB, 100000 MiB of disk and racks r1 to r3.
var trials = []trial{
	{name: "one on each host, with a volume", doc: marathon.Doc{"cpus": 3, "mem": 64, "constraints": unique(), "container": onDisk(1000)}, n: 3, fits: true, keep: true},
	{name: "one more than there are hosts", doc: marathon.Doc{"cpus": 0.1, "mem": 32, "constraints": unique()}, n: 4, placed: 3},
	{name: "more cpus than are left anywhere", doc: marathon.Doc{"cpus": 5.5, "mem": 32}, n: 1},
	{name: "just what is left everywhere", doc: marathon.Doc{"cpus": 5, "mem": 32, "constraints": unique()}, n: 3, fits: true},
	{name: "more disk than there is", doc: marathon.Doc{"cpus": 0.1, "mem": 32, "constraints": unique(), "container": onDisk(99_500)}, n: 1},
	{name: "hosts by a pattern", doc: marathon.Doc{"cpus": 0.1, "mem": 32, "constraints": unique([]string{"rack", "LIKE", "r1|r3"})}, n: 2, fits: true},
	{name: "more hosts than a pattern names", doc: marathon.Doc{"cpus": 0.1, "mem": 32, "constraints": unique([]string{"rack", "LIKE", "r1|r3"})}, n: 3, placed: 2},
	{name: "two on a host", doc: marathon.Doc{"cpus": 0.1, "mem": 32, "constraints": [][]string{{"hostname", "MAX_PER", "2"}}}, n: 6, fits: true},
	{name: "three on a host that may have two", doc: marathon.Doc{"cpus": 0.1, "mem": 32, "constraints": [][]string{{"hostname", "MAX_PER", "2"}}}, n: 7, placed: 6},
	{name: "a fixed port on each host", doc: marathon.Doc{"cpus": 0.1, "mem": 32, "requirePorts": true, "portDefinitions": []any{marathon.Doc{"port": 31777}}}, n: 3, fits: true, keep: true},
	{name: "a fixed port that is taken", doc: marathon.Doc{"cpus": 0.1, "mem": 32, "requirePorts": true, "portDefinitions": []any{marathon.Doc{"port": 31777}}}, n: 1},
}

// What preflight says fits is placed by a real Marathon, and what it says does not fit is never placed, however many
// offers Marathon has looked at.
func TestARealMarathonPlacesWhatFitsAndNothingElse(t *testing.T) {
	lab := sinktest.StartLab(t, sinktest.LabOptions{Version: "1.11", Agents: 3, Flags: []string{"--decline_offer_duration", "2000", "--min_revive_offers_interval", "100", "--scale_apps_interval", "10000"}})
	sink, err := marathonsink.New(marathonsink.Options{URLs: []string{lab.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	mesos, err := mesosclient.New(mesosclient.Options{Addresses: []string{lab.MesosURL}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t, lab, sink, mesos}
	for i, x := range trials {
		t.Run(x.name, func(t *testing.T) { b.t = t; b.try(marathon.AppID(fmt.Sprintf("/trial-%d", i)), x) })
	}
	t.Run("what a stopped node holds is not free", func(t *testing.T) {
		b.t = t
		b.do(b.sink.Scale(t.Context(), "/trial-0", 0, nil))
		b.until("nothing runs", func() (bool, string) {
			a, err := b.sink.App(t.Context(), "/trial-0")
			return err == nil && a.TasksRunning == 0 && len(a.Deployments) == 0, fmt.Sprint(a, err)
		})
		b.try("/late", trial{doc: marathon.Doc{"cpus": 5.5, "mem": 32}, n: 1})
	})
}

// try asks, starts, and sees who was right.
func (b *bench) try(id marathon.AppID, x trial) {
	b.t.Helper()
	doc := marathon.Doc{"id": string(id), "cmd": "sleep 100000", "instances": x.n, "portDefinitions": []any{}, "networks": []any{marathon.Doc{"mode": "host"}},
		"upgradeStrategy": marathon.Doc{"minimumHealthCapacity": 0, "maximumOverCapacity": 0}}
	for k, v := range x.doc {
		doc[k] = v
	}
	it, err := preflight.ItemOf(id, doc, x.n)
	if err != nil {
		b.t.Fatal(err)
	}
	pool := b.mesos.Pool(b.t.Context(), "marathon")
	v := preflight.Place(&pool, preflight.Ask{Items: []preflight.Item{it}})
	b.t.Logf("preflight: %s %s", v.Answer, v.Why)
	want := preflight.NoRoom
	if x.fits {
		want, x.placed = preflight.Fits, x.n
	}
	if v.Answer != want || x.fits && !v.AnyOrder {
		b.t.Errorf("preflight says %s (in any order: %t): %s; want %s", v.Answer, v.AnyOrder, v.Why, want)
	}
	b.do(b.sink.Create(b.t.Context(), doc))
	running := func() int {
		a, err := b.sink.App(b.t.Context(), id)
		if err != nil {
			return -1
		}
		return a.TasksRunning
	}
	if x.fits {
		b.until("all to run", func() (bool, string) { n := running(); return n == x.n, fmt.Sprintf("%d of %d", n, x.n) })
	} else {
		b.until("Marathon to have refused what every agent offers", func() (bool, string) {
			queue, err := b.sink.Queue(b.t.Context())
			for _, q := range queue {
				refused := 0
				for _, n := range q.Rejections {
					refused += n
				}
				if q.App == id && q.Count == x.n-x.placed && refused >= len(b.lab.Agents) {
					return true, ""
				}
			}
			return false, fmt.Sprintf("%d run; queue %v %v", running(), queue, err)
		})
		b.until("those that have a place to run, and no other", func() (bool, string) {
			n := running()
			return n == x.placed, fmt.Sprintf("%d of %d run, want %d", n, x.n, x.placed)
		})
	}
	if !x.keep {
		b.remove(id, pool.Use(nil))
	}
}

// remove takes an app away, and waits until no more is used than before it came.
func (b *bench) remove(id marathon.AppID, before preflight.PoolUse) {
	b.t.Helper()
	state, err := b.sink.Deployments(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range state {
		if err := b.sink.Cancel(b.t.Context(), d.ID); err != nil {
			b.t.Fatal(err)
		}
	}
	b.until("the app to be gone", func() (bool, string) {
		_, err := b.sink.Delete(b.t.Context(), id)
		return marathonsink.KindOf(err) == marathonsink.KindNotFound, fmt.Sprint(err)
	})
	b.until("its room to be free", func() (bool, string) {
		p := b.mesos.Pool(b.t.Context(), "marathon")
		now := p.Use(nil)
		return now.CPUs.Used <= before.CPUs.Used, fmt.Sprint(now)
	})
}

func (b *bench) do(_ marathon.DeploymentID, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) until(what string, so func() (bool, string)) {
	b.t.Helper()
	why := ""
	for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(beat) {
		var ok bool
		if ok, why = so(); ok {
			return
		}
	}
	b.t.Fatalf("waited in vain for %s: %s", what, why)
}
