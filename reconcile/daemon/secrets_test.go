package daemon_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/gitsrc/gittest"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/daemon"
	"github.com/esfleet/esfleet/spec"
)

const canary = "Canary7f3e"

// canaries are the forms in which a secret could leak.
func canaries(secret string) []string {
	return []string{canary, base64.StdEncoding.EncodeToString([]byte(secret))}
}

func mustNotTell(t *testing.T, where, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("%s tells the secret: …%s…", where, text[max(0, i-80):min(len(text), i+80)])
		}
	}
}

func TestMarathonsSecretIsSentToMarathonAndToldToNobody(t *testing.T) {
	const secret = "ops:" + canary
	inFile := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(inFile, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ESFLEET_MARATHON_MAIN", secret)
	t.Setenv("TRYING", secret)
	for _, c := range []struct {
		name  string
		setUp func(w *world)
	}{
		{"named in the fleet", func(w *world) {
			files := small()
			files["fleet.yaml"] = strings.Replace(files["fleet.yaml"], "    url: http://127.0.0.1:8080\n", "    url: http://127.0.0.1:8080\n    credentials: env:ESFLEET_MARATHON_MAIN\n", 1)
			w.commit(files)
		}},
		{"named in the configuration", func(w *world) { w.config.MarathonCredential = "env:TRYING" }},
		{"in a file", func(w *world) { w.config.MarathonCredential = "file:" + inFile }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.setUp(w)
				var sent, refuse atomic.Bool
				w.wire.set(func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
					user, password, _ := r.BasicAuth()
					sent.Store(user == "ops" && password == canary)
					if !refuse.Load() {
						return pass()
					}
					body := "no access for " + user + " with " + password + ", who sent " + r.Header.Get("Authorization") // as some proxies do
					return &http.Response{StatusCode: 401, Status: "401 Unauthorized", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
						Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
				})
				w.start()
				w.untilConverged()
				if !sent.Load() {
					t.Error("Marathon did not get the credentials")
				}
				refuse.Store(true)
				w.change("replicas: 3", "replicas: 4")
				w.until("Marathon refuses", 10*time.Minute, func() bool { return len(w.status().Unknown) > 0 })
				secrets := canaries(secret)
				for _, page := range []string{"/readyz", "/healthz", "/metrics", "/api/v1/status", "/api/v1/history"} {
					_, body := w.get(page)
					mustNotTell(t, page, body, secrets)
				}
				w.stop()
				mustNotTell(t, "the log", w.log.String(), secrets)
				b, err := os.ReadFile(filepath.Join(w.config.State, "operations.db"))
				if err != nil {
					t.Fatal(err)
				}
				mustNotTell(t, "the operation log", string(b), secrets)
			})
		})
	}
}

func TestAFleetThatNamesAnotherSecretIsRefusedAndSendsNothing(t *testing.T) {
	t.Setenv("GITLAB_TOKEN", canary)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		files := small()
		files["fleet.yaml"] = strings.Replace(files["fleet.yaml"], "    url: http://127.0.0.1:8080\n", "    url: http://127.0.0.1:8080\n    credentials: env:GITLAB_TOKEN\n", 1)
		w.commit(files)
		w.wire.set(func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			t.Errorf("it asked %s with %q", r.URL, r.Header.Get("Authorization"))
			return pass()
		})
		w.start()
		w.until("it says so", time.Minute, func() bool { _, body := w.get("/readyz"); return strings.Contains(body, "env:ESFLEET_MARATHON_") })
		_, body := w.get("/readyz")
		if !strings.Contains(body, "fleet.yaml:") {
			t.Errorf("it does not say where: %s", body)
		}
		mustNotTell(t, "readyz", body, []string{canary})
		w.stop()
		mustNotTell(t, "the log", w.log.String(), []string{canary})
	})
}

// A real git server, and therefore real time; it waits only for events.
func TestGitsSecretIsToldToNobody(t *testing.T) {
	root := t.TempDir()
	repo, err := gittest.Init(filepath.Join(root, "fleet.git"), "main")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit("the fleet", small()); err != nil {
		t.Fatal(err)
	}
	srv, err := gittest.Serve(root, gittest.ServerOptions{User: "oauth2", Password: "another"})
	if errors.Is(err, gittest.ErrNoGit) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close() //nolint:errcheck // a test server
	t.Setenv("FLEET_TOKEN", canary)
	log := &buffer{}
	asked := make(chan struct{}, 100)
	c := daemon.Defaults()
	c.State, c.Fleet, c.GitCredential = t.TempDir(), srv.URL("fleet.git"), "env:FLEET_TOKEN"
	s, err := daemon.Open(t.Context(), c, daemon.Parts{Log: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Load(t.Context())
	if err == nil || !strings.Contains(err.Error(), "fleet.git") {
		t.Errorf("load says %v", err)
	}
	secrets := canaries("oauth2:" + canary)
	mustNotTell(t, "the error", err.Error(), secrets)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	p := &pages{conns: make(chan net.Conn), closed: make(chan struct{})}
	w := &world{t: t, pages: p, log: log, config: c}
	w.parts = daemon.Parts{Log: slog.New(slog.NewJSONHandler(&told{b: log, until: "refused", tell: asked}, nil)),
		Seen: func(*reconcile.View, gitsrc.Result, []spec.Problem) {}}
	w.start()
	<-asked
	code, body := w.get("/readyz")
	if code != http.StatusServiceUnavailable {
		t.Errorf("readyz is %d", code)
	}
	mustNotTell(t, "readyz", body, secrets)
	w.stop()
	mustNotTell(t, "the log", log.String(), secrets)
}

// told signals when a line that holds some text is written.
type told struct {
	b     *buffer
	until string
	tell  chan struct{}
}

func (o *told) Write(p []byte) (int, error) {
	n, err := o.b.Write(p)
	if bytes.Contains(p, []byte(o.until)) {
		o.tell <- struct{}{}
	}
	return n, err
}
