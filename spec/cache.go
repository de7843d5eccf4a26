package spec

import (
	"fmt"
	"sync"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// A Cache makes the next Parse pay only for what changed. It keeps, by content, the groups and clusters of the latest
// Snapshot and the documents that may be needed again; after each Parse it holds nothing that this Snapshot does not use,
// so it never grows beyond one fleet. Groups and clusters are shared between the Fleets that it helped to make, and nobody
// may change them. The zero value is ready; it is safe for concurrent use.
type Cache struct {
	mu     sync.Mutex
	docs   map[docKey]*document
	groups map[GroupName]*keptGroup
	whole  bool // the Parse that made them was faultless
}

type docKey struct {
	blob snapshot.BlobID
	kind string
}

// A keptGroup is a group with everything it was made of: its folder, and the documents whose defaults flowed into it.
type keptGroup struct {
	group     *Group
	folder    snapshot.FolderID
	fleet     snapshot.BlobID
	yaml      snapshot.BlobID
	faultless map[ClusterName]keptCluster
}

type keptCluster struct {
	cluster *Cluster
	folder  snapshot.FolderID
}

// A use is one Parse's sight of a Cache: what it found there, and what shall be there afterwards.
type use struct {
	cache             *Cache
	oldDocs, docs     map[docKey]*document
	oldGroups, groups map[GroupName]*keptGroup
	oldWhole          bool
}

func (c *Cache) begin() *use {
	u := &use{cache: c, docs: map[docKey]*document{}, groups: map[GroupName]*keptGroup{}}
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		u.oldDocs, u.oldGroups, u.oldWhole = c.docs, c.groups, c.whole
	}
	return u
}

// end leaves in the Cache what this Parse used. After a faultless one the clusters stand for their documents: the trees of
// ten thousand cluster.yaml are most of the memory, and only a change of defaults would need them. After another one no
// group is taken over whole: what is wrong between two folders is found by looking at both.
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
	u.cache.docs, u.cache.groups, u.cache.whole = u.docs, u.groups, faultless
}

// whole takes over a group whose folder is this one, if the fleet's defaults are the same.
func (u *use) whole(name GroupName, folder snapshot.FolderID, fleet snapshot.BlobID) *Group {
	k := u.oldGroups[name]
	if k == nil || !u.oldWhole || k.folder != folder || k.fleet != fleet {
		return nil
	}
	u.groups[name] = k
	if d := u.oldDocs[docKey{k.yaml, "Group"}]; d != nil {
		u.docs[docKey{k.yaml, "Group"}] = d // needed as soon as one of its clusters changes
	}
	return k.group
}

// open begins a group that must be made anew.
func (u *use) open(g *Group, folder snapshot.FolderID, fleet, yaml snapshot.BlobID) {
	u.groups[g.Name] = &keptGroup{group: g, folder: folder, fleet: fleet, yaml: yaml, faultless: map[ClusterName]keptCluster{}}
}

// cluster finds a cluster of an open group that is made of the same folder and the same defaults.
func (u *use) cluster(id ClusterID, folder snapshot.FolderID) *Cluster {
	now, old := u.groups[id.Group], u.oldGroups[id.Group]
	if old == nil || old.fleet != now.fleet || old.yaml != now.yaml {
		return nil
	}
	k, ok := old.faultless[id.Name]
	if !ok || k.folder != folder {
		return nil
	}
	now.faultless[id.Name] = k
	return k.cluster
}

func (u *use) keep(c *Cluster, folder snapshot.FolderID) {
	u.groups[c.ID.Group].faultless[c.ID.Name] = keptCluster{c, folder}
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

// Len is how many documents, groups and clusters are kept.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.docs) + len(c.groups)
	for _, g := range c.groups {
		n += len(g.faultless)
	}
	return n
}
