package marathonsink

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

type digest = [sha256.Size]byte

// known says which app had which bytes in the last State, so that the next one decodes only what changed.
type known struct {
	last  *marathon.State
	apps  map[digest]knownApp
	round uint64 // of the reading under way
}

type knownApp struct {
	id    marathon.AppID
	round uint64 // the last reading that met these bytes
}

// A reading is one pass over the list of apps.
type reading struct {
	*known
	prev  *marathon.State // nil: nothing is known
	shelf *shelf          // nil: what is new is decoded at once
	same  int             // apps whose bytes are as they were
	fresh []freshApp
}

// A freshApp is decoded, or it was put on the shelf.
type freshApp struct {
	digest digest
	id     marathon.AppID
	app    *marathon.App
	place  place
}

// read begins a pass. Only the State that was given last says what the known bytes meant.
func (k *known) read(prev *marathon.State, to *shelf) *reading {
	k.round++
	if prev != k.last {
		prev = nil
	}
	return &reading{known: k, prev: prev, shelf: to}
}

// app takes in one app's bytes.
func (r *reading) app(span []byte) error {
	d := sha256.Sum256(span)
	if r.prev != nil {
		if k, ok := r.apps[d]; ok && r.prev.Apps[k.id] != nil {
			if k.round == r.round {
				return twice(k.id)
			}
			r.apps[d] = knownApp{k.id, r.round}
			r.same++
			return nil
		}
	}
	if r.shelf != nil && bytes.Contains(span, fleetLabel) { // others take little, decoded
		if aside, err := r.putAside(span, d); aside || err != nil {
			return err
		}
	}
	app, err := parseSpan(span)
	if err != nil {
		return err
	}
	r.fresh = append(r.fresh, freshApp{digest: d, id: app.ID, app: app})
	return nil
}

// putAside puts an app on the shelf in which nothing is under way: nothing else has to be read because of it, and most
// likely it is as wanted. It seems to be ours; if not, we are told so when it is opened.
func (r *reading) putAside(span []byte, d digest) (bool, error) {
	head, err := marathon.ParseHead(span)
	if err != nil || !head.Quiet {
		return false, err
	}
	r.fresh = append(r.fresh, freshApp{digest: d, id: head.ID, place: r.shelf.put(span)})
	return true, nil
}

func twice(id marathon.AppID) error {
	return &Error{Op: "list apps", Kind: KindUnknown, Message: fmt.Sprintf("app %s is there twice", id)}
}

// finish fills in s what the pass has found.
func (r *reading) finish(s *marathon.State) error {
	if s.Incremental = r.prev != nil; s.Incremental && len(r.fresh) == 0 && r.same == len(r.prev.Apps) {
		s.Apps = r.prev.Apps
		return nil
	}
	r.gatherIDs()
	s.Apps = make(map[marathon.AppID]*marathon.App, r.same+len(r.fresh))
	if s.Incremental {
		for _, k := range r.apps {
			if k.round == r.round {
				s.Apps[k.id] = r.prev.Apps[k.id]
			}
		}
	}
	if err := r.take(s); err != nil {
		return err
	}
	if s.Incremental {
		for id := range r.prev.Apps {
			if s.Apps[id] == nil {
				s.Changed = append(s.Changed, id)
			}
		}
	}
	return nil
}

// take adds what is fresh.
func (r *reading) take(s *marathon.State) error {
	var aside map[marathon.AppID]place
	if r.shelf != nil {
		aside = make(map[marathon.AppID]place, len(r.fresh))
		r.shelf.apps, s.Shelf = aside, r.shelf
	}
	for _, f := range r.fresh {
		if _, there := aside[f.id]; there || s.Apps[f.id] != nil {
			return twice(f.id)
		}
		if f.app != nil {
			s.Apps[f.id] = f.app
		} else {
			f.place.id = f.id
			aside[f.id] = f.place
		}
		if s.Incremental {
			s.Changed = append(s.Changed, f.id)
		}
	}
	return nil
}

// gatherIDs puts the ids of fresh apps into one piece of memory. They outlive all else that was read of most apps: left
// where they are, each would hold a page of its own.
func (r *reading) gatherIDs() {
	var all strings.Builder
	for _, f := range r.fresh {
		all.WriteString(string(f.id))
	}
	rest := marathon.AppID(all.String())
	for i := range r.fresh {
		f := &r.fresh[i]
		n := len(f.id)
		f.id, rest = rest[:n], rest[n:]
		if f.app != nil {
			f.app.ID = f.id
		}
	}
}

// learn keeps what a pass has found, once the State that it is part of is given away.
func (k *known) learn(r *reading, s *marathon.State) {
	k.last = s
	if r.prev == nil {
		k.apps = make(map[digest]knownApp, len(r.fresh))
	} else if len(s.Changed) > 0 {
		for d, app := range k.apps {
			if app.round != k.round {
				delete(k.apps, d)
			}
		}
	}
	for _, f := range r.fresh {
		k.apps[f.digest] = knownApp{f.id, k.round}
	}
}
