package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// Done is a step and how it ended.
type Done struct {
	Step       plan.Step
	State      oplog.State
	Deployment marathon.DeploymentID
	Why        string // empty if done
	Took       time.Duration
}

// Act takes the step that is due in each cluster of v, many clusters at once, one effect each. What became of it is for
// the next Look to find out. When ctx ends, steps that have begun are finished and no other is begun.
func (r *Reconciler) Act(ctx context.Context, v *View) []Done {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		out   []Done
		slots = make(chan struct{}, r.opts.Parallel)
	)
	for i := range v.Clusters {
		c := &v.Clusters[i]
		step := c.Plan.Next()
		if step == nil || r.tooSoon(c, step) {
			continue
		}
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			d := r.take(ctx, v.Commit, c, *step)
			mu.Lock()
			out = append(out, d)
			mu.Unlock()
		})
	}
	wg.Wait()
	return out
}

// effectTimeout bounds a step's calls together; it is longer than each call's own bound.
const effectTimeout = 2 * time.Minute

// take writes the step down, takes it, and writes down how it ended.
func (r *Reconciler) take(ctx context.Context, commit string, c *ClusterView, s plan.Step) Done {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), effectTimeout)
	defer cancel()
	start := time.Now()
	r.mu.Lock()
	m := r.marathons[c.Marathon]
	r.mu.Unlock()
	id, err := r.opts.Journal.Begin(oplog.Entry{Time: start, Cluster: s.Cluster.String(), App: string(s.App), Node: s.Node, Verb: string(s.Verb),
		Why: s.Why, Commit: commit, Actor: r.opts.Actor})
	if err != nil { // what can't be written down isn't done
		d := Done{Step: s, State: oplog.Refused, Why: "the operation log cannot be written: " + err.Error()}
		r.remember(s, d, err)
		return r.tell(d)
	}
	d := Done{Step: s}
	d.Deployment, err = r.effect(ctx, m.client, c.Target, s)
	d.State, d.Why = Outcome(err)
	d.Took = time.Since(start)
	r.remember(s, d, err)
	if err := r.opts.Journal.End(id, oplog.Outcome{State: d.State, Deployment: string(d.Deployment), Error: d.Why, Took: d.Took}); err != nil {
		r.opts.Log.Error("the operation log lacks the end of a step; it will be shown as unknown", "step", s.Verb, "app", s.App, "error", err)
	}
	return r.tell(d)
}

var errChanged = errors.New("live state has changed since it was looked at")

// newborn is how long a process that has just begun to read a Marathon believes that nothing is open there: a leader that
// has just been elected shows no deployments for up to a second (marathon-lab-roll E25), and who was not there before
// cannot know that it is new.
const newborn = 3 * time.Second

// tooSoon keeps the gate of an open commit from being touched because a new leader does not show the commit yet. The step
// is taken after a later look.
func (r *Reconciler) tooSoon(c *ClusterView, s *plan.Step) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.Verb == plan.CloseGate && time.Since(r.marathons[c.Marathon].since) < newborn
}

// effect is the only place where Marathon and Elasticsearch are changed. Whatever exists already is looked at once more
// right before: the apps must be as they were judged, and the cluster must still allow the step.
func (r *Reconciler) effect(ctx context.Context, m Marathon, t esgate.Target, s plan.Step) (marathon.DeploymentID, error) {
	switch s.Verb {
	case plan.CreateApp:
		return m.Create(ctx, s.Doc)
	case plan.CancelOwn:
		for _, id := range s.Cancel {
			if err := m.Cancel(ctx, id); err != nil {
				return id, err
			}
		}
		return s.Cancel[0], nil
	}
	if s.Verb == plan.StopNode || s.Verb == plan.RestartNode {
		// What is flushed need not be replayed when the node is back. If it fails, nothing is lost but time.
		if err := r.opts.Elasticsearch.Write(ctx, t, esgate.Change{Flush: true}); err != nil {
			r.opts.Log.Info("flush before a node's turn", "cluster", s.Cluster.String(), "error", err)
		}
	}
	live, err := unchanged(ctx, m, s)
	if err != nil {
		return "", err
	}
	if err := r.stillAllowed(ctx, t, s); err != nil {
		return "", err
	}
	switch s.Verb {
	case plan.UpdateApp, plan.RecordUUID, plan.DetachNode, plan.AttachNode:
		return m.Replace(ctx, s.Doc)
	case plan.ScaleOut, plan.ScaleIn, plan.StopApp, plan.StartNode, plan.CloseGate:
		return m.Scale(ctx, s.App, s.Instances, keptByPartialUpdate(live))
	case plan.Commit:
		return commit(ctx, m, s)
	case plan.StopNode, plan.RemoveNode:
		return m.KillTask(ctx, s.App, s.Task, true)
	case plan.RestartNode, plan.RestartTask:
		return m.KillTask(ctx, s.App, s.Task, false)
	case plan.WipeNode:
		return "", m.WipeTask(ctx, s.App, s.Task)
	case plan.DeleteApp:
		return m.Delete(ctx, s.App)
	case plan.DrainNodes, plan.ChangeCluster:
		return "", r.opts.Elasticsearch.Write(ctx, t, *s.Change)
	}
	return "", refuse(fmt.Errorf("%s %s: no such verb", s.Verb, s.App))
}

// commit starts the deployment that can never end and lets go of it at once. If it stays open because the second call
// fails, the next look finds it, and nothing has happened to any task.
func commit(ctx context.Context, m Marathon, s plan.Step) (marathon.DeploymentID, error) {
	id, err := m.Replace(ctx, append(slices.Clone(s.Docs), s.Doc)...)
	if err != nil {
		return "", err
	}
	return id, m.Cancel(ctx, id)
}

// unchanged looks at every app that the step was judged by.
func unchanged(ctx context.Context, m Marathon, s plan.Step) (*marathon.App, error) {
	live, err := same(ctx, m, s.Verb, plan.Seen{App: s.App, Version: s.Seen, Instances: s.From})
	if err != nil {
		return nil, err
	}
	for _, x := range s.Also {
		if _, err := same(ctx, m, s.Verb, x); err != nil {
			return nil, err
		}
	}
	if s.Task != "" && !slices.ContainsFunc(live.Tasks, func(t marathon.Task) bool {
		return t.ID == s.Task && (s.Verb != plan.WipeNode || !t.Active())
	}) {
		return nil, refuse(fmt.Errorf("%s %s: task %s: %w", s.Verb, s.App, s.Task, errChanged))
	}
	if s.Verb == plan.DeleteApp && slices.ContainsFunc(live.Tasks, func(t marathon.Task) bool { return t.Active() || t.Unreachable() }) {
		return nil, refuse(fmt.Errorf("%s %s: tasks still run: %w", s.Verb, s.App, errChanged))
	}
	return live, nil
}

func same(ctx context.Context, m Marathon, verb plan.Verb, x plan.Seen) (*marathon.App, error) {
	live, err := m.App(ctx, x.App)
	if err != nil {
		return nil, refuse(fmt.Errorf("look at %s before %s: %w", x.App, verb, err))
	}
	if !live.Version.Equal(x.Version) || len(live.Deployments) > 0 || live.Instances != x.Instances {
		return nil, refuse(fmt.Errorf("%s: %s: %w", verb, x.App, errChanged))
	}
	return live, nil
}

// stillAllowed judges the step's touch by a fresh reading.
func (r *Reconciler) stillAllowed(ctx context.Context, t esgate.Target, s plan.Step) error {
	if s.Touch == nil {
		return nil
	}
	h := r.opts.Elasticsearch.Read(ctx, t)
	touch := *s.Touch
	touch.Now = time.Now()
	if v := esgate.Judge(&h, touch); !v.OK {
		return refuse(fmt.Errorf("%s %s: no longer allowed by %s: %s", s.Verb, cmp.Or(s.Node, s.App.Name()), v.Rule, v.Why))
	}
	return nil
}

// keptByPartialUpdate is what Marathon ≥ 1.10 clears, and restarts every task for, if a partial update leaves it out
// (marathon-lab-api §2).
func keptByPartialUpdate(live *marathon.App) marathon.Doc {
	extra := marathon.Doc{}
	for _, k := range []string{"resourceLimits", "executorResources"} {
		if v, ok := live.Doc[k]; ok {
			extra[k] = v
		}
	}
	return extra
}

// A refusal is an error that came before anything was sent.
type refusal struct{ err error }

func refuse(err error) error     { return &refusal{err} }
func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Outcome turns the error of a write into what the operation log says of it. A lost answer is neither yes nor no.
func Outcome(err error) (oplog.State, string) {
	var before *refusal
	var es *esclient.Error
	switch {
	case err == nil:
		return oplog.Done, ""
	case errors.As(err, &before):
		return oplog.Refused, strings.TrimSpace(err.Error())
	case errors.As(err, &es) && es.Kind == esclient.KindUnknown:
		return oplog.Unknown, err.Error()
	}
	switch marathonsink.KindOf(err) {
	case marathonsink.KindUnknown, marathonsink.KindCanceled:
		return oplog.Unknown, err.Error()
	}
	return oplog.Refused, err.Error()
}

// remember keeps what makes the next looks wiser; losing it loses nothing.
func (r *Reconciler) remember(s plan.Step, d Done, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	name := fmt.Sprintf("%s %s", s.Verb, s.App.Name())
	switch d.State {
	case oplog.Done:
		delete(r.settling, s.Cluster)
		r.brake(s, name, now)
		if w := r.desired.byID[s.Cluster]; w != nil && s.Verb == plan.RecordUUID {
			w.ask = true // a new cluster has none of its settings yet
		}
		if d.Deployment != "" && s.Verb != plan.CancelOwn {
			r.own[d.Deployment] = now
		}
	case oplog.Unknown:
		r.settling[s.Cluster] = settle{until: now.Add(r.opts.Settle), why: fmt.Sprintf("the answer to %s was lost; what Marathon made of it shows in a moment", name)}
	case oplog.Refused:
		if marathonsink.KindOf(err) == marathonsink.KindInvalid || esclient.Refused(err) { // it would be refused for ever: a person's turn
			r.refused[s.Key()] = d.Why
			return
		}
		tries := r.settling[s.Cluster].tries + 1 // do not knock again at once, and ever more seldom
		pause := min(r.opts.Settle/5<<min(tries-1, 10), 5*time.Minute)
		r.settling[s.Cluster] = settle{until: now.Add(pause), tries: tries, why: fmt.Sprintf("%s was refused: %s", name, d.Why)}
	}
}

// brake lets a cluster rest whose step is answered with yes and has changed nothing: every answer of that kind cost Marathon
// a deployment, and whoever is on call would see a busy daemon and no progress.
func (r *Reconciler) brake(s plan.Step, name string, now time.Time) {
	last := r.last[s.Cluster]
	if !sameStep(last.step, s) {
		r.last[s.Cluster] = repeated{step: s, n: 1}
		return
	}
	last.n++
	r.last[s.Cluster] = last
	pause := min(time.Second<<min(last.n-2, 10), 5*time.Minute)
	r.settling[s.Cluster] = settle{until: now.Add(pause), why: fmt.Sprintf("%s was done %d times and has changed nothing; it is tried ever more seldom", name, last.n)}
}

// sameStep says that b does to the same state what a has done. Every change that Marathon makes gives the app a new version.
func sameStep(a, b plan.Step) bool {
	return a.Key() == b.Key() && a.Seen.Equal(b.Seen) && a.From == b.From && slices.Equal(a.Cancel, b.Cancel)
}

func (r *Reconciler) tell(d Done) Done {
	log := r.opts.Log.With("cluster", d.Step.Cluster.String(), "verb", d.Step.Verb, "app", d.Step.App, "why", d.Step.Why)
	switch d.State {
	case oplog.Done:
		log.Info("step done", "deployment", d.Deployment)
	default:
		log.Warn("step "+string(d.State), "error", d.Why)
	}
	if r.opts.Listener != nil {
		r.opts.Listener(d)
	}
	return d
}
