package pretend

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// eligible says whether a node may be a master: as its settings say, or without any: masters are, and where a cluster
// has none, its data nodes.
func (c *cluster) eligible(n *node) bool {
	if n.declared || n.kind() == "master" {
		return n.master
	}
	return n.kind() == "data" && !slices.ContainsFunc(c.nodes, func(m *node) bool { return m.master })
}

func (n *node) kind() string { return n.component }

// checkMaster drops a master that ended, or that has been cut off from its majority for too long.
func (c *cluster) checkMaster() {
	if c.master == nil {
		return
	}
	m := c.master
	gone := !m.alive() || m.frozen && !c.now.Before(m.cutAt.Add(m.patience()))
	if gone || !c.majority(m, c.meta, c.believed(m)) {
		c.master, c.lostAt, c.electAt = nil, c.now, time.Time{}
		c.touch()
	}
}

// believed are the masters that a node takes for alive: those whose loss was not noticed yet.
func (c *cluster) believed(of *node) []*node {
	var out []*node
	for _, n := range c.nodes {
		if !c.eligible(n) || n.upAt.After(c.now) {
			continue
		}
		at := n.noticedAt(of)
		if at.IsZero() || n.alive() && slices.Contains(c.members, n) && c.now.Before(at) {
			out = append(out, n)
		}
	}
	return out
}

// majority says whether these masters may elect one for a cluster.
func (c *cluster) majority(of *node, m *meta, masters []*node) bool {
	if slices.ContainsFunc(masters, func(n *node) bool { return n.version.zen1() }) || len(m.voting) == 0 {
		return len(masters) >= c.quorum(of, m)
	}
	votes := 0
	for _, n := range masters {
		if n.disk.uuid == m.uuid && slices.Contains(m.voting, n.id) {
			votes++
		}
	}
	return 2*votes > len(m.voting)
}

// quorum is minimum_master_nodes in force for a node: what the cluster says once the node has been in it, else its file.
func (c *cluster) quorum(n *node, m *meta) int {
	const key = "discovery.zen.minimum_master_nodes"
	live := ""
	if m != nil && (n.seen == m || n.disk.uuid == m.uuid) {
		live = m.persistent[key]
		if t, ok := m.transient[key]; ok && n.seen == m {
			live = t
		}
	}
	if q, err := strconv.Atoi(live); err == nil {
		return q
	}
	return max(1, n.minimumMasters)
}

// A ballot is a side whose masters may elect one.
type ballot struct {
	masters []*node
	meta    *meta // nil: they form a new cluster
}

// elect lets one side have a master, some time after it could.
func (c *cluster) elect() {
	if c.master != nil {
		c.electAt = time.Time{}
		c.secondMaster()
		return
	}
	b := c.ballot()
	if b == nil {
		c.electAt = time.Time{}
		return
	}
	if c.electAt.IsZero() {
		c.electAt = c.now.Add(c.electionDelay(b))
	}
	if c.now.Before(c.electAt) {
		return
	}
	c.electAt = time.Time{}
	c.crown(b)
}

// electionDelay is short where a running cluster lost its master.
func (c *cluster) electionDelay(b *ballot) time.Duration {
	d := c.fleet.form()
	carried := b.meta != nil && slices.ContainsFunc(b.masters, func(n *node) bool { return n.seen == b.meta })
	switch {
	case carried && b.masters[0].version.zen1():
		return 2 * d
	case carried:
		return d / 3
	}
	return d
}

// ballot finds the side with most masters that may elect, nil if there is none.
func (c *cluster) ballot() *ballot {
	sides := map[int][]*node{}
	for _, n := range c.nodes {
		if c.eligible(n) && !n.upAt.After(c.now) && !n.frozen && n.impostor == nil {
			sides[n.side] = append(sides[n.side], n)
		}
	}
	var best *ballot
	for side := range 3 { // 0 is where nobody cut anything; a partition makes two
		if b := c.ballotOf(sides[side]); b != nil && (best == nil || len(b.masters) > len(best.masters)) {
			best = b
		}
	}
	return best
}

func (c *cluster) ballotOf(masters []*node) *ballot {
	if len(masters) == 0 {
		return nil
	}
	for i := len(c.metas) - 1; i >= 0; i-- {
		m := c.metas[i]
		knows := slices.IndexFunc(masters, func(n *node) bool { return n.disk.uuid == m.uuid })
		if knows >= 0 && c.majority(masters[knows], m, masters) {
			return &ballot{masters, m}
		}
	}
	blank := slices.DeleteFunc(slices.Clone(masters), func(n *node) bool { return n.disk.uuid != "" })
	if len(blank) == 0 {
		return nil
	}
	if slices.ContainsFunc(masters, func(n *node) bool { return n.version.zen1() }) {
		// Any master that remembers would have been asked for its state.
		if len(blank) == len(masters) && len(masters) >= c.quorum(masters[0], nil) {
			return &ballot{masters, nil}
		}
		return nil
	}
	if c.gate == "" && c.allPlaced(blank) {
		return &ballot{blank, nil}
	}
	return nil
}

// allPlaced says that the first formation may go on: boot scripts wait until every master has its place, then a majority
// of them is enough.
func (c *cluster) allPlaced(blank []*node) bool {
	wanted, there := 0, 0
	for _, n := range c.nodes {
		if c.eligible(n) {
			wanted = max(wanted, n.task.Instances)
			there++
		}
	}
	c.placed = c.placed && len(c.metas) == 0 || there >= wanted
	return c.placed && (len(blank) == wanted || len(c.metas) == 0 && 2*len(blank) > wanted && c.bootedAll())
}

// bootedAll says that no master is still on its way.
func (c *cluster) bootedAll() bool {
	return !slices.ContainsFunc(c.nodes, func(n *node) bool { return c.eligible(n) && n.upAt.After(c.now) })
}

// crown makes one of them the master.
func (c *cluster) crown(b *ballot) {
	m := b.meta
	if m == nil {
		m = c.form(b.masters)
	}
	m.term++
	seed := c.fleet.Seed
	c.master = slices.MinFunc(b.masters, func(x, y *node) int {
		return strings.Compare(name22(seed, m.uuid, m.term, x.id), name22(seed, m.uuid, m.term, y.id))
	})
	c.masterAt = c.now
	carried := c.meta == m && slices.ContainsFunc(b.masters, func(n *node) bool { return n.seen == m && slices.Contains(c.members, n) })
	if !carried {
		// Nobody remembers who was there: transient settings are gone and every copy is looked for anew.
		c.members, m.transient = nil, settings{}
		for _, ix := range m.indices {
			ix.reset(c.now, "CLUSTER_RECOVERED")
		}
	}
	c.meta = m
	c.touch()
	for _, n := range slices.Clone(c.members) {
		if !n.alive() {
			c.remove(n)
		}
	}
	for _, n := range b.masters {
		if !slices.Contains(c.members, n) && c.mayJoin(n) {
			c.admit(n)
		}
	}
	if !c.master.version.zen1() && len(m.voting) == 0 && !slices.ContainsFunc(b.masters, func(n *node) bool { return n.version.zen1() }) {
		for _, n := range b.masters {
			m.voting = append(m.voting, n.id)
		}
		slices.Sort(m.voting)
	}
}

// form is the birth of a cluster. A second one where there was one before is what must never happen.
func (c *cluster) form(masters []*node) *meta {
	m := &meta{uuid: name22(c.fleet.Seed, "cluster", c.group, len(c.metas)), formed: len(c.metas),
		persistent: settings{}, transient: settings{}, templates: map[string]map[string]any{},
		composable: map[string]map[string]any{}, repos: map[string]map[string]any{}}
	if len(c.metas) > 0 {
		c.violate("blank masters formed a new cluster beside %s", c.metas[len(c.metas)-1].uuid)
	}
	c.metas = append(c.metas, m)
	return m
}

// secondMaster notes that another side could elect one too.
func (c *cluster) secondMaster() {
	var others []*node
	for _, n := range c.nodes {
		if c.eligible(n) && !n.upAt.After(c.now) && !n.frozen && n.side != c.master.side && !c.now.Before(n.noticedAt(c.master)) {
			others = append(others, n)
		}
	}
	if len(others) == 0 || !c.majority(others[0], c.meta, others) || others[0].side == c.faults.split {
		return
	}
	c.faults.split = others[0].side
	c.violate("two masters: %d of them elect another one on their side", len(others))
}

// reconfigure keeps the voting configuration an odd number of masters that are there, never fewer than three once there
// were three, and without the excluded ones.
func (c *cluster) reconfigure() {
	m := c.meta
	if len(m.voting) == 0 {
		return
	}
	excluded := func(id string) bool {
		return slices.ContainsFunc(m.exclusions, func(e exclusion) bool { return e.id == id })
	}
	var live, dead []string
	for _, n := range c.members {
		if c.eligible(n) && !excluded(n.id) {
			live = append(live, n.id)
		}
	}
	for _, id := range m.voting {
		if !slices.Contains(live, id) && !excluded(id) {
			dead = append(dead, id)
		}
	}
	slices.SortStableFunc(live, func(a, b string) int { return order(c, a) - order(c, b) })
	size := len(live) - (len(live)+1)%2
	if len(m.voting) >= 3 {
		size = max(size, 3)
	}
	all := append(live, dead...)
	want := slices.Clone(all[:min(max(size, 1), len(all))])
	slices.Sort(want)
	if len(want) > 0 && 2*min(len(live), len(want)) > len(want) && !slices.Equal(want, m.voting) {
		m.voting = want
		c.touch()
	}
}

// order prefers the master, then who votes already.
func order(c *cluster, id string) int {
	switch {
	case c.master.id == id:
		return 0
	case slices.Contains(c.meta.voting, id):
		return 1
	}
	return 2
}
