package spec_test

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/spec"
)

const clusterFile = "groups/search/clusters/logs/cluster.yaml"

// refuses parses the base fleet with changes and wants one Problem at file that has the words.
func refuses(t *testing.T, changes map[string]string, file, words string) {
	t.Helper()
	files := base(t)
	maps.Copy(files, changes)
	wantProblem(t, snapshot.FromMap("c1", files), file, words)
}

func wantProblem(t *testing.T, s *snapshot.Snapshot, file, words string) {
	t.Helper()
	fleet, problems := spec.Parse(s, nil)
	if fleet != nil {
		t.Fatal("a fleet was made of it")
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Pos.String(), file) && strings.Contains(p.What, words) {
			if p.Fix == "" {
				t.Errorf("%s: says not what to do", p)
			}
			return
		}
	}
	t.Errorf("no problem at %s with %q among:\n%v", file, words, problems[:min(len(problems), 10)])
}

// allocated is how much memory f asks for.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHostileYAMLIsRefusedWithinBounds(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 30; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	block := &strings.Builder{}
	for i := range 600 {
		block.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	cases := []struct{ name, src, words string }{
		{"alias bomb", bomb, "anchors and aliases"},
		{"a million flow lists", strings.Repeat("[", 1_000_000), "bytes long"},
		{"flow lists within the size", strings.Repeat("[", 200_000), "nested too deeply"},
		{"flow mappings within the size", strings.Repeat("{a: ", 60_000), "nested too deeply"},
		{"block lists on one line", strings.Repeat("- ", 120_000) + "x", "nested too deeply"},
		{"block mappings by indentation", block.String(), "nested too deeply"},
		{"a chain of anchors", strings.Repeat("&a ", 50) + "x", "anchors"},
		{"complex keys", strings.Repeat("? ", 100_000), "complex keys"},
		{"tags", "a: " + strings.Repeat("!!str ", 40_000), "tags"},
		{"a hundred thousand keys", strings.Repeat("? x\n", 60_000), "complex keys"},
		{"many misspelt keys", manyKeys(3_900), "is not a key"},
		{"twenty thousand keys", manyKeys(20_000), "more than 4000 keys"},
		{"a hundred thousand elements", "a:\n" + strings.Repeat("- x\n", 60_000), "10000 elements"},
		{"a long flow list", "a: [" + strings.Repeat("x,", 100_000) + "]", "10000 elements"},
		{"a list within the bounds", "a: [" + strings.Repeat("x,", 9_900) + "]", "is not a key"},
		{"a hundred thousand lines of text", "a: |\n" + strings.Repeat(" x\n", 80_000), "is not a key"},
		{"a text of many lines without quotes", "a: x\n" + strings.Repeat(" x\n", 80_000), "is not a key"},
		{"many comments", strings.Repeat("#\n", 120_000) + "a: 1", "is not a key"},
		{"many escapes", `a: "` + strings.Repeat(`\n`, 120_000) + `"`, "is not a key"},
		{"many quotes", "a: '" + strings.Repeat("''", 120_000) + "'", "is not a key"},
		{"many empty lines", "a: 1" + strings.Repeat("\n", 250_000) + "b: 2", "is not a key"},
		{"many colons", "a" + strings.Repeat(":", 250_000), ""},
		{"long words in a list", "a: [" + strings.Repeat("x ", 120_000) + "]", "is not a key"},
		{"NUL", "apiVersion: esfleet/v1\nkind: \"Clus\x00ter\"\n", "U+0000 is invisible"},
		{"bidirectional override", "# \u202e evil\napiVersion: esfleet/v1\n", "U+202E is invisible"},
		{"zero width space", "apiVersion: esfleet/v1\u200b\n", "U+200B is invisible"},
		{"byte order mark", "\ufeffapiVersion: esfleet/v1\n", "byte order mark"},
		{"no UTF-8", "apiVersion: \xff\xfe\n", "not UTF-8"},
		{"terminal escape", "apiVersion: \x1b[31m\n", "U+001B is invisible"},
		{"homoglyph in a key", "apiVersion: esfleet/v1\nkind: Cluster\nd\u0430ta: {disk: 1GiB}\n", "is not a key"},
		{"directive", "%YAML 1.1\n---\na: 1\n", "directives"},
		{"not a mapping", "- a\n", "is a list where a mapping"},
		{"empty", "", "is empty"},
		{"comments only", "# nothing\n", "is empty"},
		{"unbalanced", "a: [1, 2\nb: }\n", ""},
		{"tab indentation", "data:\n\tdisk: 1GiB\n", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			used := allocated(func() { refuses(t, map[string]string{clusterFile: c.src}, clusterFile, c.words) })
			if used > 256<<20 {
				t.Errorf("took %d MiB", used>>20)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	return b.String()
}

func TestThousandsOfProblemsAreCut(t *testing.T) {
	files := base(t)
	files[clusterFile] = manyKeys(3_000)
	_, problems := spec.Parse(snapshot.FromMap("c1", files), nil)
	if n := len(problems); n < 100 || n > 1001 {
		t.Fatalf("%d problems", n)
	}
	if last := problems[len(problems)-1].String(); !strings.Contains(last, "more problems are not shown") {
		t.Errorf("the last line is %s", last)
	}
}

// listing is a Snapshot whose blobs must not be read, except those of the base fleet.
func listing(t *testing.T, extra ...snapshot.Entry) *snapshot.Snapshot {
	s := snapshot.FromMap("c1", base(t))
	return snapshot.New("c1", append(s.Entries, extra...), forbidding{s, t})
}

type forbidding struct {
	known *snapshot.Snapshot
	t     *testing.T
}

func (f forbidding) Blob(id snapshot.BlobID) ([]byte, error) {
	b, err := f.known.Blob(id)
	if err != nil {
		f.t.Errorf("blob %s was read", id)
	}
	return b, err
}

func TestHostileListingsAreRefusedWithoutReadingThem(t *testing.T) {
	const dir = "groups/search/clusters/logs/"
	file := func(path string) snapshot.Entry {
		return snapshot.Entry{Path: path, Blob: "x", Size: 5000}
	}
	cases := []struct {
		name        string
		entry       snapshot.Entry
		file, words string
	}{
		{"100 MB file", snapshot.Entry{Path: dir + "files/big", Blob: "huge", Size: 100 << 20}, dir + "files/big", "100 MiB large"},
		{"100 MB cluster.yaml", snapshot.Entry{Path: "groups/search/clusters/other/cluster.yaml", Blob: "huge", Size: 100 << 20}, "groups/search/clusters/other/cluster.yaml", "100 MiB large"},
		{"large script", snapshot.Entry{Path: dir + "pre-run.sh", Blob: "huge", Size: 1 << 20}, dir + "pre-run.sh", "bytes long"},
		{"symlink to /etc/passwd", snapshot.Entry{Path: dir + "files/passwd", Kind: snapshot.Symlink, Blob: "x"}, dir + "files/passwd", "symbolic link"},
		{"symlink in place of a cluster.yaml", snapshot.Entry{Path: "groups/a/clusters/b/cluster.yaml", Kind: snapshot.Symlink, Blob: "x"}, "groups/a/clusters/b/cluster.yaml", "symbolic link"},
		{"submodule", snapshot.Entry{Path: dir + "files/lib", Kind: snapshot.Submodule, Blob: "x"}, dir + "files/lib", "submodule"},
		{"device", snapshot.Entry{Path: dir + "files/dev", Kind: snapshot.Other, Blob: "x"}, dir + "files/dev", "special file"},
		{"parent folder", file(dir + "files/../../x"), dir, `".."`},
		{"absolute path", file("/etc/passwd"), "/etc/passwd", "absolute"},
		{"git folder", file(dir + "files/.git/config"), dir, "git's own folder"},
		{"git folder in capitals", file(".GIT/hooks/post-checkout"), ".GIT", "git's own folder"},
		{"git folder's short name", file("GIT~1/config"), "GIT~1", "git's own folder"},
		{"git folder with a dot behind", file(".git./config"), ".git.", "git's own folder"},
		{"backslash", file(dir + `files\x`), dir, "backslash"},
		{"empty part", file("groups//x"), "groups//x", `""`},
		{"case variant", file("groups/search/clusters/logs/Cluster.yaml"), dir + "Cluster.yaml", "upper and lower case"},
		{"case variant of a folder", file("groups/Search/clusters/x/files/a"), "groups/Search", "upper and lower case"},
		{"homoglyph group", file("groups/se\u0430rch/group.yaml"), "groups/se\u0430rch", "letter outside a–z"},
		{"bidirectional name", file(dir + "files/a\u202etxt"), `"groups`, "U+202E"},
		{"combining mark", file(dir + "files/e\u0301"), dir, "U+0301"},
		{"NUL in a name", file(dir + "files/a\x00b"), `"groups`, "U+0000"},
		{"no UTF-8 name", file(dir + "files/\xff"), `"groups`, "not UTF-8"},
		{"long path", file(dir + "files/" + strings.Repeat("x", 600)), `"groups`, "bytes long"},
		{"deep path", file(dir + "files/" + strings.Repeat("x/", 30) + "y"), dir, "folders deep"},
		{"space at the end", file(dir + "files/a "), dir, "space"},
		{"long name", file("groups/" + strings.Repeat("a", 41) + "/group.yaml"), "groups/" + strings.Repeat("a", 41), "cannot name a group"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := listing(t, c.entry)
			fleet, problems := spec.Parse(snapshotIgnoringReads(s), nil)
			if fleet != nil {
				t.Fatal("a fleet was made of it")
			}
			for _, p := range problems {
				if strings.HasPrefix(p.Pos.File, c.file) && strings.Contains(p.What, c.words) {
					return
				}
			}
			t.Errorf("no problem at %s with %q among:\n%v", c.file, c.words, problems)
		})
	}
}

// snapshotIgnoringReads leaves entries as they are; a blob named x is not there.
func snapshotIgnoringReads(s *snapshot.Snapshot) *snapshot.Snapshot {
	return snapshot.New(s.Commit, s.Entries, absent{s})
}

type absent struct{ known *snapshot.Snapshot }

func (a absent) Blob(id snapshot.BlobID) ([]byte, error) {
	if id == "huge" {
		panic("a file that is too large was read")
	}
	if id == "x" {
		return nil, errors.New("object not found\x1b[31m")
	}
	return a.known.Blob(id)
}

func TestTooManyFilesAreRefusedWithoutReadingThem(t *testing.T) {
	var many []snapshot.Entry
	for i := range 1_000_000 {
		many = append(many, snapshot.Entry{Path: fmt.Sprintf("groups/search/clusters/logs/files/%07d", i), Blob: "x", Size: 10})
	}
	wantProblem(t, listing(t, many...), "fleet.yaml", "1000003 files")
}

func TestTooManyBytesAreRefusedWithoutReadingThem(t *testing.T) {
	var many []snapshot.Entry
	for i := range 40 {
		many = append(many, snapshot.Entry{Path: fmt.Sprintf("groups/search/clusters/logs/files/%d", i), Blob: "x", Size: 10 << 20})
	}
	wantProblem(t, listing(t, many...), "fleet.yaml", "MiB together")
}

func TestAnEmptyOrHalfReadCommitIsNeverAnEmptyFleet(t *testing.T) {
	wantProblem(t, snapshot.FromMap("c1", nil), "fleet.yaml", "no files at all")
	wantProblem(t, snapshot.FromMap("c1", map[string]string{"README.md": "x"}), "fleet.yaml", "is missing")
	full := snapshot.FromMap("c1", base(t))
	t.Run("a blob is gone", func(t *testing.T) {
		for _, e := range full.Entries {
			var rest []snapshot.Entry
			for _, o := range full.Entries {
				if o.Path == e.Path {
					o.Blob = "x"
				}
				rest = append(rest, o)
			}
			wantProblem(t, snapshotIgnoringReads(snapshot.New("c1", rest, absent{full})), e.Path, "could not be read")
		}
	})
	t.Run("a blob is cut", func(t *testing.T) {
		entries := append([]snapshot.Entry(nil), full.Entries...)
		entries[0].Size++
		wantProblem(t, snapshot.New("c1", entries, absent{full}), entries[0].Path, "could not be read")
	})
	t.Run("the tree ends early", func(t *testing.T) {
		for n := range full.Entries {
			if fleet, _ := spec.Parse(snapshot.New("c1", full.Entries[:n], absent{full}), nil); fleet != nil {
				t.Errorf("a fleet was made of the first %d of %d files", n, len(full.Entries))
			}
		}
	})
}

func TestGitAttributesChangeNothing(t *testing.T) {
	files := base(t)
	plain, _ := spec.Parse(snapshot.FromMap("c1", files), nil)
	files[".gitattributes"] = "* filter=evil diff=evil\n"
	files["groups/search/.gitattributes"] = "*.yaml filter=lfs\n"
	files["hooks/post-checkout"] = "#!/bin/sh\n"
	with, problems := spec.Parse(snapshot.FromMap("c1", files), nil)
	sameFleet(t, plain, with, problems)
}

func TestScriptsAreTextThatAReviewerCanRead(t *testing.T) {
	const script = "groups/search/clusters/logs/pre-run.sh"
	refuses(t, map[string]string{script: "#!/bin/sh\r\necho\r\n"}, script+":1:10", "carriage return")
	refuses(t, map[string]string{script: "echo a\nif true; then # \u2066\n"}, script+":2:17", "U+2066")
	refuses(t, map[string]string{script: "echo \x00"}, script+":1:6", "U+0000")
	refuses(t, map[string]string{script: " \n"}, script, "is empty")
}

func TestNoMessageCarriesASecretOrAnEscape(t *testing.T) {
	files := base(t)
	files["fleet.yaml"] = strings.Replace(files["fleet.yaml"], "http://marathon.example:8080", "http://me:hunter2@m:8080", 1)
	files[clusterFile] = "apiVersion: \"\\e[31mred\"\nkind: Cluster\n\"\\e[31mkey\": 1\npurpose: \"a\\nb\"\n"
	_, problems := spec.Parse(snapshot.FromMap("c1", files), nil)
	if len(problems) < 4 {
		t.Fatal(problems)
	}
	for _, p := range problems {
		if s := p.String(); strings.Contains(s, "hunter2") || strings.ContainsAny(s, "\x1b\n") {
			t.Errorf("%q", s)
		}
	}
}
