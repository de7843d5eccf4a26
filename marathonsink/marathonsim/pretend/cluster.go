package pretend

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A cluster is the nodes of one Marathon group.
type cluster struct {
	fleet *Fleet
	group marathon.AppID
	gate  string

	nodes []*node          // processes that run, in the order of their start
	disks map[string]*disk // by volume; those of tasks without one are not kept
	metas []*meta          // every cluster that ever formed here, the oldest first

	meta     *meta // of the last elected master
	master   *node
	masterAt time.Time // of its election
	lostAt   time.Time // when there was last one
	electAt  time.Time // when the next one will be elected; zero: there are too few
	members  []*node   // as the elected master lists them
	placed   bool      // all masters were placed once: the first may form it

	now     time.Time
	next    time.Time // when something happens by itself; zero: never
	dirty   bool
	stirred bool          // since the last tell
	changed chan struct{} // closed when something happened

	violations []string
	faults     faults
}

// A disk is what a node's volume holds.
type disk struct {
	nodeID  string
	uuid    string  // of the cluster that the node belongs to
	version version // of the node that last joined with it: who may trust its copies goes with that
	copies  map[*shard]*replica
}

// A meta is the state that a cluster's masters keep on their disks.
type meta struct {
	uuid       string
	formed     int  // how often a cluster formed here before
	founded    bool // the first indices were created
	version    int64
	term       int64
	voting     []string // node ids; none where minimum_master_nodes counts
	exclusions []exclusion
	persistent settings
	transient  settings
	templates  map[string]map[string]any
	composable map[string]map[string]any
	indices    []*index // by name
	repos      map[string]map[string]any
	snapshots  []*snapshot // by start
}

// An exclusion keeps a master from voting.
type exclusion struct{ id, name string }

func (c *cluster) violate(format string, args ...any) {
	v := c.now.UTC().Format(time.RFC3339) + " " + fmt.Sprintf(format, args...)
	c.violations = append(c.violations, v)
}

// touch says that something is different now.
func (c *cluster) touch() {
	c.dirty, c.stirred = true, true
	if c.meta != nil {
		c.meta.version++
	}
}

// tell wakes those who wait for a change.
func (c *cluster) tell() {
	if c.stirred {
		c.stirred = false
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// advance lets happen what had to happen by now, in order and each at its time.
func (c *cluster) advance(now time.Time) {
	for {
		if !c.dirty {
			if c.next.IsZero() || c.next.After(now) {
				break
			}
			c.now, c.dirty = c.next, true
		}
		for c.dirty {
			c.dirty = false
			c.settle()
		}
		c.next = c.upcoming()
	}
	c.now = now
	if c.noticeEnds() {
		c.advance(now)
	}
}

// noticeEnds takes away the nodes whose process was ended, though its goroutine may not have run since: what a call sees
// must not depend on the scheduler.
func (c *cluster) noticeEnds() bool {
	ended := false
	for _, n := range slices.Clone(c.nodes) {
		if n.ctx.Err() != nil {
			c.stop(n)
			ended = true
		}
	}
	return ended
}

// stop is the end of a process. Its connections close, so its cluster learns of it soon.
func (c *cluster) stop(n *node) {
	i := slices.Index(c.nodes, n)
	if i < 0 {
		return
	}
	c.nodes = slices.Delete(c.nodes, i, i+1)
	n.endedAt = c.now
	c.touch()
}

// start is the begin of a process.
func (c *cluster) start(n *node) {
	f := c.fleet
	f.started++
	h := f.host(n.task.Host)
	n.run, n.startedAt, n.upAt = f.started, c.now, c.now.Add(f.boot()+h.boot)
	n.disk = c.disks[n.volume]
	if n.disk == nil {
		n.disk = &disk{copies: map[*shard]*replica{}}
		if n.volume != "" {
			c.disks[n.volume] = n.disk
		}
	}
	d := n.disk
	if d.nodeID == "" || !n.version.inSync() {
		d.nodeID = name22(f.Seed, "node", c.group, n.volume, n.task.ID, n.volume == "" || !n.version.inSync(), n.run)
	}
	n.id = d.nodeID
	n.ephemeral = name22(f.Seed, "run", c.group, n.task.ID, n.run)
	i, _ := slices.BinarySearchFunc(c.nodes, n, func(a, b *node) int {
		if o := a.startedAt.Compare(b.startedAt); o != 0 {
			return o
		}
		return strings.Compare(string(a.task.ID), string(b.task.ID))
	})
	c.nodes = slices.Insert(c.nodes, i, n)
	c.touch()
}

// settle does everything that is due now. What it does may make more due: it is called until nothing is.
func (c *cluster) settle() {
	c.checkMaster()
	c.elect()
	if c.master == nil {
		return
	}
	c.removeLost()
	c.addJoined()
	c.reconfigure()
	c.finishSnapshots()
	c.finishRecoveries()
	c.createFirstIndices()
	c.allocate()
}

// upcoming is when settle has work again.
func (c *cluster) upcoming() time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if t.After(c.now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	sooner(c.electAt)
	for _, n := range c.nodes {
		sooner(n.upAt)
		if c.master != nil && !slices.Contains(c.members, n) {
			sooner(c.joinAt(n))
		}
	}
	if c.master != nil {
		for _, n := range c.members {
			sooner(n.noticedAt(c.master))
		}
		sooner(c.master.cutAt.Add(c.master.patience()))
	}
	if c.meta == nil {
		return at
	}
	for _, s := range c.meta.snapshots {
		sooner(s.ends)
	}
	c.meta.rows(func(r *row) {
		sooner(r.ends)
		sooner(r.waits)
	})
	return at
}

// joinAt is when a node that is no member will be one; masters are from the election on.
func (c *cluster) joinAt(n *node) time.Time {
	at := n.upAt
	if n.backAt.After(at) {
		at = n.backAt
	}
	if c.masterAt.After(at) {
		at = c.masterAt
	}
	return at.Add(c.fleet.joining())
}

func (c *cluster) addJoined() {
	for _, n := range c.nodes {
		if slices.Contains(c.members, n) || c.now.Before(c.joinAt(n)) || !c.reaches(n, c.master) || !c.mayJoin(n) {
			continue
		}
		c.admit(n)
	}
}

// mayJoin refuses a node with the data of another cluster, from 7.0 on.
func (c *cluster) mayJoin(n *node) bool {
	if n.impostor != nil {
		return false
	}
	return n.disk.uuid == "" || n.disk.uuid == c.meta.uuid || n.version.zen1()
}

// admit makes a node a member. Data of a lost cluster that a node before 7.0 brings is imported, before 2.0 deleted.
func (c *cluster) admit(n *node) {
	if old := c.metaOf(n.disk.uuid); old != nil && old != c.meta {
		c.adopt(n, old)
	}
	n.disk.uuid, n.disk.version, n.seen = c.meta.uuid, n.version, c.meta
	c.members = append(c.members, n)
	slices.SortFunc(c.members, func(a, b *node) int { return strings.Compare(a.name+a.id, b.name+b.id) })
	c.touch()
}

func (c *cluster) metaOf(uuid string) *meta {
	for _, m := range c.metas {
		if m.uuid == uuid {
			return m
		}
	}
	return nil
}

// adopt is the fate of data from another cluster.
func (c *cluster) adopt(n *node, old *meta) {
	for _, ix := range old.indices {
		for _, s := range ix.shards {
			if n.disk.copies[s] == nil {
				continue
			}
			if !n.version.atLeast(2, 0) {
				delete(n.disk.copies, s)
				c.violate("%s deleted its copy of %s: the new masters do not know it", n.name, s)
				continue
			}
			if c.meta.index(ix.name) == nil {
				c.violate("index %s was imported as dangling", ix.name)
				c.meta.insert(ix)
				ix.reset(c.now, "DANGLING_INDEX_IMPORTED")
			}
		}
	}
}

// removeLost drops members that ended, or that have not been reached for too long.
func (c *cluster) removeLost() {
	for _, n := range slices.Clone(c.members) {
		if at := n.noticedAt(c.master); !at.IsZero() && !c.now.Before(at) && n != c.master {
			c.remove(n)
		}
	}
}

func (c *cluster) remove(n *node) {
	c.members = slices.DeleteFunc(c.members, func(m *node) bool { return m == n })
	c.touch()
	if c.meta != nil {
		c.meta.each(func(s *shard) { s.nodeLeft(c, n) })
	}
}

// reaches says that two nodes talk to each other right now.
func (c *cluster) reaches(a, b *node) bool {
	return a.alive() && b.alive() && !a.frozen && !b.frozen && a.side == b.side
}
