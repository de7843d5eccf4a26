package marathonsim_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// An exchange is one recorded call with its answer.
type exchange struct {
	Request struct {
		Method, Path string
		Body         any
		Headers      map[string]string
	}
	Response struct {
		Status int
		Body   any
	}
}

// notReplayed are recordings whose setting is not made here, each with what is missing.
var notReplayed = map[string]string{
	"409-rollback-locked":         "names a version of the recording",
	"422-app-under-app":           "names the index of a group among the recording's",
	"409-put-group-where-app-is":  "names the index of a group among the recording's",
	"409-group-put-where-app-is":  "names the index of a group among the recording's",
	"409-group-put-locked":        "group with apps",
	"409-group-scaleby-locked":    "group scaling is not simulated",
	"409-post-group-existing":     "creating groups is not simulated",
	"406-accept-html":             "needs its header; see TestAnAcceptHeader",
	"415-form-content-type":       "needs its header; see TestAnAcceptHeader",
	"409-service-port-conflict-1": "accepted",
	"400-bad-embed":               "lists the recording's apps",
	"accept-any":                  "shows the recording's app",
}

var someID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|20\d\d-\d\d-\d\dT[0-9:.]+Z`)

// withoutIDs makes two answers comparable: what is drawn anew each time becomes a word.
func withoutIDs(v any) any {
	b, _ := json.Marshal(sortDetails(v))
	var out any
	_ = json.Unmarshal(someID.ReplaceAll(b, []byte("drawn")), &out)
	return out
}

func TestRefusalsAreWordedAsRecorded(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(recordings(t), "errors", "*.json"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d recordings: %v", len(files), err)
	}
	app := func(n int) doc {
		return doc{"id": "/err/x", "cmd": "sleep 1000", "cpus": 0.05, "mem": 32, "instances": n, "constraints": [][]string{{"hostname", "LIKE", "nope"}}}
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		if notReplayed[name] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var x exchange
			if err := json.Unmarshal(b, &x); err != nil {
				t.Fatal(err)
			}
			inVirtualTime(t, marathonsim.Options{}, func(l lab) {
				n := 0
				if strings.Contains(name, "locked") {
					n = 1
				}
				l.must(201, "PUT", "/v2/apps/err/x", app(n))
				l.must(201, "PUT", "/v2/apps/err/n", doc{"cmd": "sleep 1", "instances": 0})
				l.must(201, "PUT", "/v2/apps/err/r", doc{"cmd": "sleep 1", "instances": 0, "cpus": 0.1, "mem": 32, "portDefinitions": []doc{{"port": 0, "name": "a"}},
					"container": doc{"type": "MESOS", "volumes": []doc{{"containerPath": "d", "mode": "RW", "persistent": doc{"size": 16}}}}})
				status, answer := l.call(x.Request.Method, x.Request.Path, x.Request.Body)
				if status != x.Response.Status && (status != 200 || x.Response.Status != 201) {
					t.Errorf("%s %s %v: status %d, want %d: %v", x.Request.Method, x.Request.Path, x.Request.Body, status, x.Response.Status, answer)
				}
				if d := cmp.Diff(withoutIDs(x.Response.Body), withoutIDs(answer)); d != "" {
					t.Errorf("%s %s %v (-real +sim):\n%s", x.Request.Method, x.Request.Path, x.Request.Body, d)
				}
			})
		})
	}
}
