package gitsrc

import (
	"errors"
	"fmt"
	"io"
	"slices"
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

// A walk lists a commit's files. Folders that did not change since the listing before are taken over from it: to read the
// next commit costs what changed, not what is there.
type walk struct {
	st      objects
	before  *snapshot.Snapshot // nil: nothing is known
	lim     Limits
	trees   map[plumbing.Hash][]node // read in this walk: a few trees that name each other many times are read once
	entries []snapshot.Entry
	visited int // folders count too: the same few trees make millions of paths
	bytes   int64
}

// list gives a commit's Snapshot. The presence of each of its files is proven, now or when before was listed.
func list(st objects, commit plumbing.Hash, before *snapshot.Snapshot, blobs snapshot.Blobs, lim Limits) (*snapshot.Snapshot, error) {
	var c object.Commit
	if err := decode(st, plumbing.CommitObject, commit, maxCommit, &c); err != nil {
		return nil, err
	}
	w := &walk{st: st, before: before, lim: lim, trees: map[plumbing.Hash][]node{}}
	var old *snapshot.Folder
	if before != nil {
		old, _ = before.Folder("")
		w.entries = make([]snapshot.Entry, 0, len(before.Entries)+16)
	}
	root, err := w.visit("", c.TreeHash, 0, old)
	if err != nil {
		return nil, err
	}
	if before == nil {
		w.entries = slices.Clone(w.entries) // without the room that it grew into
	}
	return snapshot.Listed(commit.String(), w.entries, root, blobs), nil
}

// visit lists the folder at a path; old is what was there before.
func (w *walk) visit(path string, id plumbing.Hash, depth int, old *snapshot.Folder) (f snapshot.Folder, err error) {
	if depth > w.lim.Depth {
		return f, fmt.Errorf("%w: folders nest deeper than %d", errTooLarge, w.lim.Depth)
	}
	if old != nil && old.ID == snapshot.FolderID(id) {
		return *old, w.takeOver(old)
	}
	nodes, err := w.nodes(id)
	if err != nil {
		return f, err
	}
	f = snapshot.Folder{Path: path, ID: snapshot.FolderID(id)}
	start := len(w.entries)
	for _, n := range nodes {
		if err := w.count(1, n.size); err != nil {
			return f, err
		}
		if !n.dir {
			w.entries = append(w.entries, snapshot.Entry{Path: path + n.name, Kind: n.kind, Blob: snapshot.BlobID(n.id.String()), Size: n.size})
			continue
		}
		at := len(w.entries)
		below := path + n.name + "/"
		c, err := w.visit(below, n.id, depth+1, old.Child(below))
		if err != nil {
			return f, err
		}
		c.Skip = int32(at - start) //nolint:gosec // Limits.Entries bounds it
		f.Below += 1 + c.Below
		f.Folders = append(f.Folders, c)
	}
	if f.Len = int32(len(w.entries) - start); f.Len > 0 { //nolint:gosec // as above
		f.Path = w.entries[start].Path[:len(path)] // its memory is there already
	}
	return f, nil
}

// takeOver lists a folder as it was listed before.
func (w *walk) takeOver(old *snapshot.Folder) error {
	_, entries := w.before.Folder(old.Path)
	var bytes int64
	for i := range entries {
		bytes += entries[i].Size
	}
	w.entries = append(w.entries, entries...)
	return w.count(len(entries)+int(old.Below), bytes)
}

func (w *walk) count(things int, bytes int64) error {
	if w.visited += things; w.visited > w.lim.Entries {
		return fmt.Errorf("%w: more than %d files and folders", errTooLarge, w.lim.Entries)
	}
	if w.bytes += bytes; w.bytes > w.lim.TotalBytes {
		return fmt.Errorf("%w: the files together have more than %d bytes", errTooLarge, w.lim.TotalBytes)
	}
	return nil
}

// nodes reads one tree object, in the order that its paths have in a Snapshot.
func (w *walk) nodes(id plumbing.Hash) ([]node, error) {
	if n, ok := w.trees[id]; ok {
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
	slices.SortFunc(nodes, byPath) // git's own order; whoever made the tree may have kept another
	w.trees[id] = nodes
	return nodes, nil
}

// byPath orders a folder as the paths below it.
func byPath(a, b node) int { return strings.Compare(a.sortName(), b.sortName()) }

func (n node) sortName() string {
	if n.dir {
		return n.name + "/"
	}
	return n.name
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
