// Package examples holds the example fleet: README, demo and tests all use this one, so that it cannot rot.
//
// Out: the files as an embed.FS and as a map from path to content.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed fleet
var files embed.FS

// FS is the example fleet as a repository's root: fleet.yaml, groups/….
// An embedded file has no mode; scripts are executable in git, and a node runs them by their shell in any case.
func FS() fs.FS {
	sub, err := fs.Sub(files, "fleet")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return sub
}

// Files is the example fleet, path to content, for snapshot.FromMap.
func Files() map[string]string {
	out := map[string]string{}
	err := fs.WalkDir(FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(FS(), path)
		out[path] = string(b)
		return err
	})
	if err != nil {
		panic(err) // see FS
	}
	return out
}
