package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/gitsrc/gittest"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/reconcile/oplog"
)

// writes counts what is not a GET.
type writes struct {
	next http.RoundTripper
	mu   sync.Mutex
	n    int
}

func (w *writes) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		w.mu.Lock()
		w.n++
		w.mu.Unlock()
	}
	return w.next.RoundTrip(r)
}

func TestWhenTheLogCannotBeWrittenAnyMoreNothingIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := marathonsim.New(marathonsim.Options{Agents: marathonsim.DefaultAgents(5)})
		defer sim.Close()
		repo, err := gittest.Init(filepath.Join(t.TempDir(), "fleet.git"), "main")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repo.Commit("the fleet", examples.Files()); err != nil {
			t.Fatal(err)
		}
		w := &writes{next: sim.Transport()}
		var failed atomic.Int32
		c := Defaults()
		c.State = filepath.Join(t.TempDir(), "state")
		s, err := Open(t.Context(), c, Parts{LocalRepo: repo.Dir, MarathonTransport: w, ElasticsearchTransport: sim.Transport(), LogFailed: func() { failed.Add(1) }})
		if err != nil {
			t.Fatal(err)
		}
		in, _, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.journal.open(); err != nil {
			t.Fatal(err)
		}
		if err := s.journal.db.Close(); err != nil { // from here on every write to it fails, as on a full disk
			t.Fatal(err)
		}
		done := s.Reconciler.Act(t.Context(), s.Reconciler.Look(t.Context(), in))
		if len(done) != 3 || failed.Load() != 3 {
			t.Errorf("%d steps were due and %d failures told, want 3 each", len(done), failed.Load())
		}
		for _, d := range done {
			if d.State != oplog.Refused || !strings.Contains(d.Why, "the operation log cannot be written") {
				t.Errorf("%s ended as %s: %s", d.Step.Verb, d.State, d.Why)
			}
		}
		if w.n != 0 {
			t.Errorf("%d writes to Marathon", w.n)
		}
		_ = s.Close() // says that the log was closed before
	})
}

func TestCommandsThatOnlyLookLeaveNoLogBehind(t *testing.T) {
	j := &lazyJournal{path: filepath.Join(t.TempDir(), "state", "operations.db")}
	if err := j.close(); err != nil {
		t.Error(err)
	}
	if _, err := j.history(oplog.Filter{}); err == nil {
		t.Error("a log that is not open has a history")
	}
	if _, err := oplog.Open(j.path, oplog.Options{ReadOnly: true}); err == nil {
		t.Error("a log was made")
	}
}

func TestTheDaemonsLogAndThatOfCommandsAreReadAsOneHistory(t *testing.T) {
	state := t.TempDir()
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	daemon := &lazyJournal{path: filepath.Join(state, logName(true))}
	command := &lazyJournal{path: filepath.Join(state, logName(false))}
	for i, j := range []*lazyJournal{daemon, command, daemon} {
		id, err := j.Begin(oplog.Entry{Time: at.Add(time.Duration(i) * time.Minute), Verb: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.End(id, oplog.Outcome{State: oplog.Done}); err != nil {
			t.Fatal(err)
		}
	}
	if err := command.close(); err != nil {
		t.Fatal(err)
	}
	seen, err := daemon.history(oplog.Filter{Limit: 2})
	if err != nil || verbs(seen) != "1 2" {
		t.Errorf("the daemon tells %q, %v", verbs(seen), err)
	}
	if _, err := ReadHistory(state, oplog.Filter{}); !errors.Is(err, oplog.ErrBusy) {
		t.Errorf("half a history is told while the daemon writes the other half: %v", err)
	}
	if err := daemon.close(); err != nil {
		t.Fatal(err)
	}
	all, err := ReadHistory(state, oplog.Filter{})
	if err != nil || verbs(all) != "0 1 2" {
		t.Errorf("the files tell %q, %v", verbs(all), err)
	}
}

func verbs(entries []oplog.Entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Verb)
	}
	return strings.Join(out, " ")
}
