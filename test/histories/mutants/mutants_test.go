package mutants_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tests are those that are to notice a mutant: histories, the daemon killed at every call, its package's own. The first that
// fails is enough.
func (m mutant) tests() [][]string {
	return [][]string{{"-run", "HistoriesBreak", "./test/histories"}, {"-run", "Killed", "./test/crash"}, {"./" + filepath.Dir(m.file)}}
}

// Every mutant is noticed by a test. make mutants tries all of them, make test a few; without set-up only that each still
// fits its function.
func TestEveryMutantIsNoticed(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	tried, killed, rows := 0, 0, map[string]string{}
	for i, m := range mutants {
		broken, err := m.apply(root)
		if err != nil {
			t.Errorf("%s, %s: %v", m.kind, m.what, err)
			continue
		}
		if !wanted(i, m) {
			continue
		}
		tried++
		began := time.Now()
		by := m.noticed(t, root, broken)
		if by == "" {
			t.Errorf("%s, %s: no test has noticed (%s)", m.kind, m.what, time.Since(began).Round(time.Second))
			continue
		}
		killed++
		rows[m.row()] = by
		fmt.Printf("%-3s %-60s noticed in %s by %s\n", m.kind, m.what, time.Since(began).Round(time.Second), by)
	}
	if path := os.Getenv("ESFLEET_MUTANTS_TABLE"); path != "" {
		tell(t, path, rows)
	}
	fmt.Printf("%d of %d mutants noticed, of %d\n", killed, tried, len(mutants))
}

// wanted: ESFLEET_MUTANTS=all tries every mutant, another value those of these kinds; make test tries two.
func wanted(i int, m mutant) bool {
	switch which := os.Getenv("ESFLEET_MUTANTS"); which {
	case "":
		return os.Getenv("ESFLEET_E2E") != "" && i%13 == 3
	case "all":
		return true
	default:
		return slices.Contains(strings.Split(which, ","), m.kind)
	}
}

// apply is the mutant's file.
func (m mutant) apply(root string) ([]byte, error) {
	path := filepath.Join(root, m.file)
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	from, to := 0, len(src)
	if m.fn != "*" {
		if from, to, err = extent(path, src, m.fn); err != nil {
			return nil, err
		}
	}
	if n := bytes.Count(src[from:to], []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("%s of %s has %q %d times: the function has changed, and so must its mutant", m.fn, m.file, m.old, n)
	}
	return format.Source([]byte(string(src[:from]) + strings.Replace(string(src[from:to]), m.old, m.new, 1) + string(src[to:])))
}

// extent is where a function or method stands in its file.
func extent(path string, src []byte, name string) (from, to int, err error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, 0)
	if err != nil {
		return 0, 0, err
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name {
			return fset.Position(fn.Pos()).Offset, fset.Position(fn.End()).Offset, nil
		}
	}
	return 0, 0, fmt.Errorf("%s has no function %s", path, name)
}

// noticed runs the tests over the mutant and says which of them failed; "" if none did.
func (m mutant) noticed(t *testing.T, root string, broken []byte) string {
	t.Helper()
	dir := t.TempDir()
	file, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, m.file): file}})
	if err == nil {
		err = errors.Join(os.WriteFile(file, broken, 0o600), os.WriteFile(overlay, list, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range m.tests() {
		if out, err := run(root, append([]string{"test", "-count=1", "-vet=off", "-overlay", overlay, "-timeout", "10m"}, args...)...); err != nil && !strings.Contains(out, "panic: test timed out") {
			if strings.Contains(out, "[build failed]") {
				t.Errorf("%s, %s: does not compile:\n%s", m.kind, m.what, out)
				return "the compiler"
			}
			return strings.Join(args, " ") + ": " + first(out)
		}
	}
	return ""
}

// run runs the go command without what makes tests long.
func run(root string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = root
	c.Env = append(os.Environ(), "ESFLEET_E2E=", "ESFLEET_MUTANTS=", "ESFLEET_HISTORIES="+cmp.Or(os.Getenv("ESFLEET_MUTANTS_HISTORIES"), "40"), "ESFLEET_SHRINK=no")
	out, err := c.CombinedOutput()
	return string(out), err
}

// first is the line that says what failed: the law that a history broke, or the test.
func first(out string) string {
	law := false
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if law && line != "" {
			_, line, _ = strings.Cut(line, ": ") // without the time
			return clip(line)
		}
		law = law || strings.Contains(line, "breaks the law")
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "--- FAIL") || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return clip(line)
		}
	}
	return "failed"
}

func clip(line string) string { return line[:min(len(line), 110)] }
