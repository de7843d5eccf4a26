package gitsrc

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// objects is the little of go-git's storage that reading a commit needs.
type objects interface {
	storer.EncodedObjectStorer
}

// errDamaged marks what a full fetch may mend.
var errDamaged = errors.New("objects are missing or damaged")

// readObject reads one object whole and proves that it is what its id says: neither go-git nor a pack's index would
// notice a flipped bit on disk in every case.
func readObject(st objects, t plumbing.ObjectType, id plumbing.Hash, limit int64) ([]byte, error) {
	o, err := st.EncodedObject(t, id)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %s: %w", errDamaged, t, id, err)
	}
	if o.Size() > limit {
		return nil, fmt.Errorf("%w: %s %s has %d bytes, at most %d are allowed", errTooLarge, t, id, o.Size(), limit)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, fmt.Errorf("%w: %s %s: %w", errDamaged, t, id, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %s %s: %w", errDamaged, t, id, err)
	}
	if plumbing.ComputeHash(t, b) != id {
		return nil, fmt.Errorf("%w: %s %s has another content than its id says", errDamaged, t, id)
	}
	return b, nil
}

func decode(st objects, t plumbing.ObjectType, id plumbing.Hash, limit int64, into interface {
	Decode(plumbing.EncodedObject) error
}) error {
	b, err := readObject(st, t, id, limit)
	if err != nil {
		return err
	}
	mem := &plumbing.MemoryObject{}
	mem.SetType(t)
	if _, err := mem.Write(b); err != nil {
		return err
	}
	if err := into.Decode(mem); err != nil {
		return fmt.Errorf("%w: %s %s: %w", errDamaged, t, id, err)
	}
	return nil
}

// descends says whether ancestor is head or one of its ancestors. The nearest commits are looked at first: in nearly
// every fetch the answer is one or two commits away.
func descends(st objects, head, ancestor plumbing.Hash) (bool, error) {
	seen := map[plumbing.Hash]bool{head: true}
	for queue := []plumbing.Hash{head}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == ancestor {
			return true, nil
		}
		var c object.Commit
		if err := decode(st, plumbing.CommitObject, queue[0], maxCommit, &c); err != nil {
			return false, err
		}
		for _, p := range c.ParentHashes {
			if !seen[p] {
				seen[p] = true
				queue = append(queue, p)
			}
		}
	}
	return false, nil
}

const (
	maxCommit = 1 << 20
	maxTree   = 16 << 20
)

// A node is one line of a tree object.
type node struct {
	name string
	kind snapshot.Kind
	dir  bool
	id   plumbing.Hash
	size int64
}

// trees remembers what tree objects hold, by their id: two commits share all folders that did not change, so reading
// the next commit costs what changed, not what is there.
type trees map[plumbing.Hash][]node

// list gives the entries of a commit's tree, each file's presence proven, and the trees it consists of.
func (known trees) list(st objects, commit plumbing.Hash, lim Limits) ([]snapshot.Entry, trees, error) {
	var c object.Commit
	if err := decode(st, plumbing.CommitObject, commit, maxCommit, &c); err != nil {
		return nil, nil, err
	}
	w := &walk{st: st, known: known, used: trees{}, lim: lim}
	if err := w.visit("", c.TreeHash, 0); err != nil {
		return nil, nil, err
	}
	return w.entries, w.used, nil
}

type walk struct {
	st          objects
	known, used trees
	lim         Limits
	entries     []snapshot.Entry
	visited     int // folders count too: a few trees that name each other ten times over make millions of paths
	bytes       int64
}

func (w *walk) visit(prefix string, id plumbing.Hash, depth int) error {
	if depth > w.lim.Depth {
		return fmt.Errorf("%w: folders nest deeper than %d", errTooLarge, w.lim.Depth)
	}
	nodes, err := w.nodes(id)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if w.visited++; w.visited > w.lim.Entries {
			return fmt.Errorf("%w: more than %d files and folders", errTooLarge, w.lim.Entries)
		}
		if n.dir {
			if err := w.visit(prefix+n.name+"/", n.id, depth+1); err != nil {
				return err
			}
			continue
		}
		if w.bytes += n.size; w.bytes > w.lim.TotalBytes {
			return fmt.Errorf("%w: the files together have more than %d bytes", errTooLarge, w.lim.TotalBytes)
		}
		w.entries = append(w.entries, snapshot.Entry{Path: prefix + n.name, Kind: n.kind, Blob: snapshot.BlobID(n.id.String()), Size: n.size})
	}
	return nil
}

func (w *walk) nodes(id plumbing.Hash) ([]node, error) {
	if n, ok := w.used[id]; ok {
		return n, nil
	}
	if n, ok := w.known[id]; ok {
		w.used[id] = n
		return n, nil
	}
	var t object.Tree
	if err := decode(w.st, plumbing.TreeObject, id, maxTree, &t); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	nodes := make([]node, 0, len(t.Entries))
	for _, e := range t.Entries {
		if err := checkName(e.Name); err != nil {
			return nil, fmt.Errorf("%w: tree %s: %w", errDamaged, id, err)
		}
		if names[e.Name] {
			return nil, fmt.Errorf("%w: tree %s names %q twice", errDamaged, id, e.Name)
		}
		names[e.Name] = true
		n := node{name: e.Name, id: e.Hash, dir: e.Mode == filemode.Dir, kind: kindOf(e.Mode)}
		if !n.dir && n.kind != snapshot.Submodule {
			size, err := w.st.EncodedObjectSize(e.Hash)
			if err != nil {
				return nil, fmt.Errorf("%w: blob %s of %q: %w", errDamaged, e.Hash, e.Name, err)
			}
			n.size = size
		}
		nodes = append(nodes, n)
	}
	w.used[id] = nodes
	return nodes, nil
}

// checkName refuses the names that git itself never writes into a tree: they exist to escape from a checkout (A18), and
// would give two files one path.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.EqualFold(name, ".git") || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("name %q is not possible in git", name)
	}
	return nil
}

func kindOf(m filemode.FileMode) snapshot.Kind {
	switch m {
	case filemode.Regular, filemode.Deprecated:
		return snapshot.File
	case filemode.Executable:
		return snapshot.Executable
	case filemode.Symlink:
		return snapshot.Symlink
	case filemode.Submodule:
		return snapshot.Submodule
	}
	return snapshot.Other
}
