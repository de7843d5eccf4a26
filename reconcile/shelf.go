package reconcile

import (
	"fmt"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// A first look knows nothing of any app, and decoded at once the apps of ten thousand clusters would take gigabytes. So they
// come on a Shelf: the reading is whole and known to be of one leader before any of them is opened. Each cluster is rendered,
// its apps are opened, compared, and given up again if it rests. What is left afterwards is opened for good.

// unshelve opens what no resting cluster accounts for. A Marathon with an app that cannot be opened is unknown: it has not
// been read.
func (r *Reconciler) unshelve(states map[spec.MarathonName]*marathon.State, v *View) {
	for name, s := range states {
		if s.Shelf == nil {
			continue
		}
		if err := r.desired.openAwake(name, s); err != nil {
			v.Unknown[name] = fmt.Errorf("read Marathon %q: %w", name, err)
			delete(states, name)
			r.discard(name, s)
		}
	}
}

func (ds *desires) openAwake(name spec.MarathonName, s *marathon.State) error {
	for id := range s.Shelf.IDs() {
		w := ds.byID[clusterAt(id)]
		if w != nil && w.cluster.Marathon == name && w.rest != nil && slices.Contains(w.rest.ids, id) {
			continue
		}
		app, err := s.Shelf.Open(id)
		if err != nil {
			return err
		}
		s.Apps[id] = app
	}
	return nil
}

// discard forgets a reading, and all that was concluded from it.
func (r *Reconciler) discard(name spec.MarathonName, s *marathon.State) {
	for _, w := range r.desired.list {
		if w.cluster.Marathon == name {
			w.rest = nil
		}
	}
	s.Shelf.Close()
	r.marathons[name].prev = nil
}

// openAgain ends a rest that began in this look.
func (w *wanted) openAgain(s *marathon.State) error {
	again, err := s.Opened(w.rest.ids)
	if err != nil {
		return err
	}
	for id, app := range again.Apps {
		s.Apps[id] = app
	}
	w.rest = nil
	return nil
}

// closeShelves ends a look: all that mattered has been opened.
func closeShelves(states map[spec.MarathonName]*marathon.State) {
	for _, s := range states {
		if s.Shelf != nil {
			s.Shelf.Close()
			s.Shelf = nil
		}
	}
}
