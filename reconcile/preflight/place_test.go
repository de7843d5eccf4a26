package preflight

import (
	"fmt"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// pool is n agents host-1 … with 8 cpus, 32 GiB, 100,000 MiB of disk and ports 31000-31999, as change leaves them.
func pool(n int, change ...func(i int, a *Agent)) *Pool {
	p := &Pool{Known: true, Role: "search"}
	for i := 1; i <= n; i++ {
		a := Agent{ID: fmt.Sprintf("S%d", i), Hostname: fmt.Sprintf("host-%d", i), Attributes: map[string]string{"rack": fmt.Sprintf("r%d", (i-1)%3+1)},
			Total: Resources{CPUs: 8000, Mem: AmountOf(32 * 1024), Disk: AmountOf(100_000), Ports: Ports{{31000, 31999}}}}
		a.Free = a.Total
		for _, f := range change {
			f(i, &a)
		}
		p.Agents = append(p.Agents, a)
	}
	return p
}

// data is n new data nodes of 4 cpus, 30 GiB and 50,000 MiB, one to a host.
func data(n int, change ...func(*Item)) Item {
	it := Item{App: "/search/logs/es-datanode", Count: n, CPUs: 4000, Mem: AmountOf(30 * 1024), Disk: AmountOf(50_000), Ports: []int{0, 0}, Resident: true,
		Constraints: []marathon.Constraint{{"hostname", "UNIQUE"}}}
	for _, f := range change {
		f(&it)
	}
	return it
}

func constrained(c ...marathon.Constraint) func(*Item) { return func(it *Item) { it.Constraints = c } }

func stateless(it *Item) { it.Resident = false }

func on(hosts ...int) func(*Item) {
	return func(it *Item) {
		for _, h := range hosts {
			it.Placed = append(it.Placed, Placed{Host: fmt.Sprintf("host-%d", h), AgentID: fmt.Sprintf("S%d", h)})
		}
	}
}

func only(host int, f func(*Agent)) func(int, *Agent) {
	return func(i int, a *Agent) {
		if i == host {
			f(a)
		}
	}
}

func TestPlaceSaysWhetherThereIsRoomAndWhatIsLacking(t *testing.T) {
	small := Item{App: "/search/logs/es-master", Count: 3, CPUs: 500, Mem: AmountOf(2048), Constraints: []marathon.Constraint{{"hostname", "UNIQUE"}}}
	two := func(it *Item) { it.CPUs, it.Mem, it.Disk = 1000, AmountOf(1024), 1000 }
	cases := []struct {
		name string
		pool *Pool
		ask  Ask
		want Answer
		says string
	}{
		{"fits where each host takes one", pool(3), Ask{Items: []Item{data(3)}}, Fits, ""},
		{"is refused a host more than there are", pool(3), Ask{Items: []Item{data(4)}}, NoRoom, "es-datanode needs 4 hosts with 4 cpus, 30GiB memory, 50000MiB disk: 3 have it"},
		{"names the host that lacks the least first", pool(6, only(3, func(a *Agent) { a.Free.Mem = AmountOf(27 * 1024) }), only(5, func(a *Agent) { a.Free.CPUs, a.Free.Mem = 1000, 0 })),
			Ask{Items: []Item{data(6)}}, NoRoom, "4 have it; host-3 lacks 3GiB memory; host-5 lacks 3 cpus and lacks 30GiB memory"},
		{"does not put a second node on the host of a first", pool(3), Ask{Items: []Item{data(1, on(1, 2, 3))}}, NoRoom, "needs 1 more host with 4 cpus, 30GiB memory, 50000MiB disk: 0 have it; host-1, host-2, host-3: holds 1 already (hostname UNIQUE)"},
		{"puts as many on a host as MAX_PER allows", pool(2), Ask{Items: []Item{data(4, two, constrained(marathon.Constraint{"hostname", "MAX_PER", "2"}))}}, Fits, ""},
		{"puts no more on a host than MAX_PER allows", pool(2), Ask{Items: []Item{data(5, two, constrained(marathon.Constraint{"hostname", "MAX_PER", "2"}))}}, NoRoom, "needs room for 5 tasks"},
		{"keeps to the hosts that a pattern names", pool(6), Ask{Items: []Item{data(3, constrained(marathon.Constraint{"hostname", "UNIQUE"}, marathon.Constraint{"rack", "LIKE", "r1|r2"}))}}, Fits, ""},
		{"says which pattern a host does not meet", pool(4), Ask{Items: []Item{data(3, constrained(marathon.Constraint{"hostname", "UNIQUE"}, marathon.Constraint{"rack", "LIKE", "r1"}))}}, NoRoom, "host-2, host-3: does not meet rack LIKE r1"},
		{"takes one group for all where CLUSTER says so", pool(6), Ask{Items: []Item{data(2, constrained(marathon.Constraint{"hostname", "UNIQUE"}, marathon.Constraint{"rack", "CLUSTER"}))}}, Fits, ""},
		{"finds no group that is large enough", pool(6), Ask{Items: []Item{data(3, constrained(marathon.Constraint{"hostname", "UNIQUE"}, marathon.Constraint{"rack", "CLUSTER"}))}}, NoRoom, "does not meet rack CLUSTER"},
		{"spreads over groups", pool(3), Ask{Items: []Item{data(3, constrained(marathon.Constraint{"rack", "GROUP_BY", "3"}))}}, Fits, ""},
		{"has no agent with the attribute", pool(3), Ask{Items: []Item{data(1, constrained(marathon.Constraint{"disk", "UNIQUE"}))}}, NoRoom, "does not meet disk UNIQUE"},
		{"leaves what another needs more", pool(2, only(1, func(a *Agent) { a.Free.CPUs = 4000 })), Ask{Items: []Item{
			{App: "/a/x", Count: 1, CPUs: 4000}, {App: "/a/y", Count: 1, CPUs: 8000}}}, Fits, ""},
		{"says what is lacking beside what else comes", pool(3), Ask{Items: []Item{data(3, func(it *Item) { it.CPUs = 8000 }), small}}, NoRoom, "es-master needs 3 hosts with 0.5 cpus, 2GiB memory: 0 have it beside what else is to come; host-1, host-2, host-3: lacks 0.5 cpus"},
		{"gives nodes with volumes nothing that a role has for itself", pool(1, func(_ int, a *Agent) {
			a.Reserved, a.Free = map[string]Resources{"search": a.Free}, Resources{Ports: a.Free.Ports}
		}), Ask{Items: []Item{data(1)}}, NoRoom, "lacks 4 cpus"},
		{"gives tasks without volumes what their role has for itself", pool(1, func(_ int, a *Agent) {
			a.Reserved, a.Free = map[string]Resources{"search": {CPUs: 8000, Mem: a.Free.Mem, Disk: a.Free.Disk}}, Resources{Ports: a.Free.Ports}
		}), Ask{Items: []Item{data(1, stateless)}}, Fits, ""},
		{"gives nobody what another role has for itself", pool(1, func(_ int, a *Agent) {
			a.Reserved, a.Free = map[string]Resources{"ads": a.Free}, Resources{Ports: a.Free.Ports}
		}), Ask{Items: []Item{data(1, stateless)}}, NoRoom, "lacks 4 cpus"},
		{"takes nothing of everybody's where an app accepts its role only", pool(1), Ask{Items: []Item{data(1, stateless, func(it *Item) { it.Roles = []string{"search"} })}}, NoRoom, "lacks 4 cpus"},
		{"takes a mount disk whole", pool(1, func(_ int, a *Agent) { a.Free.Mounts = []Amount{AmountOf(2000)} }), Ask{Items: []Item{
			data(2, two, func(it *Item) { it.Mounts, it.Constraints = []Amount{AmountOf(500)}, nil })}}, NoRoom, "a mount disk of 500MiB: 1 has it"},
		{"takes the smallest mount disk that will do", pool(1, func(_ int, a *Agent) { a.Free.Mounts = []Amount{AmountOf(500), AmountOf(2000)} }), Ask{Items: []Item{
			data(1, two, func(it *Item) { it.Mounts = []Amount{AmountOf(500)} }), {App: "/a/b", Count: 1, Resident: true, Mounts: []Amount{AmountOf(1000)}}}}, Fits, ""},
		{"needs the very port where it is fixed", pool(2, only(1, func(a *Agent) { a.Free.Ports = a.Free.Ports.without(PortRange{31200, 31200}) })), Ask{Items: []Item{
			data(2, func(it *Item) { it.Ports = []int{31200} })}}, NoRoom, "host-1 has no free port 31200"},
		{"needs a free port for each", pool(1, func(_ int, a *Agent) { a.Free.Ports = Ports{{31000, 31000}} }), Ask{Items: []Item{data(1)}}, NoRoom, "lacks 1 port"},
		{"counts no agent that takes no tasks", pool(3, only(2, func(a *Agent) { a.Down = "deactivated" })), Ask{Items: []Item{data(3)}}, NoRoom, "host-2 takes no tasks: deactivated"},
		{"counts what an instance frees that is gone before", pool(1, func(_ int, a *Agent) {
			a.Held, a.Free = map[marathon.InstanceID]Resources{"u-1": a.Free}, Resources{}
		}), Ask{Items: []Item{data(1)}, Frees: []marathon.InstanceID{"u-1"}}, Fits, ""},
		{"keeps to the limit of a role", func() *Pool {
			p := pool(3)
			left := AmountOf(10)
			p.Headroom = map[string]Headroom{"search": {CPUs: &left}}
			return p
		}(), Ask{Items: []Item{data(3)}}, NoRoom, "role search may take 10 cpus more before its limit in Mesos, and this needs 12 cpus"},
		{"does not know where the pool is not known", &Pool{Why: "Mesos does not answer"}, Ask{Items: []Item{data(1)}}, Unknown, "Mesos does not answer"},
		{"does not claim that there is no room while agents come back", func() *Pool { p := pool(1); p.Returning = 2; return p }(), Ask{Items: []Item{data(2)}}, Unknown, "2 agents not back yet"},
		{"does not judge a pattern that only Java knows", pool(3), Ask{Items: []Item{data(1, constrained(marathon.Constraint{"rack", "LIKE", "(?=r)r1"}))}}, Unknown, "(?=r)r1"},
		{"says no all the same where such a pattern does not matter", pool(3, func(_ int, a *Agent) { a.Free.CPUs = 0 }), Ask{Items: []Item{data(1, constrained(marathon.Constraint{"rack", "LIKE", "(?=r)r1"}))}}, NoRoom, "lacks 4 cpus"},
		{"asks nothing where nothing is to be placed", pool(0), Ask{}, Fits, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := Place(c.pool, c.ask)
			if v.Answer != c.want || !strings.Contains(v.Why, c.says) {
				t.Errorf("%s: %s\nwant %s: …%s…", v.Answer, v.Why, c.want, c.says)
			}
			if v.Answer == Fits && sum(v.Placement) != c.ask.Count() {
				t.Errorf("%d of %d are placed: %v", sum(v.Placement), c.ask.Count(), v.Placement)
			}
		})
	}
}

func sum(placed []Assignment) int {
	n := 0
	for _, x := range placed {
		n += x.Count
	}
	return n
}

func TestItIsToldWhereTheOrderMatters(t *testing.T) {
	p := pool(2, only(1, func(a *Agent) { a.Free.CPUs = 4000 }))
	x, y := Item{App: "/a/x", Count: 1, CPUs: 4000}, Item{App: "/a/y", Count: 1, CPUs: 8000}
	if v := Place(p, Ask{Items: []Item{x, y}}); v.Answer != Fits || v.AnyOrder {
		t.Errorf("x on the larger host would leave no place for y, and it is said: %+v", v)
	}
	if v := Place(p, Ask{Items: []Item{x}}); !v.AnyOrder {
		t.Errorf("x fits either host: %+v", v)
	}
}

func TestWhatIsClaimedIsGoneForTheNext(t *testing.T) {
	p, ask := pool(3), Ask{Items: []Item{data(2)}}
	left := p.Claim(ask, Place(p, ask).Placement)
	if v := Place(&left, ask); v.Answer != NoRoom {
		t.Errorf("two of three hosts are taken, and two more are found: %+v", v)
	}
	if v := Place(p, ask); v.Answer != Fits {
		t.Errorf("the pool itself has changed: %+v", v)
	}
}
