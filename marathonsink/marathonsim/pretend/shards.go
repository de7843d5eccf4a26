package pretend

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An index is a set of shards.
type index struct {
	name, uuid string
	settings   settings // with "index."
	created    time.Time
	bytes      int64 // of each copy, beside what was written
	shards     []*shard
	ids        map[string]write // by the id that a client chose
	writes     int
	toy        bool // made for a fleet that says nothing of indices
}

// A write is one document that a client was told is safe, or was not.
type write struct {
	s *shard
	n int
}

// A shard is a part of an index, in several copies.
type shard struct {
	ix      *index
	number  int
	rows    []*row
	inSync  []string // allocation ids of the copies that hold every acknowledged document
	written int      // writes ever tried
	acked   docset
	copies  int  // counts allocation ids
	fresh   bool // no primary ever started
}

func (s *shard) String() string { return fmt.Sprintf("%s[%d]", s.ix.name, s.number) }

// A replica is what a disk holds of a shard: any copy, primaries included.
type replica struct {
	alloc   string
	docs    docset
	flushed int       // writes in the shard when it was last flushed
	leftAt  time.Time // when its node last left
}

// A state of a row of the routing table.
type state string

const (
	started      state = "STARTED"
	relocating   state = "RELOCATING"
	initializing state = "INITIALIZING"
	unassigned   state = "UNASSIGNED"
)

// A row is one copy's line in the routing table.
type row struct {
	s       *shard
	primary bool
	state   state
	on, to  *node
	alloc   string // of the copy on on
	toAlloc string // of the one that moves to to

	// of a recovery, to on while initializing and to to while relocating
	kind    string // EMPTY_STORE, EXISTING_STORE, PEER
	began   time.Time
	ends    time.Time // zero: nothing under way, or it never ends
	opsOnly bool

	// of an unassigned copy
	reason, details string
	at              time.Time
	waits           time.Time // for the node that left
	failures        int
}

// active says that the copy serves.
func (r *row) active() bool { return r.state == started || r.state == relocating }

func (s *shard) primary() *row {
	for _, r := range s.rows {
		if r.primary {
			return r
		}
	}
	return nil
}

func (s *shard) bytes() int64 { return s.ix.bytes + int64(s.written)<<10 }

func (ix *index) replicas() int {
	n, _ := strconv.Atoi(ix.settings["index.number_of_replicas"])
	return n
}

// newIndex has all copies unassigned.
func (c *cluster) newIndex(name string, own settings, bytes int64) *index {
	set := settings{"index.number_of_shards": "1", "index.number_of_replicas": "1"}
	if !c.master.version.atLeast(7, 0) {
		set["index.number_of_shards"] = "5"
	}
	for _, k := range []string{"index.number_of_replicas", "index.routing.allocation.total_shards_per_node"} {
		if v, ok := c.master.settings[k]; ok {
			set[k] = v
		}
	}
	set.merge(c.meta.fromTemplates(name))
	set.merge(own)
	ix := &index{name: name, settings: set, created: c.now, bytes: bytes, ids: map[string]write{}}
	ix.uuid = name22(c.fleet.Seed, c.meta.uuid, name, c.meta.version)
	n, _ := strconv.Atoi(set["index.number_of_shards"])
	for i := range max(1, n) {
		s := &shard{ix: ix, number: i, fresh: true}
		s.rows = []*row{{s: s, primary: true, state: unassigned, reason: "INDEX_CREATED", at: c.now}}
		ix.shards = append(ix.shards, s)
	}
	ix.setReplicas(c.now)
	return ix
}

// setReplicas gives every shard as many rows as the settings want; replicas that do not serve go first.
func (ix *index) setReplicas(now time.Time) {
	want := ix.replicas() + 1
	for _, s := range ix.shards {
		reason := "REPLICA_ADDED"
		if s.fresh {
			reason = "INDEX_CREATED"
		}
		for len(s.rows) < want {
			s.rows = append(s.rows, &row{s: s, state: unassigned, reason: reason, at: now})
		}
		for len(s.rows) > want {
			i := slices.IndexFunc(s.rows, func(r *row) bool { return !r.primary && !r.active() })
			if i < 0 {
				i = len(s.rows) - 1
				if s.rows[i].primary {
					i--
				}
			}
			s.drop(s.rows[i])
			s.rows = slices.Delete(s.rows, i, i+1)
		}
	}
}

// drop forgets a copy that is not wanted any more.
func (s *shard) drop(r *row) {
	s.inSync = slices.DeleteFunc(s.inSync, func(id string) bool { return id == r.alloc && id != "" })
	if r.on != nil && r.on.disk.copies[s] != nil && r.on.disk.copies[s].alloc == r.alloc {
		delete(r.on.disk.copies, s)
	}
}

// reset has every copy looked for again.
func (ix *index) reset(now time.Time, reason string) {
	for _, s := range ix.shards {
		for _, r := range s.rows {
			*r = row{s: s, primary: r.primary, state: unassigned, reason: reason, at: now}
		}
	}
}

// delayedTimeout is how long a copy waits for its node.
func (c *cluster) delayedTimeout(ix *index) time.Duration {
	if d, ok := duration(ix.settings["index.unassigned.node_left.delayed_timeout"]); ok {
		return d
	}
	return c.fleet.delay()
}

// nodeLeft fails every copy on a node, and every recovery that it took part in.
func (s *shard) nodeLeft(c *cluster, n *node) {
	if held := n.disk.copies[s]; held != nil {
		held.leftAt = c.now
	}
	for _, r := range slices.Clone(s.rows) {
		if r.state == relocating && r.to == n {
			r.stay()
		}
	}
	// The primary first: who takes over must not be one that fails in the same moment.
	for _, primary := range []bool{false, true} {
		for _, r := range s.rows {
			if r.on == n && r.primary == primary {
				s.fail(c, r, "NODE_LEFT", fmt.Sprintf("node_left [%s]", n.id))
			}
		}
	}
}

// stay ends a move where it began.
func (r *row) stay() {
	r.state, r.to, r.toAlloc, r.ends = started, nil, "", time.Time{}
}

// fail takes a copy out of the routing table. For a primary a started replica takes over, and copies that were being
// made from it begin anew.
func (s *shard) fail(c *cluster, r *row, reason, details string) {
	wasPrimary := r.primary
	*r = row{s: s, primary: r.primary, state: unassigned, reason: reason, details: details, at: c.now, failures: r.failures}
	c.touch()
	if wasPrimary {
		s.promote(c, r)
	}
	if reason == "NODE_LEFT" && !r.primary {
		if d := c.delayedTimeout(s.ix); d > 0 {
			r.waits = c.now.Add(d)
		}
	}
}

func (s *shard) promote(c *cluster, old *row) {
	var heir *row
	for _, r := range s.rows {
		if r != old && r.active() && r.on.alive() && (heir == nil || heir.on.version.olderThan(r.on.version)) {
			heir = r
		}
	}
	if heir != nil {
		old.primary, heir.primary = false, true
	}
	for _, r := range s.rows {
		if r.state == initializing && r.kind == "PEER" {
			*r = row{s: s, state: unassigned, reason: "PRIMARY_FAILED", details: "primary failed while replica initializing", at: c.now}
		}
		if heir == nil && r.state == relocating {
			r.stay()
		}
	}
}

// each calls do for every shard, in order.
func (m *meta) each(do func(*shard)) {
	for _, ix := range m.indices {
		for _, s := range ix.shards {
			do(s)
		}
	}
}

func (m *meta) rows(do func(*row)) {
	m.each(func(s *shard) {
		for _, r := range s.rows {
			do(r)
		}
	})
}

func (m *meta) index(name string) *index {
	for _, ix := range m.indices {
		if ix.name == name {
			return ix
		}
	}
	return nil
}

func (m *meta) insert(ix *index) {
	i, found := slices.BinarySearchFunc(m.indices, ix.name, func(a *index, name string) int { return strings.Compare(a.name, name) })
	if !found {
		m.indices = slices.Insert(m.indices, i, ix)
	}
}

// createFirstIndices makes the fleet's own as soon as a node can hold them.
func (c *cluster) createFirstIndices() {
	m := c.meta
	if m.formed > 0 || m.founded {
		return
	}
	i := slices.IndexFunc(c.members, func(n *node) bool { return n.data })
	if i < 0 {
		return
	}
	m.founded = true
	first := c.fleet.Indices
	if first == nil {
		// Two primaries: under the rule of two shards a node they fit two nodes, and a third may leave.
		first = []Index{{Name: "pretended", Primaries: 2, Replicas: min(1, c.members[i].task.Instances-1)}}
	}
	for _, x := range first {
		own := settings{"index.number_of_shards": strconv.Itoa(x.Primaries), "index.number_of_replicas": strconv.Itoa(x.Replicas)}
		if c.fleet.Indices == nil { // as an index that was made under a fleet's own rules
			own["index.unassigned.node_left.delayed_timeout"] = "300s"
		}
		own.merge(x.Settings)
		ix := c.newIndex(x.Name, own, x.Bytes)
		ix.toy = c.fleet.Indices == nil
		m.insert(ix)
	}
	c.touch()
}
