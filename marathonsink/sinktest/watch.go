package sinktest

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A watch keeps what the stream tells of one app.
type watch struct {
	mu     sync.Mutex
	events []told
}

// told is an event in the few words that cases ask for.
type told struct {
	kind, state, task string
	healthy           bool
}

// watch follows an app's events from now on, for the length of the test.
func (e *env) watch(name string) *watch {
	e.Helper()
	w := &watch{}
	next, id := e.stream("event_stream_attached", "status_update_event", "instance_health_changed_event", "unhealthy_instance_kill_event",
		"failed_health_check_event"), string(e.id(name)) // no more: a slow reader is cut off
	attached, once := make(chan struct{}), sync.Once{}
	go func() {
		for ev := range next {
			if ev.Type == "event_stream_attached" {
				once.Do(func() { close(attached) })
			}
			var doc struct {
				AppID, RunSpecID, TaskStatus, Condition, TaskID, InstanceID string

				Healthy bool
			}
			if ev.Gap || json.Unmarshal(ev.Data, &doc) != nil || doc.AppID != id && doc.RunSpecID != id {
				continue
			}
			w.mu.Lock()
			w.events = append(w.events, told{ev.Type, doc.TaskStatus + doc.Condition, cmp.Or(doc.TaskID, doc.InstanceID), doc.Healthy})
			w.mu.Unlock()
		}
	}()
	select {
	case <-attached:
	case <-time.After(patience):
		e.Fatalf("no stream of events within %s", patience)
	}
	return w
}

// kills are the tasks that ended, in order, each once: Mesos may tell an end again until it hears that it was heard.
func (w *watch) kills() []marathon.TaskID {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []marathon.TaskID
	for _, ev := range w.events {
		id := marathon.TaskID(ev.task)
		if ev.kind == "status_update_event" && (ev.state == "TASK_KILLED" || ev.state == "TASK_FAILED") && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// count is how often an event was told.
func (w *watch) count(kind string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ev := range w.events {
		if ev.kind == kind {
			n++
		}
	}
	return n
}

// killsOf counts how often an instance ended.
func (w *watch) killsOf(id marathon.InstanceID) (n int) {
	for _, t := range w.kills() {
		if t.Instance() == id {
			n++
		}
	}
	return n
}

// most is how many tasks were down at once, at most, from the first to the last word of the stream.
func (w *watch) most() (down int) {
	return w.mostUntil(func(ev told) bool { return ev.kind == "status_update_event" && ev.state == "TASK_RUNNING" })
}

// mostUnhealthy counts a task as down until its next run is healthy. That one runs does not end what a roll has to wait
// for, and of two that are stopped in one moment the first may run again before the second has ended.
func (w *watch) mostUnhealthy() (down int) {
	return w.mostUntil(func(ev told) bool { return ev.kind == "instance_health_changed_event" && ev.healthy })
}

func (w *watch) mostUntil(back func(told) bool) (down int) {
	gone := map[marathon.InstanceID]bool{}
	for _, ev := range w.told() {
		place := marathon.TaskID(ev.task).Instance()
		if ev.kind == "status_update_event" && (ev.state == "TASK_KILLED" || ev.state == "TASK_FAILED") {
			gone[place] = true
		}
		if back(ev) {
			delete(gone, place)
		}
		down = max(down, len(gone))
	}
	return down
}

// told is all that was told until now.
func (w *watch) told() []told {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}
