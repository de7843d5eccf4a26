package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/reconcile/preflight"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// A Marathon is what the reconciler needs of one Marathon.
type Marathon interface {
	// State is a whole, consistent reading, or an error: never half of one. prev is the reading before.
	State(ctx context.Context, prev *marathon.State) (*marathon.State, error)
	// Anew is such a reading with nothing known before. Apps of ours may be on its Shelf, which the caller closes.
	Anew(ctx context.Context) (*marathon.State, error)
	// App is one app, read afresh.
	App(ctx context.Context, id marathon.AppID) (*marathon.App, error)
	// Create fails with a conflict if the app exists.
	Create(ctx context.Context, doc marathon.Doc) (marathon.DeploymentID, error)
	// Replace puts whole definitions in place of the live ones, in one deployment.
	Replace(ctx context.Context, docs ...marathon.Doc) (marathon.DeploymentID, error)
	// Scale changes nothing but the number of instances; extra holds what a partial update would otherwise clear.
	Scale(ctx context.Context, id marathon.AppID, instances int, extra marathon.Doc) (marathon.DeploymentID, error)
	// Cancel force-cancels a deployment; nothing is rolled back.
	Cancel(ctx context.Context, id marathon.DeploymentID) error
	// KillTask stops one run of an instance; with scale the app wants one instance less, without it starts again.
	KillTask(ctx context.Context, app marathon.AppID, task marathon.TaskID, scale bool) (marathon.DeploymentID, error)
	// WipeTask destroys the volume of a stopped instance.
	WipeTask(ctx context.Context, app marathon.AppID, task marathon.TaskID) error
	// Delete removes an app with its volumes.
	Delete(ctx context.Context, app marathon.AppID) (marathon.DeploymentID, error)
}

// Elasticsearch reads a cluster and makes single changes to it.
type Elasticsearch interface {
	// Read is one reading of the whole; what is doubtful in it makes it "not known".
	Read(ctx context.Context, t esgate.Target) esgate.Health
	// Write makes one change, once, after it has seen that t answers.
	Write(ctx context.Context, t esgate.Target, c esgate.Change) error
}

// A Mesos tells what the agents under a Marathon have left, or why that is not known.
type Mesos interface {
	Pool(ctx context.Context, m spec.Marathon) preflight.Pool
}

// A Journal is written before and after every effect. What it cannot write is not done.
type Journal interface {
	Begin(e oplog.Entry) (oplog.ID, error)
	End(id oplog.ID, o oplog.Outcome) error
}

// Options are the reconciler's parts and bounds.
type Options struct {
	// Connect makes the client of one Marathon; it is called once for each distinct declaration.
	Connect       func(spec.Marathon) (Marathon, error)
	Elasticsearch Elasticsearch
	// Mesos may be nil: then nobody is asked for room, and nothing is held for want of it.
	Mesos   Mesos
	Journal Journal
	Log     *slog.Logger
	// Render makes a cluster's apps; nil means render.Cluster. Who lets many reconcilers look at the same commits may
	// remember what it gave.
	Render Renderer
	// Listener hears of every step's end; it can delay nothing and stop nothing. May be nil.
	Listener func(Done)
	// Parallel bounds how many clusters are changed at once; 0 means 8.
	Parallel int
	// Settle is how long after a lost answer or a change of Marathon's leader nothing is written; 0 means 15 s: longer
	// than a leader change takes (12 s, marathon-lab-api §9).
	Settle time.Duration
	// Actor names this daemon in the Journal.
	Actor string
}

// A Reconciler holds connections and what makes looking again cheap. Everything it remembers can be lost.
type Reconciler struct {
	opts Options

	mu        sync.Mutex
	marathons map[spec.MarathonName]*member
	desired   desires
	strange   *strangers                          // of the last look
	own       map[marathon.DeploymentID]time.Time // deployments started by this process
	settling  map[spec.ClusterID]settle           // clusters that rest: an answer was lost, a step refused
	refused   map[string]string                   // steps that Marathon refuses for their content, by Step.Key
	refusedOf string                              // the rendered content they belong to
	last      map[spec.ClusterID]repeated         // the step that was done last in a cluster, and how often in a row
	drained   map[spec.ClusterID]*drained         // nodes that are to leave and are seen empty
}

type member struct {
	decl        spec.Marathon
	client      Marathon
	prev        *marathon.State  // as last read; what stands there for resting clusters is atRest
	version     marathon.Version // as last read, zero before
	leader      string           // as last read, "" before
	settleUntil time.Time
	since       time.Time // of the first reading
}

type settle struct {
	until time.Time
	why   string
	tries int // refused in a row
}

// repeated is a step that was done n times although nothing of what it was judged by has changed.
type repeated struct {
	step plan.Step
	n    int
}

// New makes a Reconciler; it connects to nothing yet.
func New(o Options) *Reconciler {
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	if o.Settle == 0 {
		o.Settle = 15 * time.Second
	}
	if o.Render == nil {
		o.Render = render.Cluster
	}
	return &Reconciler{opts: o, desired: desires{render: o.Render}, marathons: map[spec.MarathonName]*member{}, own: map[marathon.DeploymentID]time.Time{},
		settling: map[spec.ClusterID]settle{}, refused: map[string]string{}, drained: map[spec.ClusterID]*drained{}, last: map[spec.ClusterID]repeated{}}
}

// An Input is one commit's fleet and the store its files are read from.
type Input struct {
	Fleet *spec.Fleet
	Blobs snapshot.Blobs
}

// connectLocked finds or makes the client for a declared Marathon; r.mu is held.
func (r *Reconciler) connectLocked(d spec.Marathon) (*member, error) {
	if m := r.marathons[d.Name]; m != nil && sameMarathon(m.decl, d) {
		return m, nil
	}
	c, err := r.opts.Connect(d)
	if err != nil {
		return nil, fmt.Errorf("connect to Marathon %q (%s): %w", d.Name, d.Pos, err)
	}
	m := &member{decl: d, client: c}
	r.marathons[d.Name] = m
	return m, nil
}

func sameMarathon(a, b spec.Marathon) bool {
	a.Pos, b.Pos = spec.Pos{}, spec.Pos{}
	return fmt.Sprint(a) == fmt.Sprint(b)
}
