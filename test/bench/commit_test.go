package bench

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/gitsrc/gittest"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/spec"
)

// commitRounds is how many commits each fleet gets.
const commitRounds = 15

// A followed is a fleet in git, and a daemon's parts that follow it: fleets of all sizes live at once, so that each commit
// to one of them is measured in the same seconds as a commit to every other.
type followed struct {
	n     int
	files map[string]string
	repo  *gittest.Repo
	url   string
	world *world

	src   gitsrc.Source
	cache *spec.Cache
	rec   *reconcile.Reconciler
	bare  string // what git itself fetches into

	first, fetch []cost // of each commit: until the first call to Marathon, and git's own fetch
}

// serve puts a fleet into a repository behind git's HTTP; nil where there is no git.
func serve(t *testing.T, n int, fs map[string]string, w *world) *followed {
	t.Helper()
	dir := t.TempDir()
	repo, err := gittest.Init(filepath.Join(dir, "fleet.git"), "main")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit("all", fs); err != nil {
		t.Fatal(err)
	}
	srv, err := gittest.Serve(dir, gittest.ServerOptions{})
	if err != nil {
		t.Logf("what git is needed for is not measured: %v", err)
		return nil
	}
	t.Cleanup(func() { _ = srv.Close() })
	return &followed{n: n, files: fs, repo: repo, url: srv.Address + "/fleet.git", world: w, cache: &spec.Cache{}, rec: reconcilerOver(w),
		bare: filepath.Join(dir, "bare.git")}
}

// begin clones twice, and looks for the first time.
func (f *followed) begin(t *testing.T) {
	t.Helper()
	run(t, "git", "clone", "-q", "--mirror", f.url, f.bare)
	src, err := gitsrc.Open(t.Context(), gitsrc.Options{URL: f.url, MirrorDir: filepath.Join(t.TempDir(), "mirror")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	f.src = src
	f.look(t)
}

func (f *followed) look(t *testing.T) {
	t.Helper()
	res := f.src.Refresh(t.Context())
	if res.Refusal != nil {
		t.Fatal(res.Refusal)
	}
	fleet, problems := spec.Parse(res.Snapshot, f.cache)
	if fleet == nil {
		t.Fatal(problems[0])
	}
	f.rec.Look(t.Context(), reconcile.Input{Fleet: fleet, Blobs: res.Snapshot})
}

// commit changes a line of one cluster, and measures both ways of hearing of it, in turn.
func (f *followed) commit(t *testing.T, round int) {
	t.Helper()
	path := dirOf(round%f.n) + "elasticsearch.yml"
	if _, err := f.repo.Commit("one line", map[string]string{path: f.files[path] + fmt.Sprintf("action.auto_create_index: false # %d\n", round)}); err != nil {
		t.Fatal(err)
	}
	fetch := func() {
		f.fetch = append(f.fetch, once(func() { run(t, "git", "-C", f.bare, "fetch", "-q", "origin") }))
	}
	if round%2 == 0 {
		fetch()
		defer f.untilFirstCall(t)
		return
	}
	f.untilFirstCall(t)
	fetch()
}

func (f *followed) untilFirstCall(t *testing.T) {
	t.Helper()
	var first cost
	once(func() {
		cpu, start := cpuTime(), time.Now()
		told := func() { first = cost{wall: time.Since(start), cpu: cpuTime() - cpu} }
		f.world.firstCall.Store(&told)
		f.look(t)
	})
	f.first = append(f.first, first)
}

// commits is the way from a commit to the first call to Marathon: beside git's own fetch of that commit, and the largest
// fleet's beside the smallest's.
func (r *report) commits(t *testing.T, all []*followed) {
	t.Helper()
	if len(all) == 0 {
		return
	}
	for _, f := range all {
		f.begin(t)
	}
	for round := range commitRounds {
		for _, f := range all {
			f.commit(t, round)
		}
		slices.Reverse(all) // each comes first as often as last
	}
	slices.SortFunc(all, func(a, b *followed) int { return a.n - b.n })
	for _, f := range all {
		r.put(fmt.Sprintf("commit.%d", f.n), "%.2f", paired(f.first, f.fetch, wall))
		a, b := median(f.first), median(f.fetch)
		t.Logf("%d clusters: commit to first call %v (%v CPU), git fetch %v", f.n, a.wall, a.cpu, b.wall)
	}
	from, to := all[0], all[len(all)-1]
	r.put("growth", "%.2f (%d beside %d clusters)", paired(to.first, from.first, wall), to.n, from.n)
	r.put("growth.cpu", "%.2f", paired(to.first, from.first, cpu))
	r.put("growth.fetch", "%.2f", paired(to.fetch, from.fetch, wall))
}

func wall(c cost) time.Duration { return c.wall }
func cpu(c cost) time.Duration  { return c.cpu }

// paired is the median of the ratios of what was measured at nearly the same time.
func paired(a, b []cost, of func(cost) time.Duration) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = ratio(of(a[i]), of(b[i]))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}
