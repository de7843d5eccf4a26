package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// keyExclude is what esfleet sets while nodes leave.
const keyExclude = "cluster.routing.allocation.exclude._name"

// A leaver is a node that is to go for good, and why.
type leaver struct {
	place
	why string
	// waits is how long its volume is kept after it has stopped.
	waits time.Duration
}

// addOlderGenerations finds apps of this cluster's data that git has followed by another generation.
func (m *maker) addOlderGenerations() {
	n := m.want.Spec.Nodes[spec.Data]
	if n == nil {
		return
	}
	for g := n.Generation - 1; g >= 1; g-- {
		old := *m.want.Spec
		nodes := *n
		nodes.Generation = g
		old.Nodes = maps.Clone(old.Nodes)
		old.Nodes[spec.Data] = &nodes
		if live := m.live(render.AppIDOf(&old, spec.Data)); live != nil && m.ours(live) {
			m.roles = append(m.roles, m.roleOf(&old, spec.Data, nil, live, nil))
		}
	}
}

// leavers are all nodes that are to go, worked out once: whom git names, whole older generations, and as many as there
// are more than git wants. Who has begun to go is chosen again, so that a restart of the daemon changes nothing.
func (m *maker) leavers() []leaver {
	if m.going != nil {
		return *m.going
	}
	var out []leaver
	m.going = &out
	defer func() { m.out.Leaving = m.leavingNames() }()
	hold := m.want.Spec.Rollout.Hold
	for i := range m.roles {
		r := &m.roles[i]
		gone := map[int]bool{}
		for j := range r.slots {
			if r.want == nil {
				out, gone[j] = append(out, leaver{place{r, &r.slots[j]}, "its generation is followed by another", hold}), true
			} else if x := m.namedFor(r.slots[j]); x != nil {
				out, gone[j] = append(out, leaver{place{r, &r.slots[j]}, "git gives it up for a blank one (" + x.Pos.String() + ")", 0}), true
			}
		}
		if r.want == nil {
			continue
		}
		for _, j := range m.surplus(r, len(r.slots)-r.declared()) {
			if gone[j] || len(gone) > 0 && !r.slots[j].down {
				continue // one thing after the other; who has left already does not come back for it
			}
			out = append(out, leaver{place{r, &r.slots[j]}, fmt.Sprintf("git wants %d nodes", r.declared()), hold})
		}
	}
	return out
}

// surplus chooses n slots of r: first those that have begun to leave, then the last by name, never the elected master if
// another will do. A node that is stopped and has not begun to leave was stopped for its turn: nobody has drained it, so
// it comes back before anything else is done with it. While the cluster does not tell who has begun, it stays where it is.
func (m *maker) surplus(r *role, n int) []int {
	if n <= 0 {
		return nil
	}
	h := &m.facts.Elasticsearch
	begun := map[string]bool{}
	for _, name := range append(esgate.Excluded(h), h.VotingExclusions...) {
		begun[name] = true
	}
	stopped := func(s *slot) bool { return s.down && r.stopped > 0 && !begun[s.node] }
	rank := func(j int) int {
		s := &r.slots[j]
		switch {
		case begun[s.node] && s.down:
			return 0
		case stopped(s):
			return 1
		case begun[s.node]:
			return 2
		case s.node == h.Master:
			return 4
		}
		return 3
	}
	var order []int
	for j := range r.slots {
		if !h.Known || !stopped(&r.slots[j]) {
			order = append(order, j)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(r.slots[b].node, r.slots[a].node)
	})
	return order[:min(n, len(order))]
}

// namedFor is git's word that gives a slot up; nil if there is none.
func (m *maker) namedFor(s slot) *spec.Replacement {
	for i, x := range m.want.Spec.Replace {
		if x.Instance == string(s.instance) {
			return &m.want.Spec.Replace[i]
		}
	}
	return nil
}

// named are the replacements of git whose instance still lives; the others are done.
func (m *maker) named() []spec.Replacement {
	var out []spec.Replacement
	for i := range m.roles {
		for _, s := range m.roles[i].slots {
			if x := m.namedFor(s); x != nil {
				out = append(out, *x)
			}
		}
	}
	return out
}

func (m *maker) isLeaving(s slot) bool {
	return slices.ContainsFunc(m.leavers(), func(l leaver) bool { return l.slot.instance == s.instance })
}

func (m *maker) leavingNames() []string {
	var out []string
	for _, l := range m.leavers() {
		out = append(out, l.slot.node)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// leave takes nodes out of the cluster: drained, proven empty twice, stopped, kept for a while, wiped. Data nodes drain
// together and stop one after the other; masters go one at a time from the first step on.
func (m *maker) leave() bool {
	if m.dropEmpty() {
		return true
	}
	going := slices.Clone(m.leavers())
	if m.spreads() { // nobody leaves in the middle of a change who is not gone already
		going = slices.DeleteFunc(going, func(l leaver) bool { return l.slot.up && !m.followed(l) })
	}
	if len(going) == 0 {
		return false
	}
	slices.SortStableFunc(going, func(a, b leaver) int {
		if m.lost(a) && m.lost(b) && a.role.component != b.role.component {
			return dataFirst(a) - dataFirst(b) // the loss of its copies may be what the other waits for the end of
		}
		return leaveRank(a) - leaveRank(b)
	})
	if m.drain(going) {
		return true
	}
	for _, l := range going {
		if m.goes(l) {
			m.leaveLater(going, l)
			return true
		}
	}
	return false
}

// followed says that the node's generation is followed by one whose nodes are all up. Then the older one goes first, also
// before a further change: while two generations share hosts, a rule may forbid the turns of either.
func (m *maker) followed(l leaver) bool {
	d := m.dataRole()
	return l.role.want == nil && d != nil && d.steady()
}

// dropEmpty removes the app of an older generation when nothing is left in it: no node and no volume.
func (m *maker) dropEmpty() bool {
	for i := range m.roles {
		if r := &m.roles[i]; r.want == nil && r.live.Instances == 0 && len(r.slots) == 0 {
			m.step(Step{Verb: DeleteApp, App: r.live.ID, Component: r.component, Seen: r.live.Version, Pos: m.want.Spec.OriginOf("nodes.data.generation"),
				Why: "its generation is followed by another, and neither a node nor a volume is left in it"})
			return true
		}
	}
	return false
}

// spreads says that a change is on its way over the nodes, or about to be.
func (m *maker) spreads() bool {
	for i := range m.roles {
		if r := &m.roles[i]; r.want != nil && (m.oldOnes(r) > 0 || r.updates() && !m.shrinksZen1()) {
			return true
		}
	}
	return false
}

// shrinksZen1: the number of masters that the file of every node demands for a quorum goes down with the change, so the
// masters leave before it.
func (m *maker) shrinksZen1() bool {
	return quorumInFile(m.want.Spec.Elasticsearch) && len(m.leavingMasters()) > 0
}

func dataFirst(l leaver) int {
	if l.role.component == spec.Data {
		return 0
	}
	return 1
}

// leaveRank puts those first that are furthest on their way, but one that is gone by itself before all: as long as it is
// counted, no volume may be wiped.
func leaveRank(l leaver) int {
	switch {
	case l.stopped():
		return 1
	case !l.slot.up:
		return 0
	}
	return 2
}

// gone counts, beside s, the nodes that git gives up by name and that are no members any more, by what they are.
func (m *maker) gone(s *slot) (masters, data int) {
	for _, l := range m.leavers() {
		if s != nil && l.slot.instance == s.instance || !m.lost(l) || m.facts.Elasticsearch.Node(l.slot.node) != nil {
			continue
		}
		if l.role.component == spec.Data {
			data++
		}
		if l.role.component == m.want.Spec.MasterComponent() {
			masters++
		}
	}
	return masters, data
}

// lost says that git gives the node up by name, and that Marathon does not know it as up. It may still be a member.
func (m *maker) lost(l leaver) bool {
	return m.namedFor(*l.slot) != nil && !l.slot.up && !l.stopped()
}

// lostBeside are the slots that are lost as l is: with an agent's nodes none waits for the others.
func (m *maker) lostBeside(l leaver) []*slot {
	var out []*slot
	for _, x := range m.leavers() {
		if m.lost(l) && m.lost(x) {
			out = append(out, x.slot)
		}
	}
	return out
}

// stopped says that the node was removed: only its volume is left, or an agent that is gone too.
func (l leaver) stopped() bool {
	return l.slot.down || l.slot.task.Unreachable() && l.role.stopped > l.role.downOnes()
}

// drain keeps new shards away from data nodes that leave, and lets Elasticsearch move theirs. Before version 7 masters
// that leave are named just so: it tells later who was stopped for good, and who only for a turn.
func (m *maker) drain(going []leaver) bool {
	h := &m.facts.Elasticsearch
	excluded := esgate.Excluded(h)
	var names []string
	var first *leaver
	for i, l := range going {
		if (l.role.component == spec.Data || quorumInFile(m.want.Spec.Elasticsearch)) && !slices.Contains(excluded, l.slot.node) {
			names = append(names, l.slot.node)
			if first == nil {
				first = &going[i]
			}
		}
	}
	if first == nil {
		return false
	}
	t := m.touch(esgate.Drain, first.role, first.slot)
	if m.refusal(t, first.role, "draining "+shortList(names), m.leavePos(*first)) {
		return true
	}
	all := slices.Concat(excluded, names)
	slices.Sort(all)
	value := strings.Join(slices.Compact(all), ",")
	m.step(Step{Verb: DrainNodes, App: first.role.live.ID, Component: first.role.component, Node: shortList(names), Touch: &t, Seen: first.role.live.Version,
		From: first.role.live.Instances, Instances: first.role.live.Instances, Change: &esgate.Change{Persistent: map[string]*string{keyExclude: &value}},
		Pos: m.leavePos(*first), Why: fmt.Sprintf("%s; Elasticsearch moves the shards away", first.why)})
	m.leaveLater(going, leaver{})
	return true
}

// goes takes the next step of one leaver and says whether there was one, or something to wait for.
func (m *maker) goes(l leaver) bool {
	h := &m.facts.Elasticsearch
	voter := l.role.component == m.want.Spec.MasterComponent()
	if voter && !l.stopped() && !quorumInFile(m.want.Spec.Elasticsearch) && !slices.Contains(h.VotingExclusions, l.slot.node) {
		m.step(Step{Verb: ChangeCluster, App: l.role.live.ID, Component: l.role.component, Node: l.slot.node, Seen: l.role.live.Version,
			From: l.role.live.Instances, Instances: l.role.live.Instances, Change: &esgate.Change{ExcludeVotes: []string{l.slot.node}}, Pos: m.leavePos(l), Why: l.slot.node + " leaves and votes no longer: " + l.why})
		return true
	}
	if l.stopped() {
		return m.wipe(l)
	}
	t := m.touch(esgate.Stop, l.role, l.slot)
	if m.refusal(t, l.role, "removing "+l.slot.node, m.leavePos(l)) {
		return true
	}
	if m.neighbours(l.place, m.lostBeside(l)...) {
		return true
	}
	stop := Step{Verb: RemoveNode, App: l.role.live.ID, Component: l.role.component, Node: l.slot.node, Task: l.slot.task.ID, From: l.role.live.Instances,
		Instances: l.role.live.Instances - 1, Seen: l.role.live.Version, Touch: &t, Also: m.also(l.role.live.ID), Pos: m.leavePos(l), Why: l.why + "; it holds no shard"}
	if !m.detach(l.place, stop) {
		m.step(stop)
	}
	return true
}

// wipe destroys the volume of a node that was removed, when the time to think again is over or its place is needed.
func (m *maker) wipe(l leaver) bool {
	// A removal is a scaling, so the app's version is when it happened; a later change only makes the window longer.
	if left := l.waits - m.facts.Now.Sub(l.role.live.Version); left > 0 && !m.placeNeeded(l) {
		m.wait(Wait{App: l.role.live.ID, Component: l.role.component, Node: l.slot.node, Rule: RuleUndoWindow,
			Why: fmt.Sprintf("%s is stopped; its volume is kept for %s more", l.slot.node, left.Round(time.Second))})
		return false // the next one need not wait for that: who goes is named to Marathon
	}
	t := m.touch(esgate.Wipe, l.role, l.slot)
	if m.refusal(t, l.role, "wiping "+l.slot.node, m.leavePos(l)) {
		return true
	}
	m.step(Step{Verb: WipeNode, App: l.role.live.ID, Component: l.role.component, Node: l.slot.node, Task: l.slot.task.ID, From: l.role.live.Instances,
		Instances: l.role.live.Instances, Seen: l.role.live.Version, Touch: &t, Pos: m.leavePos(l), Why: l.why + "; all of its documents are elsewhere"})
	return true
}

// placeNeeded says that git wants something that a stopped instance would disturb: it could come back in the place of
// another node.
func (m *maker) placeNeeded(l leaver) bool {
	if l.role.want == nil {
		return false
	}
	return l.role.live.Instances < l.role.declared() || l.role.updates() || m.oldOnes(l.role) > 0
}

func (m *maker) leavePos(l leaver) spec.Pos {
	if x := m.namedFor(*l.slot); x != nil {
		return x.Pos
	}
	if l.role.want == nil {
		return m.want.Spec.OriginOf("nodes.data.generation")
	}
	return m.origin(l.role.want, "replicas")
}

// leaveLater lists what comes after the step that is due.
func (m *maker) leaveLater(going []leaver, now leaver) {
	for _, l := range going {
		if l.slot == now.slot || l.stopped() {
			continue
		}
		m.step(Step{Verb: RemoveNode, App: l.role.live.ID, Component: l.role.component, Node: l.slot.node, From: l.role.live.Instances,
			Instances: l.role.live.Instances - 1, After: l.slot.node + " is empty, seen twice", Pos: m.leavePos(l), Why: l.why})
	}
}

// ours says that a live app carries this fleet's label.
func (m *maker) ours(live *marathon.App) bool {
	return live.Labels[marathon.LabelFleet] == string(m.want.Spec.Fleet)
}
