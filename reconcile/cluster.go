package reconcile

import (
	"maps"
	"net"
	"slices"
	"strconv"
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
	run    map[string]string    // the node's run that was seen; "" of one that is no member any more
}

// stillDrained says since when each node has been empty, by all readings up to h.
func (r *Reconciler) stillDrained(id spec.ClusterID, h *esgate.Health) map[string]time.Time {
	d := r.drained[id]
	if d == nil || !h.Known || d.master != h.Master {
		delete(r.drained, id)
		return nil
	}
	for name := range d.since {
		if d.run[name] != runOf(h, name) || !esgate.Empty(h, name) {
			delete(d.since, name)
		}
	}
	return maps.Clone(d.since)
}

// noteDrained remembers which of the nodes that are to leave h shows empty.
func (r *Reconciler) noteDrained(id spec.ClusterID, h *esgate.Health, leaving []string) {
	if !h.Known || len(leaving) == 0 {
		delete(r.drained, id)
		return
	}
	d := r.drained[id]
	if d == nil {
		d = &drained{master: h.Master, since: map[string]time.Time{}, run: map[string]string{}}
		r.drained[id] = d
	}
	for _, name := range leaving {
		if d.since[name].IsZero() && esgate.Empty(h, name) {
			d.since[name], d.run[name] = h.At, runOf(h, name)
		}
	}
}

func runOf(h *esgate.Health, name string) string {
	if n := h.Node(name); n != nil {
		return n.EphemeralID
	}
	return ""
}
