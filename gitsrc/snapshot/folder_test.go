package snapshot_test

import (
	"slices"
	"testing"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

func files() map[string]string {
	return map[string]string{
		"fleet.yaml": "f", "groups/a/group.yaml": "g", "groups/a/clusters/x/cluster.yaml": "c", "groups/a/clusters/x/files/s.txt": "s",
		"groups/a-b/group.yaml": "g", "groups/a.txt": "t",
	}
}

func TestAFolderHoldsWhatLiesBelowIt(t *testing.T) {
	s := snapshot.FromMap("c1", files())
	for dir, want := range map[string][]string{
		"groups/a/":              {"groups/a/clusters/x/cluster.yaml", "groups/a/clusters/x/files/s.txt", "groups/a/group.yaml"},
		"groups/a-b/":            {"groups/a-b/group.yaml"},
		"groups/a/clusters/x/":   {"groups/a/clusters/x/cluster.yaml", "groups/a/clusters/x/files/s.txt"},
		"groups/a/clusters/nix/": nil,
		"fleet.yaml":             nil,
	} {
		f, entries := s.Folder(dir)
		var got []string
		for _, e := range entries {
			got = append(got, e.Path)
		}
		if !slices.Equal(got, want) || (f == nil) != (want == nil) {
			t.Errorf("%s holds %v, want %v", dir, got, want)
		}
	}
	if root, all := s.Folder(""); root.Below != 6 || len(all) != len(s.Entries) {
		t.Errorf("the root has %d folders and %d entries", root.Below, len(all))
	}
}

func TestAFoldersIDChangesWithAnythingBelowItAndWithNothingElse(t *testing.T) {
	id := func(change func(map[string]string)) snapshot.FolderID {
		fs := files()
		change(fs)
		f, _ := snapshot.FromMap("c", fs).Folder("groups/a/")
		return f.ID
	}
	same := id(func(map[string]string) {})
	for name, change := range map[string]func(map[string]string){
		"content":    func(fs map[string]string) { fs["groups/a/clusters/x/files/s.txt"] = "S" },
		"a new file": func(fs map[string]string) { fs["groups/a/clusters/x/new"] = "" },
		"one gone":   func(fs map[string]string) { delete(fs, "groups/a/clusters/x/cluster.yaml") },
		"a new name": func(fs map[string]string) {
			fs["groups/a/g"] = fs["groups/a/group.yaml"]
			delete(fs, "groups/a/group.yaml")
		},
		"a new place": func(fs map[string]string) {
			fs["groups/a/clusters/y/cluster.yaml"] = "c"
			delete(fs, "groups/a/clusters/x/cluster.yaml")
		},
	} {
		if id(change) == same {
			t.Errorf("%s: the id stays", name)
		}
	}
	if id(func(fs map[string]string) { fs["fleet.yaml"], fs["groups/b/group.yaml"] = "F", "g" }) != same {
		t.Error("the id changes with what lies elsewhere")
	}
}
