package daemon_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReadyzSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name  string
		setUp func(w *world)
		want  []string
	}{
		{"no branch yet", func(w *world) {
			if err := w.repo.DeleteBranch(); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"main"}},
		{"no repository yet", func(w *world) {
			if err := os.RemoveAll(w.repo.Dir); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"fleet.git"}},
		{"a commit with problems", func(w *world) { w.change("replicas: 3", "replicas: three") }, []string{"problem", catalog + ":"}},
		{"Marathon cannot be read", func(w *world) { w.wire.set(away) }, []string{`Marathon "main"`, "connection refused"}},
		{"Marathon answers nothing yet", func(w *world) {
			w.wire.set(func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		}, []string{"no look at Marathon yet"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.setUp(w)
				w.start()
				w.until("an answer", time.Minute, func() bool {
					code, body := w.get("/readyz")
					for _, s := range c.want {
						if !strings.Contains(body, s) {
							return false
						}
					}
					return code == http.StatusServiceUnavailable
				})
				if code, body := w.get("/healthz"); code != http.StatusOK {
					t.Errorf("a restart would not help, and yet healthz is %d: %s", code, body)
				}
				if w.wire.wrote() != 0 {
					t.Error("it wrote to Marathon")
				}
				w.stop()
			})
		})
	}
}

func TestAProblemIsLoggedOncePerCommitNotOncePerPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.change("replicas: 3", "replicas: three")
		w.start()
		time.Sleep(time.Hour)
		if n := w.log.count(`"problem":`); n != 1 {
			t.Errorf("it is logged %d times in an hour", n)
		}
		w.stop()
	})
}

func TestAMarathonThatIsAwayIsNotLoggedAtEveryLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.wire.set(away)
		w.start()
		time.Sleep(time.Hour)
		if n := w.log.count("Marathon could not be read"); n != 1 {
			t.Errorf("it is logged %d times in an hour", n)
		}
		w.wire.set(nil)
		w.untilReady()
		w.wire.set(away)
		time.Sleep(10 * time.Minute)
		if n := w.log.count("Marathon could not be read"); n != 2 {
			t.Errorf("the second time it was away is not logged: %d", n)
		}
		w.stop()
	})
}

func TestMetricsTellOfStepsPhasesGitAndMarathon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.untilConverged()
		code, body := w.get("/metrics")
		if code != http.StatusOK {
			t.Fatal(code, body)
		}
		for _, sample := range []string{
			`esfleet_steps_total{outcome="done",verb="create"} 3`,
			`esfleet_steps_total{outcome="done",verb="record-uuid"} 1`,
			`esfleet_cluster_phase{cluster="search/catalog",phase="converged"} 1`,
			`esfleet_git_fetch_total{outcome="ok"} `,
			`esfleet_git_commit_info{commit="` + w.status().Commit + `"} 1`,
			`esfleet_git_last_success_timestamp_seconds `,
			`esfleet_look_timestamp_seconds `,
			`esfleet_resync_timestamp_seconds{marathon="main"} `,
			`esfleet_marathon_requests_total{kind="ok",op="create"} 3`,
			`esfleet_marathon_request_seconds_count{op="state"} `,
			`esfleet_suspended{cluster="search/catalog"} 0`,
			`esfleet_oplog_errors_total 0`,
			`esfleet_build_info{`,
			`go_goroutines `,
			`process_start_time_seconds `,
		} {
			if !strings.Contains(body, "\n"+sample) {
				t.Errorf("no sample %s", sample)
			}
		}
		looked := sample(t, body, `esfleet_look_timestamp_seconds`)
		if now := float64(time.Now().Unix()); looked < now-400 || looked > now+1 {
			t.Errorf("the last look was at %f, now is %f", looked, now)
		}
		documented := documentedMetrics(t)
		for _, name := range regexp.MustCompile(`(?m)^# HELP (esfleet_\w+)`).FindAllStringSubmatch(body, -1) {
			if !documented[name[1]] {
				t.Errorf("%s is on the page and not in metrics' own record", name[1])
			}
		}
		w.stop()
	})
}

func sample(t *testing.T, page, name string) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no sample %s", name)
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func documentedMetrics(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile("../metrics/testdata/scrape.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# HELP (\w+)`).FindAllStringSubmatch(string(b), -1) {
		out[m[1]] = true
	}
	return out
}

func TestHistoryTellsOfEveryStepAndCanBeNarrowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.untilConverged()
		type entry struct {
			Cluster, App, Verb, Why, Commit, Actor string
			Outcome                                struct{ State string }
		}
		ask := func(query string) []entry {
			t.Helper()
			code, body := w.get("/api/v1/history" + query)
			var out []entry
			if err := json.Unmarshal([]byte(body), &out); code != http.StatusOK || err != nil || out == nil {
				t.Fatalf("%d %v: %s", code, err, body)
			}
			return out
		}
		all := ask("")
		if len(all) != 6 {
			t.Fatalf("%d entries", len(all))
		}
		for _, e := range all {
			if e.Cluster != "search/catalog" || !strings.HasPrefix(e.App, "/search/catalog/") || e.Why == "" || e.Actor == "" ||
				e.Commit != w.status().Commit || e.Outcome.State != "done" {
				t.Errorf("an entry is %+v", e)
			}
		}
		if got := ask("?limit=1"); len(got) != 1 || got[0].Verb != "elasticsearch" {
			t.Errorf("the newest one is %+v", got)
		}
		if got := ask("?cluster=search/logs"); len(got) != 0 {
			t.Errorf("another cluster's history is %+v", got)
		}
		for _, q := range []string{"?limit=x", "?limit=-1", "?limit=0"} {
			if code, body := w.get("/api/v1/history" + q); code != http.StatusBadRequest || !strings.Contains(body, "limit") {
				t.Errorf("%s is answered with %d: %.80s", q, code, body)
			}
		}
		w.stop()
	})
}

func TestStatusTellsOfWhatVanishedFromGit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		other := map[string]string{}
		for path, content := range small() {
			if rest, ok := strings.CutPrefix(path, "groups/search/clusters/catalog/"); ok {
				other["groups/search/clusters/spare/"+rest] = strings.Replace(content, "port: 9320", "port: 9340", 1)
			}
		}
		w.commit(other)
		w.start()
		w.until("both run", 30*time.Minute, func() bool {
			s := w.status()
			return len(s.Clusters) == 2 && s.Clusters[0].Phase == "converged" && s.Clusters[1].Phase == "converged"
		})
		var paths []string
		for p := range other {
			paths = append(paths, p)
		}
		w.commit(nil, paths...)
		w.until("it is told", 5*time.Minute, func() bool { return len(w.status().Vanished) == 1 })
		if got := w.status().Vanished[0]; !strings.Contains(got, "search/spare") {
			t.Errorf("vanished: %s", got)
		}
		time.Sleep(30 * time.Minute)
		if n := w.instances("/search/spare/es-datanode"); n != 3 {
			t.Errorf("half an hour later %d of 3 nodes are left", n)
		}
		if n := w.log.count("vanished from git"); n != 1 {
			t.Errorf("it is logged %d times", n)
		}
		w.stop()
	})
}

func TestPagesOnlyRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.untilReady()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: w.pages.dial}}
		for _, path := range []string{"/healthz", "/readyz", "/metrics", "/api/v1/status", "/api/v1/history"} {
			res, err := client.Post("http://daemon"+path, "text/plain", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("POST %s is answered with %d", path, res.StatusCode)
			}
		}
		if code, _ := w.get("/nothing"); code != http.StatusNotFound {
			t.Errorf("an unknown page is %d", code)
		}
		w.stop()
	})
}
