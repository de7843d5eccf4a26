package sinktest

import (
	"context"
	"encoding/json"
	"slices"
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
			e.raw("DELETE", "/v2/apps"+string(e.id("a")), "")
			e.eventually(func() string {
				if _, err := e.c.App(e.ctx, e.id("a")); marathonsink.KindOf(err) == marathonsink.KindNotFound {
					return ""
				}
				return "the app is still there"
			})
		}
	}},
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
