package crash_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// A wish is what the history's git says of a cluster.
type wish struct {
	path                          string
	data, masters                 int // masters 0: none of their own
	kibana, exporter              bool
	image                         int    // of Kibana
	port                          int    // of discovery
	tz                            string // of data nodes: a change needs a roll, and is held
	retired, suspended, reportsOn bool
}

// text is the cluster's file.
func (x wish) text(base string) string {
	change := func(old, new string) {
		if !strings.Contains(base, old) {
			panic(x.path + " has no " + old)
		}
		base = strings.Replace(base, old, new, 1)
	}
	if x.path == logs {
		change(moreMasters, replicas(moreMasters, strconv.Itoa(x.masters)))
		change(moreData, replicas(moreData, strconv.Itoa(x.data)))
		change("TZ: UTC", "TZ: "+x.tz)
		change(kibanaImage, fmt.Sprintf("kibana/kibana:7.17.%d", x.image))
		if !x.exporter {
			change(exporter, "")
		}
		if !x.kibana {
			change(fmt.Sprintf("kibana:\n  image: docker.elastic.co/kibana/kibana:7.17.%d\n", x.image), "")
		}
	} else {
		change("replicas: 3", fmt.Sprintf("replicas: %d", x.data))
	}
	change("port: ", fmt.Sprintf("memory: %dMiB\n  port: ", x.port))
	switch {
	case x.retired:
		base += "\nstate: retired\n"
	case x.suspended:
		base += "\nsuspend: {reason: storm}\n"
	case x.reportsOn:
		base += "\ndrift: report\n"
	}
	return base
}

func firstWish(path string) wish {
	x := wish{path: path, data: 3, tz: "UTC", port: 64}
	if path == logs {
		x.masters, x.kibana, x.exporter, x.image = 3, true, true, 28
	}
	return x
}

// next changes one thing or another.
func (x wish) next(rng *rand.Rand) wish {
	x.retired, x.suspended, x.reportsOn = false, false, false
	switch rng.IntN(12) {
	case 0, 1, 2:
		if x.data = 2 + rng.IntN(4); x.masters == 0 {
			x.data = 3 + rng.IntN(2)*2 // they elect among themselves
		}
	case 3:
		if x.masters > 0 {
			x.masters = 3 + rng.IntN(2)*2
		}
	case 4:
		x.kibana = !x.kibana
	case 5:
		x.exporter = !x.exporter
	case 6:
		x.image = 20 + rng.IntN(9)
	case 7:
		x.tz = []string{"UTC", "CET", "EST"}[rng.IntN(3)]
	case 8:
		x.retired = true
	case 9:
		x.suspended = true
	case 10:
		x.reportsOn = true
	case 11:
		x.port = 64 + rng.IntN(3)
	}
	return x
}

// reachable is the wish with all that could only be held made as it is by now: what is left must come about.
func (x wish) reachable(w *world) wish {
	group := marathon.AppID("/" + strings.Replace(strings.TrimSuffix(strings.TrimPrefix(x.path, "groups/"), "/cluster.yaml"), "/clusters/", "/", 1))
	x.retired, x.suspended, x.reportsOn, x.kibana, x.exporter = false, false, false, true, true
	if a := w.law.truth(group + "/es-datanode"); a != nil {
		x.data = max(x.data, a.instances)
		if env, _ := w.sim.Definition(group + "/es-datanode")["env"].(map[string]any); env["TZ"] != nil {
			x.tz, _ = env["TZ"].(string)
		}
	}
	if a := w.law.truth(group + "/es-master"); a != nil {
		x.masters = max(x.masters, a.instances)
	}
	return x
}

// A history is one random run.
type history struct {
	seed     uint64
	script   []marathonsim.Fault
	happened map[marathonsim.FaultKind]int
	trace    string
	broken   []string
	commits  int
	deaths   int
	writes   int
	span     time.Duration
}

var versions = []marathon.Version{{}, {Major: 1, Minor: 8, Patch: 222}, {Major: 1, Minor: 7, Patch: 236}, {Major: 1, Minor: 5, Patch: 15}}

// live runs the history of a seed.
func live(t *testing.T, seed uint64) (h history) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	h.seed = seed
	wishes := map[string]wish{}
	for _, path := range [][]string{{logs}, {catalog}, {logs, catalog}}[rng.IntN(3)] {
		wishes[path] = firstWish(path)
	}
	base := only(slices.Collect(maps.Keys(wishes))...)
	agents := marathonsim.DefaultAgents(6)
	weather := marathonsim.Weather{Requests: 120, Rate: 0.1, Length: 5 * time.Minute, World: 4, Late: 40 * time.Second,
		Agents: []string{agents[1].Hostname, agents[4].Hostname},
		Apps:   []string{"/search/logs/discovery", "/search/logs/es-master", "/search/catalog/es-datanode", "/search/logs/kibana"}}
	h.script = marathonsim.RandomFaults(seed, weather)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := newWorld(t, marathonsim.Options{Agents: agents, Seed: seed, Version: versions[rng.IntN(len(versions))]}, base)
		faults, err := w.sim.Faulty(h.script)
		w.check(err)
		w.way, w.law.staleReads = faults, true
		commit := func() {
			h.commits++
			for path, x := range wishes {
				w.write(path, x.text(base[path]))
			}
		}
		commit()
		for time.Since(start) < weather.Length {
			switch rng.IntN(25) {
			case 0:
				paths := slices.Sorted(maps.Keys(wishes))
				path := paths[rng.IntN(len(paths))]
				wishes[path] = wishes[path].next(rng)
				commit()
			case 1:
				w.kill = &kill{w.calls + 1 + rng.IntN(6), moment(rng.IntN(3))}
			}
			_, done := w.turn()
			time.Sleep(pace(done))
		}
		faults.Calm()
		w.kill = nil
		h.happened = faults.Happened()
		w.run(time.Minute) // what was late has arrived
		for path := range wishes {
			wishes[path] = wishes[path].reachable(w)
		}
		commit()
		if v := w.settle(); !v.Converged() {
			b := &strings.Builder{}
			_ = plan.Text(b, v.Plans())
			w.law.breaks("calm, and not converged:\n%s%s", table(v), b)
		}
		before := len(w.law.writes)
		for range 100 {
			w.turn()
			time.Sleep(busy)
		}
		if n := len(w.law.writes) - before; n > 0 {
			w.law.breaks("%d writes after everything had converged", n)
		}
		w.law.keep()
		h.trace, h.broken, h.deaths, h.writes, h.span = w.law.trace.String(), w.law.broken, w.deaths, len(w.law.writes), time.Since(start)
	})
	return h
}

func (h history) report(t *testing.T) {
	t.Helper()
	if len(h.broken) > 0 {
		t.Errorf("seed %d breaks the law; ESFLEET_SEED=%d go test ./test/crash -run History -v shows each call:\n  %s", h.seed, h.seed, strings.Join(h.broken, "\n  "))
	}
}

// Whatever happens, no law is broken at any call; and once nothing happens any more, everything becomes as the last
// commit says, and stays so.
func TestRandomHistoriesWithFaultsBreakNoLawAndConverge(t *testing.T) {
	if s := os.Getenv("ESFLEET_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("ESFLEET_SEED: %v", err)
		}
		h := live(t, seed)
		t.Logf("faults %v\n%s", h.script, h.trace)
		h.report(t)
		return
	}
	most, until := uint64(4), time.Now().Add(time.Hour)
	if all() {
		most, until = 1<<62, time.Now().Add(time.Minute)
	}
	var next atomic.Uint64
	var mu sync.Mutex
	sum := history{happened: map[marathonsim.FaultKind]int{}}
	runs, began := 0, time.Now()
	t.Run("histories", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1); seed <= most && time.Now().Before(until); seed = next.Add(1) {
					h := live(t, seed)
					h.report(t)
					mu.Lock()
					runs, sum.commits, sum.deaths, sum.writes, sum.span = runs+1, sum.commits+h.commits, sum.deaths+h.deaths, sum.writes+h.writes, sum.span+h.span
					for k, n := range h.happened {
						sum.happened[k] += n
					}
					mu.Unlock()
				}
			})
		}
	})
	b := &strings.Builder{}
	for _, k := range marathonsim.FaultKinds() {
		if n := sum.happened[k]; n > 0 {
			fmt.Fprintf(b, "  %-15s %d\n", k, n)
		}
	}
	t.Logf("%d histories of %s in %s: %d commits, %d deaths, %d writes\n%s", runs, (sum.span / time.Duration(max(runs, 1))).Round(time.Second),
		time.Since(began).Round(time.Second), sum.commits, sum.deaths, sum.writes, b)
}

func TestASeedReplaysItsHistoryByteForByte(t *testing.T) {
	seeds := []uint64{3}
	if all() {
		seeds = []uint64{3, 4, 5, 6, 7}
	}
	for _, seed := range seeds {
		a, b := live(t, seed), live(t, seed)
		if a.trace != b.trace {
			la, lb := strings.Split(a.trace, "\n"), strings.Split(b.trace, "\n")
			for i := range min(len(la), len(lb)) {
				if la[i] != lb[i] {
					t.Errorf("seed %d: call %d of %d and %d: %s and %s", seed, i, len(la), len(lb), la[i], lb[i])
					break
				}
			}
		}
		if len(a.trace) < 1000 {
			t.Errorf("seed %d: the trace is %q", seed, a.trace)
		}
	}
}
