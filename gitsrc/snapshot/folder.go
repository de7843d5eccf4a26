package snapshot

import (
	"crypto/sha1" //nolint:gosec // a name for content, as git makes it, not a security measure
	"encoding/binary"
	"slices"
	"strings"
)

// A FolderID names all that lies below a folder: equal ids mean equal paths below it, kinds and content. Git calls it a
// tree. Where there is no git it is made in another way, so ids of different kinds of source cannot be compared.
type FolderID [sha1.Size]byte

// A Folder is one folder of a Snapshot. Whoever finds the id of an earlier commit at the same path need not look further.
type Folder struct {
	// Path ends with a slash; it is empty for the root.
	Path string
	ID   FolderID
	// Skip is how many entries of the folder around it come before its own, Len how many are its own, at any depth. By
	// such numbers a folder that did not change is part of the next Snapshot as it stands.
	Skip, Len int32
	// Below is how many folders lie within, at any depth.
	Below int32
	// Folders are those directly within, in the order of Entries.
	Folders []Folder
}

// Child is the folder directly within f at this path.
func (f *Folder) Child(path string) *Folder {
	if f == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(f.Folders, path, func(c Folder, p string) int { return strings.Compare(c.Path, p) })
	if !ok {
		return nil
	}
	return &f.Folders[i]
}

// Folder finds a folder by its path, which ends with a slash; it gives nil if there is none. The entries are its own.
func (s *Snapshot) Folder(path string) (*Folder, []Entry) {
	f, entries := &s.root, s.Entries
	for at := 0; at < len(path); {
		n := strings.IndexByte(path[at:], '/')
		if n < 0 {
			return nil, nil
		}
		at += n + 1
		if f = f.Child(path[:at]); f == nil {
			return nil, nil
		}
		entries = f.Within(entries)
	}
	return f, entries
}

// Within is the folder's part of the entries of the folder around it.
func (f *Folder) Within(around []Entry) []Entry {
	end := f.Skip + f.Len
	return around[f.Skip:end:end]
}

// folderOf makes the Folder at path of its sorted entries.
func folderOf(path string, entries []Entry) Folder {
	f := Folder{Path: path, Len: int32(len(entries))} //nolint:gosec // sources bound the number of files
	h := sha1.New()                                   //nolint:gosec // see the import
	var size [8]byte
	for i := 0; i < len(entries); {
		e := &entries[i]
		slash := strings.IndexByte(e.Path[len(path):], '/')
		if slash < 0 {
			binary.BigEndian.PutUint64(size[:], uint64(e.Size))
			for _, part := range []string{e.Path[len(path):], e.Kind.String(), string(e.Blob), string(size[:])} {
				h.Write(append([]byte(part), 0))
			}
			i++
			continue
		}
		dir := e.Path[:len(path)+slash+1]
		n := 1
		for i+n < len(entries) && strings.HasPrefix(entries[i+n].Path, dir) {
			n++
		}
		c := folderOf(dir, entries[i:i+n])
		c.Skip = int32(i) //nolint:gosec // as above
		h.Write(append([]byte(dir[len(path):]), c.ID[:]...))
		f.Folders = append(f.Folders, c)
		f.Below += 1 + c.Below
		i += n
	}
	h.Sum(f.ID[:0])
	return f
}
