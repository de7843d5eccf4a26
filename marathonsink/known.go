package marathonsink

import (
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
	same  int             // apps whose bytes are as they were
	fresh []freshApp
}

type freshApp struct {
	digest digest
	app    *marathon.App
}

// read begins a pass. Only the State that was given last says what the known bytes meant.
func (k *known) read(prev *marathon.State) *reading {
	k.round++
	if prev != k.last {
		prev = nil
	}
	return &reading{known: k, prev: prev}
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
	app, err := parseSpan(span)
	if err != nil {
		return err
	}
	r.fresh = append(r.fresh, freshApp{d, app})
	return nil
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
	for _, f := range r.fresh {
		if s.Apps[f.app.ID] != nil {
			return twice(f.app.ID)
		}
		s.Apps[f.app.ID] = f.app
		s.Changed = append(s.Changed, f.app.ID)
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

// gatherIDs puts the ids of fresh apps into one piece of memory. They outlive all else that was read of most apps: left
// where they are, each would hold a page of its own.
func (r *reading) gatherIDs() {
	var all strings.Builder
	for _, f := range r.fresh {
		all.WriteString(string(f.app.ID))
	}
	rest := marathon.AppID(all.String())
	for _, f := range r.fresh {
		n := len(f.app.ID)
		f.app.ID, rest = rest[:n], rest[n:]
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
		k.apps[f.digest] = knownApp{f.app.ID, k.round}
	}
}
