package crash_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"

	"github.com/esfleet/esfleet/test/histories/world"
)

// scenarios are all of them.
var scenarios = slices.Concat(creating, running)

// all says that the long runs are wanted too.
func all() bool { return os.Getenv("ESFLEET_E2E") == "all" }

// An outcome is how a run of a scenario ended.
type outcome struct {
	state, phases        string
	effects, destructive []string
	calls                int
	isWrite              []bool // by call
	table                string
}

// play runs a scenario, with a kill or without.
func play(t *testing.T, s scenario, k *world.Kill) (o outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &stage{world.New(t, s.options())}
		if s.setup != nil {
			s.setup(w)
			w.Law.Forget()
		}
		w.Count()
		w.Kill = k
		s.story(w)
		v := w.Settle()
		o = outcome{state: w.State(s.restless), phases: world.Phases(v), effects: w.Law.Effects(false), destructive: w.Law.Effects(true), isWrite: w.Calls(), table: world.Table(v)}
		o.calls = len(o.isWrite)
		if k != nil && w.Deaths != 1 {
			t.Errorf("the daemon died %d times", w.Deaths)
		}
		w.Law.Keep()
		for _, b := range w.Law.Broken() {
			t.Errorf("broken: %s", b)
		}
	})
	return o
}

// The daemon dies at each call of each scenario. A new one takes over with nothing but git and Marathon. The end, all
// writes and with them the destructive ones are those of the run that nobody disturbed.
func TestKilledAtAnyCallTheEndAndTheWritesAreThoseOfTheUndisturbedRun(t *testing.T) {
	table := &tally{}
	t.Run("scenarios", func(t *testing.T) {
		for i, s := range scenarios {
			if os.Getenv("ESFLEET_E2E") == "" && i%3 != 2 {
				continue // a third will do where a few seconds are all there is
			}
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				table.add(s.name, killEverywhere(t, s))
			})
		}
	})
	t.Log("\n" + table.String())
}

// A row is what a scenario's kills came to.
type row struct {
	calls, writes, destructive, kills, differ int
}

func killEverywhere(t *testing.T, s scenario) row {
	want := play(t, s, nil)
	if s.ends != "" && !strings.Contains(want.phases, s.ends) {
		t.Errorf("undisturbed it ends with %q, want %q\n%s", want.phases, s.ends, want.table)
	}
	if s.mayLack != "" && !slices.Contains(want.effects, s.mayLack) {
		t.Errorf("undisturbed it writes %q, without %s", want.effects, s.mayLack)
	}
	if want.calls == 0 || len(want.effects) == 0 && !s.quiet {
		t.Fatalf("nothing happens: %+v", want)
	}
	r := row{calls: want.calls, writes: len(want.effects), destructive: len(want.destructive)}
	for i, k := range kills(s, want) {
		if !all() && i > 0 {
			break
		}
		r.kills++
		if !same(t, s, play(t, s, &k), want, fmt.Sprintf("killed at call %d of %d, %s", k.Call, want.calls, k.Moment)) {
			if r.differ++; r.differ > 5 {
				t.Fatal("and so on")
			}
		}
	}
	return r
}

// kills are all of a scenario, in an order in which the first few tell most: writes first, beginning elsewhere in each
// scenario.
func kills(s scenario, undisturbed outcome) []world.Kill {
	var writes, reads []world.Kill
	for i, isWrite := range undisturbed.isWrite {
		for _, m := range moments(i+1, isWrite) {
			if isWrite {
				writes = append(writes, world.Kill{Call: i + 1, Moment: m})
			} else if i%everyRead == 0 {
				reads = append(reads, world.Kill{Call: i + 1, Moment: m})
			}
		}
	}
	if n := len(writes); n > 0 {
		at := len(s.name) * 7 % n
		writes = slices.Concat(writes[at:], writes[:at])
	}
	return append(writes, reads...)
}

// moments are those of a write, all three; of a read only one, by turns: it changes nothing, so whether it was sent or
// answered makes no difference to anybody once its sender is dead.
func moments(call int, isWrite bool) []world.Moment {
	every := []world.Moment{world.BeforeSent, world.AfterSent, world.AfterAnswer}
	if isWrite {
		return every
	}
	return every[call%3 : call%3+1]
}

func same(t *testing.T, s scenario, got, want outcome, when string) bool {
	t.Helper()
	ok := true
	differ := func(what, got, want string) {
		if got != want {
			ok = false
			t.Errorf("%s: %s\n%s\nwant\n%s", when, what, got, want)
		}
	}
	differ("the state is", got.state, want.state)
	differ("the plan is", got.phases, want.phases)
	differ("the writes are", s.list(got.effects), s.list(want.effects))
	differ("the destructive writes are", s.list(got.destructive), s.list(want.destructive))
	return ok
}

func (s scenario) list(writes []string) string {
	writes = slices.DeleteFunc(slices.Clone(writes), func(w string) bool { return s.mayLack != "" && strings.HasPrefix(w, s.mayLack) })
	if s.anyOrder {
		slices.Sort(writes)
	}
	return strings.Join(writes, "\n")
}

type tally struct {
	mu   sync.Mutex
	rows map[string]row
}

func (x *tally) add(name string, r row) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.rows == nil {
		x.rows = map[string]row{}
	}
	x.rows[name] = r
}

func (x *tally) String() string {
	b := &strings.Builder{}
	w := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "SCENARIO\tCALLS\tWRITES\tDESTRUCTIVE\tKILLS\tDIFFER")
	sum := row{}
	for _, s := range scenarios {
		r, played := x.rows[s.name]
		if !played {
			continue
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\n", s.name, r.calls, r.writes, r.destructive, r.kills, r.differ)
		sum.calls, sum.kills, sum.differ = sum.calls+r.calls, sum.kills+r.kills, sum.differ+r.differ
	}
	_, _ = fmt.Fprintf(w, "%d scenarios\t%d\t\t\t%d\t%d\n", len(x.rows), sum.calls, sum.kills, sum.differ)
	_ = w.Flush()
	return b.String()
}
