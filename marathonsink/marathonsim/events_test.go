package marathonsim_test

import (
	"bufio"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// record follows the event stream in the background; the returned function takes what came so far, as
// "type" or "type:detail", instance ids left out.
func (l lab) record(query string) func() []string {
	l.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://marathon.sim/v2/events"+query, nil)
	resp, err := l.Transport().RoundTrip(r)
	if err != nil {
		l.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream;charset=utf-8" {
		l.Errorf("content type %q", ct)
	}
	l.Cleanup(cancel)
	lines := make(chan string, 10000)
	go func() {
		defer close(lines)
		defer resp.Body.Close()
		in := bufio.NewScanner(resp.Body)
		in.Split(func(data []byte, eof bool) (int, []byte, error) {
			if i := strings.Index(string(data), "\r\n"); i >= 0 {
				return i + 2, data[:i], nil
			}
			return 0, nil, nil
		})
		for in.Scan() {
			lines <- in.Text()
		}
	}()
	return func() []string {
		var out []string
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					return append(out, "end")
				}
				out = append(out, line)
			default:
				return out
			}
		}
	}
}

// kinds are the types of the events among the lines of a stream.
func kinds(lines []string) []string {
	var out []string
	for _, line := range lines {
		if k, ok := strings.CutPrefix(line, "event: "); ok {
			out = append(out, k)
		}
	}
	return out
}

func TestACreationTellsItsEventsInTheMeasuredOrder(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		take := l.record("")
		l.must(201, "PUT", "/v2/apps/a", doc{"id": "/a", "cmd": "run", "instances": 1,
			"healthChecks": []doc{{"protocol": "MESOS_HTTP", "delaySeconds": 2, "intervalSeconds": 2}}})
		time.Sleep(8 * time.Second)
		want := []string{"event_stream_attached",
			"deployment_info", "add_health_check_event", "deployment_step_success", // Start
			"deployment_info", "add_health_check_event", "instance_changed_event", // Scale: Scheduled
			"group_change_success", "api_post_event",
			"instance_changed_event",                        // Provisioned
			"status_update_event", "instance_changed_event", // Starting
			"status_update_event", "instance_changed_event", // Running
			"status_update_event", "instance_health_changed_event", "health_status_changed_event",
			"deployment_step_success", "deployment_success"}
		if got := kinds(take()); !slices.Equal(got, want) {
			t.Errorf("events\n got %v\nwant %v", got, want)
		}
	})
}

func TestANoOpEndsAtOnceAndARefusedWriteTellsOfAFailureOfItsOwn(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/es/gate", gateApp(1, "0"))
		take := l.record("")
		l.must(200, "PUT", "/v2/apps/es/gate", gateApp(1, "0"))
		l.must(409, "PUT", "/v2/apps/es/gate", gateApp(1, "1"))
		l.must(422, "PUT", "/v2/apps/es/gate", doc{"cpus": -1})
		time.Sleep(time.Millisecond)
		want := []string{"event_stream_attached", "deployment_success", "group_change_success", "api_post_event", "group_change_failed", "deployment_failed"}
		if got := kinds(take()); !slices.Equal(got, want) {
			t.Errorf("events\n got %v\nwant %v", got, want)
		}
	})
}

func TestTheStreamBeatsEveryTenSecondsFiltersByTypeAndEndsWithTheLeader(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		take := l.record("?event_type=group_change_success&event_type=app_terminated_event")
		time.Sleep(35 * time.Second)
		if got := take(); !slices.Equal(got, []string{"", "", ""}) {
			t.Errorf("in 35 s: %q, want three empty lines", got)
		}
		l.must(201, "PUT", "/v2/apps/a", doc{"cmd": "run"})
		l.must(200, "DELETE", "/v2/apps/a", nil)
		time.Sleep(time.Second)
		if got := kinds(take()); !slices.Equal(got, []string{"group_change_success", "app_terminated_event", "group_change_success"}) {
			t.Errorf("filtered: %v", got)
		}
		l.LeaderChange()
		time.Sleep(time.Millisecond)
		if got := take(); !slices.Equal(got, []string{"end"}) {
			t.Errorf("after the leader left: %q", got)
		}
		if status, body := l.call("GET", "/v2/apps", nil); status != 500 || body != nil {
			t.Errorf("while nobody leads: %d %v", status, body)
		}
	})
}
