package marathonsim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

type doc = map[string]any

// A lab is a Sim and a client of it, inside a bubble of virtual time.
type lab struct {
	*testing.T
	*marathonsim.Sim
}

func inVirtualTime(t *testing.T, opt marathonsim.Options, story func(l lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := lab{t, marathonsim.New(opt)}
		defer l.Close()
		story(l)
	})
}

func version(t *testing.T, s string) marathon.Version {
	t.Helper()
	v, err := marathon.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// call sends a request and reads the answer; body may be nil, a string or anything that marshals.
func (l lab) call(method, path string, body any) (int, any) {
	l.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = bytes.NewBufferString(b)
	default:
		enc, err := json.Marshal(b)
		if err != nil {
			l.Fatal(err)
		}
		in = bytes.NewReader(enc)
	}
	r, err := http.NewRequestWithContext(context.Background(), method, "http://marathon.sim"+path, in)
	if err != nil {
		l.Fatal(err)
	}
	resp, err := l.Transport().RoundTrip(r)
	if err != nil {
		l.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		l.Fatal(err)
	}
	var v any
	if len(b) > 0 {
		if err := json.Unmarshal(b, &v); err != nil {
			v = string(b)
		}
	}
	return resp.StatusCode, v
}

// must is call with the status it has to have.
func (l lab) must(status int, method, path string, body any) any {
	l.Helper()
	got, v := l.call(method, path, body)
	if got != status {
		l.Fatalf("%s %s: status %d, want %d: %v", method, path, got, status, v)
	}
	return v
}

func (l lab) app(id string) doc { return l.must(200, "GET", "/v2/apps"+id, nil).(doc)["app"].(doc) }

func (l lab) tasks(id string) []marathon.Task {
	l.Helper()
	b, _ := json.Marshal(l.must(200, "GET", "/v2/apps"+id+"/tasks", nil).(doc)["tasks"])
	var out []marathon.Task
	if err := json.Unmarshal(b, &out); err != nil {
		l.Fatal(err)
	}
	return out
}

func (l lab) deployments() int { return len(l.must(200, "GET", "/v2/deployments", nil).([]any)) }

// settle lets virtual time pass until no deployment is open, and says how long that took.
func (l lab) settle(limit time.Duration) time.Duration {
	l.Helper()
	began := time.Now()
	for l.deployments() > 0 {
		if time.Since(began) > limit {
			l.Fatalf("deployments still open after %v: %v", limit, l.must(200, "GET", "/v2/deployments", nil))
		}
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(began)
}

func running(tasks []marathon.Task) int {
	n := 0
	for _, t := range tasks {
		if t.Running() {
			n++
		}
	}
	return n
}

// resident is an app as Elasticsearch nodes are: volume, one per host, health and readiness.
func resident(id string, n int, v string) doc {
	return doc{
		"id": id, "cmd": "run", "instances": n, "cpus": 0.1, "mem": 32, "env": doc{"V": v},
		"constraints":     [][]string{{"hostname", "UNIQUE"}},
		"upgradeStrategy": doc{"minimumHealthCapacity": 1, "maximumOverCapacity": 0},
		"portDefinitions": []doc{{"port": 0, "name": "http"}},
		"container":       doc{"type": "MESOS", "volumes": []doc{{"containerPath": "data", "mode": "RW", "persistent": doc{"size": 64}}}},
		"healthChecks":    []doc{{"protocol": "MESOS_HTTP", "path": "/health", "portIndex": 0, "intervalSeconds": 2, "delaySeconds": 1}},
		"readinessChecks": []doc{{"portName": "http", "path": "/ready", "intervalSeconds": 2, "timeoutSeconds": 1}},
	}
}

// failing is a Program that ends badly at once.
type failing struct{}

func (failing) Run(context.Context) error { return errors.New("out of luck") }

func (failing) ServeHTTP(http.ResponseWriter, *http.Request) {}
