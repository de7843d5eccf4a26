package marathonsim

import (
	"maps"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A change is one write to the root group: what every PUT, POST, PATCH and DELETE comes down to.
type change struct {
	group   marathon.AppID // named in group_change events
	force   bool
	named   []*instance             // to be stopped first
	edit    func(to root) *refusal  // new definitions have no version yet
	restart map[marathon.AppID]bool // restart even if nothing differs
	stamp   string                  // of the new version; "" is now
	after   func()                  // once the root is stored
}

// apply computes the plan of a change, refuses it or starts it.
func (s *Sim) apply(c change) (*result, *refusal) {
	from := s.currentRoot()
	to := maps.Clone(from)
	if bad := c.edit(to); bad != nil {
		return nil, bad
	}
	version := s.stamp()
	if c.stamp != "" {
		version = c.stamp
	}
	if bad := s.finishDefinitions(from, to, version, c.restart); bad != nil {
		return nil, bad
	}
	if bad := s.validateRoot(from, to, c.force); bad != nil {
		return nil, bad
	}
	d := &deployment{id: s.uuid(), version: version, before: root{}, after: root{}}
	d.steps = planSteps(from, to, s.dependencies(to))
	for _, id := range d.apps() {
		d.before[id], d.after[id] = from[id], to[id]
	}
	for _, st := range d.steps {
		for _, a := range st {
			a.named = c.named
		}
	}
	if bad := s.takeLocks(d, c); bad != nil {
		return nil, bad
	}
	s.start(d, to)
	if c.after != nil {
		c.after()
	}
	s.event("group_change_success", map[string]any{"groupId": c.group, "version": version})
	return &result{status: 200, deployment: d.id, body: map[string]any{"deploymentId": d.id, "version": version}}, nil
}

// takeLocks refuses a plan that touches an app of a running one; with force it cancels that one.
func (s *Sim) takeLocks(d *deployment, c change) *refusal {
	var conflicts []*deployment
	for _, id := range d.apps() {
		for _, other := range s.lockedBy(id) {
			if !slices.Contains(conflicts, other) {
				conflicts = append(conflicts, other)
			}
		}
	}
	if len(conflicts) == 0 {
		return nil
	}
	if c.force {
		for _, other := range conflicts {
			s.cancelDeployment(other)
		}
		return nil
	}
	s.event("group_change_failed", map[string]any{"groupId": c.group, "version": d.version, "reason": lockedMessage})
	s.deploymentEvent("deployment_failed", d, false, lockedMessage)
	if s.ver.conflictOpensLock {
		for _, id := range d.apps() {
			if a := s.apps[id]; a != nil && len(s.lockedBy(id)) > 0 {
				a.lockOpen = true
			}
		}
	}
	return locked(conflicts)
}

// finishDefinitions gives ports and versions to what changed, and takes back what did not.
func (s *Sim) finishDefinitions(from, to root, version string, restart map[marathon.AppID]bool) *refusal {
	for _, id := range sortedIDs(to) {
		def, old := to[id], from[id]
		if def == old && !restart[id] {
			continue
		}
		if def != old || def.version != "" {
			def = &definition{doc: def.doc}
		}
		s.assignPorts(def.doc, old)
		made, err := newDefinition(def.doc)
		if err != nil {
			return badShape(detail{"/", []string{err.Error()}})
		}
		switch {
		case old == nil:
			made.version, made.lastScaling, made.lastConfig = version, version, version
		case restart[id]:
			made.version, made.lastScaling, made.lastConfig = version, version, old.lastConfig
			if s.ver.restartMovesConfig {
				made.lastConfig = version
			}
		case sameExcept(old, made):
			to[id] = old
			continue
		case sameExcept(old, made, "executorResources"):
			// stored and shown, but nothing is deployed and the version stays
			made.version, made.lastScaling, made.lastConfig = old.version, old.lastScaling, old.lastConfig
		case sameExcept(old, made, "instances", "executorResources"):
			made.version, made.lastScaling, made.lastConfig = version, version, old.lastConfig
		default:
			made.version, made.lastScaling, made.lastConfig = version, version, version
		}
		to[id] = made
	}
	return nil
}

// rollBack is DELETE of a deployment without force: a new one, the reverse of it. From 1.8 its version is older than
// the tasks it restarts, so that they look current (measured on 1.11).
func (s *Sim) rollBack(d *deployment) (*result, *refusal) {
	stamp := ""
	if s.ver.rollbackOldStamp {
		for _, id := range sortedIDs(d.before) {
			if old := d.before[id]; old != nil {
				stamp = justBefore(old.version)
			}
		}
	}
	restart := map[marathon.AppID]bool{}
	return s.apply(change{group: "/", force: true, restart: restart, stamp: stamp, edit: func(to root) *refusal {
		for id, old := range d.before {
			if old == nil {
				delete(to, id)
				continue
			}
			to[id] = &definition{doc: old.doc}
			restart[id] = to[id].spec.Instances != 0
		}
		return nil
	}})
}
