// Package bundle packs what a node needs at boot into bytes that travel inside its app definition.
//
// In: files. Out: a deterministic tar.gz, its digest, and the environment variables that carry it; and back again from
// the environment of a live app to files. Equal files give equal bytes.
package bundle

// A Bundle is a set of files and their packed form.
type Bundle struct {
	Files  []File // sorted by path
	Digest string // hex sha256 of Packed
	Packed []byte // tar.gz
}

// A File is one file of a Bundle.
type File struct {
	Path    string
	Mode    int64 // 0644 or 0755
	Content []byte
}
