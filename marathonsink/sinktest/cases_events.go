package sinktest

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

var eventCases = []testCase{
	{name: "a stream begins with a gap and its own attachment", source: "marathon-lab-api §5 head", run: func(e *env) {
		next := e.events()
		if first := next(); !first.Gap {
			e.Errorf("%+v", first)
		}
		if second := next(); second.Type != "event_stream_attached" || !json.Valid(second.Data) {
			e.Errorf("%+v", second)
		}
	}},
	{name: "a creation is told in order", source: "marathon-lab-api §5 create; marathon-lab-old §8", run: func(e *env) {
		next := e.events()
		next()
		next() // attached: from here on nothing is missed
		d := e.create(e.app("a", 1, nil))
		var types []string
		for !slices.Contains(types, "deployment_success") {
			ev := next()
			if e.isAbout(ev, d) {
				types = append(types, ev.Type)
			}
		}
		e.wantOrder(types, "deployment_info", "deployment_step_success", "deployment_info", "deployment_success")
		e.wantOrder(types, "deployment_info", "status_update_event", "deployment_success")
		e.wantOrder(types, "deployment_info", "instance_changed_event", "deployment_success")
		if !slices.Contains(types, "api_post_event") || !slices.Contains(types, "group_change_success") {
			e.Errorf("types %v", types)
		}
	}},
	{name: "a write that changes nothing is told as success", source: "marathon-lab-api §2 no-op, §5", run: func(e *env) {
		e.create(e.app("a", 0, nil))
		e.settled("a")
		next := e.events("deployment_success", "event_stream_attached")
		next()
		next()
		d, err := e.c.Replace(e.ctx, e.app("b", 0, nil))
		e.must(err)
		e.settled("b")
		again, err := e.c.Replace(e.ctx, e.app("b", 0, nil))
		e.must(err)
		if d == again {
			e.Error("both have one id")
		}
		for {
			ev := next()
			if !ev.Gap && ev.Type != "deployment_success" && ev.Type != "event_stream_attached" {
				e.Fatalf("not asked for: %s", ev.Type)
			}
			if e.isAbout(ev, again) {
				return
			}
		}
	}},
	{name: "a cancelled deployment is told as failed", source: "marathon-lab-api §5 cancel force", run: func(e *env) {
		next := e.events("deployment_failed", "event_stream_attached")
		next()
		next()
		d := e.create(e.unplaceable("a"))
		e.must(e.c.Cancel(e.ctx, d))
		for !e.isAbout(next(), d) {
		}
	}},
	{name: "an event type in upper case is never told", source: "marathon-lab-api §5 filter", run: func(e *env) {
		next := e.events("GROUP_CHANGE_SUCCESS", "deployment_success", "event_stream_attached")
		next()
		next()
		for range 2 { // each creation is also a change of a group
			d := e.create(e.app("a", 0, nil))
			for {
				ev := next()
				if ev.Type == "group_change_success" {
					e.Fatalf("told %+v", ev)
				}
				if e.isAbout(ev, d) {
					break
				}
			}
			e.gone("a")
		}
	}},
	{name: "a list is written without an api_post_event", source: "marathon-lab-api §0.6", run: func(e *env) {
		e.create(e.app("a", 0, nil))
		e.settled("a")
		next := e.events("api_post_event", "deployment_success", "event_stream_attached")
		next()
		next()
		d := e.put(e.app("a", 0, marathon.Doc{"cmd": "sleep 7"}), e.app("b", 0, nil))
		for {
			ev := next()
			if ev.Type == "api_post_event" && strings.Contains(string(ev.Data), string(e.id("a"))) {
				e.Fatalf("told %s", ev.Data)
			}
			if e.names(ev, d) {
				return
			}
		}
	}},
	{name: "a write of one app is told with its client", source: "marathon-lab-api §5 clientIp", run: func(e *env) {
		next := e.events("api_post_event", "event_stream_attached")
		next()
		next()
		e.create(e.app("a", 0, nil))
		for {
			var doc struct {
				ClientIP      string
				AppDefinition struct{ ID string }
			}
			if ev := next(); json.Unmarshal(ev.Data, &doc) == nil && doc.AppDefinition.ID == string(e.id("a")) {
				if doc.ClientIP != "127.0.0.1" {
					e.Errorf("client %q", doc.ClientIP)
				}
				return
			}
		}
	}},
	{name: "a refused write is told as a failed deployment that never was", source: "marathon-lab-api §0.7; marathon-lab-old §4", run: func(e *env) {
		held := e.create(e.unplaceable("a"))
		next := e.events("deployment_failed", "group_change_failed", "event_stream_attached")
		next()
		next()
		_, err := e.c.Scale(e.ctx, e.id("a"), 3, nil)
		e.want(err, marathonsink.KindLocked)
		for {
			ev := next()
			if ev.Type == "deployment_failed" && strings.Contains(string(ev.Data), string(e.id("a"))) {
				if e.names(ev, held) {
					e.Error("it names the deployment that runs")
				}
				return
			}
		}
	}},
	{name: "an invalid write is not told", source: "marathon-lab-api §5 422", run: func(e *env) {
		next := e.events("group_change_failed", "deployment_failed", "deployment_success", "event_stream_attached")
		next()
		next()
		_, err := e.c.Create(e.ctx, e.app("a", 0, marathon.Doc{"cpus": -1}))
		e.want(err, marathonsink.KindInvalid)
		d := e.create(e.app("b", 0, nil))
		for ev := next(); !e.names(ev, d); ev = next() {
			if strings.Contains(string(ev.Data), string(e.id("a"))) {
				e.Fatalf("told %s %s", ev.Type, ev.Data)
			}
		}
	}},
	{name: "a kill is told by the task's end and no deployment", source: "marathon-lab-api §5 plain kill", run: func(e *env) {
		task := e.up(e.app("a", 1, nil)).Tasks[0]
		next := e.events()
		next()
		next()
		e.kill("a", task)
		for killed := false; ; {
			ev := next()
			text := string(ev.Data)
			if strings.HasPrefix(ev.Type, "deployment_") && strings.Contains(text, string(e.id("a"))+`"`) {
				e.Fatalf("told %s", ev.Type)
			}
			if !strings.Contains(text, string(e.id("a"))+`"`) || ev.Type != "status_update_event" {
				continue
			}
			killed = killed || strings.Contains(text, "TASK_KILLED")
			if killed && strings.Contains(text, "TASK_RUNNING") {
				return
			}
		}
	}},
	{name: "what waits for an offer is told in the version's own word", source: "marathon-lab-api §5; marathon-lab-old §8", run: func(e *env) {
		next := e.events("instance_changed_event", "event_stream_attached")
		next()
		next()
		e.create(e.resident("a", 1))
		word := "Reserved"
		if e.version.AtLeast(1, 8, 0) {
			word = "Scheduled"
		}
		for {
			var doc struct{ RunSpecID, Condition string }
			if ev := next(); json.Unmarshal(ev.Data, &doc) == nil && doc.RunSpecID == string(e.id("a")) {
				if doc.Condition != word {
					e.Errorf("it is told as %s", doc.Condition)
				}
				return
			}
		}
	}},
	{name: "a cancel is told with its reason from 1.6", source: "marathon-lab-api §5 cancel; marathon-lab-old §8", run: func(e *env) {
		d := e.create(e.unplaceable("a"))
		next := e.events("deployment_failed", "event_stream_attached")
		next()
		next()
		e.cancel(d)
		for {
			ev := next()
			if !e.names(ev, d) {
				continue
			}
			if has := strings.Contains(string(ev.Data), "The upgrade has been cancelled"); has != e.version.AtLeast(1, 6, 0) {
				e.Errorf("%s", ev.Data)
			}
			return
		}
	}},
	failingCheck("a failing check of Mesos ends the task without a word of Marathon's", "marathon-lab-api §5 failed MESOS_HTTP", "MESOS_HTTP", false),
	failingCheck("a failing check of Marathon ends the task and is told as a kill", "marathon-lab-api §5 failed Marathon HTTP", "HTTP", true),
	{name: "silence is broken every ten seconds", source: "marathon-lab-api §5 heartbeat", run: func(e *env) {
		ctx, cancel := context.WithTimeout(e.ctx, patience)
		defer cancel()
		res, err := e.open(ctx, "GET", "/v2/events?event_type=none", "", "Accept", "text/event-stream")
		e.must(err)
		defer res.Body.Close()
		if kind := res.Header.Get("Content-Type"); res.StatusCode != 200 || kind != "text/event-stream;charset=utf-8" {
			e.Errorf("%d %s", res.StatusCode, kind)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != "\r\n\r\n" {
			e.Errorf("%q, %v", got, err)
		}
	}},
}

// failingCheck is a case about a health check that fails twice.
func failingCheck(name, source, protocol string, told bool) testCase {
	return testCase{name: name, source: source, run: func(e *env) {
		doc := e.healthOnly(1, "1")
		check := marathon.Doc{"protocol": protocol, "path": "/health", "portIndex": 0, "gracePeriodSeconds": 1, "intervalSeconds": 1,
			"timeoutSeconds": 20, "maxConsecutiveFailures": 2}
		before := e.up(with(doc, marathon.Doc{"healthChecks": []any{check}})).Tasks[0]
		e.until("a", "healthy", func(a *marathon.App) bool { return healthy(&a.Tasks[0]) })
		w := e.watch("a")
		e.gate("a", "/health", false)
		e.eventually(func() string {
			if w.killsOf(before.ID.Instance()) > 0 {
				return ""
			}
			return "it runs on"
		})
		e.gate("a", "/health", true)
		e.isBack(before, true)
		if n := w.count("unhealthy_instance_kill_event"); (n > 0) != told {
			e.Errorf("%d kills are told as Marathon's", n)
		}
		if w.count("failed_health_check_event") == 0 {
			e.Error("the failure is not told")
		}
	}}
}

// names says whether an event is about a deployment.
func (e *env) names(ev marathonsink.Event, d marathon.DeploymentID) bool {
	return !ev.Gap && strings.Contains(string(ev.Data), string(d))
}

// events follows the stream for the length of the test; next fails the test when nothing comes.
func (e *env) events(types ...string) (next func() marathonsink.Event) {
	ch := e.stream(types...)
	return func() marathonsink.Event {
		e.Helper()
		select {
		case ev := <-ch:
			return ev
		case <-time.After(patience):
			e.Fatalf("no event within %s", patience)
		}
		return marathonsink.Event{}
	}
}

// stream is the client's stream, ended with the test.
func (e *env) stream(types ...string) <-chan marathonsink.Event {
	ctx, cancel := context.WithCancel(e.ctx)
	ch := e.c.Events(ctx, types...)
	e.Cleanup(func() {
		cancel()
		for range ch {
		}
	})
	return ch
}

// isAbout says whether an event is about this case's apps or the deployment.
func (e *env) isAbout(ev marathonsink.Event, d marathon.DeploymentID) bool {
	var doc struct {
		ID, AppID, RunSpecID, GroupID, URI string
		Plan                               struct{ ID string }
	}
	if ev.Gap || json.Unmarshal(ev.Data, &doc) != nil {
		return false
	}
	if doc.ID == string(d) || doc.Plan.ID == string(d) {
		return true
	}
	id := string(e.id("a"))
	return doc.AppID == id || doc.RunSpecID == id || ev.Type == "group_change_success" || ev.Type == "api_post_event"
}

// wantOrder checks that want is a subsequence of got.
func (e *env) wantOrder(got []string, want ...string) {
	e.Helper()
	rest := want
	for _, g := range got {
		if len(rest) > 0 && g == rest[0] {
			rest = rest[1:]
		}
	}
	if len(rest) > 0 {
		e.Errorf("%v is not in order in %v", want, got)
	}
}
