package drift

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// A pair is one recorded exchange: the body of a PUT that Marathon accepted, and what GET showed afterwards.
type pair struct {
	Name string
	Put  marathon.Doc
	Live marathon.Doc
}

// corpora are recorded from real Marathons.
var corpora = []struct {
	file    string
	version marathon.Version
}{
	{"corpus-1.5.jsonl", at(1, 5, 15)},
	{"corpus-1.7.jsonl", at(1, 7, 236)},
	{"corpus-1.11.jsonl", at(1, 11, 24)},
}

func corpus(t testing.TB, file string) []pair {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var out []pair
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.UseNumber()
		var p pair
		if err := d.Decode(&p); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, p)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// compareDocs compares two definitions as one app of a cluster.
func compareDocs(c spec.Component, want, have marathon.Doc, v marathon.Version) *Drift {
	id := marathon.AppID("/g/c/app")
	d := &render.Desired{ID: spec.ClusterID{Group: "g", Name: "c"}, Spec: &spec.Cluster{Pos: spec.Pos{File: "cluster.yaml"}},
		Apps: []render.App{{ID: id, Component: c, Doc: want}}}
	s := &marathon.State{Version: v, Apps: map[marathon.AppID]*marathon.App{id: {ID: id, Doc: have}}}
	return Compare(d, s)
}

func TestWhatARealMarathonAcceptedDiffersInNothingFromWhatItShows(t *testing.T) {
	for _, c := range corpora {
		pairs := corpus(t, c.file)
		if len(pairs) < 70 {
			t.Fatalf("%s holds %d pairs only", c.file, len(pairs))
		}
		for _, p := range pairs {
			t.Run(c.file+"/"+p.Name, func(t *testing.T) {
				if d := compareDocs(spec.Data, p.Put, p.Live, c.version); !d.Empty() {
					for _, x := range d.Differences {
						t.Errorf("%s: %+v", x.Class, x.Fields)
					}
				}
			})
		}
	}
}

// json64 is a number as a decoder with UseNumber gives it.
func json64(s string) json.Number { return json.Number(s) }

// TestTheRecordingsThemselvesDifferInNothing reads the recordings that testdata's corpora are a short form of.
func TestTheRecordingsThemselvesDifferInNothing(t *testing.T) {
	dir := os.Getenv("ESFLEET_REFERENCE")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "reference")
	}
	for folder, v := range map[string]marathon.Version{"corpus": at(1, 11, 24), "old/corpus-1.7": at(1, 7, 236), "old/corpus-1.5": at(1, 5, 15)} {
		t.Run(folder, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(dir, "marathon-lab", filepath.FromSlash(folder), "[0-9][0-9]-*.json"))
			if err != nil {
				t.Fatal(err)
			}
			if len(files) == 0 {
				t.Skipf("no recordings in %s; set ESFLEET_REFERENCE to the folder that holds marathon-lab/", dir)
			}
			accepted := 0
			for _, f := range files {
				git, live := recording(t, f)
				if live == nil {
					continue
				}
				accepted++
				if d := compareDocs(spec.Data, git, live, v); !d.Empty() {
					t.Errorf("%s: %+v", filepath.Base(f), d.Differences)
				}
			}
			if accepted < 70 {
				t.Errorf("only %d recordings are of accepted definitions", accepted)
			}
		})
	}
}

// recording reads what was put and what GET showed; live is nil if Marathon refused. Exchanges were recorded in two
// forms: whole with headers, and by their bodies alone.
func recording(t *testing.T, file string) (git, live marathon.Doc) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var whole map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&whole); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	dig := func(path ...string) marathon.Doc {
		at := whole
		for _, p := range path {
			at, _ = at[p].(map[string]any)
		}
		return at
	}
	if git = dig("put", "request", "body"); git != nil {
		return git, dig("get", "response", "body", "app")
	}
	return dig("put", "body"), dig("get", "app")
}
