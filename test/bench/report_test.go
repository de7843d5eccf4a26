package bench

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/spec"
)

// rounds is how often each time is taken; the median counts.
const rounds = 7

// TestReport measures every row and writes them into the file that ESFLEET_BENCH names; make bench.
func TestReport(t *testing.T) {
	to := os.Getenv("ESFLEET_BENCH")
	if to == "" {
		t.Skip("takes minutes: make bench")
	}
	rep := &report{values: map[string]string{}}
	var all []*followed
	for _, n := range sizes(t) {
		if f := rep.fleet(t, n); f != nil {
			all = append(all, f)
		}
		rep.write(t, to) // a run that is cut short has measured something
	}
	rep.commits(t, all)
	rep.put("machine", "%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	rep.write(t, to)
}

// sizes are the numbers of clusters; ESFLEET_BENCH_SIZES names others.
func sizes(t *testing.T) (out []int) {
	t.Helper()
	list := os.Getenv("ESFLEET_BENCH_SIZES")
	if list == "" {
		list = "44,1000,10000"
	}
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// A report is the numbers by name.
type report struct{ values map[string]string }

func (r *report) put(name, format string, args ...any) { r.values[name] = fmt.Sprintf(format, args...) }

// fleet measures all that is measured of one fleet alone, and gives it for what is measured of several beside each other.
func (r *report) fleet(t *testing.T, n int) *followed {
	fs, cache := files(n), &spec.Cache{}
	in := parse(t, "c1", fs, cache)
	w := newWorld(t, in)
	r.put(fmt.Sprintf("list.%d", n), "%.1f MB, %d apps", float64(w.bytes)/1e6, len(w.spans))
	r.resync(t, n, in, w)
	if n == 1000 {
		r.diff(t, in, w)
	}
	f := serve(t, n, fs, w)
	if f != nil {
		r.memory(t, n, f.url, w)
	}
	return f
}

// resync is a look at a fleet in which nothing has changed.
func (r *report) resync(t *testing.T, n int, in reconcile.Input, w *world) {
	rec := reconcilerOver(w)
	if v := rec.Look(t.Context(), in); !v.Converged() {
		t.Fatalf("%d clusters: not converged: %v", n, unconverged(v))
	}
	lists, others := w.lists.Load(), w.others.Load()
	ours, least := beside(rounds, func() { rec.Look(t.Context(), in) }, floor(t, w))
	r.put(fmt.Sprintf("resync.%d", n), "%.2f", ratio(ours.cpu, least.cpu))
	r.put(fmt.Sprintf("resync.allocs.%d", n), "%d", ours.allocs)
	r.put(fmt.Sprintf("resync.alloc.bytes.%d", n), "%.1f MB", float64(ours.bytes)/1e6)
	r.put(fmt.Sprintf("resync.calls.%d", n), "%.0f GET, %d writes", float64(w.lists.Load()-lists-rounds+w.others.Load()-others)/rounds, w.writes.Load())
	t.Logf("%d clusters: resync %v CPU, floor %v, %d allocations", n, ours.cpu, least.cpu, ours.allocs)
}

// diff is 1,000 live apps read, decoded and compared with what is wanted, nothing known from before.
func (r *report) diff(t *testing.T, all reconcile.Input, _ *world) {
	in := parse(t, "diff", files(200), nil)
	w := newWorld(t, in)
	ds, _ := reconcile.Render(in, map[spec.MarathonName]marathon.Version{"main": version})
	differ := 0
	ours, least := beside(rounds, func() {
		c, err := marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon.test:8080"}, Transport: w})
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.State(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ds {
			differ += len(drift.Compare(d, s).Differences)
		}
	}, floor(t, w))
	r.put("diff.cpu", "%d ms", ours.cpu.Milliseconds())
	r.put("diff.ratio", "%.0f", ratio(ours.cpu, least.cpu))
	r.put("diff.false", "%d", differ)
	changed, missed := changeEveryField(t, ds[0], w)
	r.put("diff.found", "%d of %d", changed-len(missed), changed)
	t.Logf("diff of %d apps: %v CPU, floor %v", len(w.spans), ours.cpu, least.cpu)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// write puts the numbers between the marks of the file: <!-- name -->number<!-- / -->.
func (r *report) write(t *testing.T, path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	left := maps.Clone(r.values)
	var out bytes.Buffer
	for rest := string(b); ; {
		before, after, ok := strings.Cut(rest, "<!-- ")
		out.WriteString(before)
		if !ok {
			break
		}
		name, after, _ := strings.Cut(after, " -->")
		old, after, found := strings.Cut(after, "<!-- / -->")
		if !found {
			t.Fatalf("%s: the mark of %s has no end", path, name)
		}
		if v, ok := r.values[name]; ok {
			old = v
		}
		delete(left, name)
		fmt.Fprintf(&out, "<!-- %s -->%s<!-- / -->", name, old)
		rest = after
	}
	for name, v := range left {
		t.Logf("not in %s: %s = %s", path, name, v)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil { //nolint:gosec // a document
		t.Fatal(err)
	}
}
