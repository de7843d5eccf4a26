package reconcile

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// clusterTarget is where a cluster answers, by what Marathon shows of its nodes.
func clusterTarget(d *render.Desired, s *marathon.State) esgate.Target {
	es := d.Spec.Elasticsearch
	t := esgate.Target{Endpoints: endpoints(d, s), Name: render.ClusterName(d.Spec), Dist: es.Distribution, Version: es.Version,
		Explain: true, Snapshots: d.Spec.Rollout.SnapshotWithin > 0}
	if gate := s.Apps[d.App(spec.Gate).ID]; gate != nil {
		t.UUID = gate.Labels[marathon.LabelClusterUUID]
	}
	for _, x := range d.IndexTemplates {
		t.Templates = append(t.Templates, x.Name)
	}
	return t
}

// endpoints are the HTTP addresses of the running nodes: masters first, since they answer for the cluster, sorted.
func endpoints(d *render.Desired, s *marathon.State) []string {
	master := d.Spec.MasterComponent()
	out := addresses(s.Apps[d.App(master).ID])
	if master != spec.Data {
		if data := d.App(spec.Data); data != nil {
			out = append(out, addresses(s.Apps[data.ID])...)
		}
	}
	return out
}

func addresses(app *marathon.App) []string {
	var out []string
	if app == nil {
		return nil
	}
	for _, t := range app.Tasks {
		if t.Running() && len(t.Ports) > 0 {
			out = append(out, "http://"+net.JoinHostPort(t.Host, strconv.Itoa(t.Ports[0])))
		}
	}
	slices.Sort(out)
	return out
}

// A drained remembers since when nodes that are to leave were empty in every reading, under one master and each in one
// run. Losing it only means to look twice again.
type drained struct {
	master string
	since  map[string]time.Time // by node name
	run    map[string]string    // the node's run that was seen
}

// sawDrained takes a reading into account and says since when each excluded node has been empty.
func (r *Reconciler) sawDrained(id spec.ClusterID, h *esgate.Health) map[string]time.Time {
	names := esgate.Excluded(h)
	for _, v := range h.VotingExclusions {
		if !slices.Contains(names, v) {
			names = append(names, v)
		}
	}
	if !h.Known || len(names) == 0 {
		delete(r.drained, id)
		return nil
	}
	before := r.drained[id]
	now := &drained{master: h.Master, since: map[string]time.Time{}, run: map[string]string{}}
	for _, name := range names {
		n := h.Node(strings.TrimSpace(name))
		if n == nil || !esgate.Empty(h, n.Name) {
			continue
		}
		now.since[n.Name], now.run[n.Name] = h.At, n.EphemeralID
		if before != nil && before.master == h.Master && before.run[n.Name] == n.EphemeralID && !before.since[n.Name].IsZero() {
			now.since[n.Name] = before.since[n.Name]
		}
	}
	r.drained[id] = now
	return now.since
}
