package gitsrc_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for p, c := range files {
		p = filepath.Join(root, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(c), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func openDir(t *testing.T, o gitsrc.Options) gitsrc.Source {
	t.Helper()
	s, err := gitsrc.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// until waits for wakes until a Refresh passes.
func until(t *testing.T, s gitsrc.Source, what string, ok func(gitsrc.Result) bool) gitsrc.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // only so that a failure has a name
	defer cancel()
	for {
		select {
		case <-s.Wake():
			if r := s.Refresh(t.Context()); ok(r) {
				return r
			}
		case <-ctx.Done():
			t.Fatalf("never saw %s", what)
		}
	}
}

func holds(t *testing.T, path, want string) func(gitsrc.Result) bool {
	return func(r gitsrc.Result) bool {
		if r.Snapshot == nil || r.Refusal != nil {
			return false
		}
		_, there := r.Snapshot.Lookup(path)
		return there && content(t, r, path) == want
	}
}

func TestADirectoryIsReadAsASnapshotOfItsContent(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"fleet.yaml": "a", "groups/x/run.sh": "b", ".git/HEAD": "ref", ".gitignore": "i"})
	if err := os.Chmod(filepath.Join(root, "groups/x/run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := openDir(t, gitsrc.Options{Dir: root})
	r := s.Refresh(t.Context())
	if r.Refusal != nil || !r.Changed || !strings.HasPrefix(r.Snapshot.Commit, "dir:") {
		t.Fatalf("%+v", r)
	}
	got := ""
	for _, e := range r.Snapshot.Entries {
		got += e.Path + " " + e.Kind.String() + ", "
	}
	if want := ".gitignore file, fleet.yaml file, groups/x/run.sh executable file, "; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	good(t, s, r.Snapshot.Commit, false)
	if e, _ := r.Snapshot.Lookup("fleet.yaml"); e.Blob != snapshot.BlobIDOf([]byte("a")) {
		t.Errorf("blob %s is not git's name", e.Blob)
	}
}

func TestADirectoryTellsOfLinksAndSpecialFilesAndNeverFollowsThem(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	write(t, outside, map[string]string{"secret": "S3cr3t"})
	write(t, root, map[string]string{"fleet.yaml": ""})
	for link, target := range map[string]string{"file-link": filepath.Join(outside, "secret"), "folder-link": outside, "loop": "."} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := openDir(t, gitsrc.Options{Dir: root}).Refresh(t.Context())
	if r.Refusal != nil {
		t.Fatal(r.Refusal)
	}
	for path, want := range map[string]snapshot.Kind{"file-link": snapshot.Symlink, "folder-link": snapshot.Symlink, "loop": snapshot.Symlink, "pipe": snapshot.Other} {
		if e, ok := r.Snapshot.Lookup(path); !ok || e.Kind != want {
			t.Errorf("%s is a %s", path, e.Kind)
		}
	}
	if len(r.Snapshot.Entries) != 5 {
		t.Errorf("%v", r.Snapshot.Entries)
	}
	if got := content(t, r, "file-link"); got != filepath.Join(outside, "secret") {
		t.Errorf("the link's content is %q", got)
	}
}

func TestADirectoryWithoutAFleetOrBeyondALimitIsRefused(t *testing.T) {
	root := t.TempDir()
	s := openDir(t, gitsrc.Options{Dir: root, Limits: gitsrc.Limits{FileBytes: 100, Entries: 10, TotalBytes: 150, Depth: 3}})
	refused(t, s, gitsrc.Emptied, "")
	write(t, root, map[string]string{"fleet.yaml": "x"})
	first := s.Refresh(t.Context())
	if first.Refusal != nil {
		t.Fatal(first.Refusal)
	}
	keep := commitOf(first)
	for path, content := range map[string]string{"large": strings.Repeat("x", 101), "a/b/c/d/deep": "x"} {
		write(t, root, map[string]string{path: content})
		refused(t, s, gitsrc.TooLarge, keep)
		if err := os.RemoveAll(filepath.Join(root, strings.Split(path, "/")[0])); err != nil {
			t.Fatal(err)
		}
	}
	write(t, root, map[string]string{"l1": strings.Repeat("x", 90), "l2": strings.Repeat("x", 90)})
	refused(t, s, gitsrc.TooLarge, keep)
	_ = os.Remove(filepath.Join(root, "l1"))
	for _, n := range strings.Split("abcdefghij", "") {
		write(t, root, map[string]string{n: ""})
	}
	refused(t, s, gitsrc.TooLarge, keep)
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	refused(t, s, gitsrc.Unreachable, keep)
}

func TestWatchingSeesEditorsThatReplaceFiles(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"fleet.yaml": "one"})
	s := openDir(t, gitsrc.Options{Dir: root, PollEvery: time.Hour})
	s.Refresh(t.Context())
	for _, text := range []string{"two", "three"} { // twice: a watch on the file itself would be lost after the first
		write(t, root, map[string]string{"fleet.yaml.swp": text})
		if err := os.Rename(filepath.Join(root, "fleet.yaml.swp"), filepath.Join(root, "fleet.yaml")); err != nil {
			t.Fatal(err)
		}
		until(t, s, text, holds(t, "fleet.yaml", text))
	}
}

func TestWatchingSeesNewFoldersAndWhatIsWrittenInThemLater(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"fleet.yaml": ""})
	s := openDir(t, gitsrc.Options{Dir: root, PollEvery: time.Hour})
	s.Refresh(t.Context())
	write(t, root, map[string]string{"groups/new/deep/a": "1"})
	until(t, s, "the new folder", holds(t, "groups/new/deep/a", "1"))
	write(t, root, map[string]string{"groups/new/deep/a": "22"})
	until(t, s, "the change within it", holds(t, "groups/new/deep/a", "22"))
}

func TestWatchingSurvivesThatTheDirectoryIsRemovedAndMadeAgain(t *testing.T) {
	root := filepath.Join(t.TempDir(), "fleet")
	write(t, root, map[string]string{"fleet.yaml": "one"})
	s := openDir(t, gitsrc.Options{Dir: root, PollEvery: time.Hour})
	first := s.Refresh(t.Context())
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	gone := until(t, s, "the removal", func(r gitsrc.Result) bool { return r.Refusal != nil })
	if commitOf(gone) != commitOf(first) || gone.Changed {
		t.Errorf("%+v", gone)
	}
	write(t, root, map[string]string{"fleet.yaml": "two"})
	until(t, s, "the new directory", holds(t, "fleet.yaml", "two"))
	write(t, root, map[string]string{"fleet.yaml": "three"})
	until(t, s, "a change in it", holds(t, "fleet.yaml", "three"))
}

func TestClosingADirectoryLeavesNothingRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s, err := gitsrc.Open(t.Context(), gitsrc.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	goleak.VerifyNone(t, before)
}
