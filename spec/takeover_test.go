package spec_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/spec"
)

// threeGroups of one cluster each: g000/c00000, g001/c00100, g002/c00200.
func threeGroups() map[string]string {
	files := fleetOf(201)
	maps.DeleteFunc(files, func(p, _ string) bool {
		return strings.Contains(p, "/c0") && !strings.Contains(p, "/c00000/") && !strings.Contains(p, "/c00100/") && !strings.Contains(p, "/c00200/")
	})
	return files
}

func TestAGroupInWhichNothingChangedIsTakenOverWhole(t *testing.T) {
	var cache spec.Cache
	files := threeGroups()
	before := mustParse(t, files, &cache)
	files["groups/g001/clusters/c00100/pre-run.sh"] += "true\n"
	after := mustParse(t, files, &cache)
	for i, same := range []bool{true, false, true} {
		if (before.Groups[i] == after.Groups[i]) != same {
			t.Errorf("group %s is the same: %v", after.Groups[i].Name, !same)
		}
	}
	files["fleet.yaml"] += "# changed\n"
	if mustParse(t, files, &cache).Groups[0] == before.Groups[0] {
		t.Error("a group was taken over although fleet.yaml has changed")
	}
}

// With a cache or without, the answer is the same: what one commit does to a fleet that was faultless before it, and what the
// next one does that mends it.
func TestWhatIsTakenOverHidesNoFault(t *testing.T) {
	good := threeGroups()
	for name, change := range map[string]func(map[string]string){
		"an empty commit":     func(fs map[string]string) { clear(fs) },
		"no cluster any more": func(fs map[string]string) { maps.DeleteFunc(fs, func(p, _ string) bool { return p != "fleet.yaml" }) },
		"no fleet.yaml":       func(fs map[string]string) { delete(fs, "fleet.yaml") },
		"a group gone": func(fs map[string]string) {
			maps.DeleteFunc(fs, func(p, _ string) bool { return len(p) > 11 && p[:11] == "groups/g001" })
		},
		"a group in other letters":       func(fs map[string]string) { fs["groups/G001/group.yaml"] = fs["groups/g001/group.yaml"] },
		"a file in a group's place":      func(fs map[string]string) { fs["groups/g003"] = "x" },
		"a path in other letters":        func(fs map[string]string) { fs["GROUPS/g001/group.yaml"] = "x" },
		"a name that git cannot have":    func(fs map[string]string) { fs["groups/g001/clusters/c00100/../x"] = "x" },
		"a file that is not read there":  func(fs map[string]string) { fs["groups/g001/clusters/c00100/elastic.yml"] = "x" },
		"a file beside the folders":      func(fs map[string]string) { fs["groups/zz.txt"], fs["groups/README.md"] = "x", "y" },
		"a wrong value":                  func(fs map[string]string) { fs["groups/g002/clusters/c00200/cluster.yaml"] += "purpose: on\n" },
		"a group without its group.yaml": func(fs map[string]string) { delete(fs, "groups/g000/group.yaml") },
		"a wrong default":                func(fs map[string]string) { fs["groups/g000/group.yaml"] += "marathon: elsewhere\n" },
		"a renamed group": func(fs map[string]string) {
			for _, f := range []string{"cluster.yaml", "elasticsearch.yml", "pre-run.sh", "files/stopwords.txt"} {
				from := "groups/g002/clusters/c00200/" + f
				fs["groups/g002-b/clusters/c00200/"+f] = fs[from]
				delete(fs, from)
			}
			fs["groups/g002-b/group.yaml"] = fs["groups/g002/group.yaml"]
			delete(fs, "groups/g002/group.yaml")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var cache spec.Cache
			mustParse(t, good, &cache)
			bad := maps.Clone(good)
			change(bad)
			for i, files := range []map[string]string{bad, bad, good} {
				want, wantProblems := spec.Parse(snapshot.FromMap("c", files), nil)
				got, problems := spec.Parse(snapshot.FromMap("c", files), &cache)
				if d := cmp.Diff(wantProblems, problems); d != "" {
					t.Errorf("commit %d: %s", i, d)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("commit %d: %s", i, d)
				}
			}
		})
	}
}
