// Package pretend gives simulated tasks the manners of a fleet's apps: Elasticsearch nodes that find each other, form
// a cluster and turn green, and neighbours (discovery, exporter, Kibana) that answer 200.
//
// In: the Task that starts, whose labels say which part of which cluster it is. Out: its marathonsim.Program.
//
// It is a sketch, good for a demo and for the order in which things come up. It holds no documents and no shards, so
// it can't show that anything is safe: a node may leave at any time and the cluster is green again seconds later.
package pretend

import (
	"context"
	"fmt"
	"hash/fnv"
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
	Form    time.Duration // from enough masters to an elected one; 0: 3 s
	Join    time.Duration // from a node's first answer to its place in the cluster; 0: 2 s
	Recover time.Duration // of yellow after a data node came or went; 0: 4 s

	// GateUUID answers the cluster uuid that the gate app records, "" for none: with one, blank masters never form a
	// new cluster. Watch sets it from a Sim; nil: there is none.
	GateUUID func(gate marathon.AppID) string

	mu       sync.Mutex
	clusters map[marathon.AppID]*cluster // by Marathon group
	volumes  map[string]string           // persistence id to the uuid of the cluster whose data it holds
	formed   int
}

// Watch lets the fleet read the labels of gate apps from a Sim.
func (f *Fleet) Watch(s *marathonsim.Sim) {
	f.GateUUID = func(gate marathon.AppID) string {
		labels, _ := s.Definition(gate)["labels"].(map[string]any)
		uuid, _ := labels[marathon.LabelClusterUUID].(string)
		return uuid
	}
}

// Program is what marathonsim.Options.Programs wants; nil for apps that are not of a fleet.
func (f *Fleet) Program(t marathonsim.Task) marathonsim.Program {
	switch t.Labels[marathon.LabelComponent] {
	case "master", "data", "ingest", "coordinating":
		return &node{fleet: f, task: t, name: t.Labels[marathon.LabelComponent] + "-" + t.Host}
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

// A cluster is the nodes of one Marathon group. What it is follows from when its nodes came and went; it is worked
// out when somebody asks, so an idle cluster costs nothing.
type cluster struct {
	group    marathon.AppID
	nodes    []*node
	uuid     string    // while a master is elected
	formedAt time.Time // of the elected master
	lostAt   time.Time // when the last one was lost
	changed  time.Time // when a data node last left
}

func (f *Fleet) join(n *node) *cluster {
	f.mu.Lock()
	defer f.mu.Unlock()
	group := marathon.AppID(n.task.App.Group())
	if f.clusters == nil {
		f.clusters, f.volumes = map[marathon.AppID]*cluster{}, map[string]string{}
	}
	c := f.clusters[group]
	if c == nil {
		c = &cluster{group: group}
		f.clusters[group] = c
	}
	n.upAt = time.Now().Add(or(f.Boot, 2*time.Second))
	c.nodes = append(c.nodes, n)
	return c
}

func (f *Fleet) leave(c *cluster, n *node) {
	gate := f.gate(c)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh(c, gate)
	if n.data() && n.joined(f, c) {
		c.changed = time.Now()
	}
	c.nodes = slices.DeleteFunc(c.nodes, func(x *node) bool { return x == n })
	f.refresh(c, gate)
}

// gate is asked without the lock: it may look into the Sim.
func (f *Fleet) gate(c *cluster) string {
	if f.GateUUID == nil {
		return ""
	}
	return f.GateUUID(c.group + "/gate")
}

// refresh elects a master where there can be one, and drops it where its quorum is gone.
func (f *Fleet) refresh(c *cluster, gate string) {
	masters, wanted := c.masters()
	quorum := wanted/2 + 1
	if c.uuid != "" {
		if len(masters) < quorum {
			c.uuid, c.lostAt = "", time.Now()
		} else {
			f.remember(c)
		}
		return
	}
	uuid, needed := "", quorum
	for _, n := range masters {
		if u := f.volumes[n.volume()]; u != "" {
			uuid = u
		}
	}
	if uuid == "" {
		if gate != "" {
			return
		}
		needed = wanted // a first formation waits for all of them
	}
	if needed == 0 || len(masters) < needed {
		return
	}
	at := masters[needed-1].upAt
	if c.lostAt.After(at) {
		at = c.lostAt
	}
	at = at.Add(or(f.Form, 3*time.Second))
	if time.Now().Before(at) {
		return
	}
	if uuid == "" {
		f.formed++
		h := fnv.New64a()
		fmt.Fprintf(h, "%s %d", c.group, f.formed)
		uuid = fmt.Sprintf("pretend-%014x", h.Sum64()>>8)
	}
	c.uuid, c.formedAt = uuid, at
	f.remember(c)
}

// remember writes the cluster's uuid to the disks of its members.
func (f *Fleet) remember(c *cluster) {
	for _, n := range c.nodes {
		if n.joined(f, c) && n.volume() != "" {
			f.volumes[n.volume()] = c.uuid
		}
	}
}

// masters are the master-eligible nodes that are up, by the time they came up, and how many there shall be. Without
// dedicated masters every data node is one.
func (c *cluster) masters() (up []*node, wanted int) {
	kind := "data"
	if slices.ContainsFunc(c.nodes, func(n *node) bool { return n.kind() == "master" }) {
		kind = "master"
	}
	for _, n := range c.nodes {
		if n.kind() != kind {
			continue
		}
		wanted = max(wanted, n.task.Instances)
		if n.isUp() {
			up = append(up, n)
		}
	}
	slices.SortStableFunc(up, func(a, b *node) int { return a.upAt.Compare(b.upAt) })
	return up, wanted
}

// status is the colour, and the members that make it.
func (f *Fleet) status(c *cluster) (colour string, members []*node) {
	settled := c.changed
	for _, n := range c.nodes {
		if !n.joined(f, c) {
			continue
		}
		members = append(members, n)
		if at := n.joinAt(f, c); n.data() && at.After(settled) {
			settled = at
		}
	}
	if time.Since(settled) < or(f.Recover, 4*time.Second) {
		return "yellow", members
	}
	return "green", members
}
