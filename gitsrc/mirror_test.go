package gitsrc_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/gitsrc/gittest"
)

// A bench is a repository behind a real git server, and a place for mirrors of it.
type bench struct {
	t      *testing.T
	repo   *gittest.Repo
	server *gittest.Server
	opts   gitsrc.Options
}

func newBench(t *testing.T, so gittest.ServerOptions) *bench {
	t.Helper()
	root := t.TempDir()
	repo, err := gittest.Init(filepath.Join(root, "fleet.git"), "main")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := gittest.Serve(root, so)
	if errors.Is(err, gittest.ErrNoGit) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return &bench{t: t, repo: repo, server: srv, opts: gitsrc.Options{URL: srv.URL("fleet.git"), MirrorDir: t.TempDir()}}
}

func (b *bench) commit(files map[string]string, remove ...string) string {
	b.t.Helper()
	c, err := b.repo.Commit("change", files, remove...)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *bench) open() *gitsrc.Mirror {
	b.t.Helper()
	m, err := gitsrc.OpenMirror(b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = m.Close() })
	return m
}

// good refreshes and expects commit, unrefused.
func good(t *testing.T, s gitsrc.Source, commit string, changed bool) gitsrc.Result {
	t.Helper()
	r := s.Refresh(t.Context())
	if r.Refusal != nil {
		t.Fatalf("refused: %v", r.Refusal)
	}
	if r.Snapshot == nil || r.Snapshot.Commit != commit || r.Changed != changed {
		t.Fatalf("got %+v, want commit %s, changed %t", r, commit, changed)
	}
	return r
}

// refused refreshes and expects a refusal of this kind while keep stays the Snapshot.
func refused(t *testing.T, s gitsrc.Source, kind gitsrc.Kind, keep string) *gitsrc.Refusal {
	t.Helper()
	r := s.Refresh(t.Context())
	if r.Refusal == nil || r.Refusal.Kind != kind {
		t.Fatalf("refusal is %v, want %s", r.Refusal, kind)
	}
	if r.Changed {
		t.Error("a refused state is called a change")
	}
	if got := commitOf(r); got != keep {
		t.Errorf("the Snapshot beside the refusal is %q, want %q", got, keep)
	}
	return r.Refusal
}

func commitOf(r gitsrc.Result) string {
	if r.Snapshot == nil {
		return ""
	}
	return r.Snapshot.Commit
}

func content(t *testing.T, r gitsrc.Result, path string) string {
	t.Helper()
	e, ok := r.Snapshot.Lookup(path)
	if !ok {
		t.Fatalf("no %s in %v", path, r.Snapshot.Entries)
	}
	b, err := r.Snapshot.Read(e)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != e.Size {
		t.Errorf("%s: size %d, but %d bytes were read", path, e.Size, len(b))
	}
	return string(b)
}

var fleet = map[string]string{
	"fleet.yaml":                       "kind: Fleet\n",
	"groups/search/group.yaml":         "kind: Group\n",
	"groups/search/clusters/logs/a.sh": "#!/bin/sh\n",
}

func TestMirrorFollowsABranchCommitByCommit(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	first := b.commit(fleet)
	m := b.open()
	if r := m.Current(); r.Snapshot != nil || r.Refusal != nil {
		t.Fatalf("before the first Refresh: %+v", r)
	}
	r := good(t, m, first, true)
	if got := content(t, r, "groups/search/group.yaml"); got != "kind: Group\n" {
		t.Errorf("read %q", got)
	}
	good(t, m, first, false)
	second := b.commit(map[string]string{"fleet.yaml": "kind: Fleet # 2\n"}, "groups/search/group.yaml")
	r2 := good(t, m, second, true)
	if got := content(t, r2, "fleet.yaml"); got != "kind: Fleet # 2\n" {
		t.Errorf("read %q", got)
	}
	if _, ok := r2.Snapshot.Lookup("groups/search/group.yaml"); ok {
		t.Error("a removed file is still there")
	}
	if got := content(t, r, "fleet.yaml"); got != "kind: Fleet\n" {
		t.Errorf("the older Snapshot reads %q", got)
	}
}

func TestMirrorRefusesAForcePushUntilAPersonAcceptsThatVeryCommit(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	first := b.commit(fleet)
	m := b.open()
	good(t, m, first, true)
	rewritten, err := b.repo.ForcePush("rewrite", fleet)
	if err != nil {
		t.Fatal(err)
	}
	ref := refused(t, m, gitsrc.ForcePushed, first)
	if ref.Commit != rewritten || !strings.Contains(ref.Error(), rewritten) {
		t.Errorf("the refusal does not name what to accept: %v", ref)
	}
	if err := m.AllowRewrite(first); err != nil { // another commit's permission is none
		t.Fatal(err)
	}
	refused(t, m, gitsrc.ForcePushed, first)
	if err := m.AllowRewrite(rewritten); err != nil {
		t.Fatal(err)
	}
	good(t, m, rewritten, true)
	next := b.commit(map[string]string{"x": "y"})
	good(t, m, next, true)
}
