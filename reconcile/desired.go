package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// DefaultTarget is what is rendered for where no Marathon can be asked.
var DefaultTarget = marathon.Version{Major: 1, Minor: 11, Patch: 24}

// Render makes every cluster's Desired for the versions of their Marathons; a Marathon without an entry in versions is
// taken as DefaultTarget. A cluster that cannot be rendered is in errs, and in no list.
func Render(in Input, versions map[spec.MarathonName]marathon.Version) (out []*render.Desired, errs map[spec.ClusterID]error) {
	ds := desires{render: render.Cluster}
	ds.follow(in, versions, func(*wanted) {})
	errs = map[spec.ClusterID]error{}
	for _, w := range ds.list {
		if w.err != nil {
			errs[w.cluster.ID] = w.err
			continue
		}
		out = append(out, w.full)
	}
	return out, errs
}

// A Renderer is render.Cluster or gives what that would give. What it gives is not modified.
type Renderer func(*spec.Cluster, snapshot.Blobs, render.Target) (*render.Desired, error)

// fill renders w afresh.
func (ds *desires) fill(w *wanted, blobs snapshot.Blobs) {
	if w.full, w.err = ds.render(w.cluster, blobs, *w.target); w.err != nil {
		w.err = fmt.Errorf("render %s: %w", w.cluster.ID, w.err)
	}
}

func targetOf(m spec.Marathon, versions map[spec.MarathonName]marathon.Version) *render.Target {
	t := &render.Target{Version: DefaultTarget, NodeURLs: m.NodeURLs}
	if len(t.NodeURLs) == 0 {
		t.NodeURLs = m.URLs
	}
	if v, ok := versions[m.Name]; ok {
		t.Version = v
	}
	return t
}

// A wanted is one cluster as git wants it, and what is remembered of it between two looks.
type wanted struct {
	cluster *spec.Cluster
	target  *render.Target    // of a Marathon whose version and addresses did not change it is the same pointer
	digest  [sha256.Size]byte // of the rendered apps
	err     error             // why it cannot be rendered
	full    *render.Desired   // nil while the cluster rests
	rest    *rest             // nil while it does not
	ask     bool              // Elasticsearch was seen to differ from git
}

// ids are the cluster's apps; nil if it cannot be rendered.
func (w *wanted) ids() []marathon.AppID {
	if w.rest != nil {
		return w.rest.ids
	}
	if w.full == nil {
		return nil
	}
	return appIDs(w.full)
}

func appIDs(d *render.Desired) []marathon.AppID {
	ids := make([]marathon.AppID, len(d.Apps))
	for i := range d.Apps {
		ids[i] = d.Apps[i].ID
	}
	return ids
}

// desires are what git wants of all clusters. A cluster is rendered when it, or its Marathon's version, has changed, and
// when it no longer rests.
type desires struct {
	render  Renderer
	fleet   *spec.Fleet
	targets map[spec.MarathonName]*render.Target
	list    []*wanted // in the order of git: sorted by id
	byID    map[spec.ClusterID]*wanted
	digest  string // of what would run, whatever the commit
}

// follow takes in a commit and the versions of the Marathons, and renders what is not known or no longer kept. rendered is
// called with each cluster right after it was rendered, with several clusters at once.
func (ds *desires) follow(in Input, versions map[spec.MarathonName]marathon.Version, rendered func(*wanted)) {
	targets, same := ds.retarget(in.Fleet, versions)
	if in.Fleet != ds.fleet || !same {
		ds.replace(in.Fleet, targets)
	}
	var missing []*wanted
	for _, w := range ds.list {
		if w.full == nil && w.rest == nil && w.err == nil {
			missing = append(missing, w)
		}
	}
	if len(missing) == 0 {
		return
	}
	inParallel(missing, func(w *wanted) {
		if ds.fill(w, in.Blobs); w.err == nil {
			w.digest = digestOf(w.full)
			rendered(w)
		}
	})
	ds.digest = ds.sum()
}

// replace keeps of the clusters before those that are the same.
func (ds *desires) replace(f *spec.Fleet, targets map[spec.MarathonName]*render.Target) {
	before := ds.byID
	*ds = desires{render: ds.render, fleet: f, targets: targets, byID: map[spec.ClusterID]*wanted{}}
	for _, g := range f.Groups {
		for _, c := range g.Clusters {
			w := before[c.ID]
			if w == nil || w.err != nil || w.cluster != c || w.target != targets[c.Marathon] {
				w = &wanted{cluster: c, target: targets[c.Marathon]}
			}
			ds.byID[c.ID] = w
			ds.list = append(ds.list, w)
		}
	}
	ds.digest = ds.sum()
}

func (ds *desires) retarget(f *spec.Fleet, versions map[spec.MarathonName]marathon.Version) (targets map[spec.MarathonName]*render.Target, same bool) {
	targets, same = map[spec.MarathonName]*render.Target{}, true
	for _, m := range f.Marathons {
		t := targetOf(m, versions)
		if old := ds.targets[m.Name]; old != nil && old.Version == t.Version && slices.Equal(old.NodeURLs, t.NodeURLs) {
			t = old
		} else {
			same = false
		}
		targets[m.Name] = t
	}
	return targets, same && len(targets) == len(ds.targets)
}

func (ds *desires) sum() string {
	h := sha256.New()
	for _, w := range ds.list {
		if w.err == nil {
			_, _ = h.Write(w.digest[:])
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// digestOf names a cluster's content.
func digestOf(d *render.Desired) (sum [sha256.Size]byte) {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, a := range d.Apps {
		if err := enc.Encode(a.Doc); err != nil {
			panic(err) // rendered documents hold only JSON values
		}
	}
	h.Sum(sum[:0])
	return sum
}

// inParallel does each on as many processors as there are.
func inParallel[T any](items []T, do func(T)) {
	var (
		wg   sync.WaitGroup
		next atomic.Int64
	)
	for range min(runtime.GOMAXPROCS(0), len(items)) {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(len(items)) {
					return
				}
				do(items[i])
			}
		})
	}
	wg.Wait()
}
