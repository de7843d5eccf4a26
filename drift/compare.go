package drift

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// Compare says how one cluster's live apps differ from git. It changes neither argument.
//
// Three things of the gate are Marathon's side of the story and never differ: the labels esfleet.cluster-uuid,
// esfleet.suspended and esfleet.detached, which only esfleet itself writes; the value of the variable that a commit
// changes (GateEnv); and instances, as long as they are 0 or 1.
//
// An app that esfleet does not own but that has the id of a wanted one lacks our labels, and these are among the
// differing fields: see Owner.
func Compare(d *render.Desired, s *marathon.State) *Drift {
	c := comparer{normaliser: normaliserFor(s.Version), desired: d, state: s, drift: &Drift{ID: d.ID}}
	for i := range d.Apps {
		c.app(&d.Apps[i])
	}
	return c.drift
}

// GateEnv is the variable of the gate whose change starts the deployment that commits a definition.
const GateEnv = "ROLL"

// Owner is the fleet an app belongs to by its label; empty for a foreign app.
func Owner(app *marathon.App) spec.FleetName { return spec.FleetName(app.Labels[marathon.LabelFleet]) }

// Orphans are the live apps that carry our fleet's label and that git does not know, by id. want is everything git
// wants on this Marathon; an app of a cluster that git wants elsewhere is an orphan here.
func Orphans(fleet spec.FleetName, want []*render.Desired, s *marathon.State) []Difference {
	known := idsOf(want)
	var out []Difference
	for _, id := range slices.Sorted(maps.Keys(s.Apps)) {
		app := s.Apps[id]
		if known[id] || Owner(app) != fleet {
			continue
		}
		out = append(out, Difference{
			App: id, Component: spec.Component(app.Labels[marathon.LabelComponent]), Class: Orphan,
			Why: fmt.Sprintf("is labelled as ours (%s/%s), but git does not know it", app.Labels[marathon.LabelGroup], app.Labels[marathon.LabelCluster]),
		})
	}
	return out
}

// ForeignUnder lists, by id, the live apps that stand under the path of one of our groups but do not carry our fleet's
// label: shown, never touched.
func ForeignUnder(fleet spec.FleetName, want []*render.Desired, s *marathon.State) []marathon.AppID {
	groups := map[string]bool{}
	for _, d := range want {
		groups[string(d.ID.Group)] = true
	}
	var out []marathon.AppID
	for id, app := range s.Apps {
		group, _, below := strings.Cut(strings.TrimPrefix(string(id), "/"), "/")
		if below && groups[group] && Owner(app) != fleet {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func idsOf(want []*render.Desired) map[marathon.AppID]bool {
	ids := map[marathon.AppID]bool{}
	for _, d := range want {
		for i := range d.Apps {
			ids[d.Apps[i].ID] = true
		}
	}
	return ids
}

// A comparer is one call of Compare.
type comparer struct {
	*normaliser
	desired *render.Desired
	state   *marathon.State
	drift   *Drift
}

func (c *comparer) add(a *render.App, d Difference) {
	d.App, d.Component = a.ID, a.Component
	c.drift.Differences = append(c.drift.Differences, d)
}

// app adds the differences of one app, in the order of the classes.
func (c *comparer) app(a *render.App) {
	have := c.state.Apps[a.ID]
	if have == nil {
		c.add(a, Difference{Class: Create, Why: "is not there"})
		c.foreign(a, nil)
		return
	}
	scale, config := c.definitions(a, have)
	if scale != nil {
		c.add(a, *scale)
	}
	if config != nil {
		c.add(a, *config)
	}
	c.mixed(a, have)
	c.foreign(a, have)
}

// definitions compares what git wants with what Marathon shows: at most one difference of scale and one of the rest.
func (c *comparer) definitions(a *render.App, app *marathon.App) (scale, config *Difference) {
	want, filled := c.apply(a.Doc, wanted)
	have, _ := c.apply(app.Doc, live)
	if a.Component == spec.Gate {
		forgetGateState(want, have)
	}
	filled += c.adopt(want, have)
	wantBundle, haveBundle := takeBundle(want), takeBundle(have)
	f := fieldsOf(c.normaliser, want, have, func(path string) spec.Pos { return originOf(a, path, c.desired.Spec) })
	files := f.compareBundles(wantBundle, haveBundle)
	slices.SortFunc(f.config, byPath)
	c.drift.Hidden += filled - f.filledIn(a.Doc)

	immutable := f.markImmutable(want, have)
	if len(f.instances) > 0 {
		scale = &Difference{Class: Scale, Fields: f.instances, Why: fmt.Sprintf("%v instances are wanted, %v are set", want["instances"], have["instances"])}
	}
	if len(f.config) == 0 {
		return scale, nil
	}
	config = &Difference{Class: Update, Fields: f.config, Files: files, Why: because(f.config)}
	if immutable {
		config.Class = Replace
	}
	return scale, config
}

// forgetGateState takes out what stands in the gate for Marathon and not for git.
func forgetGateState(want, have map[string]any) {
	if l, ok := have["labels"].(map[string]any); ok {
		delete(l, marathon.LabelClusterUUID)
		delete(l, marathon.LabelSuspended)
		delete(l, marathon.LabelDetached)
		if len(l) == 0 {
			delete(have, "labels")
		}
	}
	for _, doc := range []map[string]any{want, have} {
		if env, ok := doc["env"].(map[string]any); ok {
			delete(env, GateEnv)
			if len(env) == 0 {
				delete(doc, "env")
			}
		}
	}
	if n := have["instances"]; n == int64(0) || n == int64(1) {
		want["instances"] = n
	}
}

// mixed finds tasks that still run another definition than the one in force. Never ask whether the versions differ: a
// scaling changes the app's version and no task's, and a change that was taken back makes a new version of an old definition.
func (c *comparer) mixed(a *render.App, app *marathon.App) {
	var old []marathon.TaskID
	current := InForce(app, c.version)
	for _, t := range app.Tasks {
		if t.Version == "" {
			continue // a suspended instance runs nothing
		}
		at, err := time.Parse(time.RFC3339, t.Version)
		if err != nil || !current(at) {
			old = append(old, t.ID)
		}
	}
	if len(old) == 0 {
		return
	}
	slices.Sort(old)
	c.add(a, Difference{Class: Mixed, Tasks: old,
		Why: fmt.Sprintf("%d of %d tasks run an older definition", len(old), len(app.Tasks))})
}

// foreign lists the deployments that hold the app. Whose they are is decided by plan, which knows what esfleet started.
func (c *comparer) foreign(a *render.App, app *marathon.App) {
	var ids []marathon.DeploymentID
	for _, d := range c.state.LockedBy(a.ID) {
		ids = append(ids, d.ID)
	}
	if app != nil {
		ids = append(ids, app.Deployments...)
	}
	if len(ids) == 0 {
		return
	}
	slices.Sort(ids)
	c.add(a, Difference{Class: Foreign, Deployments: slices.Compact(ids), Why: "a deployment holds the app"})
}

// originOf finds the place in git for a path, without list indices where the origins have none.
func originOf(a *render.App, path string, cluster *spec.Cluster) spec.Pos {
	var fallback spec.Pos
	if cluster != nil {
		fallback = cluster.Pos
	}
	for p := path; ; {
		if pos := a.OriginOf(p, spec.Pos{}); pos != (spec.Pos{}) {
			return pos
		}
		i := strings.LastIndexByte(p, '[')
		if i <= 0 {
			return fallback
		}
		p = p[:i]
	}
}

// because names the first differing fields.
func because(fields []Field) string {
	const show = 3
	names := make([]string, 0, show)
	for _, f := range fields[:min(show, len(fields))] {
		names = append(names, string(f.Kind)+" "+f.Path)
	}
	s := strings.Join(names, ", ")
	if more := len(fields) - show; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

func byPath(a, b Field) int {
	return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(text(a.Want), text(b.Want)), strings.Compare(text(a.Have), text(b.Have)))
}
