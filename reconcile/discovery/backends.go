package discovery

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A Server is one node, as HAProxy reaches it.
type Server struct {
	Instance marathon.InstanceID // stays the same while Marathon restarts it
	Host     string              // an IP address or a DNS name, checked
	Port     int                 // of the protocol that the front is for
}

// An Absence is what is held against a server that a reading did not show.
type Absence struct {
	Leader string    // who said so; another leader's word begins anew
	Since  time.Time // of its first such reading
}

// Backends are the servers of one front. Decide makes new ones; they are never changed in place.
type Backends struct {
	Servers []Server // by instance id, each address once
	Missing map[marathon.InstanceID]Absence
}

// A Reading is what Marathon says about a front's nodes at one moment.
type Reading struct {
	At      time.Time
	Leader  string   // who made the answer; "" if that is not known
	Running []Server // by instance id
	// Unsure are instances that are there but not known to run: their agent does not answer, or their address cannot
	// be used.
	Unsure []marathon.InstanceID
	// Half says that the answer contradicts itself: it counts more running tasks than it shows. It proves no absence.
	Half    bool
	Refused []string // what was left out of Running, and why, for the log
}

// A Change is what Decide did, for the log. The zero Change did nothing.
type Change struct {
	Added, Moved, Removed []Server
	Kept                  []Server // that the reading does not show, and that stay for want of proof
	Why                   string   // why Kept are kept; "" if there are none
}

// Any says that the servers are others than before.
func (c Change) Any() bool { return len(c.Added)+len(c.Moved)+len(c.Removed) > 0 }

// String is one line.
func (c Change) String() string {
	var parts []string
	for _, p := range []struct {
		verb    string
		servers []Server
	}{{"added", c.Added}, {"moved", c.Moved}, {"removed", c.Removed}, {"kept", c.Kept}} {
		if len(p.servers) > 0 {
			parts = append(parts, p.verb+" "+addresses(p.servers))
		}
	}
	if c.Why != "" {
		parts[len(parts)-1] += " (" + c.Why + ")"
	}
	return strings.Join(parts, ", ")
}

func addresses(list []Server) string {
	var out []string
	for _, s := range list {
		out = append(out, s.Address())
	}
	return strings.Join(out, " ")
}

// Decide says which servers the ring has after a reading.
//
// A server that runs is there at once, and so is its new address after a move. One that is not shown any more goes
//   - at once, if its address is another instance's now;
//   - else when the same leader, in two whole readings at least proof apart and none in between that showed it, said
//     that it is gone while others run.
//
// So a half answer, an answer without a leader, a leader that has just begun and an app without tasks remove nothing,
// and servers that are there are never followed by none.
func Decide(prev Backends, r Reading, proof time.Duration) (Backends, Change) {
	next := Backends{Missing: map[marathon.InstanceID]Absence{}}
	var c Change
	at := map[string]bool{} // addresses taken
	was := map[marathon.InstanceID]Server{}
	for _, s := range prev.Servers {
		was[s.Instance] = s
	}
	for _, s := range r.Running {
		if at[s.Address()] {
			continue // two instances cannot have one address; the answer is of a moment in between
		}
		old, known := was[s.Instance]
		delete(was, s.Instance)
		at[s.Address()] = true
		next.Servers = append(next.Servers, s)
		switch {
		case !known:
			c.Added = append(c.Added, s)
		case old != s:
			c.Moved = append(c.Moved, s)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(was)) {
		s := was[id]
		absence, why := judge(prev.Missing[id], id, r, proof)
		switch {
		case at[s.Address()] || why == "":
			c.Removed = append(c.Removed, s)
			continue
		case absence != (Absence{}):
			next.Missing[id] = absence
		}
		at[s.Address()] = true
		next.Servers = append(next.Servers, s)
		c.Kept, c.Why = append(c.Kept, s), why
	}
	slices.SortFunc(next.Servers, byInstance)
	return next, c
}

// judge says why a server that r does not show stays, or "" if its absence is proven.
func judge(before Absence, id marathon.InstanceID, r Reading, proof time.Duration) (Absence, string) {
	switch {
	case r.Leader == "":
		return before, "the answer names no leader"
	case r.Half:
		return before, "the answer shows fewer running tasks than it counts"
	case len(r.Running) == 0:
		return before, "no other one runs"
	case slices.Contains(r.Unsure, id):
		return Absence{}, "it is not known whether it runs"
	case before.Leader != r.Leader:
		return Absence{Leader: r.Leader, Since: r.At}, fmt.Sprintf("gone must be seen again after %s", proof)
	case r.At.Sub(before.Since) < proof:
		return before, fmt.Sprintf("gone must be seen again after %s", proof)
	}
	return Absence{}, ""
}

func byInstance(a, b Server) int { return strings.Compare(string(a.Instance), string(b.Instance)) }
