package preflight

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// tinyPool is up to four agents of a few cpus, MiB and ports, so that things are scarce.
func tinyPool(t *rapid.T) *Pool {
	p := &Pool{Known: true, Role: "search"}
	few := func(most int, what string) Amount { return Amount(rapid.IntRange(0, most).Draw(t, what)) * 1000 }
	for i := range rapid.IntRange(0, 4).Draw(t, "agents") {
		a := Agent{ID: fmt.Sprint("S", i), Hostname: fmt.Sprint("h", rapid.IntRange(0, 3).Draw(t, "host")), Attributes: map[string]string{}}
		if rapid.Bool().Draw(t, "has a rack") {
			a.Attributes["rack"] = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "rack")
		}
		a.Free = Resources{CPUs: few(3, "cpus"), Mem: few(3, "mem"), Disk: few(2, "disk"), Ports: NewPorts([]PortRange{{1, rapid.IntRange(0, 3).Draw(t, "ports")}})}
		a.Reserved = map[string]Resources{"search": {CPUs: few(1, "own cpus"), Mem: few(1, "own mem")}}
		for range rapid.IntRange(0, 1).Draw(t, "mounts") {
			a.Free.Mounts = []Amount{1000 + few(1, "mount")}
		}
		a.Total = a.Free
		if rapid.IntRange(0, 9).Draw(t, "down") == 0 {
			a.Down = "deactivated"
		}
		p.Agents = append(p.Agents, a)
	}
	return p
}

var tinyConstraints = []marathon.Constraint{{"hostname", "UNIQUE"}, {"hostname", "MAX_PER", "2"}, {"rack", "UNIQUE"}, {"rack", "CLUSTER"},
	{"rack", "CLUSTER", "a"}, {"rack", "LIKE", "a|b"}, {"rack", "UNLIKE", "a"}, {"rack", "GROUP_BY"}, {"rack", "GROUP_BY", "2"}, {"rack", "MAX_PER", "1"}}

func tinyAsk(t *rapid.T) Ask {
	var a Ask
	left := 4
	for i := range rapid.IntRange(1, 3).Draw(t, "items") {
		n := rapid.IntRange(0, min(left, 3)).Draw(t, "count")
		left -= n
		it := Item{App: marathon.AppID(fmt.Sprint("/app", i)), Count: n, CPUs: Amount(rapid.IntRange(0, 2).Draw(t, "wants cpus")) * 1000,
			Mem: Amount(rapid.IntRange(0, 2).Draw(t, "wants mem")) * 1000, Resident: rapid.Bool().Draw(t, "resident")}
		if it.Resident {
			it.Disk = Amount(rapid.IntRange(0, 1).Draw(t, "wants disk")) * 1000
			if rapid.IntRange(0, 3).Draw(t, "wants a mount") == 0 {
				it.Mounts = []Amount{1000}
			}
		}
		it.Constraints = rapid.SliceOfN(rapid.SampledFrom(tinyConstraints), 0, 2).Draw(t, "constraints")
		it.Ports = rapid.SliceOfN(rapid.SampledFrom([]int{0, 2}), 0, 1).Draw(t, "wants ports")
		if rapid.IntRange(0, 2).Draw(t, "has one already") == 0 {
			it.Placed = []Placed{{Host: "h0", AgentID: "S0"}}
		}
		a.Items = append(a.Items, it)
	}
	return a
}

// exhaust tries every agent for every instance in every order of the instances. It shares no line with the search but the
// words of constraints.
func exhaust(p *Pool, a Ask) bool {
	left := make([]int, len(a.Items))
	placed := make([][]*Agent, len(a.Items))
	for i := range a.Items {
		left[i] = a.Items[i].Count
		for _, x := range a.Items[i].Placed {
			g := &Agent{Hostname: x.Host}
			for k := range p.Agents {
				if p.Agents[k].ID == x.AgentID {
					g = &p.Agents[k]
				}
			}
			placed[i] = append(placed[i], g)
		}
	}
	type used struct {
		open, own, openDisk Amount
		openMem, ownMem     Amount
		ports               []bool // of three
		mount               bool
	}
	state := make([]used, len(p.Agents))
	for k := range state {
		state[k].ports = make([]bool, 4)
	}
	var try func() bool
	put := func(i, k int, then func() bool) bool {
		g, it := &p.Agents[k], &a.Items[i]
		if g.Down != "" {
			return false
		}
		for _, c := range it.Constraints {
			if !marathon.MeetsConstraint(c, g, placed[i]) {
				return false
			}
		}
		before := state[k]
		before.ports = slices.Clone(before.ports)
		defer func() { state[k] = before }()
		st := &state[k]
		ownCPU, ownMem := g.Reserved["search"].CPUs-st.own, g.Reserved["search"].Mem-st.ownMem
		if it.Resident {
			ownCPU, ownMem = 0, 0
		}
		ownCPU, ownMem = min(ownCPU, it.CPUs), min(ownMem, it.Mem)
		st.own, st.ownMem = st.own+ownCPU, st.ownMem+ownMem
		st.open, st.openMem, st.openDisk = st.open+it.CPUs-ownCPU, st.openMem+it.Mem-ownMem, st.openDisk+it.Disk
		if st.open > g.Free.CPUs || st.openMem > g.Free.Mem || st.openDisk > g.Free.Disk {
			return false
		}
		if len(it.Mounts) > 0 {
			if st.mount || len(g.Free.Mounts) == 0 {
				return false
			}
			st.mount = true
		}
		placed[i] = append(placed[i], g)
		defer func() { placed[i] = placed[i][:len(placed[i])-1] }()
		if len(it.Ports) == 0 {
			return then()
		}
		for port := 1; port <= 3; port++ {
			if (it.Ports[0] != 0 && it.Ports[0] != port) || !g.Free.Ports.has(port) || st.ports[port] {
				continue
			}
			st.ports[port] = true
			if then() {
				return true
			}
			state[k].ports[port] = false
		}
		return false
	}
	try = func() bool {
		done := true
		for i := range a.Items {
			if left[i] == 0 {
				continue
			}
			done = false
			left[i]--
			for k := range p.Agents {
				if put(i, k, try) {
					left[i]++
					return true
				}
			}
			left[i]++
		}
		return done
	}
	return try()
}

func TestThereIsAPlacementExactlyWhereAnExhaustiveSearchFindsOne(t *testing.T) {
	answers := map[Answer]int{}
	rapid.Check(t, func(t *rapid.T) {
		p, a := tinyPool(t), tinyAsk(t)
		v := Place(p, a)
		answers[v.Answer]++
		if v.Answer == Unknown {
			return // an instance on an agent that is not there
		}
		if exists := exhaust(p, a); exists != (v.Answer == Fits) {
			t.Fatalf("%s: %s; an exhaustive search finds one: %t", v.Answer, v.Why, exists)
		}
		if v.Answer == NoRoom && v.Why == "" {
			t.Fatal("there is no room, and nobody is told why")
		}
	})
	if answers[Fits] == 0 || answers[NoRoom] == 0 {
		t.Errorf("only one answer was ever given: %v", answers)
	}
}

// A placement that is shown must hold when it is carried out, agent by agent, with what each item asks for.
func TestAPlacementCanBeCarriedOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, a := tinyPool(t), tinyAsk(t)
		v := Place(p, a)
		if v.Answer != Fits {
			return
		}
		if sum(v.Placement) != a.Count() {
			t.Fatalf("%d instances are asked for and %d are placed", a.Count(), sum(v.Placement))
		}
		// Each agent alone must hold what is put there, whoever comes first.
		for _, g := range p.Agents {
			one := &Pool{Known: true, Role: p.Role, Agents: []Agent{g}}
			var here Ask
			for _, x := range v.Placement {
				if x.AgentID != g.ID {
					continue
				}
				for _, it := range a.Items {
					if it.App == x.App {
						it.Count, it.Placed, it.Constraints = x.Count, nil, nil
						here.Items = append(here.Items, it)
					}
				}
			}
			if !exhaust(one, here) {
				t.Fatalf("agent %s cannot hold %v", g.ID, v.Placement)
			}
		}
	})
}

// When it is said to fit in any order, then whoever comes first and goes wherever it fits, nobody is left without a place.
func TestWhatFitsInAnyOrderIsPlacedInAnyOrder(t *testing.T) {
	sure := 0
	rapid.Check(t, func(t *rapid.T) {
		p, a := tinyPool(t), tinyAsk(t)
		for i := range a.Items {
			a.Items[i].Ports = nil // a port drawn at random may be one that is fixed elsewhere
		}
		v := Place(p, a)
		if v.Answer != Fits || !v.AnyOrder || a.Count() == 0 {
			return
		}
		sure++
		s := newSearch(p, a)
		left := make([]int, len(s.items))
		for i, it := range s.items {
			left[i] = it.Count
		}
		for n := a.Count(); n > 0; n-- {
			var can [][2]int
			for i := range s.items {
				fits := false
				for h := range s.hosts {
					if left[i] > 0 && s.may(i, h) {
						can, fits = append(can, [2]int{i, h}), true
					}
				}
				if left[i] > 0 && !fits {
					t.Fatalf("%s finds no place any more", s.items[i].App)
				}
			}
			next := can[rapid.IntRange(0, len(can)-1).Draw(t, "who comes where")]
			left[next[0]]--
			s.put(next[0], next[1])
		}
	})
	if sure == 0 {
		t.Error("nothing was ever said to fit in any order")
	}
}
