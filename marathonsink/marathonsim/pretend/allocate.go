package pretend

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// opsRetention is how long a primary remembers what a departed copy lacks, where it remembers it at all.
const opsRetention = 12 * time.Hour

// allocate finds places for copies that have none, then moves those that may not stay, then evens out.
func (c *cluster) allocate() {
	m := c.meta
	m.rows(func(r *row) {
		if r.state == unassigned && r.primary {
			c.placePrimary(r)
		}
	})
	m.rows(func(r *row) {
		if r.state == unassigned && !r.primary {
			c.placeReplica(r)
		}
	})
	m.rows(func(r *row) {
		if r.state == started && !c.faults.noMoves && len(c.remain(r)) > 0 {
			if n := c.best(r); n != nil {
				c.move(r, n)
			}
		}
	})
	c.rebalance()
}

// dataNodes are the members that may hold copies.
func (c *cluster) dataNodes() []*node {
	var out []*node
	for _, n := range c.members {
		if n.data {
			out = append(out, n)
		}
	}
	return out
}

// best is the allowed node with the fewest copies, of the index first; nil if none is allowed now.
func (c *cluster) best(r *row) *node {
	var best *node
	var weight [2]int
	for _, n := range c.dataNodes() {
		if !c.reaches(n, c.master) || len(c.decide(r, n)) > 0 {
			continue
		}
		w := [2]int{c.count(n, r.s.ix), c.count(n, nil)}
		if best == nil || slices.Compare(w[:], weight[:]) < 0 {
			best, weight = n, w
		}
	}
	return best
}

// placePrimary starts an empty copy of a new shard, or one that is on a disk and may be trusted.
func (c *cluster) placePrimary(r *row) {
	s := r.s
	if s.fresh {
		if n := c.best(r); n != nil {
			c.begin(r, n, "EMPTY_STORE", false)
		}
		return
	}
	var found *node
	for _, n := range c.dataNodes() {
		held := n.disk.copies[s]
		if held == nil || !c.reaches(n, c.master) || !s.trusts(n, held) || c.enabled(r, n) != nil {
			continue
		}
		if found == nil || held.docs.count() > found.disk.copies[s].docs.count() {
			found = n
		}
	}
	if found != nil {
		c.begin(r, found, "EXISTING_STORE", false)
	}
}

// trusts says that a copy on disk may become the primary. Before 5.0 any may: that is how documents were lost.
func (s *shard) trusts(n *node, held *replica) bool {
	return held.alloc != "" && (!n.version.inSync() || slices.Contains(s.inSync, held.alloc))
}

// placeReplica prefers the node that still has a copy, and waits for it a while.
func (c *cluster) placeReplica(r *row) {
	p := r.s.primary()
	if p == nil || !p.active() || r.failures >= 5 {
		return
	}
	for _, n := range c.dataNodes() {
		if n.disk.copies[r.s] != nil && c.reaches(n, c.master) && len(c.decide(r, n)) == 0 {
			c.begin(r, n, "PEER", c.opsOnly(r, n))
			return
		}
	}
	if r.waits.After(c.now) {
		return
	}
	r.waits = time.Time{}
	if n := c.best(r); n != nil {
		c.begin(r, n, "PEER", false)
	}
}

// opsOnly: nothing was written since both were flushed, or the primary kept the operations (from 7.4 on).
func (c *cluster) opsOnly(r *row, n *node) bool {
	held, from := n.disk.copies[r.s], r.s.primary().on
	if held == nil || held.alloc == "" || !from.disk.copies[r.s].docs.holds(held.docs) {
		return false
	}
	if n.version.atLeast(7, 4) && c.now.Sub(held.leftAt) < opsRetention {
		return true
	}
	return held.flushed == r.s.written
}

// begin is the start of a recovery to a node that holds no active copy.
func (c *cluster) begin(r *row, n *node, kind string, ops bool) {
	s := r.s
	s.copies++
	if held := n.disk.copies[s]; kind == "PEER" && !ops && held != nil {
		// Files are overwritten from now on: what was there is no copy any more.
		s.inSync = slices.DeleteFunc(s.inSync, func(id string) bool { return id == held.alloc && len(s.inSync) > 1 })
		delete(n.disk.copies, s)
	}
	keep := row{s: s, primary: r.primary, failures: r.failures, reason: r.reason, at: r.at, details: r.details}
	*r = keep
	r.state, r.on, r.kind, r.opsOnly, r.began = initializing, n, kind, ops, c.now
	r.alloc = name22(c.fleet.Seed, "copy", s.ix.uuid, s.number, s.copies)
	if held := n.disk.copies[s]; kind == "EXISTING_STORE" {
		r.alloc = held.alloc
	}
	r.ends = c.now.Add(c.recoveryTime(r))
	c.touch()
}

// move is the start of a relocation.
func (c *cluster) move(r *row, n *node) {
	s := r.s
	s.copies++
	r.state, r.to, r.kind, r.opsOnly, r.began = relocating, n, "PEER", false, c.now
	r.toAlloc = name22(c.fleet.Seed, "copy", s.ix.uuid, s.number, s.copies)
	r.ends = c.now.Add(c.recoveryTime(r))
	c.touch()
}

// recoveryTime goes with the bytes, unless operations are enough.
func (c *cluster) recoveryTime(r *row) time.Duration {
	base := c.fleet.copying()
	var d time.Duration
	switch {
	case r.kind == "EMPTY_STORE":
		return base / 40
	case r.kind == "EXISTING_STORE":
		return base / 10
	case r.opsOnly:
		d = base / 4
	default:
		d = base + time.Duration(float64(r.s.bytes())/float64(c.fleet.rate())*float64(time.Second))
	}
	if c.faults.slow > 0 {
		d = time.Duration(float64(d) * c.faults.slow)
	}
	return d
}

// finishRecoveries starts the copies whose recovery is over.
func (c *cluster) finishRecoveries() {
	if c.faults.stall {
		return
	}
	c.meta.rows(func(r *row) {
		if r.ends.IsZero() || r.ends.After(c.now) {
			return
		}
		to, from := r.recovering()
		if !c.reaches(to, c.master) || from != nil && !c.reaches(from, to) {
			return // it hangs until one of them is taken out
		}
		c.finish(r)
	})
}

func (c *cluster) finish(r *row) {
	s := r.s
	c.touch()
	r.ends = time.Time{}
	if r.state == relocating {
		c.arrive(r)
	} else {
		c.started(r)
	}
	s.trim()
	c.tidy(s)
}

func (c *cluster) arrive(r *row) {
	s := r.s
	source := r.on.disk.copies[s]
	r.to.disk.copies[s] = &replica{alloc: r.toAlloc, docs: source.docs.clone(), flushed: s.written}
	delete(r.on.disk.copies, s)
	s.inSync = append(slices.DeleteFunc(s.inSync, func(id string) bool { return id == r.alloc }), r.toAlloc)
	r.on, r.alloc = r.to, r.toAlloc
	r.state, r.to, r.toAlloc = started, nil, ""
}

func (c *cluster) started(r *row) {
	s := r.s
	switch r.kind {
	case "EMPTY_STORE":
		s.fresh = false
		r.on.disk.copies[s] = &replica{alloc: r.alloc}
		s.inSync = nil
	case "EXISTING_STORE":
		if !r.on.version.inSync() {
			s.inSync = nil // whatever it holds is the truth from now on
		}
	default:
		r.on.disk.copies[s] = &replica{alloc: r.alloc, docs: s.primary().on.disk.copies[s].docs.clone(), flushed: s.written}
	}
	if !slices.Contains(s.inSync, r.alloc) {
		s.inSync = append(s.inSync, r.alloc)
	}
	r.state, r.reason, r.details, r.failures, r.at = started, "", "", 0, time.Time{}
}

// trim forgets in-sync copies beyond the wanted number, those that are away first.
func (s *shard) trim() {
	for len(s.inSync) > len(s.rows) {
		i := slices.IndexFunc(s.inSync, func(id string) bool {
			return !slices.ContainsFunc(s.rows, func(r *row) bool { return r.alloc == id })
		})
		if i < 0 {
			return
		}
		s.inSync = slices.Delete(s.inSync, i, i+1)
	}
}

// tidy deletes left-over copies of members once every copy is started elsewhere.
func (c *cluster) tidy(s *shard) {
	for _, r := range s.rows {
		if r.state != started {
			return
		}
	}
	for _, n := range c.members {
		if n.disk.copies[s] != nil && !slices.ContainsFunc(s.rows, func(r *row) bool { return r.on == n }) {
			delete(n.disk.copies, s)
		}
	}
}

// rebalance moves a copy from the fullest to the emptiest node, two at a time, while all copies are started.
func (c *cluster) rebalance() {
	if c.faults.noMoves || c.setting("cluster.routing.rebalance.enable", "all") == "none" {
		return
	}
	limit, err := strconv.Atoi(c.setting("cluster.routing.allocation.cluster_concurrent_rebalance", "2"))
	if err != nil {
		limit = 2
	}
	moving, rest := 0, true
	c.meta.rows(func(r *row) {
		rest = rest && r.active()
		if r.state == relocating {
			moving++
		}
	})
	for rest && moving < limit && c.rebalanceOne() {
		moving++
	}
}

func (c *cluster) rebalanceOne() bool {
	nodes := c.dataNodes()
	load := map[*node]int{}
	for _, n := range nodes {
		load[n] = c.count(n, nil)
	}
	slices.SortStableFunc(nodes, func(a, b *node) int {
		if load[a] != load[b] {
			return load[b] - load[a]
		}
		return strings.Compare(a.name, b.name)
	})
	for _, from := range nodes {
		for _, to := range slices.Backward(nodes) {
			if load[from]-load[to] < 2 {
				break
			}
			if r := c.movable(from, to); r != nil {
				c.move(r, to)
				return true
			}
		}
	}
	return false
}

// movable is a copy on one node that may go to another.
func (c *cluster) movable(from, to *node) *row {
	var found *row
	c.meta.rows(func(r *row) {
		if found == nil && r.on == from && r.state == started && c.reaches(to, c.master) && len(c.decide(r, to)) == 0 && !c.snapshotted(r) {
			found = r
		}
	})
	return found
}
