package gitsrc_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/gitsrc/gittest"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

func TestAnEmptiedBranchIsRefusedInEveryForm(t *testing.T) {
	for name, empty := range map[string]func(*gittest.Repo) error{
		"an empty tree":        func(r *gittest.Repo) error { _, err := r.Empty("oops"); return err },
		"fleet.yaml is gone":   func(r *gittest.Repo) error { _, err := r.Commit("oops", nil, "fleet.yaml"); return err },
		"the branch is gone":   func(r *gittest.Repo) error { return r.DeleteBranch() },
		"fleet.yaml is a link": func(r *gittest.Repo) error { _, err := r.CommitFiles("oops", linkFleet); return err },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, gittest.ServerOptions{})
			first := b.commit(fleet)
			m := b.open()
			good(t, m, first, true)
			if err := empty(b.repo); err != nil {
				t.Fatal(err)
			}
			refused(t, m, gitsrc.Emptied, first)
			if got := content(t, m.Current(), "fleet.yaml"); got != fleet["fleet.yaml"] {
				t.Errorf("the last good fleet.yaml reads %q", got)
			}
			if err := b.repo.Reset(first); err != nil {
				t.Fatal(err)
			}
			restored := b.commit(map[string]string{"fleet.yaml": "kind: Fleet # back\n"})
			good(t, m, restored, true)
		})
	}
}

var linkFleet = map[string]gittest.File{"fleet.yaml": {Mode: filemode.Symlink, Content: "/etc/passwd"}}

func TestAnEmptyRepositoryIsRefusedAndThenFollowed(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	m := b.open()
	refused(t, m, gitsrc.Emptied, "")
	good(t, m, b.commit(fleet), true)
}

func TestARollbackOfTheBranchIsARewrite(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	first := b.commit(fleet)
	second := b.commit(map[string]string{"x": "y"})
	m := b.open()
	good(t, m, second, true)
	if err := b.repo.Reset(first); err != nil {
		t.Fatal(err)
	}
	refused(t, m, gitsrc.ForcePushed, second)
}

func TestARestartRemembersTheAcceptedCommit(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	first := b.commit(fleet)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b.opts.Now = func() time.Time { return now }
	m := b.open()
	good(t, m, first, true)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	rewritten, err := b.repo.ForcePush("rewrite", fleet)
	if err != nil {
		t.Fatal(err)
	}

	b.opts.Now = func() time.Time { return now.Add(time.Hour) }
	m = b.open()
	r := m.Current()
	if commitOf(r) != first || !r.FetchedAt.Equal(now) {
		t.Fatalf("after a restart, before any fetch: %s, confirmed %s", commitOf(r), r.FetchedAt)
	}
	if got := content(t, r, "fleet.yaml"); got != fleet["fleet.yaml"] {
		t.Errorf("fleet.yaml reads %q", got)
	}
	refused(t, m, gitsrc.ForcePushed, first)
	_ = m.Close()

	b.opts.AllowRewriteTo = rewritten
	good(t, b.open(), rewritten, true)
}

func TestATornRecordOfTheAcceptedCommitIsNeverAFreshStart(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	m := b.open()
	good(t, m, b.commit(fleet), true)
	_ = m.Close()
	if err := os.WriteFile(filepath.Join(b.opts.MirrorDir, "esfleet.json"), []byte(`{"bran`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gitsrc.OpenMirror(b.opts); err == nil || !strings.Contains(err.Error(), "last accepted commit") {
		t.Errorf("opened, or without a clear word: %v", err)
	}
}

func TestAMirrorBelongsToOneProcessAndOneBranch(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	m := b.open()
	good(t, m, b.commit(fleet), true)
	if _, err := gitsrc.OpenMirror(b.opts); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second one: %v", err)
	}
	_ = m.Close()
	b.opts.Branch = "other"
	if _, err := gitsrc.OpenMirror(b.opts); err == nil || !strings.Contains(err.Error(), "follows branch main") {
		t.Errorf("another branch: %v", err)
	}
}

func TestAServerThatIsDownLeavesTheLastGoodSnapshotWithItsAge(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	b.opts.Now = func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
	first := b.commit(fleet)
	m := b.open()
	good(t, m, first, true)
	_ = b.server.Close()
	ref := refused(t, m, gitsrc.Unreachable, first)
	if !strings.Contains(ref.Error(), "last confirmed at 2026-03-01T12:00:00Z, stays current") {
		t.Error(ref)
	}
}

func TestAServerThatHangsIsGivenUpAfterTheTimeout(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{Wrap: func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	}})
	b.opts.Timeout = 50 * time.Millisecond
	ref := refused(t, b.open(), gitsrc.Unreachable, "")
	if !strings.Contains(ref.Error(), "no complete answer within 50ms") {
		t.Error(ref)
	}
}

// meddler lets a test change the answers that carry packs.
type meddler struct {
	change atomic.Pointer[func([]byte) []byte]
}

func (m *meddler) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		change := m.change.Load()
		if change == nil || r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		rec := &recorder{header: w.Header()}
		next.ServeHTTP(rec, r)
		_, _ = w.Write((*change)(rec.body.Bytes()))
	})
}

func (m *meddler) set(f func([]byte) []byte) { m.change.Store(&f) }

type recorder struct {
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func TestAPackThatIsCutOrDamagedOnTheWayLeavesNothingBehind(t *testing.T) {
	md := &meddler{}
	b := newBench(t, gittest.ServerOptions{Wrap: md.wrap})
	first := b.commit(fleet)
	m := b.open()
	good(t, m, first, true)
	second := b.commit(map[string]string{"big.txt": strings.Repeat("some text ", 200)})
	for name, change := range map[string]func([]byte) []byte{
		"cut in the middle":   func(p []byte) []byte { return p[:len(p)/2] },
		"cut before the end":  func(p []byte) []byte { return p[:len(p)-10] },
		"one bit is flipped":  func(p []byte) []byte { p[len(p)/2] ^= 4; return p },
		"an empty answer":     func([]byte) []byte { return nil },
		"an answer in prose":  func([]byte) []byte { return []byte("<html>Bad gateway</html>") },
		"only the first word": func(p []byte) []byte { return p[:12] },
	} {
		t.Run(name, func(t *testing.T) {
			md.set(change)
			r := m.Refresh(t.Context())
			if r.Refusal == nil || r.Refusal.Kind != gitsrc.HalfFetched && r.Refusal.Kind != gitsrc.Unreachable || r.Changed || commitOf(r) != first {
				t.Errorf("%+v", r)
			}
			for _, pattern := range []string{"incoming-*", "objects/pack/tmp_*"} {
				if left, _ := filepath.Glob(filepath.Join(b.opts.MirrorDir, pattern)); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			}
		})
	}
	md.change.Store(nil)
	good(t, m, second, true)
}

func TestADamagedMirrorIsMendedByFetchingEverything(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	first := b.commit(fleet)
	m := b.open()
	good(t, m, first, true)
	_ = m.Close()
	packs, _ := filepath.Glob(filepath.Join(b.opts.MirrorDir, "objects/pack/*.pack"))
	for _, p := range packs {
		bytes, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for i := 12; i < len(bytes)-20; i++ {
			bytes[i] ^= 0x55
		}
		_ = os.Chmod(p, 0o600)
		if err := os.WriteFile(p, bytes, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m = b.open()
	if r := m.Current(); r.Snapshot != nil {
		t.Fatal("a damaged mirror gave a Snapshot")
	}
	r := good(t, m, first, true)
	if got := content(t, r, "fleet.yaml"); got != fleet["fleet.yaml"] {
		t.Errorf("read %q", got)
	}
	_ = m.Close()
	if _, err := b.repo.ForcePush("rewrite", map[string]string{"fleet.yaml": "x"}); err != nil {
		t.Fatal(err)
	}
	refused(t, b.open(), gitsrc.ForcePushed, first) // mending did not forget what was accepted
}

// impostor gives a closed mirror the repository's objects one file each, and a readable one of other content under id.
func impostor(t *testing.T, b *bench, id string, typ plumbing.ObjectType) {
	t.Helper()
	mirror := b.opts.MirrorDir
	if err := os.RemoveAll(filepath.Join(mirror, "objects")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(mirror, "objects"), os.DirFS(filepath.Join(b.repo.Dir, "objects"))); err != nil {
		t.Fatal(err)
	}
	at := loose(t, mirror, typ, []byte("something else"))
	to := filepath.Join(mirror, "objects", id[:2], id[2:])
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(mirror, "objects", at[:2], at[2:]), to); err != nil {
		t.Fatal(err)
	}
}

func TestAFileWhoseContentIsNotWhatItsIdSaysIsNotReadAndMended(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	c := b.commit(fleet)
	m := b.open()
	e, _ := good(t, m, c, true).Snapshot.Lookup("fleet.yaml")
	_ = m.Close()
	impostor(t, b, string(e.Blob), plumbing.BlobObject)
	m = b.open()
	r := m.Current()
	if got, err := r.Snapshot.Read(e); err == nil {
		t.Errorf("read %q", got)
	}
	if got := content(t, good(t, m, c, false), "fleet.yaml"); got != fleet["fleet.yaml"] {
		t.Errorf("after mending: %q", got)
	}
}

func TestDamageThatARefreshComesAcrossIsMendedByTheSameRefresh(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	first := b.commit(fleet)
	m := b.open()
	good(t, m, first, true)
	rewritten, err := b.repo.ForcePush("rewrite", fleet)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, m, gitsrc.ForcePushed, first)
	_ = m.Close()
	impostor(t, b, rewritten, plumbing.CommitObject)
	b.opts.AllowRewriteTo = rewritten
	good(t, b.open(), rewritten, true)
}

func TestACommitWithMissingObjectsIsCorruptAndTheLastGoodOneStaysReadable(t *testing.T) {
	root := t.TempDir()
	repo, err := gittest.Init(root, "main")
	if err != nil {
		t.Fatal(err)
	}
	first, err := repo.Commit("one", fleet)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gitsrc.OpenMirror(gitsrc.Options{LocalRepo: root, MirrorDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	good(t, m, first, true)
	// A commit whose blob the repository itself lacks, as after a lost disk.
	if _, err := repo.Commit("two", map[string]string{"lost.txt": "lost"}); err != nil {
		t.Fatal(err)
	}
	id := plumbing.ComputeHash(plumbing.BlobObject, []byte("lost")).String()
	if err := os.Remove(filepath.Join(root, "objects", id[:2], id[2:])); err != nil {
		t.Fatal(err)
	}
	r := m.Refresh(t.Context())
	if r.Refusal == nil || r.Changed || commitOf(r) != first {
		t.Fatalf("%+v", r)
	}
	if got := content(t, r, "fleet.yaml"); got != fleet["fleet.yaml"] {
		t.Errorf("read %q", got)
	}
}

func TestAPackThatInflatesBeyondTheLimitIsRefusedUnread(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	b.opts.Limits = gitsrc.Limits{ObjectBytes: 1 << 20}
	first := b.commit(fleet)
	m := b.open()
	good(t, m, first, true)
	b.commit(map[string]string{"bomb.txt": strings.Repeat("\x00", 8<<20)}) // some kilobytes on the wire
	ref := refused(t, m, gitsrc.TooLarge, first)
	if !strings.Contains(ref.Error(), "at most 1048576 are allowed") {
		t.Error(ref)
	}
}

func TestAFetchLargerThanTheLimitIsStopped(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	b.opts.Limits = gitsrc.Limits{PackBytes: 4 << 10}
	first := b.commit(fleet)
	m := b.open()
	good(t, m, first, true)
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(i*i>>3 ^ i*7919>>5)
	}
	b.commit(map[string]string{"noise": base64.StdEncoding.EncodeToString(noise)})
	refused(t, m, gitsrc.TooLarge, first)
}

func TestSnapshotLimitsAreRefusals(t *testing.T) {
	deep := strings.Repeat("d/", 40) + "f"
	for name, c := range map[string]struct {
		files map[string]string
		lim   gitsrc.Limits
	}{
		"too deep":        {map[string]string{deep: "x"}, gitsrc.Limits{}},
		"too many":        {map[string]string{"a/b": "", "a/c": "", "a/d": ""}, gitsrc.Limits{Entries: 3}},
		"too much in all": {map[string]string{"a": "12345", "b": "67890"}, gitsrc.Limits{TotalBytes: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, gittest.ServerOptions{})
			b.opts.Limits = c.lim
			b.commit(map[string]string{"fleet.yaml": ""})
			b.commit(c.files)
			refused(t, b.open(), gitsrc.TooLarge, "")
		})
	}
}

func TestALargeFileIsListedButNotRead(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	b.opts.Limits = gitsrc.Limits{FileBytes: 10}
	c := b.commit(map[string]string{"fleet.yaml": "", "large": "12345678901"})
	r := good(t, b.open(), c, true)
	e, _ := r.Snapshot.Lookup("large")
	if _, err := r.Snapshot.Read(e); err == nil || e.Size != 11 {
		t.Errorf("size %d, error %v", e.Size, err)
	}
}

func TestLinksSubmodulesAndModesAreToldAndNeverFollowed(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	b.commit(fleet)
	c, err := b.repo.CommitFiles("kinds", map[string]gittest.File{
		"link":           {Mode: filemode.Symlink, Content: "/etc/passwd"},
		"module":         {Mode: filemode.Submodule, Hash: strings.Repeat("ab", 20)},
		".gitattributes": {Mode: filemode.Regular, Content: "* filter=evil\n"},
		".gitmodules":    {Mode: filemode.Regular, Content: "[submodule \"m\"]\n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := good(t, b.open(), c, true)
	for path, want := range map[string]snapshot.Kind{
		"link": snapshot.Symlink, "module": snapshot.Submodule, "groups/search/clusters/logs/a.sh": snapshot.Executable, "fleet.yaml": snapshot.File,
	} {
		if e, ok := r.Snapshot.Lookup(path); !ok || e.Kind != want {
			t.Errorf("%s is a %s, want %s", path, e.Kind, want)
		}
	}
	if got := content(t, r, "link"); got != "/etc/passwd" {
		t.Errorf("the link's content is %q", got)
	}
}

func TestNamesThatGitForbidsMakeACommitCorrupt(t *testing.T) {
	for _, name := range []string{"..", ".git", ".GIT"} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			// A tree by hand: git's own tools refuse to write it.
			blob := plumbing.ComputeHash(plumbing.BlobObject, nil)
			tree := append([]byte("100644 fleet.yaml\x00"), blob[:]...)
			tree = append(append(tree, "100644 "+name+"\x00"...), blob[:]...)
			treeID := loose(t, root, plumbing.TreeObject, tree)
			loose(t, root, plumbing.BlobObject, nil)
			commit := loose(t, root, plumbing.CommitObject, fmt.Appendf(nil, "tree %s\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nm\n", treeID))
			repo, err := gittest.Init(root, "main")
			if err != nil {
				t.Fatal(err)
			}
			if err := repo.Reset(commit); err != nil {
				t.Fatal(err)
			}
			m, err := gitsrc.OpenMirror(gitsrc.Options{LocalRepo: root})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			refused(t, m, gitsrc.Corrupt, "")
		})
	}
}

func loose(t *testing.T, root string, typ plumbing.ObjectType, content []byte) string {
	t.Helper()
	id := plumbing.ComputeHash(typ, content).String()
	dir := filepath.Join(root, "objects", id[:2])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	fmt.Fprintf(z, "%s %d\x00%s", typ, len(content), content)
	_ = z.Close()
	if err := os.WriteFile(filepath.Join(dir, id[2:]), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestACredentialOpensTheDoorAndItsRefusalNeverShowsIt(t *testing.T) {
	const token = "glpat-S3cr3t+T0ken/x"
	b := newBench(t, gittest.ServerOptions{User: "oauth2", Password: token})
	c := b.commit(fleet)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FLEET_GIT", "oauth2:"+token)
	t.Setenv("FLEET_BAD", "mallory:"+token+"-wrong")
	for _, credential := range []string{"env:FLEET_GIT", "file:" + file} {
		b.opts.Credential, b.opts.MirrorDir = credential, t.TempDir()
		good(t, b.open(), c, true)
	}
	for credential, want := range map[string]string{
		"env:FLEET_BAD": "check that the credential in env:FLEET_BAD has not expired", "": "no credential is configured",
		"env:NOT_THERE": "environment variable NOT_THERE is not set", "file:/none": "no such file",
		token: "not the secret itself",
	} {
		b.opts.Credential, b.opts.MirrorDir = credential, t.TempDir()
		ref := refused(t, b.open(), gitsrc.Unreachable, "")
		text := ref.Error()
		if !strings.Contains(text, want) {
			t.Errorf("credential %q: %s", credential, text)
		}
		for _, leak := range []string{"S3cr3t", base64.StdEncoding.EncodeToString([]byte("mallory:" + token + "-wrong"))} {
			if strings.Contains(text, leak) {
				t.Errorf("the secret is in: %s", text)
			}
		}
	}
}

func TestAddressesAndBranchesThatCouldRunSomethingAreRefused(t *testing.T) {
	for address, want := range map[string]string{
		"file:///etc":                            "not allowed",
		"ext::sh -c id":                          "blank",
		"ext::sh":                                "write https://",
		"git://host/x":                           "not allowed",
		"/srv/fleet.git":                         "write https://",
		"--upload-pack=id":                       "dash",
		"-oProxyCommand=id:x":                    "dash",
		"git@-oProxyCommand=id:x":                "write https://",
		"ssh://-oProxyCommand=id/x":              "dash",
		"ssh://git@host/-x":                      "dash",
		"git@host:-x":                            "write https://",
		"https://user:S3cr3t@host/fleet.git":     "credential option",
		"https://S3cr3t@host/fleet.git":          "credential option",
		"ssh://git:S3cr3t@host/fleet.git":        "credential option",
		"https://host/fleet.git?token=x":         "query",
		"https://host":                           "path",
		"https://host:99999/x":                   "port",
		"https://host/a\nb":                      "control",
		"http://host:80:80/x%zz":                 "not a URL",
		"https://user:S3cr3t@host:port/broken%z": "not a URL",
	} {
		_, err := gitsrc.Open(t.Context(), gitsrc.Options{URL: address, MirrorDir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "S3cr3t") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, branch := range []string{"--upload-pack=id", "-x", "refs/heads/main", "a..b", "a b", "a\nb", "x.lock", "a~1", "HEAD:x", "../../x", "a*"} {
		_, err := gitsrc.Open(t.Context(), gitsrc.Options{URL: "https://host/x", Branch: branch, MirrorDir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "branch name") {
			t.Errorf("branch %q: %v", branch, err)
		}
	}
	for _, o := range []gitsrc.Options{{}, {URL: "https://host/x", Dir: "."}} {
		if _, err := gitsrc.Open(t.Context(), o); err == nil {
			t.Errorf("%+v was opened", o)
		}
	}
}

func TestAOneCommitFetchBringsOnlyWhatChanged(t *testing.T) {
	var sent atomic.Int64
	b := newBench(t, gittest.ServerOptions{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(counting{w, &sent}, r) })
	}})
	many := map[string]string{"fleet.yaml": ""}
	for i := range 300 {
		many[fmt.Sprintf("groups/g%d/group.yaml", i)] = fmt.Sprintf("kind: Group\nname: g%d\nsalt: %x\n", i, i*7919)
	}
	m := b.open()
	b.commit(many)
	if r := m.Refresh(t.Context()); r.Refusal != nil {
		t.Fatal(r.Refusal)
	}
	whole := sent.Swap(0)
	second := b.commit(map[string]string{"groups/g7/group.yaml": "changed\n"})
	good(t, m, second, true)
	if one := sent.Load(); one*4 > whole {
		t.Errorf("a fetch of one file's change brought %d bytes, the first fetch %d", one, whole)
	}
	sent.Store(0)
	good(t, m, second, false)
	if quiet := sent.Load(); quiet > 1000 {
		t.Errorf("a fetch of nothing brought %d bytes", quiet)
	}
}

type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

func TestPacksAreMergedBeforeTheyPileUpAndSnapshotsStayReadable(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	m := b.open()
	first := good(t, m, b.commit(fleet), true)
	for i := range 60 {
		good(t, m, b.commit(map[string]string{"counter": fmt.Sprint(i)}), true)
	}
	packs, _ := filepath.Glob(filepath.Join(b.opts.MirrorDir, "objects/pack/*.pack"))
	if len(packs) > 50 {
		t.Errorf("%d packs", len(packs))
	}
	if got := content(t, m.Current(), "counter"); got != "59" {
		t.Errorf("read %q", got)
	}
	if got := content(t, first, "fleet.yaml"); got != fleet["fleet.yaml"] {
		t.Errorf("the first Snapshot reads %q", got)
	}
}

func TestARepositoryOfThisMachineIsFollowedWithoutGit(t *testing.T) {
	t.Setenv("PATH", "")
	root := t.TempDir()
	repo, err := gittest.Init(root, "main")
	if err != nil {
		t.Fatal(err)
	}
	first, err := repo.Commit("one", fleet)
	if err != nil {
		t.Fatal(err)
	}
	s, err := gitsrc.Open(t.Context(), gitsrc.Options{LocalRepo: root})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	good(t, s, first, true)
	second, err := repo.Commit("two", map[string]string{"x": "y"})
	if err != nil {
		t.Fatal(err)
	}
	good(t, s, second, true)
	if _, err := repo.ForcePush("rewrite", fleet); err != nil {
		t.Fatal(err)
	}
	refused(t, s, gitsrc.ForcePushed, second)
}

func TestACommitThatCannotBeRememberedIsNotActedOn(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	first := b.commit(fleet)
	m := b.open()
	good(t, m, first, true)
	second := b.commit(map[string]string{"x": "y"})
	// A folder in the record's place cannot be replaced by a file.
	record := filepath.Join(b.opts.MirrorDir, "esfleet.json")
	if err := os.Rename(record, record+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(record, 0o755); err != nil {
		t.Fatal(err)
	}
	refused(t, m, gitsrc.Unreachable, first)
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	good(t, m, second, true)
}

func TestPokeWakesOnce(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	m := b.open()
	m.Poke()
	m.Poke()
	<-m.Wake()
	select {
	case <-m.Wake():
		t.Error("two pokes woke twice")
	default:
	}
}

func TestACancelledRefreshComesBackAndChangesNothing(t *testing.T) {
	b := newBench(t, gittest.ServerOptions{})
	m := b.open()
	b.commit(fleet)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := m.Refresh(ctx); r.Refusal == nil || r.Refusal.Kind != gitsrc.Unreachable || r.Snapshot != nil {
		t.Errorf("%+v", r)
	}
}
