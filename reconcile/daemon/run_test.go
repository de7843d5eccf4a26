package daemon_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/daemon"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/spec"
)

func TestACommitConvergesAndTheNextOneIsFoundByThePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.untilConverged()
		before := w.wire.wrote()
		time.Sleep(time.Hour)
		if n := w.wire.wrote() - before; n != 0 {
			t.Errorf("a quiet hour made %d writes", n)
		}
		id := w.change("replicas: 3", "replicas: 4")
		w.until("four data nodes", 5*time.Minute, func() bool { return w.instances("/search/catalog/es-datanode") == 4 && w.phase() == "converged" })
		if got := w.status().Commit; got != id {
			t.Errorf("status tells of commit %s, not of %s", got, id)
		}
		w.stop()
	})
}

func TestWhatAHandChangesIsSeenByItsEventAndPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.Poll, w.config.Resync = daemon.Duration(24*time.Hour), daemon.Duration(24*time.Hour)
		w.start()
		w.untilConverged()
		time.Sleep(time.Minute)
		put, err := http.NewRequest(http.MethodPut, "http://marathon.test/v2/apps//search/catalog/discovery", strings.NewReader(`{"instances": 2}`))
		if err != nil {
			t.Fatal(err)
		}
		put.Header.Set("Content-Type", "application/json")
		res, err := w.sim.Transport().RoundTrip(put)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		_ = res.Body.Close()
		w.until("put back long before the next resync", 2*time.Minute, func() bool { return w.instances("/search/catalog/discovery") == 1 })
		w.stop()
	})
}

func TestACommitWithProblemsLeavesTheLastGoodOneInForceAndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.untilConverged()
		good := w.status().Commit
		bad := w.change("replicas: 3", "replicas: three")
		w.until("the problem shows", 2*time.Minute, func() bool { return len(w.status().Problems) > 0 })
		if p := w.status().Problems[0]; !strings.HasPrefix(p, catalog+":") {
			t.Errorf("the problem has no place: %s", p)
		}
		time.Sleep(10 * time.Minute)
		if got := w.status().Commit; got != good || w.phase() != "converged" {
			t.Errorf("commit %s is in force, not %s", got, good)
		}
		if n := w.log.count(`"problem":"` + catalog); n != 1 || w.log.count(bad) != 1 {
			t.Errorf("the log tells of the problem %d times\n%s", n, w.log)
		}
		if code, _ := w.get("/readyz"); code != http.StatusOK {
			t.Error("a daemon that goes on with the last good commit is not ready")
		}
		next := w.change("replicas: 3", "replicas: 4")
		w.until("the next good commit is in force", 5*time.Minute, func() bool { return w.status().Commit == next && w.phase() == "converged" })
		if p := w.status().Problems; len(p) != 0 {
			t.Errorf("problems that were solved are still told: %q", p)
		}
		w.stop()
	})
}

func TestABranchThatCannotBeTrustedIsRefusedToldAndClustersGoOn(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world) error
		want string
	}{
		{"rewritten", func(w *world) error { _, err := w.repo.ForcePush("another history", small()); return err }, "force-pushed"},
		{"emptied", func(w *world) error { _, err := w.repo.Empty("oh"); return err }, "fleet.yaml"},
		{"deleted", func(w *world) error { return w.repo.DeleteBranch() }, "main"},
		{"away", func(w *world) error { return os.Rename(w.repo.Dir, w.repo.Dir+".away") }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.start()
				w.untilConverged()
				good := w.status().Commit
				if err := c.do(w); err != nil {
					t.Fatal(err)
				}
				w.until("the refusal shows", 5*time.Minute, func() bool { return w.status().Refusal != "" })
				if got := w.status().Refusal; !strings.Contains(got, c.want) {
					t.Errorf("the refusal is %q, without %q", got, c.want)
				}
				if n := w.log.count(`"level":"ERROR"`); n == 0 {
					t.Errorf("the log tells of no error\n%s", w.log)
				}
				// Somebody deletes an app: the last good commit brings it back.
				w.deleteApp("/search/catalog/discovery")
				w.until("the cluster is cared for", 10*time.Minute, func() bool {
					return w.instances("/search/catalog/discovery") == 1 && w.phase() == "converged"
				})
				if got := w.status().Commit; got != good {
					t.Errorf("commit %s is in force, not %s", got, good)
				}
				if _, body := w.get("/metrics"); !strings.Contains(body, `esfleet_git_fetch_total{outcome="failed"}`) {
					t.Error("no failed fetch is counted")
				}
				if c.name == "away" {
					if err := os.Rename(w.repo.Dir+".away", w.repo.Dir); err != nil {
						t.Fatal(err)
					}
					id := w.change("replicas: 3", "replicas: 4")
					w.until("git is back", 5*time.Minute, func() bool { s := w.status(); return s.Refusal == "" && s.Commit == id })
				}
				w.stop()
			})
		})
	}
}

func (w *world) deleteApp(id string) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodDelete, "http://marathon.test/v2/apps/"+id, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := w.sim.Transport().RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Fatal(res, err)
	}
	_ = res.Body.Close()
}

func TestMarathonMayGoAndComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.untilConverged()
		w.wire.set(away)
		w.change("replicas: 3", "replicas: 4")
		w.until("unknown", 10*time.Minute, func() bool { return w.phase() == "unknown" })
		if code, body := w.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "connection refused") || !strings.Contains(body, "main") {
			t.Errorf("readyz is %d: %s", code, body)
		}
		if u := w.status().Unknown; len(u) != 1 || !strings.Contains(u[0], "main") {
			t.Errorf("status tells of unknown %q", u)
		}
		if code, _ := w.get("/healthz"); code != http.StatusOK {
			t.Error("a daemon would be restarted because Marathon is away")
		}
		w.wire.set(nil)
		w.until("converged again", 10*time.Minute, func() bool { return w.instances("/search/catalog/es-datanode") == 4 && w.phase() == "converged" })
		w.untilReady()
		w.stop()
	})
}

func TestWithoutItsLogTheDaemonDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if err := os.MkdirAll(filepath.Join(w.config.State, "operations.db"), 0o755); err != nil { // a folder where the file should be
			t.Fatal(err)
		}
		w.start()
		err := <-w.ended
		if err == nil || !strings.Contains(err.Error(), "operations.db") {
			t.Errorf("ended with %v", err)
		}
		if w.wire.wrote() != 0 {
			t.Error("it wrote to Marathon")
		}
	})
}

func TestASecondDaemonOnTheSameStateFolderRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.untilReady()
		second := *w
		second.start()
		err := <-second.ended
		if err == nil || !strings.Contains(err.Error(), w.config.State) {
			t.Errorf("the second ended with %v", err)
		}
		w.stop()
	})
}

func TestASecondDaemonMayFollowTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.untilConverged()
		w.stop()
		before := w.wire.wrote()
		w.start()
		w.untilConverged()
		if n := w.wire.wrote() - before; n != 0 {
			t.Errorf("a restart made %d writes", n)
		}
		_, body := w.get("/api/v1/history")
		if !strings.Contains(body, `"record-uuid"`) {
			t.Errorf("what was done before the restart is forgotten: %s", body)
		}
		w.stop()
	})
}

func TestAnAddressThatIsTakenIsAClearError(t *testing.T) {
	c := daemon.Defaults()
	c.State, c.Listen = t.TempDir(), "127.0.0.1:99999"
	err := daemon.Run(t.Context(), c, daemon.Parts{LocalRepo: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "listen for status and metrics") {
		t.Errorf("ended with %v", err)
	}
}

func TestAGracefulStopFinishesTheStepAndWritesItDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		writing := make(chan struct{}, 100)
		w.wire.set(func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if r.Method == http.MethodGet {
				return pass()
			}
			writing <- struct{}{}
			time.Sleep(5 * time.Second) // Marathon takes its time
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			return pass()
		})
		w.start()
		<-writing
		start := time.Now()
		w.stop()
		if took := time.Since(start); took < 4*time.Second || took > time.Minute {
			t.Errorf("it stopped after %s", took)
		}
		if n := w.wire.wrote(); n != 1 {
			t.Errorf("%d writes", n)
		}
		log, err := oplog.Open(filepath.Join(w.config.State, "operations.db"), oplog.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close() //nolint:errcheck // read-only
		entries, err := log.History(oplog.Filter{})
		if err != nil || len(entries) != 1 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		if o := entries[0].Outcome; o == nil || o.State != oplog.Done {
			t.Errorf("its end is %+v", o)
		}
	})
}

func TestEveryStepIsToldToTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var verbs []string
		w.parts.Listener = func(d reconcile.Done) { verbs = append(verbs, string(d.Step.Verb)+" "+d.Step.App.Name()) }
		w.start()
		w.untilConverged()
		w.stop()
		if got, want := strings.Join(verbs, ", "), "create gate, create discovery, create es-datanode, record-uuid gate, elasticsearch es-datanode, elasticsearch es-datanode"; got != want {
			t.Errorf("steps were %s\nwant %s", got, want)
		}
	})
}

func TestALoopThatIsStuckIsNotHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		free := make(chan struct{})
		w.parts.Seen = func(*reconcile.View, gitsrc.Result, []spec.Problem) { <-free }
		w.start()
		time.Sleep(10 * time.Minute)
		if code, _ := w.get("/healthz"); code != http.StatusOK {
			t.Error("unhealthy too early")
		}
		time.Sleep(10 * time.Minute)
		if code, body := w.get("/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "the last look was 20m") {
			t.Errorf("healthz is %d: %s", code, body)
		}
		close(free)
		w.until("healthy again", time.Minute, func() bool { code, _ := w.get("/healthz"); return code == http.StatusOK })
		w.stop()
	})
}
