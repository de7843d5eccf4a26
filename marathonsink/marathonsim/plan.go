package marathonsim

import (
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// The actions of a deployment, by Marathon's names.
const (
	actStart   = "StartApplication"
	actScale   = "ScaleApplication"
	actRestart = "RestartApplication"
	actStop    = "StopApplication"
)

// A root is all apps of a moment.
type root map[marathon.AppID]*definition

func (s *Sim) currentRoot() root {
	r := root{}
	for id, a := range s.apps {
		r[id] = a.def
	}
	return r
}

// planSteps orders what leads from one root to another: stop what is gone, start (at 0) what is new, then, leaves of
// the dependency graph first, scale or restart the rest.
func planSteps(from, to root, deps func(marathon.AppID) []marathon.AppID) [][]*action {
	var steps [][]*action
	step := func(kind string, ids []marathon.AppID, defs root) {
		var acts []*action
		for _, id := range ids {
			acts = append(acts, &action{kind: kind, app: id, target: defs[id]})
		}
		if len(acts) > 0 {
			steps = append(steps, acts)
		}
	}
	var gone, fresh []marathon.AppID
	byDepth := map[int][]*action{}
	deepest := 0
	for _, id := range sortedIDs(to) {
		def, old := to[id], from[id]
		kind := actScale
		switch {
		case old == nil:
			fresh = append(fresh, id)
		case old.version == def.version:
			continue
		case def.spec.Instances != 0 && (!sameExcept(old, def, "instances", "executorResources") || def.spec.Instances == old.spec.Instances):
			kind = actRestart
		}
		d := depth(id, to, deps, nil)
		deepest = max(deepest, d)
		byDepth[d] = append(byDepth[d], &action{kind: kind, app: id, target: def})
	}
	for _, id := range sortedIDs(from) {
		if to[id] == nil {
			gone = append(gone, id)
		}
	}
	step(actStop, gone, from)
	step(actStart, fresh, to)
	for d := range deepest + 1 {
		if len(byDepth[d]) > 0 {
			steps = append(steps, byDepth[d])
		}
	}
	return steps
}

func sortedIDs(r root) []marathon.AppID {
	ids := make([]marathon.AppID, 0, len(r))
	for id := range r {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// depth is the longest way down the dependencies; path holds those above, so that a ring ends.
func depth(id marathon.AppID, r root, deps func(marathon.AppID) []marathon.AppID, path []marathon.AppID) int {
	d := 0
	for _, dep := range deps(id) {
		if r[dep] != nil && !slices.Contains(path, dep) && dep != id {
			d = max(d, 1+depth(dep, r, deps, append(path, id)))
		}
	}
	return d
}

// dependencies are an app's own and those of the groups above it, the latter resolved to the apps inside.
func (s *Sim) dependencies(r root) func(marathon.AppID) []marathon.AppID {
	return func(id marathon.AppID) []marathon.AppID {
		var names []string
		for _, d := range r[id].spec.Dependencies {
			names = append(names, string(d))
		}
		for g := marathon.AppID(id.Group()); ; g = marathon.AppID(g.Group()) {
			if info := s.groups[g]; info != nil {
				names = append(names, info.deps...)
			}
			if g == "/" {
				break
			}
		}
		var out []marathon.AppID
		for _, other := range sortedIDs(r) {
			for _, n := range names {
				if other != id && within(other, marathon.AppID(n)) && !within(id, marathon.AppID(n)) {
					out = append(out, other)
				}
			}
		}
		return out
	}
}

// within says whether an app is the named one or lies in the group of that name.
func within(id, name marathon.AppID) bool {
	return id == name || name == "/" || len(id) > len(name) && id[:len(name)] == name && id[len(name)] == '/'
}
