package spec_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/spec"
)

// base is a small correct fleet; every golden case changes a few of its files.
func base(t testing.TB) map[string]string {
	t.Helper()
	a, err := txtar.ParseFile("testdata/base.txt")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Name] = string(f.Data)
	}
	return files
}

// Each case of testdata is one txtar: files that are put over the base fleet (lines `delete PATH` in its comment take some
// away), and problems.txt, the whole answer as the author of the merge request reads it.
func TestProblems(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) < 10 {
		t.Fatalf("only %d cases (%v)", len(cases), err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := base(t)
			for _, line := range strings.Split(string(a.Comment), "\n") {
				if p, ok := strings.CutPrefix(line, "delete "); ok {
					delete(files, p)
				}
			}
			var want []byte
			golden := -1
			for i, f := range a.Files {
				if f.Name == "problems.txt" {
					want, golden = f.Data, i
					continue
				}
				files[f.Name] = string(f.Data)
			}
			fleet, problems := spec.Parse(snapshot.FromMap("c1", files), nil)
			if (fleet == nil) == (len(problems) == 0) {
				t.Errorf("fleet %v with %d problems", fleet != nil, len(problems))
			}
			var got bytes.Buffer
			for _, p := range problems {
				got.WriteString(p.String() + "\n")
			}
			if *update {
				if golden < 0 {
					a.Files = append(a.Files, txtar.File{Name: "problems.txt"})
					golden = len(a.Files) - 1
				}
				a.Files[golden].Data = got.Bytes()
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
}

func TestTheBaseFleetHasNoProblems(t *testing.T) {
	if _, problems := spec.Parse(snapshot.FromMap("c1", base(t)), nil); len(problems) > 0 {
		t.Fatal(problems)
	}
}
