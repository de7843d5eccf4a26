package histories_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestMain trades memory for time: what a history leaves behind is small.
func TestMain(m *testing.M) {
	debug.SetGCPercent(1000)
	os.Exit(m.Run())
}

// Whatever happens, no law is broken at any call or fault and no document is lost; and once nothing happens any more,
// everything becomes as the last commit says, and stays so.
func TestHistoriesBreakNoLawAndConverge(t *testing.T) {
	if s := os.Getenv("ESFLEET_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("ESFLEET_SEED: %v", err)
		}
		r := live(t, draw(seed))
		t.Logf("%s\n%s", draw(seed), r.trace)
		r.report(t, draw(seed))
		return
	}
	most, until := many(t)
	sum := &tally{happened: map[kind]int{}, in: map[kind]int{}, checked: map[string]int{}, began: time.Now(), worked: worked()}
	var next atomic.Uint64
	t.Run("histories", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1); n <= most && time.Now().Before(until); n = next.Add(1) {
					s := draw(first() + n)
					r := live(t, s)
					sum.add(r)
					if len(r.broken) > 0 {
						small := s
						if os.Getenv("ESFLEET_SHRINK") != "no" {
							small = shrink(t, s, time.Minute)
						} else {
							next.Store(most) // who only asks whether any law is broken knows enough
						}
						t.Errorf("seed %d breaks the law: ESFLEET_SEED=%d go test ./test/histories -run Histories -v shows each call%s\nit is enough that\n%s", s.seed, s.seed, joined(r.broken), small)
					}
				}
			})
		}
	})
	t.Log("\n" + sum.String())
}

// many is how many histories are to run, and until when: ESFLEET_HISTORIES is a number or a time.
func many(t *testing.T) (most uint64, until time.Time) {
	t.Helper()
	s := cmp.Or(os.Getenv("ESFLEET_HISTORIES"), "3")
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return 1 << 62, time.Now().Add(d)
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("ESFLEET_HISTORIES: %v", err)
	}
	return n, time.Now().Add(1000 * time.Hour)
}

// first is the seed before the first one.
func first() uint64 {
	n, _ := strconv.ParseUint(os.Getenv("ESFLEET_FIRST"), 10, 64) // without it: 0
	return n
}

// shrink takes away what a failing script does not need, as long as there is time.
func shrink(t *testing.T, s script, within time.Duration) script {
	t.Helper()
	until := time.Now().Add(within)
	fails := func(x script) bool {
		return time.Now().Before(until) && len(live(t, x).broken) > 0
	}
	for i := 0; i < len(s.events); {
		x := s
		if x.events = slices.Delete(slices.Clone(s.events), i, i+1); fails(x) {
			s = x
		} else {
			i++
		}
	}
	for size := len(s.faults); size > 0; size /= 2 {
		for i := 0; i+size <= len(s.faults); {
			x := s
			if x.faults = slices.Delete(slices.Clone(s.faults), i, i+size); fails(x) {
				s = x
			} else {
				i += size
			}
		}
	}
	return s
}

// A tally sums histories up.
type tally struct {
	mu       sync.Mutex
	began    time.Time
	worked   time.Duration // by this process before
	runs     int
	happened map[kind]int
	in       map[kind]int // how many histories
	checked  map[string]int
	commits  int
	deaths   int
	writes   int
	acked    int
	span     time.Duration
}

func (x *tally) add(r result) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.runs++
	x.commits, x.deaths, x.writes, x.acked, x.span = x.commits+r.commits, x.deaths+r.deaths, x.writes+r.writes, x.acked+r.acked, x.span+r.span
	for k, n := range r.happened {
		x.happened[k] += n
		x.in[k]++
	}
	for k, n := range r.checked {
		x.checked[k] += n
	}
}

// worked is the processors' time that this process has had: what a history costs on a machine that others use too.
func worked() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (x *tally) String() string {
	b := &strings.Builder{}
	took := time.Since(x.began)
	checks := 0
	for _, n := range x.checked {
		checks += n
	}
	fmt.Fprintf(b, "%d histories, together %s of virtual time, in %s: %.1f per second of a core's time\n", x.runs, x.span.Round(time.Minute), took.Round(time.Second),
		float64(x.runs)/(worked()-x.worked).Seconds())
	fmt.Fprintf(b, "%d commits, %d deaths of the daemon, %d writes, %d documents acknowledged, %d kinds of faults and commits\n", x.commits, x.deaths, x.writes, x.acked, len(x.happened))
	for _, k := range slices.Sorted(maps.Keys(x.happened)) {
		fmt.Fprintf(b, "  %-40s %6d in %d histories\n", k, x.happened[k], x.in[k])
	}
	fmt.Fprintf(b, "%d laws, looked at %d times\n", len(x.checked), checks)
	for _, k := range slices.Sorted(maps.Keys(x.checked)) {
		fmt.Fprintf(b, "  %-40s %8d\n", k, x.checked[k])
	}
	return b.String()
}

func TestASeedReplaysItsHistoryByteForByte(t *testing.T) {
	for _, seed := range []uint64{3} {
		a, b := live(t, draw(seed)), live(t, draw(seed))
		if a.trace != b.trace {
			la, lb := strings.Split(a.trace, "\n"), strings.Split(b.trace, "\n")
			for i := range min(len(la), len(lb)) {
				if la[i] != lb[i] {
					t.Errorf("seed %d: call %d of %d and %d:\n%s\n%s", seed, i, len(la), len(lb), la[i], lb[i])
					break
				}
			}
		}
		if len(a.trace) < 1000 {
			t.Errorf("seed %d: the trace is %q", seed, a.trace)
		}
	}
}
