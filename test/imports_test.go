package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/esfleet/esfleet"

// pure packages are called with everything they may know: no I/O, no clock, no chance. Each says why.
var pure = map[string]string{
	"gitsrc/snapshot":       "a snapshot is data: the same commit reads the same for ever",
	"spec":                  "a merge request is checked with what it holds and nothing else",
	"render":                "equal specs give equal bytes",
	"render/bundle":         "equal files give equal bytes",
	"render/bootstrap":      "the boot script is text; running it is its test's business",
	"drift":                 "a comparison decides nothing and asks nobody",
	"marathonsink/marathon": "words do not speak to the network",
	"reconcile/plan":        "a plan is decided, not fetched; bring it in as a Fact",
	"reconcile/esgate":      "a safety rule must say the same of the same state",
	"reconcile/preflight":   "room in the pool is reckoned from Facts",
}

// impureImports do I/O, or know the time or chance by themselves. net/url and net/netip only parse; of net itself
// pureOfNet does.
var impureImports = []string{
	"net/http", "net/rpc", "net/smtp", "net/textproto", "os", "os/exec", "os/signal", "os/user", "syscall", "io/ioutil",
	"log", "log/slog", "log/syslog", "math/rand", "math/rand/v2", "crypto/rand", "testing",
	"github.com/go-git/go-git/v5", "github.com/gambol99/go-marathon", "github.com/fsnotify/fsnotify", "github.com/spf13/cobra",
	"github.com/prometheus/client_golang", "go.etcd.io/bbolt", "golang.org/x/sys", "golang.org/x/term",
}

// impureCalls are forbidden in pure packages though their package is not.
var impureCalls = map[string][]string{
	"time": {"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep", "LoadLocation"},
	"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
}

// pureOfNet are the only names of package net that pure packages may use: they work on text.
var pureOfNet = []string{"SplitHostPort", "JoinHostPort", "ParseIP", "ParseCIDR", "IP", "IPNet", "AddrError", "ParseError"}

// impure says whether a name of an imported package is forbidden in pure packages.
func impure(imported, name string) bool {
	if imported == "net" {
		return !slices.Contains(pureOfNet, name)
	}
	return slices.Contains(impureCalls[imported], name)
}

// A law forbids one package, and all below it, to reach another in any number of steps inside the module.
type law struct{ pkg, never, reason string }

var laws = []law{
	{"gitsrc", "spec", "imports point up the flow: a source of files does not know what they mean"},
	{"gitsrc", "render", "a source of files plans nothing"},
	{"gitsrc", "drift", "a source of files plans nothing"},
	{"gitsrc", "marathonsink", "a source of files plans nothing"},
	{"gitsrc", "reconcile", "a source of files plans nothing"},
	{"spec", "render", "imports point up the flow"},
	{"spec", "drift", "imports point up the flow"},
	{"spec", "marathonsink", "what is wanted does not depend on who runs it"},
	{"spec", "reconcile", "imports point up the flow"},
	{"render", "drift", "render knows no live state"},
	{"render", "reconcile", "imports point up the flow"},
	{"drift", "reconcile", "drift finds, plan decides"},
	{"marathonsink", "reconcile", "the client speaks Marathon, not our plans"},
	{"marathonsink", "drift", "the client speaks Marathon, not our plans"},
	{"marathonsink", "render", "the client sends what it is given"},
	{"marathonsink", "spec", "the client sends what it is given"},
	{"marathonsink", "gitsrc", "the client sends what it is given"},
	{"reconcile/plan", "reconcile/daemon", "plan is called, it calls nobody"},
}

// only limits what a package may import of the module; everything else is forbidden.
var only = map[string][]string{
	"gitsrc/snapshot":       {},
	"spec":                  {"gitsrc/snapshot"},
	"marathonsink/marathon": {},
	"render/bundle":         {},
	"render/bootstrap":      {"spec", "gitsrc/snapshot", "render/bundle"},
	"render":                {"spec", "gitsrc/snapshot", "render/bundle", "render/bootstrap", "marathonsink/marathon"},
	"drift":                 {"spec", "render", "render/bundle", "marathonsink/marathon"},
	"reconcile/esgate":      {"spec"},
	"reconcile/preflight":   {"spec", "marathonsink/marathon"},
	"reconcile/plan":        {"spec", "render", "drift", "marathonsink/marathon", "reconcile/esgate", "reconcile/preflight"},
}

// importers limits who may import a package directly.
var importers = map[string][]string{
	"marathonsink/marathonsim": {"cmd/esfleet", "reconcile/demo", "marathonsink/sinktest", "marathonsink/marathonsim/pretend", "test/histories/world"},
	"marathonsink/sinktest":    {},
	"cmd/esfleet":              {},
}

// topLevel are the only folders of the project's root, beside hidden ones.
var topLevel = []string{"cmd", "drift", "examples", "gitsrc", "marathonsink", "reconcile", "render", "spec", "test"}

// A pkg is what the laws look at: its product files, never its tests.
type pkg struct {
	imports []string
	calls   []string // package.Func, with where it stands
	doc     string
	files   int
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod above this test")
	return ""
}

// packages parses the module. It reads files instead of asking the go command: build tags hide nothing from a law.
func packages(t *testing.T) map[string]*pkg {
	t.Helper()
	top := root(t)
	out := map[string]*pkg{}
	err := filepath.WalkDir(top, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if n := e.Name(); file != top && (strings.HasPrefix(n, ".") || strings.HasPrefix(n, "_") || n == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		rel, err := filepath.Rel(top, filepath.Dir(file))
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if out[name] == nil {
			out[name] = &pkg{}
		}
		return out[name].add(file)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 5 {
		t.Fatalf("found only %d packages", len(out))
	}
	return out
}

func (p *pkg) add(file string) error {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, file, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	if strings.HasSuffix(file, "_test.go") {
		return nil
	}
	p.files++
	if f.Doc != nil {
		p.doc += f.Doc.Text()
	}
	local := map[string]string{}
	for _, s := range f.Imports {
		imported, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			return err
		}
		p.imports = append(p.imports, imported)
		name := path.Base(imported)
		if s.Name != nil {
			name = s.Name.Name
		}
		local[name] = imported
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && impure(local[x.Name], sel.Sel.Name) {
				p.calls = append(p.calls, local[x.Name]+"."+sel.Sel.Name+" at "+files.Position(sel.Pos()).String())
			}
		}
		return true
	})
	return nil
}

// inside lists the module's own packages that a package imports, by their folder.
func (p *pkg) inside() []string {
	var out []string
	for _, i := range p.imports {
		if rel, ok := strings.CutPrefix(i, module+"/"); ok && !slices.Contains(out, rel) {
			out = append(out, rel)
		}
	}
	return out
}

// within says that name is top or below it.
func within(name, top string) bool { return name == top || strings.HasPrefix(name, top+"/") }

func TestPurePackagesDoNoIOAndReadNoClock(t *testing.T) {
	all := packages(t)
	for name, why := range pure {
		t.Run(name, func(t *testing.T) {
			p := all[name]
			if p == nil {
				t.Skipf("%s is not written yet", name)
			}
			for _, i := range p.imports {
				for _, bad := range impureImports {
					// Of the standard library the very package is meant, of others all below it too.
					if i == bad || strings.Contains(bad, ".") && within(i, bad) {
						t.Errorf("%s imports %s: %s", name, i, why)
					}
				}
			}
			for _, c := range p.calls {
				t.Errorf("%s uses %s: %s", name, c, why)
			}
			for _, i := range p.inside() {
				if _, ok := pure[i]; !ok {
					t.Errorf("%s imports %s, which is not pure: %s", name, i, why)
				}
			}
		})
	}
}

func TestImportsPointUpTheFlow(t *testing.T) {
	all := packages(t)
	for _, l := range laws {
		for name := range all {
			if !within(name, l.pkg) {
				continue
			}
			for _, way := range reach(all, name) {
				// The words of Marathon are everybody's.
				end := way[len(way)-1]
				if within(end, l.never) && end != "marathonsink/marathon" && end != "gitsrc/snapshot" {
					t.Errorf("%s: %s", strings.Join(way, " → "), l.reason)
				}
			}
		}
	}
}

// reach lists one way to every package that name imports in any number of steps.
func reach(all map[string]*pkg, name string) [][]string {
	seen := map[string]bool{name: true}
	ways := [][]string{{name}}
	for i := 0; i < len(ways); i++ {
		last := all[ways[i][len(ways[i])-1]]
		if last == nil {
			continue
		}
		for _, next := range last.inside() {
			if !seen[next] {
				seen[next] = true
				ways = append(ways, append(slices.Clone(ways[i]), next))
			}
		}
	}
	return ways[1:]
}

func TestPackagesImportOnlyWhatTheirTableAllows(t *testing.T) {
	all := packages(t)
	for name, allowed := range only {
		if all[name] == nil {
			continue
		}
		for _, i := range all[name].inside() {
			if !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s; of this module it may import only %v", name, i, allowed)
			}
		}
	}
	for name, p := range all {
		for _, i := range p.inside() {
			if who, limited := importers[i]; limited && !slices.Contains(who, name) {
				t.Errorf("%s imports %s in product code; only %v may", name, i, who)
			}
		}
		if slices.Contains(p.imports, "testing") && name != "marathonsink/sinktest" {
			t.Errorf("%s imports testing in product code", name)
		}
	}
}

func TestTopLevelFoldersAreTheOnesOfTheDesign(t *testing.T) {
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s/ is not one of the project's folders %v; make it a package below one of them", e.Name(), topLevel)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for name, p := range packages(t) {
		if p.files > 0 && !strings.HasPrefix(p.doc, "Package ") && !strings.HasPrefix(p.doc, "Command ") {
			t.Errorf("%s has no package comment that begins with Package or Command", name)
		}
	}
}

// A package is on the map by its own name, or by the line of one above it that ends with "and below".
func TestTheMapNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	named, covered := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z0-9/-]+)`( and below)?").FindAllStringSubmatch(string(text), -1) {
		named[m[1]] = true
		covered[m[1]] = covered[m[1]] || m[2] != ""
	}
	for name, p := range packages(t) {
		if within(name, "test") || name == "examples" || p.files == 0 {
			continue // these hold no product code
		}
		ok := named[name]
		for up := path.Dir(name); up != "."; up = path.Dir(up) {
			ok = ok || covered[up]
		}
		if !ok {
			t.Errorf("ARCHITECTURE.md does not name `%s`", name)
		}
	}
}
