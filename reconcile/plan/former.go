package plan

import (
	"time"

	"github.com/esfleet/esfleet/drift"
)

// compareVersions looks at what the nodes of older versions run. A change that was taken back makes a new version of a
// definition that some nodes have never left: they are right as they are, and from Marathon 1.8 on they come back as they
// were even if they crash. Only Marathon's placement rules forget them, as they do all of an older version (marathon-lab-old
// §5), so they have their turn when a node is to be placed.
func (m *maker) compareVersions() {
	for i := range m.roles {
		r := &m.roles[i]
		current := drift.InForce(r.live, m.facts.Marathon.Version)
		wanted := func(time.Time) bool { return false }
		if r.updates() {
			wanted = drift.Wanted(m.want, r.want, r.live, m.facts.Marathon.Version)
		}
		for j := range r.slots {
			s := &r.slots[j]
			if at, ok := r.olderVersion(s); s.old && ok {
				s.same, s.wanted = current(at), wanted(at)
				s.old = !s.same
			}
		}
		if m.places(r) {
			for j := range r.slots {
				r.slots[j].old = r.slots[j].old || r.slots[j].same
			}
		}
	}
}

// olderVersion is the version that the slot runs, or failed with.
func (r *role) olderVersion(s *slot) (time.Time, bool) {
	if s.down {
		return r.live.LastFailureVersion, true
	}
	at, err := time.Parse(time.RFC3339, s.task.Version)
	return at, err == nil
}

// places says that Marathon is to find a place for a node of r: for one more, or for a blank one instead of another.
func (m *maker) places(r *role) bool {
	if r.want == nil {
		return false
	}
	for _, s := range r.slots {
		if m.namedFor(s) != nil {
			return true
		}
	}
	return r.live.Instances+r.stopped < r.want.Instances
}

// turns says that the slot is to be restarted with the definition that is in force, or about to be committed.
func (m *maker) turns(r *role, s *slot, committing bool) bool {
	if committing {
		return !s.wanted || m.places(r)
	}
	return s.old
}

// takenBack says that git has gone back to a definition that nodes of r run since before s got its own: it needs no trial.
func takenBack(r *role, s *slot) bool {
	at, ok := r.olderVersion(s)
	for i := range r.slots {
		if was, known := r.olderVersion(&r.slots[i]); r.slots[i].same && ok && known && was.Before(at) {
			return true
		}
	}
	return false
}
