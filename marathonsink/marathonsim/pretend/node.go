package pretend

import (
	"context"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// A node is one Elasticsearch process.
type node struct {
	fleet *Fleet
	task  marathonsim.Task
	identity

	ctx           context.Context // of the process; set by Run, under the Fleet's lock
	c             *cluster        // likewise
	run           int             // counts all runs of the fleet
	id, ephemeral string
	disk          *disk
	startedAt     time.Time
	upAt          time.Time
	endedAt       time.Time // zero: it runs

	frozen bool
	side   int       // nodes of one side reach each other
	cutAt  time.Time // since when some do not reach it; zero: all do
	backAt time.Time // when they could again
	seen   *meta     // the cluster that it was a member of in this run

	impostor *Impostor
}

// How long a node that does not answer, but whose connections are open, stays a member (measured).
const (
	patience     = 33 * time.Second
	patienceZen1 = 91 * time.Second
)

func (n *node) alive() bool { return n.endedAt.IsZero() }

// noticedAt is when the node of knows that n is gone; zero: it isn't.
func (n *node) noticedAt(of *node) time.Time {
	if !n.alive() {
		return n.endedAt.Add(n.fleet.detect())
	}
	if n == of || !n.frozen && !of.frozen && n.side == of.side {
		return time.Time{}
	}
	at := n.cutAt
	if at.IsZero() {
		at = of.cutAt
	}
	return at.Add(n.patience())
}

func (n *node) patience() time.Duration {
	if n.version.zen1() {
		return patienceZen1
	}
	return patience
}

// Run is the node's life. On a host whose tasks are to fail it ends by itself.
func (n *node) Run(ctx context.Context) error {
	c := n.fleet.cluster(marathon.AppID(n.task.App.Group()))
	var fail time.Duration
	var why error
	n.fleet.enter(c, func() {
		n.ctx, n.c = ctx, c
		h := n.fleet.host(n.task.Host)
		fail, why = h.fail, h.why
		c.start(n)
	})
	defer n.fleet.enter(c, func() { c.stop(n) })
	if fail < 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	t := time.NewTimer(fail)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return why
	}
}
