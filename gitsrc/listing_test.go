package gitsrc_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/gitsrc/gittest"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// What a listing takes over from the one before must not show: folders that move, shrink, vanish or come between others.
func TestASnapshotIsTheSameWhateverWasListedBefore(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	follower := b.open()
	for i, step := range []struct {
		put    map[string]string
		remove []string
	}{
		{put: map[string]string{"fleet.yaml": "f", "groups/a/group.yaml": "g", "groups/a/clusters/x/cluster.yaml": "x", "groups/a/clusters/x/files/s": "s", "groups/c/group.yaml": "g"}},
		{put: map[string]string{"groups/a/clusters/x/files/s": "S"}},
		{put: map[string]string{"groups/a-b/group.yaml": "g", "groups/a.txt": "t", "README.md": "r"}},
		{put: map[string]string{"groups/b/clusters/x/cluster.yaml": "x", "groups/b/clusters/x/files/s": "S"}, remove: []string{"groups/a/clusters/x/cluster.yaml", "groups/a/clusters/x/files/s"}},
		{put: map[string]string{"groups/c": "a file in a folder's place"}, remove: []string{"groups/c/group.yaml"}},
	} {
		head := b.commit(step.put, step.remove...)
		got := good(t, follower, head, true).Snapshot
		b.opts.MirrorDir = t.TempDir()
		want := good(t, b.open(), head, true).Snapshot
		if d := cmp.Diff(want.Entries, got.Entries); d != "" {
			t.Fatalf("commit %d: %s", i, d)
		}
		if !slices.IsSortedFunc(got.Entries, func(a, b snapshot.Entry) int { return strings.Compare(a.Path, b.Path) }) {
			t.Fatalf("commit %d is not sorted", i)
		}
		wantRoot, _ := want.Folder("")
		gotRoot, _ := got.Folder("")
		if d := cmp.Diff(wantRoot, gotRoot); d != "" {
			t.Fatalf("commit %d: %s", i, d)
		}
		for path := range step.put {
			if _, ok := got.Lookup(path); !ok {
				t.Fatalf("commit %d: %s cannot be found", i, path)
			}
		}
	}
}
