package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/reconcile"
)

// rolledNodes is how many data nodes the measured roll restarts.
const rolledNodes = 8

// maxOverPath bounds a roll beside its critical path: the time in which a node is down or its shards recover, which nobody
// can save. What is added is the wait for Marathon's next question whether the node is ready, every checks.interval, and a
// quarter of a second for events that come together.
const maxOverPath = 1.02

// A roll lets one node after the other stop, start, join and recover; what the daemon adds is the time in which all is
// well and nobody is touched.
func TestARollTakesLittleMoreThanItsCriticalPath(t *testing.T) {
	total, path := rollTimes(t)
	t.Logf("%d nodes in %s, %s of it in the critical path: %.3f times", rolledNodes, total.Round(time.Second), path.Round(time.Second), total.Seconds()/path.Seconds())
	if ratio := total.Seconds() / path.Seconds(); ratio > maxOverPath {
		t.Errorf("the roll took %s, %.3f times its critical path of %s; the bound is %v", total, ratio, path, maxOverPath)
	}
}

// rollTimes rolls a cluster of slow nodes and says how long that took, and how long of it something was under way.
func rollTimes(t *testing.T) (total, path time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		nodes := &pretend.Fleet{Boot: time.Minute, Join: 5 * time.Second, Recover: time.Minute}
		agents := marathonsim.DefaultAgents(rolledNodes + 3)
		for i := range agents {
			agents[i].Mem, agents[i].Disk = 1<<17, 1<<22
		}
		sim := marathonsim.New(marathonsim.Options{Version: version, Agents: agents, Programs: nodes.Program})
		nodes.Watch(sim)
		defer sim.Close()
		client, err := marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon.test:8080"}, Transport: sim.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		wake := make(chan struct{}, 1)
		go func() {
			for range client.Events(ctx) {
				select {
				case wake <- struct{}{}:
				default:
				}
			}
		}()
		r := reconcilerOver(sim.Transport())
		before := fleetOf(t, "")
		converge(t, r, before, wake)
		time.Sleep(10 * time.Minute) // until the shards of a new cluster have found their places; nobody is touched before
		began := time.Now()
		watch := make(chan time.Duration)
		stop := make(chan struct{})
		go func() { watch <- unwell(nodes, stop) }()
		converge(t, r, fleetOf(t, "restart: again\n"), wake)
		total = time.Since(began)
		close(stop)
		path = <-watch
	})
	return total, path
}

// fleetOf is one cluster with many data nodes.
func fleetOf(t *testing.T, more string) reconcile.Input {
	t.Helper()
	fs := files(1)
	for path, text := range fs {
		if strings.HasSuffix(path, "cluster.yaml") {
			fs[path] = strings.Replace(text, "data:\n  replicas: 3", fmt.Sprintf("data:\n  replicas: %d", rolledNodes), 1) + more
			if fs[path] == text+more {
				t.Fatalf("%s has other words for its data nodes:\n%s", path, text)
			}
		}
	}
	return parse(t, "roll"+more, fs, nil)
}

func converge(t *testing.T, r *reconcile.Reconciler, in reconcile.Input, wake <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Hour)
	defer cancel()
	var last *reconcile.View
	err := r.Run(ctx, reconcile.Pace{}, func() *reconcile.Input { return &in }, wake, func(v *reconcile.View, done []reconcile.Done) bool {
		last = v
		return v.Converged() && len(done) == 0
	})
	if err != nil {
		t.Fatalf("%v: %+v", err, last.Clusters[0].Plan.Reasons())
	}
}

// unwell adds up the time in which the cluster is not green or a node is away, until stop.
func unwell(f *pretend.Fleet, stop <-chan struct{}) (sum time.Duration) {
	const step = 50 * time.Millisecond
	for {
		select {
		case <-stop:
			return sum
		case <-time.After(step):
		}
		for _, c := range f.Clusters() {
			away := false
			for _, m := range c.Members {
				away = away || m.Gone
			}
			if c.Health != "green" || away || len(c.Members) < rolledNodes+3 {
				sum += step
			}
		}
	}
}
