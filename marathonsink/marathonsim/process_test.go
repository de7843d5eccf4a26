package marathonsim_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A watch reads the event stream until something happens.
type watch struct {
	t    *testing.T
	body io.ReadCloser
	in   *bufio.Scanner
}

func watchEvents(t *testing.T, rt http.RoundTripper, query string) *watch {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://marathon.sim/v2/events"+query, nil)
	resp, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close(); cancel() })
	return &watch{t, resp.Body, bufio.NewScanner(resp.Body)}
}

// until reads to the first event that fits.
func (w *watch) until(fits func(doc) bool) doc {
	w.t.Helper()
	for w.in.Scan() {
		if data, ok := strings.CutPrefix(w.in.Text(), "data: "); ok {
			var e doc
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				w.t.Fatal(err)
			}
			if fits(e) {
				return e
			}
		}
	}
	w.t.Fatalf("the stream ended: %v", w.in.Err())
	return nil
}

func status(s string) func(doc) bool { return func(e doc) bool { return e["taskStatus"] == s } }

func realLab(t *testing.T, dir string) lab {
	t.Helper()
	runner, err := marathonsim.Processes(dir)
	if err != nil {
		t.Fatal(err)
	}
	return lab{t, marathonsim.New(marathonsim.Options{Runner: runner, LaunchDelay: time.Millisecond})}
}

func TestARealProcessHasItsPortsVolumeAndLabelsAndLeavesItsLastWords(t *testing.T) {
	dir := t.TempDir()
	l := realLab(t, dir)
	defer l.Close()
	events := watchEvents(t, l.Transport(), "?event_type=status_update_event")
	l.must(201, "PUT", "/v2/apps/a", doc{
		"id": "/a", "instances": 1, "cpus": 0.1, "mem": 32, "env": doc{"GREETING": "hello"}, "labels": doc{"my.label": "x"},
		"cmd":             `env > data/env; pwd > data/cwd; echo first >&2; echo "no such config" >&2; exit 3`,
		"portDefinitions": []doc{{"port": 0, "name": "http-api"}, {"port": 0}},
		"container":       doc{"type": "MESOS", "volumes": []doc{{"containerPath": "data", "mode": "RW", "persistent": doc{"size": 1}}}},
	})
	e := events.until(status("TASK_FAILED"))
	if want := "Command exited with status 3: first | no such config"; e["message"] != want {
		t.Errorf("last words %q, want %q", e["message"], want)
	}
	found, _ := filepath.Glob(filepath.Join(dir, "volumes", "*", "env"))
	if len(found) != 1 {
		t.Fatalf("volumes with an env file: %v", found)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	env := "\n" + string(b)
	for _, want := range []string{"\nGREETING=hello\n", "\nHOST=127.0.0.1", "\nPORT0=3", "\nPORT1=3", "\nPORT_HTTP_API=3", "\nPORT=3",
		"\nMARATHON_APP_ID=/a\n", "\nMARATHON_APP_LABEL_MY_LABEL=x\n", "\nMARATHON_APP_RESOURCE_MEM=32\n", "\nMESOS_SANDBOX=" + dir} {
		if !strings.Contains(env, want) {
			t.Errorf("the environment lacks %q:%s", want, env)
		}
	}
	if strings.Contains(env, "GOCACHE") || strings.Contains(env, "GOFLAGS") {
		t.Error("the environment holds what the test was started with")
	}
}

func TestWhatAKilledRunLeftRunningIsEndedAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	first, err := marathonsim.Processes(dir)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan marathonsim.Exit, 1)
	if _, err := first.Start(marathonsim.Task{ID: "x.1", Host: "127.0.0.11", Cmd: "sleep 600"}, func(e marathonsim.Exit) { ended <- e }); err != nil {
		t.Fatal(err)
	}
	if _, err := marathonsim.Processes(dir); err != nil { // a second start over the same folder
		t.Fatal(err)
	}
	select {
	case e := <-ended:
		if !e.Signalled {
			t.Errorf("it ended as %+v", e)
		}
	case <-time.After(time.Minute):
		t.Fatal("it still runs")
	}
}

func TestAProcessThatIgnoresSIGTERMIsKilledAfterItsGrace(t *testing.T) {
	l := realLab(t, t.TempDir())
	defer l.Close()
	events := watchEvents(t, l.Transport(), "")
	l.must(201, "PUT", "/v2/apps/a", doc{"id": "/a", "instances": 1, "cpus": 0.1, "mem": 32, "taskKillGracePeriodSeconds": 1,
		"cmd":          `trap "" TERM; echo up > up; while :; do sleep 1; done`,
		"healthChecks": []doc{{"protocol": "COMMAND", "command": doc{"value": "test -f up"}, "intervalSeconds": 1, "delaySeconds": 0}}})
	events.until(func(e doc) bool { return e["eventType"] == "health_status_changed_event" && e["alive"] == true })
	l.must(200, "PUT", "/v2/apps/a", doc{"instances": 0})
	if e := events.until(status("TASK_KILLED")); e["message"] != "Command terminated with signal Killed" {
		t.Errorf("it ended with %q", e["message"])
	}
}
