// Package pretend is a model of Elasticsearch for simulated tasks, and the manners of its neighbours (discovery,
// exporter, Kibana), which answer 200.
//
// In: the Task that starts, whose labels and bundle say which node of which cluster it is, and faults that a test asks
// for. Out: its marathonsim.Program, which answers HTTP as a node does, and views of what the clusters hold and lost.
//
// A cluster is all nodes of one Marathon group. What it does follows from when its nodes came and went: it is worked out
// when somebody asks, event by event and each at its own moment, so an idle cluster costs nothing, looking changes
// nothing, and equal histories give equal answers. There is no chance in it but Fleet.Seed.
//
// Modelled: elections by the majority of a voting configuration (from 7.0, with its growth, shrinking and exclusions) or
// by minimum_master_nodes (before); what lives on which volume: node id, cluster uuid, the metadata of masters, shard
// copies; primaries and replicas with allocation ids, the in-sync set from 5.0, promotion, delayed allocation, full and
// operations-only recovery, relocation and rebalancing that take time, and the deciders that forbid a place; documents,
// each written to every copy that is in sync, so that the loss of a single one shows; snapshots; nodes that freeze, are
// cut off, start slowly or not at all, and answers that come late, cut, refused or from somewhere else.
//
// Left out: queries and mappings, translog and segments (a recovery copies operations or everything), closed indices,
// data tiers, awareness, node shutdown, and two masters at once: where a wrong minimum_master_nodes allows them, the side
// with more masters goes on and the other one is a Violation.
package pretend

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// A Fleet is all clusters of one Sim. The zero value is ready; set fields before the first task starts.
type Fleet struct {
	Boot    time.Duration // from a node's start to its first answer; 0: 2 s
	Form    time.Duration // from enough masters to a first elected one; 0: 3 s
	Join    time.Duration // from a node's first answer to its place in the cluster; 0: 2 s
	Recover time.Duration // of copying an empty shard; its operations alone take a quarter; 0: 4 s

	Delay  time.Duration // for which a departed node is waited for, where no index says; 0: 15 times Recover
	Detect time.Duration // from a node's end to its removal from the cluster; 0: an eighth of Recover
	Rate   int64         // bytes per second of one recovery; 0: 40 MiB

	// Indices are created as soon as a cluster has a node that may hold data. Empty: none. Nil: a toy for demonstrations,
	// three shards with a replica (without one where the data app has a single node), which health does not count while
	// no data node is there: masters alone are green, as real ones are not once there is an index.
	Indices []Index
	// Seed decides what Elasticsearch leaves to chance: ids, and who is elected.
	Seed uint64

	// GateUUID answers the cluster uuid that the gate app records, "" for none: with one, blank masters never form a
	// new cluster. Watch sets it from a Sim; nil: there is none.
	GateUUID func(gate marathon.AppID) string
	// Volumes answers the persistence ids of all volumes that exist. Watch sets it from a Sim; nil: none is ever destroyed.
	Volumes func() []string

	mu       sync.Mutex
	clusters map[marathon.AppID]*cluster // by Marathon group
	hosts    map[string]*host
	started  int // nodes, ever
}

// An Index is one that a cluster has from its first day.
type Index struct {
	Name                string
	Primaries, Replicas int
	Bytes               int64             // of each copy of each shard
	Settings            map[string]string // flat, with "index."
}

// Watch lets the fleet read the labels of gate apps, and which volumes exist, from a Sim.
func (f *Fleet) Watch(s *marathonsim.Sim) {
	f.GateUUID = func(gate marathon.AppID) string {
		labels, _ := s.Definition(gate)["labels"].(map[string]any)
		uuid, _ := labels[marathon.LabelClusterUUID].(string)
		return uuid
	}
	f.Volumes = func() []string {
		var out []string
		for _, a := range s.View().Apps {
			for _, t := range a.Tasks {
				for _, v := range t.Volumes {
					out = append(out, v.PersistenceID)
				}
			}
		}
		return out
	}
}

// Program is what marathonsim.Options.Programs wants; nil for apps that are not of a fleet.
func (f *Fleet) Program(t marathonsim.Task) marathonsim.Program {
	switch t.Labels[marathon.LabelComponent] {
	case "master", "data", "ingest", "coordinating":
		return &node{fleet: f, task: t, identity: identify(t)}
	case "discovery", "exporter", "kibana":
		return &neighbour{delay: or(f.Boot, 2*time.Second) / 2}
	}
	return nil
}

func or(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}

func (f *Fleet) boot() time.Duration    { return or(f.Boot, 2*time.Second) }
func (f *Fleet) form() time.Duration    { return or(f.Form, 3*time.Second) }
func (f *Fleet) joining() time.Duration { return or(f.Join, 2*time.Second) }
func (f *Fleet) copying() time.Duration { return or(f.Recover, 4*time.Second) }
func (f *Fleet) delay() time.Duration   { return or(f.Delay, 15*f.copying()) }
func (f *Fleet) detect() time.Duration  { return or(f.Detect, f.copying()/8) }

func (f *Fleet) rate() int64 {
	if f.Rate == 0 {
		return 40 << 20
	}
	return f.Rate
}

// A neighbour is up after a moment, and content.
type neighbour struct {
	delay time.Duration
	mu    sync.Mutex
	up    time.Time
}

// Run lasts as long as the task.
func (n *neighbour) Run(ctx context.Context) error {
	n.mu.Lock()
	n.up = time.Now().Add(n.delay)
	n.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

// ServeHTTP answers 200, and 503 before the task is up.
func (n *neighbour) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.up.IsZero() || time.Now().Before(n.up) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// enter brings a cluster to the present, lets do change or read it, and tells those who wait if anything happened.
// The gate is asked without the lock: it may look into the Sim, which may be starting a node.
func (f *Fleet) enter(c *cluster, do func()) {
	gate := ""
	if f.GateUUID != nil {
		gate = f.GateUUID(c.group + "/gate")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c.gate = gate
	now := time.Now()
	c.advance(now)
	if do != nil {
		do()
		c.advance(now)
	}
	c.tell()
}

// cluster finds or makes the cluster of a Marathon group.
func (f *Fleet) cluster(group marathon.AppID) *cluster {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.clusters == nil {
		f.clusters = map[marathon.AppID]*cluster{}
	}
	c := f.clusters[group]
	if c == nil {
		c = &cluster{fleet: f, group: group, disks: map[string]*disk{}, changed: make(chan struct{})}
		f.clusters[group] = c
	}
	return c
}

// groups lists the known clusters in order.
func (f *Fleet) groups() []marathon.AppID {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]marathon.AppID, 0, len(f.clusters))
	for g := range f.clusters {
		out = append(out, g)
	}
	slices.Sort(out)
	return out
}

// A host is what a test has done to a machine.
type host struct {
	boot   time.Duration // beside the usual
	fail   time.Duration // after a task's start; <0: does not
	why    error
	filler float64 // share of a node's disk that others use
}

// host must be called with the lock held.
func (f *Fleet) host(name string) *host {
	if f.hosts == nil {
		f.hosts = map[string]*host{}
	}
	h := f.hosts[name]
	if h == nil {
		h = &host{fail: -1}
		f.hosts[name] = h
	}
	return h
}
