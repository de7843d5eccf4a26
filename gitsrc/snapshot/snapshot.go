// Package snapshot is one commit's files as data: what every later stage may know of git.
//
// In: a listing of paths and a way to read a blob by its id. Out: a Snapshot whose order is fixed, so that equal
// commits give equal bytes everywhere after it. It does no I/O of its own; gitsrc makes Snapshots.
package snapshot

import (
	"crypto/sha1" //nolint:gosec // git's own name for a blob, not a security measure
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// A BlobID names a file's content as git does (lower-case hex). Equal content has equal ids, whatever the path or commit.
type BlobID string

// BlobIDOf is the id git gives to this content in a SHA-1 repository.
func BlobIDOf(content []byte) BlobID {
	h := sha1.New() //nolint:gosec // see the import
	fmt.Fprintf(h, "blob %d\x00", len(content))
	h.Write(content)
	return BlobID(hex.EncodeToString(h.Sum(nil)))
}

// A Kind says what a path is. Anything but File and Executable is refused by spec, with the reason.
type Kind int

// The kinds of tree entries that git knows.
const (
	File Kind = iota
	Executable
	Symlink
	Submodule
	Other
)

// String is the word used in messages.
func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Executable:
		return "executable file"
	case Symlink:
		return "symbolic link"
	case Submodule:
		return "submodule"
	}
	return "special file"
}

// An Entry is one path of a Snapshot. Size is in bytes.
type Entry struct {
	Path string
	Kind Kind
	Blob BlobID
	Size int64
}

// Blobs reads content by id. An unknown id is an error.
type Blobs interface {
	Blob(BlobID) ([]byte, error)
}

// A Snapshot is one commit's files, sorted by path. It is read-only and safe for concurrent use if its Blobs are.
type Snapshot struct {
	// Commit is the full commit id, or "dir:<digest>" for a watched directory. It never enters an app.
	Commit string
	// Entries are sorted by Path (bytewise) and unique.
	Entries []Entry
	root    Folder
	blobs   Blobs
}

// New sorts entries and binds them to the store that holds their content.
func New(commit string, entries []Entry, blobs Blobs) *Snapshot {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return Listed(commit, entries, folderOf("", entries), blobs)
}

// Listed is the Snapshot of a source that knows its folders. The entries, which are sorted, and root are its own from now on.
func Listed(commit string, entries []Entry, root Folder, blobs Blobs) *Snapshot {
	return &Snapshot{Commit: commit, Entries: entries, root: root, blobs: blobs}
}

// Blob reads content by id.
func (s *Snapshot) Blob(id BlobID) ([]byte, error) { return s.blobs.Blob(id) }

// Read returns the content of e.
func (s *Snapshot) Read(e Entry) ([]byte, error) {
	b, err := s.blobs.Blob(e.Blob)
	if err != nil {
		return nil, fmt.Errorf("read %s of commit %s: %w", e.Path, s.Commit, err)
	}
	return b, nil
}

// Lookup finds a path.
func (s *Snapshot) Lookup(path string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(s.Entries, path, func(e Entry, p string) int { return strings.Compare(e.Path, p) })
	if !ok {
		return Entry{}, false
	}
	return s.Entries[i], true
}

// Memory is a Blobs held in memory.
type Memory map[BlobID][]byte

// Blob implements Blobs.
func (m Memory) Blob(id BlobID) ([]byte, error) {
	b, ok := m[id]
	if !ok {
		return nil, fmt.Errorf("no blob %s", id)
	}
	return b, nil
}

// FromMap is a Snapshot of plain files, path to content: for directories read whole, and for tests.
func FromMap(commit string, files map[string]string) *Snapshot {
	mem := Memory{}
	var entries []Entry
	for p, c := range files {
		id := BlobIDOf([]byte(c))
		mem[id] = []byte(c)
		entries = append(entries, Entry{Path: p, Blob: id, Size: int64(len(c))})
	}
	return New(commit, entries, mem)
}
