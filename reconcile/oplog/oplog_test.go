package oplog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/reconcile/oplog"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(n int) oplog.Entry {
	return oplog.Entry{Time: noon.Add(time.Duration(n) * time.Minute), Cluster: "search/logs", App: fmt.Sprintf("/search/logs/app-%d", n),
		Verb: "create", Why: "in git, not in Marathon", Commit: "0123456789abcdef0123", Actor: "daemon@host", Request: "sha256:00"}
}

func open(t testing.TB, path string, o oplog.Options) *oplog.Log {
	t.Helper()
	l, err := oplog.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func begin(t testing.TB, l *oplog.Log, e oplog.Entry) oplog.ID {
	t.Helper()
	id, err := l.Begin(e)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func history(t testing.TB, l *oplog.Log, f oplog.Filter) []oplog.Entry {
	t.Helper()
	es, err := l.History(f)
	if err != nil {
		t.Fatal(err)
	}
	return es
}

// fill writes n ended entries to a new log and gives its path.
func fill(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "operations.db")
	l := open(t, path, oplog.Options{})
	for i := range n {
		if err := l.End(begin(t, l, at(i)), oplog.Outcome{State: oplog.Done}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHistoryTellsWhatWasBegunAndHowItEnded(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "operations.db"), oplog.Options{})
	a, b := begin(t, l, at(1)), begin(t, l, at(2))
	ended := oplog.Outcome{State: oplog.Refused, Deployment: "d-1", Error: "409: locked", Took: time.Second}
	if err := l.End(b, ended); err != nil {
		t.Fatal(err)
	}
	wantA, wantB := at(1), at(2)
	wantA.ID, wantB.ID, wantB.Outcome = a, b, &ended
	if diff := cmp.Diff([]oplog.Entry{wantA, wantB}, history(t, l, oplog.Filter{})); diff != "" {
		t.Error(diff)
	}
	if err := l.End(b, ended); err == nil {
		t.Error("an entry could be ended twice")
	}
}

func TestFiltersPickEntries(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "operations.db"), oplog.Options{})
	for i := range 5 {
		e := at(i)
		if i == 3 {
			e.Cluster, e.Verb = "search/other", "update"
		}
		id := begin(t, l, e)
		if i == 4 {
			continue
		}
		if err := l.End(id, oplog.Outcome{State: oplog.Done}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		f    oplog.Filter
		want string
	}{
		{oplog.Filter{}, "01234"},
		{oplog.Filter{Cluster: "search/other"}, "3"},
		{oplog.Filter{App: at(2).App}, "2"},
		{oplog.Filter{Verb: "create", Limit: 2}, "24"},
		{oplog.Filter{State: oplog.Done, Since: noon.Add(2 * time.Minute)}, "23"},
	} {
		got := ""
		for _, e := range history(t, l, c.f) {
			got += strings.TrimPrefix(e.App, "/search/logs/app-")
		}
		if got != c.want {
			t.Errorf("%+v picks %q, want %q", c.f, got, c.want)
		}
	}
}

// TestMain is also the child that the tests below kill or starve.
func TestMain(m *testing.M) {
	if path := os.Getenv("OPLOG_CHILD"); path != "" {
		child(path)
		return
	}
	os.Exit(m.Run())
}

func child(path string) {
	if n := os.Getenv("OPLOG_LIMIT"); n != "" {
		var max uint64
		fmt.Sscan(n, &max)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: max, Max: max}); err != nil {
			panic(err)
		}
	}
	l, err := oplog.Open(path, oplog.Options{})
	for n := 0; err == nil; n++ {
		e := at(n)
		e.Why = strings.Repeat("why ", 200)
		if _, err = l.Begin(e); err == nil {
			fmt.Println("begun", n)
		}
	}
	fmt.Println("error:", err)
}

func start(t *testing.T, path string, env ...string) (*exec.Cmd, *lines) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "OPLOG_CHILD="+path), env...)
	out := &lines{enough: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// lines collects output and tells when there are ten lines of it.
type lines struct {
	mu     sync.Mutex
	b      bytes.Buffer
	enough chan struct{}
	once   sync.Once
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(p)
	if bytes.Count(l.b.Bytes(), []byte("\n")) >= 10 {
		l.once.Do(func() { close(l.enough) })
	}
	return len(p), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestADaemonKilledInTheMiddleLeavesEverythingItHadBegunAsUnknown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "operations.db")
	cmd, out := start(t, path)
	<-out.enough
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	told := strings.Count(out.String(), "begun")

	l := open(t, path, oplog.Options{})
	if l.Damaged() != "" {
		t.Fatalf("a kill damaged the log: %s", l.Damaged())
	}
	if n := len(l.Interrupted()); n < told {
		t.Errorf("%d entries were begun, %d are reported as interrupted", told, n)
	}
	for _, e := range history(t, l, oplog.Filter{}) {
		if e.Outcome == nil || e.Outcome.State != oplog.Unknown || !strings.Contains(e.Outcome.Error, "the daemon stopped here") {
			t.Fatalf("entry %d: %+v", e.ID, e.Outcome)
		}
	}
	_ = l.Close()
	if again := open(t, path, oplog.Options{}); len(again.Interrupted()) != 0 {
		t.Error("interrupted entries are reported twice")
	}
}

func TestBeginFailsWhenTheDiskIsFullAndWhatWasBegunStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "operations.db")
	cmd, out := start(t, path, "OPLOG_LIMIT=131072")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out.String(), "to the operation log: ") {
		t.Fatalf("no error from Begin:\n%s", out)
	}
	l := open(t, path, oplog.Options{})
	if got, told := len(history(t, l, oplog.Filter{})), strings.Count(out.String(), "begun"); got != told || l.Damaged() != "" {
		t.Errorf("%d entries were begun, %d are there; damaged: %q", told, got, l.Damaged())
	}
}

func TestATruncatedFileIsSetAsideByNameOrWholeAtEveryLength(t *testing.T) {
	path := fill(t, 40)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for n := 512; n <= len(whole); n += 512 {
		p := filepath.Join(dir, fmt.Sprintf("cut-%d.db", n))
		if err := os.WriteFile(p, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := oplog.Open(p, oplog.Options{})
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		wholeOrSetAside(t, fmt.Sprintf("cut at %d", n), l, p, whole[:n])
		_ = l.Close()
	}
}

// wholeOrSetAside is the law of damaged files: all forty entries are there, or the file is kept unchanged under the name
// that is told, and a usable log begun.
func wholeOrSetAside(t *testing.T, what string, l *oplog.Log, path string, was []byte) {
	t.Helper()
	entries := history(t, l, oplog.Filter{})
	if l.Damaged() == "" {
		for i := range entries {
			want := at(i)
			want.ID, want.Outcome = entries[i].ID, &oplog.Outcome{State: oplog.Done}
			if diff := cmp.Diff(want, entries[i]); diff != "" {
				t.Errorf("%s: entry %d is changed, and no word about it: %s", what, i, diff)
			}
		}
		if len(entries) != 40 {
			t.Errorf("%s: %d of 40 entries, and no word about it", what, len(entries))
		}
		return
	}
	kept, err := os.ReadFile(l.Damaged())
	if err != nil || !bytes.Equal(kept, was) {
		t.Errorf("%s: the damaged file was not kept as it was: %v", what, err)
	}
	if len(entries) != 1 || !strings.Contains(entries[0].Why, l.Damaged()) {
		t.Errorf("%s: the new history does not tell of %s: %+v", what, l.Damaged(), entries)
	}
	if _, err := l.Begin(at(1)); err != nil {
		t.Errorf("%s: the new log cannot be written: %v", what, err)
	}
}

func TestGarbageAnywhereIsNoticedOrHarmless(t *testing.T) {
	path := fill(t, 40)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	setAside := 0
	for n := range 60 {
		bad := bytes.Clone(whole)
		for range 1 + n%8 {
			bad[rnd.IntN(len(bad))] ^= byte(1 + rnd.IntN(255))
		}
		if n == 0 {
			bad = []byte("not a log at all")
		}
		p := filepath.Join(dir, fmt.Sprintf("bad-%d.db", n))
		if err := os.WriteFile(p, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := oplog.Open(p, oplog.Options{})
		if err != nil {
			t.Fatalf("garbage %d: %v", n, err)
		}
		if l.Damaged() != "" {
			setAside++
		}
		wholeOrSetAside(t, fmt.Sprintf("garbage %d", n), l, p, bad)
		_ = l.Close()
	}
	if setAside == 0 {
		t.Error("no damage was noticed at all")
	}
}

func TestAnEmptyFileIsANewLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "operations.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if l := open(t, path, oplog.Options{}); l.Damaged() != "" {
		t.Errorf("set aside: %s", l.Damaged())
	}
}

func TestReadersAndASecondWriterAreToldToAskTheRunningDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "operations.db")
	l := open(t, path, oplog.Options{})
	begin(t, l, at(1))
	for _, o := range []oplog.Options{{}, {ReadOnly: true}} {
		_, err := oplog.Open(path, o)
		if !errors.Is(err, oplog.ErrBusy) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "ask that esfleet") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	_ = l.Close()
	a, b := open(t, path, oplog.Options{ReadOnly: true}), open(t, path, oplog.Options{ReadOnly: true})
	if len(history(t, a, oplog.Filter{})) != 1 || len(history(t, b, oplog.Filter{})) != 1 {
		t.Error("two readers do not see the history")
	}
	if history(t, a, oplog.Filter{})[0].Outcome != nil {
		t.Error("a reader ended an open entry")
	}
	if _, err := a.Begin(at(2)); err == nil {
		t.Error("a reader could write")
	}
}

func TestAReaderNeitherMakesNorSetsAsideAFile(t *testing.T) {
	dir := t.TempDir()
	none, bad := filepath.Join(dir, "none.db"), filepath.Join(dir, "bad.db")
	if err := os.WriteFile(bad, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := oplog.Open(none, oplog.Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := oplog.Open(bad, oplog.Options{ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("damaged file: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("a reader changed the directory: %v", left)
	}
}

func TestTheOldestEntriesArePrunedAndTheChainStillHolds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "operations.db")
	o := oplog.Options{MaxEvents: 20}
	l := open(t, path, o)
	for i := range 100 {
		if err := l.End(begin(t, l, at(i)), oplog.Outcome{State: oplog.Done}); err != nil {
			t.Fatal(err)
		}
	}
	es := history(t, l, oplog.Filter{})
	if len(es) < 8 || len(es) > 11 || es[len(es)-1].App != at(99).App {
		t.Errorf("%d entries are kept, the last is %s", len(es), es[len(es)-1].App)
	}
	_ = l.Close()
	if l = open(t, path, o); l.Damaged() != "" {
		t.Errorf("the pruned log is called damaged")
	}
	_ = l.Close()

	l = open(t, path, oplog.Options{MaxAge: time.Hour})
	begin(t, l, at(99+120))
	if es = history(t, l, oplog.Filter{}); len(es) != 1 {
		t.Errorf("%d entries are left of those older than an hour", len(es)-1)
	}
}

func TestManyStepsAtOnceAreAllWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "operations.db")
	l := open(t, path, oplog.Options{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			id, err := l.Begin(at(i))
			if err == nil {
				err = l.End(id, oplog.Outcome{State: oplog.Done})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := history(t, l, oplog.Filter{State: oplog.Done}); len(got) != 16 {
		t.Errorf("%d of 16", len(got))
	}
}

func TestFormatIsATableForPeopleAndAnArrayForPrograms(t *testing.T) {
	e := at(1)
	e.ID, e.Outcome = 7, &oplog.Outcome{State: oplog.Unknown, Error: "no answer\n\x1b[31m", Took: 1500 * time.Millisecond}
	var text, js bytes.Buffer
	if err := oplog.Format(&text, []oplog.Entry{e, at(2)}, "text"); err != nil {
		t.Fatal(err)
	}
	want := `TIME                  OUTCOME  VERB    APP                 COMMIT        TOOK  WHY
2026-03-01T12:01:00Z  unknown  create  /search/logs/app-1  0123456789ab  1.5s  in git, not in Marathon – no answer  [31m
2026-03-01T12:02:00Z  open     create  /search/logs/app-2  0123456789ab        in git, not in Marathon
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Error(diff)
	}
	if err := oplog.Format(&js, []oplog.Entry{e}, "json"); err != nil {
		t.Fatal(err)
	}
	var back []oplog.Entry
	if err := json.Unmarshal(js.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]oplog.Entry{e}, back); diff != "" {
		t.Error(diff)
	}
	js.Reset()
	if err := oplog.Format(&js, nil, "json"); err != nil || js.String() != "[]\n" {
		t.Errorf("no entries: %q, %v", js.String(), err)
	}
	if err := oplog.Format(&js, nil, "xml"); err == nil {
		t.Error("an unknown format passed")
	}
}
