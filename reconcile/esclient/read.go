package esclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
)

// slowly is how much more time than others a call gets that makes a repository or all nodes work.
const slowly = 4

// A torn reading contradicts itself: something changed between its calls.
type torn struct{ why string }

func (t *torn) Error() string { return t.why }

// Read makes one reading of the cluster that t names. Two nodes must agree on cluster and master before it, and again after
// it; everything else comes from one of them, which asks the master. A reading that contradicts itself is made once more.
//
// Where t.UUID is "" the cluster's is only reported. Known is false, with the reason, unless everything that was asked for
// was answered, whole and in time.
func (c *Client) Read(ctx context.Context, t esgate.Target) esgate.Health {
	at := time.Now()
	out, err := c.read(ctx, t)
	var tear *torn
	if errors.As(err, &tear) {
		at = time.Now()
		if out, err = c.read(ctx, t); err != nil {
			err = fmt.Errorf("read twice: %w", err)
		}
	}
	if err != nil {
		return esgate.Health{Asked: true, At: at, Why: oneLine(err)}
	}
	out.Asked, out.Known, out.At = true, true, at
	return *out
}

func oneLine(err error) string {
	const most = 1500
	s := "ask Elasticsearch: " + strings.Join(strings.Fields(err.Error()), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func (c *Client) read(ctx context.Context, t esgate.Target) (*esgate.Health, error) {
	before, err := c.prove(ctx, t)
	if err != nil {
		return nil, err
	}
	r, err := c.gather(ctx, t, before.endpoints[0])
	if err != nil {
		return nil, err
	}
	out, err := r.health(&before)
	if err != nil {
		return nil, err
	}
	if t.Explain && since(t, 5, 0) {
		if err := c.explain(ctx, before.endpoints[0], out.Shards); err != nil {
			return nil, err
		}
	}
	return out, c.still(ctx, t, &before, r.state)
}

// still asks the nodes of the proof again: their master must be the same.
func (c *Client) still(ctx context.Context, t esgate.Target, before *proof, s *state) error {
	again, failed := make([]identity, len(before.endpoints)), make([]error, len(before.endpoints))
	parallel(len(again), func(i int) { again[i], failed[i] = c.identity(ctx, t, before.endpoints[i]) })
	if err := errors.Join(failed...); err != nil {
		return err
	}
	for i := range again {
		if !before.same(&again[i]) {
			return fmt.Errorf("it changed during the reading: %s said %s, then %s", before.endpoints[i], &before.identity, &again[i])
		}
	}
	if again[0].Version < s.Version {
		return fmt.Errorf("%s went back from state %d to %d", before.endpoints[0], s.Version, again[0].Version)
	}
	return nil
}

// A reading is the answers of one node, before they are compared.
type reading struct {
	target     esgate.Target
	state      *state
	summary    *health
	infos      map[string]nodeInfo
	stats      map[string]nodeStats
	settings   *clusterSettings
	bytes      sizes
	recoveries []esgate.Recovery
	running    bool
	last       time.Time
	templates  map[string]map[string]any
}

func (c *Client) gather(ctx context.Context, t esgate.Target, endpoint string) (*reading, error) {
	r := &reading{target: t}
	calls := []func() error{
		func() (err error) { r.state, err = c.state(ctx, endpoint); return },
		func() (err error) { r.summary, err = c.health(ctx, endpoint); return },
		func() (err error) { r.infos, err = c.nodeInfos(ctx, endpoint); return },
		func() (err error) { r.stats, err = c.nodeStats(ctx, endpoint); return },
		func() (err error) { r.settings, err = c.settings(ctx, t, endpoint); return },
		func() (err error) { r.running, err = c.snapshotting(ctx, endpoint); return },
		func() (err error) { r.recoveries, err = c.recoveries(ctx, endpoint); return },
		func() (err error) { r.bytes, err = c.sizes(ctx, t, endpoint); return },
	}
	if t.Snapshots {
		calls = append(calls, func() (err error) { r.last, err = c.lastSnapshot(ctx, t, endpoint); return })
	}
	if len(t.Templates) > 0 {
		calls = append(calls, func() (err error) { r.templates, err = c.templates(ctx, endpoint, t.Templates); return })
	}
	failed := make([]error, len(calls))
	parallel(len(calls), func(i int) { failed[i] = calls[i]() })
	return r, r.worst(failed)
}

// worst is the failure that says most. A node that hangs delays all calls that ask every node, and only the first four tell
// together which it is.
func (r *reading) worst(failed []error) error {
	const first = 4
	err := errors.Join(failed...)
	if err == nil || errors.Join(failed[:first]...) != nil {
		return err
	}
	if _, silent := r.state.nodes(r.infos, r.stats); silent != nil {
		return silent
	}
	return err
}

// health puts the answers together, if they do not contradict each other.
func (r *reading) health(before *proof) (*esgate.Health, error) {
	s := r.state
	if !before.same(&s.identity) || s.Version < before.Version {
		return nil, fmt.Errorf("it changed during the reading: %s said %s, then %s", before.endpoints[0], &before.identity, &s.identity)
	}
	out := &esgate.Health{Name: s.Name, UUID: s.uuid(), StateVersion: before.Version, Status: r.summary.Status,
		Initializing: *r.summary.Initializing, Relocating: *r.summary.Relocating, Unassigned: *r.summary.Unassigned,
		Delayed: *r.summary.Delayed, PendingTasks: *r.summary.Pending, InFlightFetch: *r.summary.InFlight,
		Persistent: flat(r.settings.Persistent, r.target), Transient: flat(r.settings.Transient, r.target),
		VotingExclusions: s.exclusions(), Templates: r.templates, Snapshotting: r.running, LastSnapshot: r.last,
		Recoveries: r.recoveries}
	var failed [4]error
	out.Master, failed[0] = s.name(s.MasterID)
	out.Nodes, failed[1] = s.nodes(r.infos, r.stats)
	out.Shards, failed[2] = s.shards(r.bytes)
	out.Indices, failed[3] = s.indices()
	if err := errors.Join(failed[:]...); err != nil {
		return nil, &torn{err.Error()}
	}
	if why := r.summary.agrees(out); why != "" {
		return nil, &torn{"its answers contradict each other: " + why}
	}
	return out, nil
}
