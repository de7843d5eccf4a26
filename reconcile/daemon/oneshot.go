package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// ErrHeld says that what could be done is done and that something is held; it is not a failure.
var ErrHeld = errors.New("some clusters are held")

// Apply looks and acts until every cluster is as git wants it (nil), or waits for a person (ErrHeld). seen hears of every
// look. It gives up with an error when patience ends first.
func (s *Session) Apply(ctx context.Context, in reconcile.Input, patience time.Duration, seen func(*reconcile.View, []reconcile.Done)) error {
	if err := s.journal.open(); err != nil {
		return err
	}
	var last *reconcile.View
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pace := reconcile.Pace{Busy: 2 * time.Second}
	if s.parts.Pace != nil {
		pace = *s.parts.Pace
	}
	err := s.Reconciler.Run(ctx, pace, func() *reconcile.Input { return &in }, nil, func(v *reconcile.View, done []reconcile.Done) bool {
		last = v
		seen(v, done)
		return v.Settled() && len(done) == 0
	})
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("not converged after %s: %s", patience, standing(last))
	case err != nil:
		return err
	case !last.Converged():
		return ErrHeld
	}
	return nil
}

// standing says what a fleet that does not converge waits for.
func standing(v *reconcile.View) string {
	if v == nil {
		return "Marathon was never read"
	}
	for name, err := range v.Unknown {
		return fmt.Sprintf("Marathon %q: %v", name, err)
	}
	for _, c := range v.Clusters {
		if len(c.Plan.Waits) > 0 {
			return fmt.Sprintf("%s waits: %s: %s", c.ID, c.Plan.Waits[0].Rule, c.Plan.Waits[0].Why)
		}
	}
	return plan.Summary(v.Plans())
}

// Suspend stops all writes to a cluster until it is resumed or until has come (zero: no end), by a label of its gate. The
// gate runs nothing, so nothing restarts, and everybody who reads Marathon sees it.
func (s *Session) Suspend(ctx context.Context, in reconcile.Input, id spec.ClusterID, sus spec.Suspension) error {
	return s.label(ctx, in, id, "suspend", sus.Reason, map[string]string{marathon.LabelSuspended: plan.WriteSuspension(sus)})
}

// Resume lifts a suspension that Suspend has set. One that stands in git is lifted in git.
func (s *Session) Resume(ctx context.Context, in reconcile.Input, id spec.ClusterID) error {
	for _, g := range in.Fleet.Groups {
		for _, c := range g.Clusters {
			if c.ID == id && c.Suspend != nil {
				return fmt.Errorf("resume %s: it is suspended in git, at %s; take that out and merge", id, c.OriginOf("suspend.reason"))
			}
		}
	}
	return s.label(ctx, in, id, "resume", "", map[string]string{marathon.LabelSuspended: ""})
}

func (s *Session) label(ctx context.Context, in reconcile.Input, id spec.ClusterID, verb, why string, set map[string]string) error {
	v := s.Reconciler.Look(ctx, in)
	for _, c := range v.Clusters {
		if c.ID != id {
			continue
		}
		if err := v.Unknown[c.Marathon]; err != nil {
			return fmt.Errorf("%s %s: %w", verb, id, err)
		}
		if c.Drift == nil {
			return fmt.Errorf("%s %s: it cannot be rendered: %s", verb, id, c.Plan.Waits[0].Why)
		}
		return s.labelGate(ctx, in, c, verb, why, set)
	}
	return fmt.Errorf("%s %s: git has no such cluster (write GROUP/CLUSTER)", verb, id)
}

func (s *Session) labelGate(ctx context.Context, in reconcile.Input, c reconcile.ClusterView, verb, why string, set map[string]string) error {
	var decl spec.Marathon
	for _, m := range in.Fleet.Marathons {
		if m.Name == c.Marathon {
			decl = m
		}
	}
	client, err := s.client(decl)
	if err != nil {
		return err
	}
	gate := render.AppID(c.ID, spec.Gate)
	live, err := client.App(ctx, gate)
	if err != nil {
		return fmt.Errorf("%s %s: read its gate: %w; before the cluster exists write suspend: {reason: …} in its cluster.yaml", verb, c.ID, err)
	}
	if live.Labels[marathon.LabelFleet] != string(in.Fleet.Name) {
		return fmt.Errorf("%s %s: %s does not belong to this fleet", verb, c.ID, gate)
	}
	if len(live.Deployments) > 0 {
		return fmt.Errorf("%s %s: a deployment of its gate is open; try again when it has ended", verb, c.ID)
	}
	entry, err := s.journal.Begin(oplog.Entry{Time: time.Now(), Cluster: c.ID.String(), App: string(gate), Verb: verb, Why: why, Commit: in.Fleet.Commit, Actor: actor()})
	if err != nil {
		return err
	}
	start := time.Now()
	// Based on the live definition, not git's: a suspension changes nothing else.
	dep, err := client.Replace(ctx, plan.GateDoc(live.Doc, live.Labels, set))
	state, msg := reconcile.Outcome(err)
	return errors.Join(err, s.journal.End(entry, oplog.Outcome{State: state, Deployment: string(dep), Error: msg, Took: time.Since(start)}))
}
