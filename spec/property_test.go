package spec_test

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/spec"
)

// A layered value is written in any subset of the three layers; the nearest one holds, and its place is the origin.
func TestTheNearestLayerWins(t *testing.T) {
	base := base(t)
	rapid.Check(t, func(t *rapid.T) {
		files := maps.Clone(base)
		fields := []string{"cpus: %d", "memory: %dGiB", "perHost: 1 # %d", "env: {X: \"%d\"}", "settings: {a.b: %d}"}
		field := rapid.SampledFrom(fields).Draw(t, "field")
		wantFile, want := "", 0
		write := func(file, indent string) {
			if !rapid.Bool().Draw(t, file) {
				return
			}
			want = rapid.IntRange(1, 30).Draw(t, "value")
			wantFile = file
			files[file] += indent + fmt.Sprintf(field, want) + "\n"
		}
		files["fleet.yaml"] += "  data:\n    diskType: root\n"
		files["groups/search/group.yaml"] += "defaults:\n  data:\n    diskType: root\n"
		files[clusterFile] = "apiVersion: esfleet/v1\nkind: Cluster\ndata:\n  disk: 1GiB\n"
		write("fleet.yaml", "    ")
		write("groups/search/group.yaml", "    ")
		write(clusterFile, "  ")
		f, problems := spec.Parse(snapshot.FromMap("c1", files), nil)
		if f == nil {
			t.Fatal(problems)
		}
		c := f.Groups[0].Clusters[0]
		name, _, _ := strings.Cut(field, ":")
		path := "nodes.data." + map[string]string{"env": "env.X", "settings": "settings.a.b"}[name]
		if !strings.Contains(path, "X") && !strings.Contains(path, "a.b") {
			path += name
		}
		if got, _ := c.Origins.At(path); got.File != wantFile {
			t.Fatalf("%s comes from %q, want %q", path, got.File, wantFile)
		}
		if name == "memory" && wantFile != "" && c.Nodes[spec.Data].Memory != spec.Bytes(want)*spec.GiB {
			t.Fatalf("memory %s, want %dGiB", c.Nodes[spec.Data].Memory, want)
		}
		if name == "env" && wantFile != "" && c.Nodes[spec.Data].Env["X"] != fmt.Sprint(want) {
			t.Fatalf("env %v, want %d", c.Nodes[spec.Data].Env, want)
		}
	})
}

// The order of keys in files and of entries in the listing changes nothing but positions.
func TestOrderChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := examples.Files()
		want, _ := spec.Parse(snapshot.FromMap("c1", files), nil)
		entries := slices.Clone(snapshot.FromMap("c1", files).Entries)
		rng := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		rng.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		mem := snapshot.Memory{}
		for p := range files {
			mem[snapshot.BlobIDOf([]byte(files[p]))] = []byte(files[p])
		}
		got, problems := spec.Parse(snapshot.New("c1", entries, mem), nil)
		if len(problems) > 0 || cmp.Diff(want, got) != "" {
			t.Fatal(problems, cmp.Diff(want, got))
		}

		path := "groups/search/clusters/logs/cluster.yaml"
		files[path] = shuffleBlocks(files[path], rng)
		got, problems = spec.Parse(snapshot.FromMap("c1", files), nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		noPos := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type().String() == "spec.Pos" }, cmp.Ignore())
		samePaths := cmp.Comparer(func(a, b spec.Origins) bool { return slices.Equal(pathsOf(a), pathsOf(b)) })
		if d := cmp.Diff(want, got, noPos, samePaths); d != "" {
			t.Fatal(d)
		}
	})
}

func pathsOf(o spec.Origins) (paths []string) {
	for path := range o.All() {
		paths = append(paths, path)
	}
	return paths
}

// shuffleBlocks reorders the top-level keys with all that hangs on them.
func shuffleBlocks(src string, rng *rand.Rand) string {
	var blocks []string
	for _, l := range strings.SplitAfter(src, "\n") {
		switch {
		case strings.HasPrefix(l, "#") || strings.TrimSpace(l) == "":
		case !strings.HasPrefix(l, " ") || len(blocks) == 0:
			blocks = append(blocks, l)
		default:
			blocks[len(blocks)-1] += l
		}
	}
	rng.Shuffle(len(blocks), func(i, j int) { blocks[i], blocks[j] = blocks[j], blocks[i] })
	return strings.Join(blocks, "")
}

// Whatever is done to the text, the answer is a fleet or problems, never both, never neither; the same each time, also with
// a warm cache.
func TestDamagedFilesAlwaysGetTheSameAnswer(t *testing.T) {
	var cache spec.Cache
	clean := examples.Files()
	paths := slices.Sorted(maps.Keys(clean))
	rapid.Check(t, func(t *rapid.T) {
		files := maps.Clone(clean)
		for range rapid.IntRange(1, 4).Draw(t, "damages") {
			path := rapid.SampledFrom(paths).Draw(t, "path")
			src := files[path]
			i := rapid.IntRange(0, len(src)).Draw(t, "at")
			j := rapid.IntRange(i, min(len(src), i+20)).Draw(t, "to")
			put := rapid.SampledFrom([]string{"", " ", "\n", ":", "- ", "{", "}", "[", "]", "\"", "'", "#", "&a", "*a", "!!x", "|", ">", "---\n", "?", "<<: ", "yes", "1e3", "~", "\t", "\r\n", "\x00", "é", "\u202e", "- a: b\n", "  "}).Draw(t, "put")
			files[path] = src[:i] + put + src[j:]
		}
		s := snapshot.FromMap("c1", files)
		f1, p1 := spec.Parse(s, nil)
		f2, p2 := spec.Parse(s, &cache)
		if (f1 == nil) != (len(p1) > 0) {
			t.Fatalf("fleet %v with %d problems", f1 != nil, len(p1))
		}
		if d := cmp.Diff(p1, p2); d != "" {
			t.Fatal(d)
		}
		if d := cmp.Diff(f1, f2); d != "" {
			t.Fatal(d)
		}
		for _, p := range p1 {
			if p.Pos.File == "" || p.What == "" || p.Fix == "" || strings.ContainsAny(p.String(), "\n\x1b\x00") {
				t.Fatalf("%q", p.String())
			}
		}
	})
}

// FuzzParse gives any text to every kind of document. It must come back, with an answer that is a fleet or problems.
func FuzzParse(f *testing.F) {
	for _, src := range examples.Files() {
		f.Add(src)
	}
	for _, c := range []string{"wrong-types", "yaml-traps", "anchors", "managed-settings", "duplicate-keys", "second-document", "changes"} {
		a, err := txtar.ParseFile("testdata/" + c + ".txtar")
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			f.Add(string(file.Data))
		}
	}
	base := base(f)
	f.Fuzz(func(t *testing.T, src string) {
		files := maps.Clone(base)
		for _, path := range []string{"fleet.yaml", "groups/search/group.yaml", clusterFile, "groups/search/clusters/logs/elasticsearch.yml", "groups/search/clusters/logs/pre-run.sh"} {
			one := maps.Clone(files)
			one[path] = src
			fleet, problems := spec.Parse(snapshot.FromMap("c1", one), nil)
			if (fleet == nil) != (len(problems) > 0) {
				t.Fatalf("%s: fleet %v with %d problems", path, fleet != nil, len(problems))
			}
			for _, p := range problems {
				if p.What == "" || p.Fix == "" || strings.ContainsAny(p.String(), "\n\x1b\x00") {
					t.Fatalf("%q", p.String())
				}
			}
		}
	})
}
