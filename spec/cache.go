package spec

import (
	"sync"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// settingsKind is the kind of elasticsearch.yml, which has no header of ours.
const settingsKind = "elasticsearch.yml"

// A Cache keeps parsed documents by content. After each Parse it holds what that Snapshot uses and nothing else, so it never
// grows beyond one fleet. The zero value is ready; it is safe for concurrent use.
type Cache struct {
	mu   sync.Mutex
	docs map[docKey]*document
}

type docKey struct {
	blob snapshot.BlobID
	kind string
}

// A use is one Parse's sight of a Cache: what it found there, and what shall be there afterwards.
type use struct {
	cache *Cache
	old   map[docKey]*document
	new   map[docKey]*document
}

func (c *Cache) begin() *use {
	u := &use{cache: c, new: map[docKey]*document{}}
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		u.old = c.docs
	}
	return u
}

func (u *use) end() {
	if u.cache != nil {
		u.cache.mu.Lock()
		defer u.cache.mu.Unlock()
		u.cache.docs = u.new
	}
}

func (u *use) document(s *snapshot.Snapshot, e snapshot.Entry, kind string) (*document, error) {
	k := docKey{e.Blob, kind}
	if d := u.new[k]; d != nil {
		return d, nil
	}
	if d := u.old[k]; d != nil {
		u.new[k] = d
		return d, nil
	}
	src, err := s.Read(e)
	if err != nil {
		return nil, err
	}
	d := parseDocument(src, kind)
	u.new[k] = d
	return d, nil
}

func parseDocument(src []byte, kind string) *document {
	d := parseYAML(src)
	if d.root == nil || len(d.findings) > 0 {
		return d
	}
	if kind == settingsKind {
		d.check(settings, d.root, "")
	} else {
		d.check(shapes[kind], d.root, "")
	}
	return d
}
