package esclient_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/reconcile/esclient"
)

// A frozen node delays whatever asks all nodes; the others answer in time without it.
func TestANodeThatHangsIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := small().with("stats", `{"nodes":{"A":{}}}`)
		node := func(w http.ResponseWriter, r *http.Request) {
			if name := calls[r.URL.Path]; name == "sizes" || name == "recovery" {
				<-r.Context().Done()
			}
			s.node(w, r)
		}
		target := target()
		target.Endpoints = target.Endpoints[:1]
		start := time.Now()
		unknown(t, esclient.New(nodes{"a:9200": node}, 0).Read(t.Context(), target), "1 of 2 members do not answer: b")
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var seen record
	n := nodes{
		"a:9200": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil:9200"+r.URL.Path, http.StatusFound)
		},
		"evil:9200": seen.of(small().node),
	}
	target := target()
	target.Endpoints = target.Endpoints[:1]
	unknown(t, esclient.New(n, 0).Read(t.Context(), target), "status 302")
	if len(seen.sent) != 0 {
		t.Errorf("it was followed: %q", seen.sent)
	}
}

func TestASlowNodeIsGivenUpAfterItsTime(t *testing.T) {
	for name, c := range map[string]struct {
		hangs string
		took  time.Duration
	}{"at once": {"state", 3 * time.Second}, "later": {"health", 3 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := func(w http.ResponseWriter, r *http.Request) {
					if calls[r.URL.Path] == c.hangs {
						<-r.Context().Done()
					}
					small().node(w, r)
				}
				start := time.Now()
				h := esclient.New(nodes{"a:9200": slow, "b:9200": small().node}, 3*time.Second).Read(t.Context(), target())
				unknown(t, h, "no whole answer within 3s")
				if took := time.Since(start); took != c.took {
					t.Errorf("it waited %s", took)
				}
			})
		})
	}
}

func TestTheEndOfTheCallersContextEndsTheReading(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := nodes{"a:9200": func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() }}
	unknown(t, esclient.New(n, time.Hour).Read(ctx, target()), "canceled")
}

// A connection that breaks in mid-answer is another thing than a short answer: the length was promised.
func TestABrokenConnectionIsNotKnown(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_nodes/stats/fs,jvm" {
			w.Header().Set("Content-Length", "100000")
		}
		small().node(w, r)
	}))
	defer srv.Close()
	target := target()
	target.Endpoints = []string{srv.URL}
	unknown(t, esclient.New(transport, 0).Read(t.Context(), target), "unexpected EOF")
}

// A node that has lost its master answers no call that needs one before master_timeout, which is 30 s unless the call says
// less; and what a node says without asking its master may be long past.
func TestEveryCallBoundsTheWaitForAMaster(t *testing.T) {
	var seen record
	target := target()
	target.Endpoints, target.Snapshots, target.Templates = target.Endpoints[:1], true, []string{"rules"}
	s := small().with("repositories", `{"r1":{"type":"fs"}}`)
	if h := esclient.New(nodes{"a:9200": seen.of(s.node)}, 0).Read(t.Context(), target); !h.Known {
		t.Fatalf("got %+v", h)
	}
	if len(seen.sent) != 13 {
		t.Errorf("%d calls: %q", len(seen.sent), seen.sent)
	}
	for _, q := range seen.sent {
		// These refuse the parameter: they ask no master.
		refuses := strings.Contains(q, "/_nodes") || strings.Contains(q, "/_recovery") || strings.Contains(q, "/_stats")
		if strings.Contains(q, "master_timeout=2500ms") == refuses || strings.Contains(q, "local=") {
			t.Errorf("asked %s", q)
		}
	}
}
