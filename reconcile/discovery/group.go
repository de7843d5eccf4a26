package discovery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A group is the servers of one front: the running tasks of some apps.
type group struct {
	what     string // for the log
	apps     []marathon.AppID
	port     int  // the place of the front's protocol in a task's ports
	mayLack  bool // an app that does not exist is one without tasks
	backends Backends
	told     string // the last thing that was kept or refused, so that it is said once
}

// read asks Marathon for each app of the group and puts the answers together.
func (g *group) read(ctx context.Context, m marathons) (Reading, error) {
	var all []Reading
	for _, id := range g.apps {
		var leader string
		app, err := m.App(withLeader(ctx, &leader), id)
		switch {
		case g.mayLack && marathonsink.KindOf(err) == marathonsink.KindNotFound:
			app = &marathon.App{Tasks: []marathon.Task{}}
		case err != nil:
			return Reading{}, err
		}
		all = append(all, ReadingOf(app, leader, g.port, time.Now()))
	}
	return together(all), nil
}

// together makes one reading of those of several apps. It proves an absence only if one leader made all of it.
func together(readings []Reading) Reading {
	all := readings[0]
	for _, r := range readings[1:] {
		if r.Leader != all.Leader {
			all.Leader = ""
		}
		all.Half = all.Half || r.Half
		all.At = r.At
		all.Running = slices.Concat(all.Running, r.Running)
		all.Unsure = slices.Concat(all.Unsure, r.Unsure)
		all.Refused = slices.Concat(all.Refused, r.Refused)
	}
	slices.SortFunc(all.Running, byInstance)
	return all
}

// take lets a reading change the group's servers.
func (f *follower) take(g *group, r Reading) {
	next, c := Decide(g.backends, r, f.proof)
	g.backends = next
	for _, why := range r.Refused {
		f.log.Warn("a task of the "+g.what+" cannot be a server", "why", why)
	}
	switch {
	case c.Any():
		g.told = ""
		f.log.Info(g.what+" changed", "change", c.String(), "servers", len(next.Servers), "leader", r.Leader)
	case len(c.Kept) > 0:
		f.say(&g.told, "kept "+c.String(), "one of the "+g.what+" is not shown and stays", "change", c.String(), "leader", r.Leader)
	default:
		g.told = ""
	}
}

// lost says that the group cannot be read. It is told once, however the error reads from try to try; the status page has
// the newest.
func (f *follower) lost(g *group, err error) {
	f.say(&g.told, "lost", fmt.Sprintf("Marathon does not tell of the %s, their last %d stay", g.what, len(g.backends.Servers)), "error", err.Error())
}

// detachedBy reads the gate's label: whose clients are led elsewhere. The names are only looked up, never written anywhere.
func detachedBy(gate *marathon.App) map[marathon.InstanceID]bool {
	out := map[marathon.InstanceID]bool{}
	for id := range strings.SplitSeq(gate.Labels[marathon.LabelDetached], ",") {
		if id = strings.TrimSpace(id); id != "" {
			out[marathon.InstanceID(id)] = true
		}
	}
	return out
}
