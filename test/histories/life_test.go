package histories_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/test/histories/world"
)

// order is that of the kinds of faults, for drawing.
var order []kind

func init() { order = slices.Sorted(maps.Keys(faults)) } // the functions lead back to it

// A life is one history being lived.
type life struct {
	w    *world.World
	stop func() // of the daemon
	wish wish
	past []wish

	mu       sync.Mutex // what happens at its time happens beside the daemon
	ends     []func()   // of what still lasts
	happened map[kind]int
	commits  int
}

// A result is what became of a history.
type result struct {
	happened map[kind]int
	checked  map[string]int
	broken   []string
	trace    string
	commits  int
	deaths   int
	writes   int
	acked    int // documents
	span     time.Duration
}

// live plays a script.
func live(t *testing.T, s script) (r result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		opt := marathonsim.Options{Version: s.version, Agents: marathonsim.DefaultAgents(agents), Seed: s.seed}
		w := world.New(t, world.Options{Marathon: opt, Files: s.first.files(), Seed: s.seed, Indices: []pretend.Index{{Name: "orders", Primaries: 2, Replicas: 1, Bytes: 64 << 20}}})
		w.Lenient = true
		if slices.ContainsFunc(s.events, func(e event) bool { return strings.HasPrefix(string(e.kind), "journal: ") }) {
			w.LogFolder = t.TempDir()
		}
		l := &life{w: w, wish: s.first, past: []wish{s.first}, happened: map[kind]int{}}
		l.stop = w.Live()
		defer func() { l.stop() }()
		if v := w.Converged(time.Hour); v == nil {
			w.Law.Breaks("nothing has happened, and it is not created")
			r.broken = w.Law.Broken()
			return
		}
		faulty, err := w.Sim.Faulty(s.faults)
		if err != nil {
			t.Fatal(err)
		}
		w.Through(faulty)
		w.Law.Stale(slices.ContainsFunc(s.faults, func(f marathonsim.Fault) bool { return f.Kind == marathonsim.StaleReads }))
		l.through(s)
		faulty.Calm()
		l.calm()
		l.end()
		l.stop()
		for k, n := range faulty.Happened() {
			l.happened["marathon: "+kind(k)] += n
		}
		r = result{happened: l.happened, checked: w.Law.Checked(), broken: w.Law.Broken(), trace: w.Law.Trace(), commits: l.commits,
			deaths: w.Deaths, writes: w.Law.Writes(), acked: w.Nodes.Cluster(group).Acknowledged, span: time.Since(start)}
	})
	return r
}

// through lets everything happen.
func (l *life) through(s script) {
	start := time.Now()
	for _, e := range s.events {
		if begin, isFault := faults[e.kind]; isFault {
			time.AfterFunc(e.at, func() { l.fault(e, begin) })
		}
	}
	for _, e := range s.events {
		if faults[e.kind] == nil {
			time.Sleep(time.Until(start.Add(e.at)))
			l.count(e.kind)
			l.commit(e)
		}
	}
	time.Sleep(time.Until(start.Add(length + length/4))) // what began late has ended
}

func (l *life) count(k kind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.happened[k]++
}

// fault lets one happen, and end at its time or when calm comes.
func (l *life) fault(e event, begin func(*life, event) func()) {
	l.count(e.kind)
	end := begin(l, e)
	l.w.Law.Keep()
	if end == nil {
		return
	}
	once := sync.OnceFunc(func() {
		end()
		l.w.Law.Keep()
	})
	l.mu.Lock()
	l.ends = append(l.ends, once)
	l.mu.Unlock()
	time.AfterFunc(e.span, once)
}

// calm ends all faults, and asks in git for something that can be had.
func (l *life) calm() {
	l.mu.Lock()
	ends := l.ends
	l.mu.Unlock()
	for _, end := range ends {
		end()
	}
	l.w.Calm()
	time.Sleep(time.Minute) // what was late has arrived
	l.push(l.wish.reachable())
}

// end is what must be so once nothing happens any more: everything is as the last commit says, stays so, and nothing is left behind.
func (l *life) end() {
	law := l.w.Law
	v := l.w.Settled()
	if v == nil {
		law.Breaks("calm, and still at work after a day")
		return
	}
	if !v.Converged() {
		law.Breaks("calm, and not converged:\n%s", world.Table(v))
		return
	}
	before := law.Writes()
	time.Sleep(world.Quiet * 9 / 4) // two looks and two questions to the cluster
	if n := law.Writes() - before; n > 0 {
		law.Breaks("%d writes after everything had converged", n)
	}
	law.Keep()
	left("PUT", "/_cluster/settings", `{"persistent":{"cluster.routing.allocation.enable":"none"}}`)(l, event{}) // by hand, while all rests
	time.Sleep(world.Quiet * 5 / 4)
	l.asWished(group, l.wish)
	if l.wish.neighbour {
		l.asWished(neighbour, l.wish.beside())
	}
}

// asWished says that a cluster is well, is what git wants, and that nothing was left behind in it.
func (l *life) asWished(group marathon.AppID, x wish) {
	law, c := l.w.Law, l.w.Nodes.Cluster(group)
	if c.Health != "green" {
		law.Breaks("at the end %s is %s", group, c.Health)
	}
	for _, settings := range []map[string]string{c.Persistent, c.Transient} {
		for _, key := range []string{"cluster.routing.allocation.enable", "cluster.routing.allocation.exclude._name"} {
			if v := settings[key]; v != "" && v != "all" {
				law.Breaks("left behind in %s: %s: %s", group, key, v)
			}
		}
	}
	if len(c.VotingExclusions) > 0 {
		law.Breaks("left behind in %s: voting exclusions %v", group, c.VotingExclusions)
	}
	if n := len(c.Members); n != x.data+x.masters {
		law.Breaks("at the end %s has %d nodes, git wants %d", group, n, x.data+x.masters)
	}
	for _, m := range c.Members {
		if m.Version != x.releases[x.release] {
			law.Breaks("at the end %s of %s runs %s", m.Name, group, m.Version)
		}
	}
}

// report tells of a broken history, cut down to what is needed to break it.
func (r result) report(t *testing.T, s script) {
	t.Helper()
	if len(r.broken) == 0 {
		return
	}
	t.Errorf("seed %d breaks the law; ESFLEET_SEED=%d go test ./test/histories -run Histories -v shows each call:\n  %s", s.seed, s.seed, joined(r.broken))
}

func joined(lines []string) string {
	out := ""
	for i, l := range lines {
		if i == 5 {
			return out + fmt.Sprintf("\n  and %d more", len(lines)-i)
		}
		out += "\n  " + l
	}
	return out
}
