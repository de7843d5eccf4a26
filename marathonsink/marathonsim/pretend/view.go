package pretend

import (
	"fmt"
	"slices"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A Cluster is what a test may know of one, beyond what its nodes tell.
type Cluster struct {
	Group  marathon.AppID
	UUID   string // of the last elected master's cluster; "" before the first
	Master string // name of the elected one; "" if there is none
	Health string // as the master would say; red without one
	// Unassigned, Initializing and Relocating count copies.
	Unassigned, Initializing, Relocating int
	Members                              []Member // by name
	// Persistent and Transient are the cluster's settings, flat.
	Persistent, Transient map[string]string
	VotingExclusions      []string // names
	Acknowledged          int      // documents
	// Lost are the acknowledged documents that no copy holds which could ever serve again, by id.
	Lost []string
	// Violations are what must never happen, each with its time: a second cluster formed, a second master, shards deleted.
	Violations []string
	// Doomed says why the cluster can never again elect a master out of the volumes that exist; "" if it can.
	Doomed string
}

// A Member is a node as its cluster sees it.
type Member struct {
	Name, ID, Version string
	Task              marathon.TaskID
	Host              string
	Master, Data      bool // eligible; holds data
	Gone              bool // its process ended or does not answer, and the master has not noticed
	Copies            int
	Since             time.Time
}

// Clusters lists every cluster that ever had a node, by group.
func (f *Fleet) Clusters() []Cluster {
	var out []Cluster
	for _, g := range f.groups() {
		out = append(out, f.Cluster(g))
	}
	return out
}

// Cluster is the present state of one group's.
func (f *Fleet) Cluster(group marathon.AppID) Cluster {
	var exists map[string]bool
	if f.Volumes != nil {
		exists = map[string]bool{}
		for _, v := range f.Volumes() { // without the lock: it looks into the Sim
			exists[v] = true
		}
	}
	var v Cluster
	c := f.cluster(group)
	f.enter(c, func() { v = c.view(exists) })
	return v
}

// Lost are the ids of acknowledged documents of a group that nothing can bring back.
func (f *Fleet) Lost(group marathon.AppID) []string { return f.Cluster(group).Lost }

func (c *cluster) view(exists map[string]bool) Cluster {
	v := Cluster{Group: c.group, Health: "red", Violations: slices.Clone(c.violations), Doomed: c.doomed(exists)}
	for _, l := range c.lost(exists) {
		v.Lost = append(v.Lost, l.names()...)
	}
	slices.Sort(v.Lost)
	if c.meta == nil {
		return v
	}
	h := c.health("")
	v.UUID = c.meta.uuid
	v.Unassigned, v.Initializing, v.Relocating = h.unassigned, h.initializing, h.relocating
	v.Persistent, v.Transient = map[string]string{}, map[string]string{}
	settings(v.Persistent).merge(c.meta.persistent)
	settings(v.Transient).merge(c.meta.transient)
	for _, e := range c.meta.exclusions {
		v.VotingExclusions = append(v.VotingExclusions, e.name)
	}
	c.meta.each(func(s *shard) { v.Acknowledged += s.acked.count() })
	if c.master == nil {
		return v
	}
	v.Master, v.Health = c.master.name, h.status
	for _, n := range c.members {
		v.Members = append(v.Members, Member{Name: n.name, ID: n.id, Version: n.version.String(), Task: n.task.ID, Host: n.task.Host,
			Master: c.eligible(n), Data: n.data, Gone: !c.reaches(n, c.master), Copies: c.count(n, nil), Since: n.startedAt})
	}
	return v
}

func (l loss) names() []string {
	byNumber := map[int]string{}
	for id, w := range l.s.ix.ids {
		if w.s == l.s {
			byNumber[w.n] = id
		}
	}
	var out []string
	for _, n := range l.docs {
		out = append(out, byNumber[n])
	}
	return out
}

// doomed: from 7.0 the state lives on a majority of the voting masters' volumes.
func (c *cluster) doomed(exists map[string]bool) string {
	if c.meta == nil || len(c.meta.voting) == 0 {
		return ""
	}
	there := 0
	for _, id := range c.meta.voting {
		for volume, d := range c.disks {
			if d.nodeID == id && d.uuid == c.meta.uuid && (exists == nil || exists[volume]) {
				there++
			}
		}
		if slices.ContainsFunc(c.nodes, func(n *node) bool { return n.id == id && n.volume == "" }) {
			there++
		}
	}
	if 2*there > len(c.meta.voting) {
		return ""
	}
	return fmt.Sprintf("only %d of %d voting masters still have their volume", there, len(c.meta.voting))
}
