package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/spec"
)

// small is enough to see whether something costs per cluster.
const small = 12

func TestTheFirstLookIsOneReadingAndFindsNoFalseDifference(t *testing.T) {
	in := parse(t, "c1", files(small), nil)
	w := newWorld(t, in)
	v := reconcilerOver(w).Look(t.Context(), in)
	if w.lists.Load() != 1 || w.others.Load() != 1 || w.writes.Load() != 0 {
		t.Errorf("%d lists, %d other reads (the version), %d writes", w.lists.Load(), w.others.Load(), w.writes.Load())
	}
	if !v.Converged() || !v.Report().Empty() {
		t.Errorf("not converged: %v", unconverged(v))
	}
}

func TestALookAtAnUnchangedFleetIsOneGETAndNoAllocationPerApp(t *testing.T) {
	allocs := map[int]float64{}
	for _, n := range []int{small, 3 * small} {
		in := parse(t, "c1", files(n), nil)
		w := newWorld(t, in)
		r := reconcilerOver(w)
		r.Look(t.Context(), in)
		lists, others := w.lists.Load(), w.others.Load()
		const rounds = 5
		allocs[n] = testing.AllocsPerRun(rounds, func() { r.Look(t.Context(), in) })
		if got := w.lists.Load() - lists; got != rounds+1 || w.others.Load() != others || w.writes.Load() != 0 {
			t.Errorf("%d looks: %d lists, %d other reads, %d writes", rounds+1, got, w.others.Load()-others, w.writes.Load())
		}
	}
	if grown := allocs[3*small] - allocs[small]; grown > small || allocs[3*small] > 150 {
		t.Errorf("%v allocations for %d clusters, %v for %d", allocs[small], small, allocs[3*small], 3*small)
	}
}

// A change that was taken back leaves most nodes under an older version for good. What that version says is asked once.
func TestAFleetWhoseChangesWereTakenBackRestsLikeAnyOther(t *testing.T) {
	in := parse(t, "c1", files(small), nil)
	w := newWorld(t, in)
	for _, id := range w.ids {
		if id.Name() == spec.Data.AppName() {
			w.edit(t, id, func(app map[string]any) {
				app["version"], app["versionInfo"] = "2099-01-01T00:00:00.000Z", map[string]any{"lastConfigChangeAt": "2099-01-01T00:00:00.000Z"}
			})
		}
	}
	r := reconcilerOver(w)
	if v := r.Look(t.Context(), in); !v.Converged() || !v.Report().Empty() {
		t.Errorf("not converged: %v", unconverged(v))
	}
	if got := w.others.Load(); got != small+1 || w.writes.Load() != 0 { // the version of Marathon, and of each cluster's data nodes
		t.Errorf("%d other reads, %d writes", got, w.writes.Load())
	}
	lists, others := w.lists.Load(), w.others.Load()
	for range 3 {
		r.Look(t.Context(), in)
	}
	if w.lists.Load()-lists != 3 || w.others.Load() != others {
		t.Errorf("3 looks: %d lists, %d other reads", w.lists.Load()-lists, w.others.Load()-others)
	}
	// Something else about a node is news, and its cluster is read again; what its version says is known.
	w.edit(t, "/g000/c00005/es-datanode", func(app map[string]any) { app["lastTaskFailure"] = map[string]any{"message": "x"} })
	if v := r.Look(t.Context(), in); !v.Converged() || w.others.Load() != others {
		t.Errorf("%d other reads, not converged %v", w.others.Load()-others, unconverged(v))
	}
}

func TestACommitRendersOnlyTheClusterThatItChanges(t *testing.T) {
	fs, cache := files(small), &spec.Cache{}
	in := parse(t, "c1", fs, cache)
	w := newWorld(t, in)
	r := reconcilerOver(w)
	r.Look(t.Context(), in)
	lists := w.lists.Load()

	next := maps.Clone(fs)
	next[dirOf(3)+"elasticsearch.yml"] += "action.auto_create_index: false\n"
	in = parse(t, "c2", next, cache)
	asked := &askedBlobs{in: in.Blobs, ids: map[string]int{}}
	in.Blobs = asked
	v := r.Look(t.Context(), in)
	if got := unconverged(v); !slices.Equal(got, []string{"g000/c00003"}) {
		t.Errorf("not converged: %v", got)
	}
	if got := w.lists.Load() - lists; got != 1 {
		t.Errorf("%d lists", got)
	}
	if len(asked.ids) > 2 { // its pre-run script and its one file
		t.Errorf("%d blobs were read", len(asked.ids))
	}
}

func TestAChangeByHandIsFoundAndOnlyItsClusterIsWorkedOut(t *testing.T) {
	in := parse(t, "c1", files(small), nil)
	w := newWorld(t, in)
	r := reconcilerOver(w)
	r.Look(t.Context(), in)
	w.edit(t, "/g000/c00005/discovery", func(app map[string]any) { app["mem"] = 1 })
	lists := w.lists.Load()
	v := r.Look(t.Context(), in)
	if got := unconverged(v); !slices.Equal(got, []string{"g000/c00005"}) {
		t.Errorf("not converged: %v", got)
	}
	// The cluster rested: nothing was kept of its other apps, so the list is read once more.
	if got := w.lists.Load() - lists; got != 2 {
		t.Errorf("%d lists", got)
	}
	if r.Look(t.Context(), in); w.lists.Load()-lists != 3 {
		t.Errorf("%d lists after the next look", w.lists.Load()-lists)
	}
}

func TestEverySingleFieldThatIsChangedByHandIsFound(t *testing.T) {
	in := parse(t, "c1", files(1), nil)
	ds, _ := reconcile.Render(in, map[spec.MarathonName]marathon.Version{"main": version})
	changed, missed := changeEveryField(t, ds[0], newWorld(t, in))
	if changed < 200 || len(missed) > 0 {
		t.Errorf("of %d single changes these were not found: %v", changed, missed)
	}
}

// askedBlobs remembers which blobs were read.
type askedBlobs struct {
	in  blobs
	ids map[string]int
}

func leaves(path string, v any, found func(path string, v any)) {
	switch x := v.(type) {
	case map[string]any:
		for k, v := range x {
			leaves(path+"\x00"+k, v, found)
		}
	case []any:
		for i, v := range x {
			leaves(fmt.Sprintf("%s\x00%d", path, i), v, found)
		}
	default:
		found(path, v)
	}
}

// another is a value of the same type that is not v.
func another(v any) any {
	switch x := v.(type) {
	case string:
		return x + "x"
	case bool:
		return !x
	case json.Number:
		f, _ := x.Float64()
		return f + 1
	}
	return "something"
}
