package reconcile

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// shown is a Marathon that shows one app.
type shown struct {
	Marathon
	app marathon.App
}

func (s shown) App(context.Context, marathon.AppID) (*marathon.App, error) { return &s.app, nil }

func TestAStepIsRefusedOnceItsAppOrTaskHasChanged(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	stopped := marathon.Task{ID: "a.1", Version: "v", State: "TASK_KILLED"}
	for _, c := range []struct {
		name string
		verb plan.Verb
		bend func(*marathon.App)
		is   bool
	}{
		{"a stopped node is wiped", plan.WipeNode, func(*marathon.App) {}, true},
		{"one that runs again is not", plan.WipeNode, func(a *marathon.App) { a.Tasks[0].State = "TASK_RUNNING" }, false},
		{"nor one that is gone", plan.WipeNode, func(a *marathon.App) { a.Tasks = nil }, false},
		{"a running node is stopped", plan.StopNode, func(a *marathon.App) { a.Tasks[0].State = "TASK_RUNNING" }, true},
		{"another run of it is not", plan.StopNode, func(a *marathon.App) { a.Tasks[0].ID = "a.2" }, false},
		{"nothing is done to another version", plan.StopNode, func(a *marathon.App) { a.Version = at.Add(time.Millisecond) }, false},
		{"nor to another number of instances", plan.StopNode, func(a *marathon.App) { a.Instances++ }, false},
		{"nor during a deployment", plan.StopNode, func(a *marathon.App) { a.Deployments = []marathon.DeploymentID{"d"} }, false},
	} {
		app := marathon.App{ID: "/g/c/a", Version: at, Instances: 1, Tasks: []marathon.Task{stopped}}
		c.bend(&app)
		_, err := unchanged(t.Context(), shown{app: app}, plan.Step{Verb: c.verb, App: app.ID, Task: stopped.ID, Seen: at, From: 1})
		if (err == nil) != c.is || err != nil && !errors.Is(err, errChanged) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// blind is an Elasticsearch that cannot be read.
type blind struct{ Elasticsearch }

func (blind) Read(context.Context, esgate.Target) esgate.Health { return esgate.Health{Asked: true} }

func TestTheLastLookBeforeAStepForbidsItWhereNothingCanBeKnown(t *testing.T) {
	r := New(Options{Elasticsearch: blind{}})
	s := plan.Step{Verb: plan.StopNode, App: "/g/c/es-datanode", Node: "data-h1", Touch: &esgate.Touch{Kind: esgate.Restart, Node: "data-h1"}}
	if r.stillAllowed(t.Context(), esgate.Target{}, s) == nil {
		t.Error("it is allowed")
	}
	if s.Touch = nil; r.stillAllowed(t.Context(), esgate.Target{}, s) != nil {
		t.Error("a step that touches no node is forbidden")
	}
}
