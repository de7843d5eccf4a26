package spec

import (
	"strings"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// A layout is a Snapshot's files by what they are, see DESIGN of the fleet repository: fleet.yaml, groups/<g>/group.yaml and
// groups/<g>/clusters/<c>/….
type layout struct {
	fleet  *snapshot.Entry
	groups []*groupFiles // sorted by name
}

type groupFiles struct {
	name     string
	yaml     *snapshot.Entry
	clusters []*clusterFiles // sorted by name
}

type clusterFiles struct {
	dir                    string
	name                   string
	yaml, settings, preRun *snapshot.Entry
	files                  []snapshot.Entry
}

// arrange sorts the Snapshot's paths into a layout. Entries come sorted, so that a group's and a cluster's files stand together.
func arrange(entries []snapshot.Entry, report func(Pos, string, string)) *layout {
	l := &layout{}
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Path == "fleet.yaml":
			l.fleet = e
		case strings.HasPrefix(e.Path, "groups/"):
			l.place(e, strings.Split(e.Path, "/"), report)
		}
	}
	return l
}

func (l *layout) place(e *snapshot.Entry, seg []string, report func(Pos, string, string)) {
	if len(seg) < 3 {
		return
	}
	g := l.group(seg[1])
	if len(seg) == 3 && seg[2] == "group.yaml" {
		g.yaml = e
		return
	}
	if len(seg) < 5 || seg[2] != "clusters" {
		return
	}
	c := g.cluster(seg[3])
	switch rest := seg[4]; {
	case len(seg) == 5 && rest == "cluster.yaml":
		c.yaml = e
	case len(seg) == 5 && rest == "elasticsearch.yml":
		c.settings = e
	case len(seg) == 5 && rest == "pre-run.sh":
		c.preRun = e
	case len(seg) > 5 && rest == "files":
		c.files = append(c.files, *e)
	}
}

func (l *layout) group(name string) *groupFiles {
	if n := len(l.groups); n > 0 && l.groups[n-1].name == name {
		return l.groups[n-1]
	}
	l.groups = append(l.groups, &groupFiles{name: name})
	return l.groups[len(l.groups)-1]
}

func (g *groupFiles) cluster(name string) *clusterFiles {
	if n := len(g.clusters); n > 0 && g.clusters[n-1].name == name {
		return g.clusters[n-1]
	}
	g.clusters = append(g.clusters, &clusterFiles{name: name, dir: "groups/" + g.name + "/clusters/" + name + "/"})
	return g.clusters[len(g.clusters)-1]
}
