package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

const keyEnable = "cluster.routing.allocation.enable"

// upkeep puts right what git owns in Elasticsearch itself, and takes back what was left behind. It comes before any node is
// touched: allocation that somebody left disabled makes every restart dangerous.
func (m *maker) upkeep() bool {
	m.out.Fresh = !slices.ContainsFunc(m.want.IndexTemplates, func(t render.IndexTemplate) bool { return m.facts.Elasticsearch.Templates[t.Name] != nil })
	master := m.want.Spec.MasterComponent()
	changing := len(m.leavingMasters()) > 0 || m.masters() != m.want.Spec.Nodes[master].Replicas
	return m.fix(slices.Concat(quorumFixes(m.want.Spec, &m.facts.Elasticsearch, m.masters(), changing),
		settingFixes(m.want, &m.facts.Elasticsearch, m.leavingNames())))
}

// fix takes the first of these changes, and lists the others.
func (m *maker) fix(changes []Fix) bool {
	if len(changes) == 0 {
		return false
	}
	a := m.want.App(m.want.Spec.MasterComponent())
	live := m.live(a.ID)
	// What is still to be created comes after them: nobody is to find a cluster without its rules.
	created := m.out.Steps
	m.out.Steps = nil
	defer func() { m.out.Steps = append(m.out.Steps, created...) }()
	for i, c := range changes {
		s := Step{Verb: ChangeCluster, App: a.ID, Component: a.Component, Seen: live.Version, From: live.Instances, Instances: live.Instances,
			Change: &changes[i].Change, Pos: c.Pos, Why: c.Why}
		if i > 0 {
			s.After = "the step before"
		}
		m.step(s)
	}
	return true
}

// A Fix is a change of Elasticsearch with its reason.
type Fix struct {
	Change esgate.Change
	Why    string
	Pos    spec.Pos
}

// Upkeep lists what must be changed in the running cluster so that it is as git says: settings, templates, the delay of
// every index, and nothing left behind. leaving are the names of nodes that are on their way out. h must be Known.
func Upkeep(want *render.Desired, h *esgate.Health, leaving []string) []Fix {
	masters := want.Spec.Nodes[want.Spec.MasterComponent()].Replicas
	return slices.Concat(quorumFixes(want.Spec, h, masters, false), settingFixes(want, h, leaving))
}

func settingFixes(want *render.Desired, h *esgate.Health, leaving []string) []Fix {
	out := leftBehind(want.Spec, h, leaving)
	for _, k := range slices.Sorted(maps.Keys(want.Spec.ClusterSettings)) {
		v := want.Spec.ClusterSettings[k]
		if h.Persistent[k] == v {
			continue
		}
		out = append(out, Fix{Change: esgate.Change{Persistent: map[string]*string{k: &v}}, Pos: want.Spec.OriginOf("clusterSettings." + k),
			Why: fmt.Sprintf("git says %s: %s, the cluster says %s", k, v, orNothing(h.Persistent[k]))})
	}
	if want.Spec.Indices.Delay > 0 {
		out = append(out, hasty(want.Spec, h)...)
	}
	// The template comes last: a cluster without one is being set up, see Fresh.
	for _, t := range want.IndexTemplates {
		if have, ok := h.Templates[t.Name]; !ok || !sameTemplate(t.Body, have) {
			out = append(out, Fix{Change: esgate.Change{Template: &esgate.Template{Name: t.Name, Path: t.Path, Body: t.Body}}, Pos: want.Spec.OriginOf("indices"),
				Why: "index template " + t.Name + " is not as git says: new indices would lack the reliability rules"})
		}
	}
	return out
}

// hasty finds indices that would not wait for a node that restarts.
func hasty(c *spec.Cluster, h *esgate.Health) []Fix {
	n, first := 0, ""
	for _, i := range h.Indices {
		if !i.Closed && duration(i.DelayedTimeout) != c.Indices.Delay {
			if n++; n == 1 {
				first = i.Name
			}
		}
	}
	if n == 0 {
		return nil
	}
	delay := render.DelayedTimeout(c)
	return []Fix{{Change: esgate.Change{DelayedTimeout: delay}, Pos: c.OriginOf("indices.delay"),
		Why: fmt.Sprintf("%d %s (%s …) would not wait %s for a node that restarts before copying its shards anew", n, plural(n, "index"), first, delay)}}
}

// duration reads a time as Elasticsearch writes it, 300000ms, 5m or 1d; 0 if it is none.
func duration(s string) time.Duration {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			return 0
		}
		return time.Duration(n) * 24 * time.Hour
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0
	}
	return d
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// leftBehind takes back what some change, esfleet's own or a person's, has not taken back itself.
func leftBehind(c *spec.Cluster, h *esgate.Health, leaving []string) []Fix {
	var out []Fix
	for _, scope := range []struct {
		name string
		have map[string]string
		put  func(map[string]*string) esgate.Change
	}{
		{"persistent", h.Persistent, func(v map[string]*string) esgate.Change { return esgate.Change{Persistent: v} }},
		{"transient", h.Transient, func(v map[string]*string) esgate.Change { return esgate.Change{Transient: v} }},
	} {
		if v, ok := scope.have[keyEnable]; ok && v != "all" && v != "" {
			out = append(out, Fix{Change: scope.put(map[string]*string{keyEnable: nil}),
				Why: fmt.Sprintf("allocation was left at %q (%s): copies that are lost would not be made again", v, scope.name)})
		}
		if v, ok := scope.have[keyExclude]; ok {
			keep, gone := kept(c, v, leaving)
			if len(gone) == 0 {
				continue
			}
			var to *string
			if len(keep) > 0 {
				s := strings.Join(keep, ",")
				to = &s
			}
			out = append(out, Fix{Change: scope.put(map[string]*string{keyExclude: to}),
				Why: fmt.Sprintf("%s may hold shards again (%s): no node of that name is leaving", shortList(gone), scope.name)})
		}
	}
	if len(h.VotingExclusions) > 0 && !slices.ContainsFunc(h.VotingExclusions, func(n string) bool { return slices.Contains(leaving, n) }) {
		out = append(out, Fix{Change: esgate.Change{ClearVotes: true},
			Why: fmt.Sprintf("%s may vote again: no master is leaving", shortList(h.VotingExclusions))})
	}
	return out
}

// kept splits a list of excluded names into those that stay, because their node is leaving or because they are nobody's of
// ours, and those that have no reason any longer.
func kept(c *spec.Cluster, list string, leaving []string) (keep, gone []string) {
	for _, n := range strings.Split(list, ",") {
		n = strings.TrimSpace(n)
		switch {
		case n == "":
		case slices.Contains(leaving, n) || !ourName(c, n):
			keep = append(keep, n)
		default:
			gone = append(gone, n)
		}
	}
	return keep, gone
}

// ourName says that a node of this cluster could have the name: esfleet names its nodes by component and host.
func ourName(c *spec.Cluster, name string) bool {
	for k := range c.Nodes {
		if strings.HasPrefix(name, string(k)+"-") {
			return true
		}
	}
	return false
}

// sameTemplate compares settings and patterns as flat text: Elasticsearch answers every value as text, nested or not.
func sameTemplate(want, have map[string]any) bool {
	return maps.Equal(flat(want), flat(have))
}

func flat(body map[string]any) map[string]string {
	out := map[string]string{}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				p := prefix + "." + k
				if prefix == "" {
					p = k
				}
				walk(p, x)
			}
		case nil:
		case []any:
			b, _ := json.Marshal(v) // JSON that was decoded marshals
			out[prefix] = string(b)
		case []string:
			b, _ := json.Marshal(v)
			out[prefix] = string(b)
		default:
			out[prefix] = fmt.Sprint(v)
		}
	}
	for _, k := range []string{"settings", "index_patterns", "template", "order"} {
		if v, ok := body[k]; ok {
			walk(k, v)
		}
	}
	return out
}

func (m *maker) leavingMasters() []string {
	var out []string
	for _, l := range m.leavers() {
		if l.role.component == m.want.Spec.MasterComponent() && !l.stopped() {
			out = append(out, l.slot.node)
		}
	}
	return out
}
