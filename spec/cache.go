package spec

import (
	"fmt"
	"sync"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

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
	if kind != fileKind && e.Size > maxYAMLBytes {
		return tooLarge(e.Size), nil // found out without reading it
	}
	src, err := s.Read(e)
	if err != nil {
		return nil, err
	}
	if int64(len(src)) != e.Size {
		return nil, fmt.Errorf("%s has %d bytes where the commit lists %d", e.Path, len(src), e.Size)
	}
	d := parseContent(src, kind)
	u.new[k] = d
	return d, nil
}

// Len is how many documents are kept.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.docs)
}
