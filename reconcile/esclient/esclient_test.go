package esclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/esfleet/esfleet/reconcile/esclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nodes answer in-process, by host; a host that is not there refuses connections.
type nodes map[string]http.HandlerFunc

func (n nodes) RoundTrip(r *http.Request) (*http.Response, error) {
	h := n[r.URL.Host]
	if h == nil {
		return nil, fmt.Errorf("dial tcp %s: connection refused", r.URL.Host)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	h(w, r)
	if err := r.Context().Err(); err != nil { // it answered too late
		return nil, err
	}
	return w.Result(), nil
}

// An answer is a recorded one.
type answer struct {
	Status int
	Body   json.RawMessage
}

// A situation is what a node of a cluster in it answers.
type situation struct{ Health, State answer }

func (s situation) node(w http.ResponseWriter, r *http.Request) {
	a := s.State
	if strings.HasPrefix(r.URL.Path, "/_cluster/health") {
		a = s.Health
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// recorded are the situations of one version, by name.
func recorded(t *testing.T, version string) map[string]situation {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", version+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]situation
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// formed is a made-up node of a healthy cluster.
func formed(name, uuid, status string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_cluster/health") {
			_, _ = fmt.Fprintf(w, `{"cluster_name":%q,"status":%q,"timed_out":false,"number_of_nodes":3,"number_of_data_nodes":2}`, name, status)
			return
		}
		_, _ = fmt.Fprintf(w, `{"cluster_name":%q,"cluster_uuid":%q,"metadata":{"cluster_uuid":%q}}`, name, uuid, uuid)
	}
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

var two = []string{"http://a:9200", "http://b:9200"}

func TestRecordedAnswersOfRealClustersAreUnderstood(t *testing.T) {
	type want struct {
		known     bool
		status    string
		nodes     int
		dataNodes int
	}
	uuids := map[string]string{"6.8.23": "1hLpmcMmQPeyOXdj91eSbQ", "7.17.28": "vhBkOc6HQ2GK08ncerGeRw",
		"8.7.1": "yWPxn6XjTsOceeeMorQNqg", "opensearch-2.11.0": "AbZ33MTVQQ6ZS0ro11T56A"}
	wants := map[string]want{
		"green":     {known: true, status: "green", nodes: 6, dataNodes: 3},
		"recovery":  {known: true, status: "yellow"}, // answered with 408: what the call waits for did not come
		"red":       {known: true, status: "red"},
		"no-master": {},
	}
	for version, uuid := range uuids {
		for name, s := range recorded(t, version) {
			t.Run(version+" "+name, func(t *testing.T) {
				want := wants[name]
				got := esclient.New(nodes{"a:9200": s.node, "b:9200": s.node}, 0).Ask(t.Context(), two)
				if !got.Asked || got.Known != want.known || got.Status != want.status {
					t.Fatalf("got %+v", got)
				}
				if want.nodes != 0 && (got.Nodes != want.nodes || got.DataNodes != want.dataNodes) {
					t.Errorf("%d nodes, %d of them with data, want %d and %d", got.Nodes, got.DataNodes, want.nodes, want.dataNodes)
				}
				if name == "green" && got.UUID != uuid {
					t.Errorf("uuid is %s", got.UUID)
				}
				if !want.known && (!strings.Contains(got.Why, "503") || got.UUID != "" || got.Name != "") {
					t.Errorf("not known, and yet %+v", got)
				}
			})
		}
	}
}

func TestAnyDoubtIsNotKnownAndSaysWhy(t *testing.T) {
	green := formed("logs", "uuid-1", "green")
	for _, c := range []struct {
		name      string
		nodes     nodes
		endpoints []string
		why       []string
	}{
		{"nobody to ask", nodes{}, nil, []string{"no node runs"}},
		{"nobody answers", nodes{}, two, []string{"none of 2 nodes", "a:9200", "b:9200", "connection refused"}},
		{"one of two answers", nodes{"a:9200": green}, two, []string{"only one of 2 nodes", "b:9200"}},
		{"two nodes name different clusters", nodes{"a:9200": green, "b:9200": formed("logs", "uuid-2", "green")}, two,
			[]string{"different clusters", "uuid-1", "uuid-2"}},
		{"two nodes name clusters of different names", nodes{"a:9200": green, "b:9200": formed("shop", "uuid-1", "green")}, two,
			[]string{"different clusters", "logs", "shop"}},
		{"a cluster that has not formed", nodes{"a:9200": formed("logs", "_na_", "red")}, two[:1], []string{"no cluster has formed"}},
		{"no uuid", nodes{"a:9200": says(`{"cluster_name":"logs"}`)}, two[:1], []string{"no cluster has formed"}},
		{"an answer that is cut", nodes{"a:9200": says(`{"cluster_name":"lo`)}, two[:1], []string{"a:9200", "unexpected end"}},
		{"an answer that is no JSON", nodes{"a:9200": says(`<html>proxy</html>`)}, two[:1], []string{"invalid character"}},
		{"an answer of another shape", nodes{"a:9200": says(`["logs"]`)}, two[:1], []string{"cannot unmarshal"}},
		{"an empty answer", nodes{"a:9200": says("")}, two[:1], []string{"unexpected end"}},
		{"a status it does not know", nodes{"a:9200": formed("logs", "uuid-1", "blue")}, two[:1], []string{`health is "blue"`}},
		{"a colour that shouts", nodes{"a:9200": formed("logs", "uuid-1", "GREEN")}, two[:1], []string{`health is "GREEN"`}},
		{"a huge answer", nodes{"a:9200": says(`{"cluster_name":"` + strings.Repeat("x", 2<<20) + `","cluster_uuid":"uuid-1"}`)}, two[:1], []string{"more than 1048576 bytes"}},
		{"an address that is none", nodes{}, []string{"http://a b:9200"}, []string{"none of 1 nodes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := esclient.New(c.nodes, 0).Ask(t.Context(), c.endpoints)
			if !got.Asked || got.Known || got.Status != "" || got.UUID != "" {
				t.Fatalf("it is taken for known: %+v", got)
			}
			for _, w := range c.why {
				if !strings.Contains(got.Why, w) {
					t.Errorf("why is %q, without %q", got.Why, w)
				}
			}
			if strings.Contains(got.Why, "\n") {
				t.Errorf("why has several lines: %q", got.Why)
			}
			if len(got.Why) > 2000 {
				t.Errorf("why has %d bytes", len(got.Why))
			}
		})
	}
}

func TestTwoThatAgreeAreEnoughWhateverTheThirdDoes(t *testing.T) {
	asked := 0
	green := formed("logs", "uuid-1", "green")
	n := nodes{"a:9200": says("nonsense"), "b:9200": green, "c:9200": green,
		"d:9200": func(w http.ResponseWriter, r *http.Request) { asked++; green(w, r) }}
	got := esclient.New(n, 0).Ask(t.Context(), []string{"http://a:9200", "http://b:9200", "http://c:9200", "http://d:9200"})
	if !got.Known || got.UUID != "uuid-1" || got.Name != "logs" || got.Status != "green" || got.Nodes != 3 || got.DataNodes != 2 {
		t.Errorf("got %+v", got)
	}
	if asked != 0 {
		t.Errorf("a node more than needed was asked %d times", asked)
	}
}

func TestTheOnlyNodeThereIsMayAnswerForItsCluster(t *testing.T) {
	got := esclient.New(nodes{"a:9200": formed("logs", "uuid-1", "yellow")}, 0).Ask(t.Context(), two[:1])
	if !got.Known || got.Status != "yellow" {
		t.Errorf("got %+v", got)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	followed := false
	n := nodes{
		"a:9200": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil:9200"+r.URL.Path, http.StatusFound)
		},
		"evil:9200": func(w http.ResponseWriter, r *http.Request) {
			followed = true
			formed("logs", "uuid-1", "green")(w, r)
		},
	}
	got := esclient.New(n, 0).Ask(t.Context(), two[:1])
	if followed || got.Known || !strings.Contains(got.Why, "status 302") {
		t.Errorf("followed: %v, %+v", followed, got)
	}
}

func TestASlowNodeIsGivenUpAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		start := time.Now()
		got := esclient.New(nodes{"a:9200": slow, "b:9200": formed("logs", "uuid-1", "green")}, 3*time.Second).Ask(t.Context(), two)
		if got.Known || !strings.Contains(got.Why, "deadline") {
			t.Errorf("got %+v", got)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it waited %s", took)
		}
	})
}

func TestTheEndOfTheCallersContextEndsTheAsking(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := nodes{"a:9200": func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() }}
	if got := esclient.New(n, time.Hour).Ask(ctx, two); got.Known || !strings.Contains(got.Why, "canceled") {
		t.Errorf("got %+v", got)
	}
}

// A connection that breaks in mid-answer is another thing than a short answer: the length was promised.
func TestABrokenConnectionIsNotKnown(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"cluster_name":"logs","cluster_uuid":"uuid-1"}`)
	}))
	defer srv.Close()
	transport := &http.Transport{DisableKeepAlives: true}
	got := esclient.New(transport, 0).Ask(t.Context(), []string{srv.URL})
	if got.Known || !strings.Contains(got.Why, "unexpected EOF") {
		t.Errorf("got %+v", got)
	}
}

// A node that has lost its master answers neither call before master_timeout, which is 30 s unless the call says less.
func TestEveryCallBoundsTheWaitForAMaster(t *testing.T) {
	var urls []string
	green := formed("logs", "uuid-1", "green")
	n := nodes{"a:9200": func(w http.ResponseWriter, r *http.Request) { urls = append(urls, r.URL.String()); green(w, r) }}
	esclient.New(n, 0).Ask(t.Context(), two[:1])
	if len(urls) != 2 {
		t.Fatalf("asked %q", urls)
	}
	for _, u := range urls {
		if !strings.Contains(u, "master_timeout=2s") || strings.Contains(u, "local=true") {
			t.Errorf("asked %s", u)
		}
	}
}
