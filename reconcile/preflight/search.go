package preflight

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// mostSteps bounds the search. To pack boxes is hard; what people ask for is not, and ends within a few hundred.
const mostSteps = 50_000

// A search tries to place the items, one instance after the other, the most demanding item first.
type search struct {
	pool   *Pool
	ask    Ask
	items  []*Item
	hosts  []host
	fits   [][]bool       // by item and host: what does not depend on where others are
	placed [][]*Agent     // by item: where its instances are, as constraints count them
	lost   []bool         // by item: an instance of it is on an agent that is not in the pool
	fields []string       // that constraints compare between instances, but the hostname
	twins  map[string]int // agents, by hostname
	steps  int
	depth  int // instances placed
	best   int
	stuck  shortfall // what was lacking when most were placed
}

// A host is an agent in the middle of a search.
type host struct {
	agent *Agent
	room  room
	new   []int  // instances placed, by item
	kind  string // equal hosts need not be tried twice; "" if not known at the moment
}

func newSearch(p *Pool, a Ask) *search {
	s := &search{pool: p, ask: a, best: -1, twins: map[string]int{}}
	for i := range a.Items {
		if a.Items[i].Count > 0 {
			s.items = append(s.items, &a.Items[i])
		}
	}
	role := s.items[0].role(p.Role)
	for i := range p.Agents {
		if g := &p.Agents[i]; g.Down == "" {
			s.twins[g.Hostname]++
			s.hosts = append(s.hosts, host{agent: g, room: roomOf(g, role, a.Frees), new: make([]int, len(s.items))})
		}
	}
	s.order()
	byID := map[string]*Agent{}
	for i := range p.Agents {
		byID[p.Agents[i].ID] = &p.Agents[i]
	}
	for _, it := range s.items {
		placed, lost := whereabouts(it, byID)
		s.placed, s.lost = append(s.placed, placed), append(s.lost, lost)
		fits := make([]bool, len(s.hosts))
		for h := range s.hosts {
			fits[h] = len(s.unfit(it, s.hosts[h].agent)) == 0
		}
		s.fits = append(s.fits, fits)
		for _, c := range it.Constraints {
			if !c.Static() && !c.OfHost() && !slices.Contains(s.fields, c.Field()) {
				s.fields = append(s.fields, c.Field())
			}
		}
	}
	return s
}

// whereabouts are the agents of an item's instances. Of one that the master does not know only the hostname is told; then
// constraints on anything else cannot be counted.
func whereabouts(it *Item, byID map[string]*Agent) (agents []*Agent, lost bool) {
	for _, x := range it.Placed {
		if g := byID[x.AgentID]; g != nil {
			agents = append(agents, g)
			continue
		}
		agents = append(agents, &Agent{Hostname: x.Host})
		lost = lost || slices.ContainsFunc(it.Constraints, func(c marathon.Constraint) bool { return !c.Static() && !c.OfHost() })
	}
	return agents, lost
}

// order puts first what asks for the largest part of an agent.
func (s *search) order() {
	var most Resources
	for h := range s.hosts {
		t := &s.hosts[h].agent.Total
		most.CPUs, most.Mem, most.Disk = max(most.CPUs, t.CPUs), max(most.Mem, t.Mem), max(most.Disk, t.Disk)
	}
	share := func(it *Item) float64 {
		part := func(a, of Amount) float64 { return float64(a) / float64(max(1, of)) }
		return max(part(it.CPUs, most.CPUs), part(it.Mem, most.Mem), part(it.Disk, most.Disk), float64(len(it.Mounts)))
	}
	slices.SortStableFunc(s.items, func(a, b *Item) int { return cmp.Compare(share(b), share(a)) })
}

// place puts left more instances of an item, and then all items after it, where they fit: on hosts from on, so that no two
// ways differ only in the order. An item whose constraint looks at the order begins anew each time.
func (s *search) place(item, left, from int) bool {
	if left == 0 {
		if item++; item == len(s.items) {
			return true
		}
		if why := s.lacking(item); why.why != "" {
			s.note(why)
			return false
		}
		left, from = s.items[item].Count, 0
	}
	it := s.items[item]
	if ordered(it) {
		from = 0
	}
	var failed map[string]bool
	tried := false
	for h := from; h < len(s.hosts); h++ {
		if !s.may(item, h) {
			continue
		}
		if failed[s.kindIf(failed != nil, h)] {
			continue
		}
		if s.steps++; s.steps > mostSteps {
			return false
		}
		tried = true
		before := s.put(item, h)
		if s.place(item, left-1, h) {
			return true
		}
		s.take(item, h, before)
		if failed == nil {
			failed = map[string]bool{}
		}
		failed[s.kindIf(true, h)] = true
	}
	if !tried && s.depth > s.best {
		s.note(s.explain(item, left))
	}
	return false
}

// ordered says that it matters in which order the instances of an item come.
func ordered(it *Item) bool {
	return slices.ContainsFunc(it.Constraints, func(c marathon.Constraint) bool { return c.Operator() == "GROUP_BY" })
}

func (s *search) note(why shortfall) {
	if s.depth > s.best {
		s.best, s.stuck = s.depth, why
	}
}

// may says that one more instance of an item fits a host as everything stands.
func (s *search) may(item, h int) bool {
	it := s.items[item]
	if !s.fits[item][h] || s.hosts[h].room.lacks(it, s.pool.Role) {
		return false
	}
	for _, c := range it.Constraints {
		if !c.Static() && c.Readable() && !marathon.MeetsConstraint(c, s.hosts[h].agent, s.placed[item]) {
			return false
		}
	}
	return true
}

func (s *search) put(item, h int) room {
	x := &s.hosts[h]
	before := x.room
	x.room = x.room.take(s.items[item], s.pool.Role)
	x.new[item]++
	x.kind = ""
	s.placed[item] = append(s.placed[item], x.agent)
	s.depth++
	return before
}

func (s *search) take(item, h int, before room) {
	x := &s.hosts[h]
	x.room = before
	x.new[item]--
	x.kind = ""
	s.placed[item] = s.placed[item][:len(s.placed[item])-1]
	s.depth--
}

// kindIf is a text that is equal for hosts between which no item can tell. It is worked out only where it is needed.
func (s *search) kindIf(needed bool, h int) string {
	x := &s.hosts[h]
	if !needed {
		return ""
	}
	if x.kind != "" {
		return x.kind
	}
	if s.twins[x.agent.Hostname] > 1 { // what comes to one of them counts for the other
		x.kind = x.agent.ID
		return x.kind
	}
	x.kind = fmt.Sprint(x.room, x.new)
	for i := range s.items {
		x.kind += fmt.Sprint(" ", s.fits[i][h], s.hasOn(i, x.agent))
	}
	for _, f := range s.fields {
		v, ok := x.agent.Field(f)
		x.kind += fmt.Sprintf(" %q %t", v, ok)
	}
	return x.kind
}

// hasOn counts an item's instances on the agent's host.
func (s *search) hasOn(item int, g *Agent) int {
	n := 0
	for _, p := range s.placed[item] {
		if p.Hostname == g.Hostname {
			n++
		}
	}
	return n
}
