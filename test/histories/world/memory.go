package world

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// A memory has commits by their content, and what was rendered of their clusters: runs that differ in a fault have the
// same commits, and every new daemon renders them again.
type memory struct {
	mu       sync.Mutex
	inputs   map[[sha256.Size]byte]*reconcile.Input
	rendered map[renderKey]*render.Desired
}

// parsed is the memory of all worlds of a test.
var parsed = &memory{}

type renderKey struct {
	cluster *spec.Cluster // of an Input that is remembered: its blobs are known with it
	version marathon.Version
}

// most is how many commits are remembered.
const most = 200

// commit is the Input of files, or what is wrong with them.
func (m *memory) commit(files map[string]string) (*reconcile.Input, error) {
	key := contentKey(files)
	m.mu.Lock()
	defer m.mu.Unlock()
	if in := m.inputs[key]; in != nil {
		return in, nil
	}
	s := snapshot.FromMap("commit", files)
	f, problems := spec.Parse(s, nil)
	if f == nil {
		return nil, fmt.Errorf("%v", problems)
	}
	if len(m.inputs)%most == 0 {
		m.inputs, m.rendered = map[[sha256.Size]byte]*reconcile.Input{}, map[renderKey]*render.Desired{}
	}
	in := &reconcile.Input{Fleet: f, Blobs: s}
	m.inputs[key] = in
	return in, nil
}

// render is render.Cluster for the Marathon of these tests, whose addresses never change.
func (m *memory) render(c *spec.Cluster, blobs snapshot.Blobs, t render.Target) (*render.Desired, error) {
	key := renderKey{c, t.Version}
	m.mu.Lock()
	d := m.rendered[key]
	m.mu.Unlock()
	if d != nil {
		return d, nil
	}
	d, err := render.Cluster(c, blobs, t)
	if err == nil {
		m.mu.Lock()
		m.rendered[key] = d
		m.mu.Unlock()
	}
	return d, err
}

func contentKey(files map[string]string) [sha256.Size]byte {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		_, _ = fmt.Fprintf(h, "%d %s %d %s", len(path), path, len(files[path]), files[path])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
