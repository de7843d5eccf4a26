package spec

import (
	"fmt"
	"slices"
	"sync"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// A Cache makes the next Parse pay only for what changed. It keeps, by content, the clusters of the latest Snapshot and the
// documents that may be needed again; after each Parse it holds nothing that this Snapshot does not use, so it never grows
// beyond one fleet. Clusters are shared between the Fleets that it helped to make, and nobody may change them.
// The zero value is ready; it is safe for concurrent use.
type Cache struct {
	mu       sync.Mutex
	docs     map[docKey]*document
	clusters map[ClusterID]*keptCluster
}

type docKey struct {
	blob snapshot.BlobID
	kind string
}

// A keptCluster is a faultless cluster with everything it was made of.
type keptCluster struct {
	cluster *Cluster
	// fleet and group are the documents whose defaults flowed into it.
	fleet, group snapshot.BlobID
	entries      []snapshot.Entry
}

// A use is one Parse's sight of a Cache: what it found there, and what shall be there afterwards.
type use struct {
	cache                    *Cache
	oldDocs, docs            map[docKey]*document
	oldClusters, newClusters map[ClusterID]*keptCluster
}

func (c *Cache) begin() *use {
	u := &use{cache: c, docs: map[docKey]*document{}, newClusters: map[ClusterID]*keptCluster{}}
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		u.oldDocs, u.oldClusters = c.docs, c.clusters
	}
	return u
}

// end leaves in the Cache what this Parse used. After a faultless one the clusters stand for their documents: the trees of
// ten thousand cluster.yaml are most of the memory, and only a change of defaults would need them.
func (u *use) end(faultless bool) {
	if u.cache == nil {
		return
	}
	if faultless {
		for k := range u.docs {
			if shapes[k.kind] == nil || k.kind == "Cluster" {
				delete(u.docs, k)
			}
		}
	}
	u.cache.mu.Lock()
	defer u.cache.mu.Unlock()
	u.cache.docs, u.cache.clusters = u.docs, u.newClusters
}

// cluster finds a cluster made of exactly these.
func (u *use) cluster(id ClusterID, fleet, group snapshot.BlobID, entries []snapshot.Entry) *Cluster {
	k := u.oldClusters[id]
	if k == nil || k.fleet != fleet || k.group != group || !slices.Equal(k.entries, entries) {
		return nil
	}
	u.keep(k.cluster, fleet, group, entries) // with the new entries, so that the old Snapshot can go
	return k.cluster
}

func (u *use) keep(c *Cluster, fleet, group snapshot.BlobID, entries []snapshot.Entry) {
	u.newClusters[c.ID] = &keptCluster{cluster: c, fleet: fleet, group: group, entries: entries}
}

func (u *use) document(s *snapshot.Snapshot, e snapshot.Entry, kind string) (*document, error) {
	k := docKey{e.Blob, kind}
	if d := u.docs[k]; d != nil {
		return d, nil
	}
	if d := u.oldDocs[k]; d != nil {
		u.docs[k] = d
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
	u.docs[k] = d
	return d, nil
}

// Len is how many documents and clusters are kept.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.docs) + len(c.clusters)
}
