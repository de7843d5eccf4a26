package daemon

import (
	"context"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile"
)

// observed tells of every call to a Marathon: what it was, what kind of error it ended with ("ok" for none), how long it
// took.
type observed struct {
	reconcile.Marathon
	told func(op, kind string, took time.Duration)
}

func (o observed) tell(op string, start time.Time, err error) {
	kind := "ok"
	if err != nil {
		kind = marathonsink.KindOf(err).String()
	}
	o.told(op, kind, time.Since(start))
}

func (o observed) State(ctx context.Context, prev *marathon.State) (s *marathon.State, err error) {
	defer func(t time.Time) { o.tell("state", t, err) }(time.Now())
	return o.Marathon.State(ctx, prev)
}

func (o observed) Anew(ctx context.Context) (s *marathon.State, err error) {
	defer func(t time.Time) { o.tell("state", t, err) }(time.Now())
	return o.Marathon.Anew(ctx)
}

func (o observed) App(ctx context.Context, id marathon.AppID) (a *marathon.App, err error) {
	defer func(t time.Time) { o.tell("app", t, err) }(time.Now())
	return o.Marathon.App(ctx, id)
}

func (o observed) Create(ctx context.Context, doc marathon.Doc) (d marathon.DeploymentID, err error) {
	defer func(t time.Time) { o.tell("create", t, err) }(time.Now())
	return o.Marathon.Create(ctx, doc)
}

func (o observed) Replace(ctx context.Context, docs ...marathon.Doc) (d marathon.DeploymentID, err error) {
	defer func(t time.Time) { o.tell("replace", t, err) }(time.Now())
	return o.Marathon.Replace(ctx, docs...)
}

func (o observed) Scale(ctx context.Context, id marathon.AppID, n int, extra marathon.Doc) (d marathon.DeploymentID, err error) {
	defer func(t time.Time) { o.tell("scale", t, err) }(time.Now())
	return o.Marathon.Scale(ctx, id, n, extra)
}

func (o observed) Cancel(ctx context.Context, id marathon.DeploymentID) (err error) {
	defer func(t time.Time) { o.tell("cancel", t, err) }(time.Now())
	return o.Marathon.Cancel(ctx, id)
}
