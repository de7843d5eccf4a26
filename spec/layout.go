package spec

import (
	"slices"
	"strings"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// A layout is a Snapshot's files by what they are: fleet.yaml, groups/<g>/group.yaml and groups/<g>/clusters/<c>/….
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

// besides are files that may lie anywhere in the repository and mean nothing to a fleet. Attributes are among them: blobs
// are read as they are, no filter is ever run.
var besides = []string{"README.md", "README", "CODEOWNERS", ".gitkeep", ".gitignore", ".gitattributes", ".editorconfig"}

// arrange sorts the paths that are looked at into a layout. Entries come sorted, so that a group's and a cluster's files stand
// together. What lies under groups/ and is not known there is reported: a misspelt name must not be silently left out.
func (p *parse) arrange() *layout {
	l := &layout{}
	for e := range p.looked() {
		if e.Kind != snapshot.File && e.Kind != snapshot.Executable {
			continue // reported by checkTree
		}
		switch {
		case e.Path == "fleet.yaml":
			l.fleet = e
		case strings.HasPrefix(e.Path, "groups/"):
			p.place(l, e, strings.Split(e.Path, "/"))
		}
	}
	slices.SortFunc(l.groups, func(a, b *groupFiles) int { return strings.Compare(a.name, b.name) })
	for _, g := range l.groups {
		slices.SortFunc(g.clusters, func(a, b *clusterFiles) int { return strings.Compare(a.name, b.name) })
	}
	return l
}

// place puts one path under groups/ where it belongs.
func (p *parse) place(l *layout, e *snapshot.Entry, seg []string) {
	base := seg[len(seg)-1]
	inFiles := len(seg) > 5 && seg[2] == "clusters" && seg[4] == "files"
	switch {
	case !inFiles && slices.Contains(besides, base):
	case len(seg) == 2:
		p.misplaced(e, base, nil, "a group is a folder: groups/<group>/group.yaml")
	case len(seg) == 3 && base == "group.yaml":
		l.group(seg[1]).yaml = e
	case len(seg) == 3:
		l.group(seg[1])
		p.misplaced(e, base, []string{"group.yaml"}, "a group's folder holds group.yaml and clusters/")
	case seg[2] != "clusters":
		l.group(seg[1])
		p.misplaced(e, seg[2], []string{"clusters"}, "a group's folder holds group.yaml and clusters/")
	case len(seg) == 4:
		l.group(seg[1])
		p.misplaced(e, base, nil, "a cluster is a folder: clusters/<cluster>/cluster.yaml")
	case inFiles:
		c := l.group(seg[1]).cluster(seg[3])
		c.files = append(c.files, *e)
	default:
		p.placeInCluster(l.group(seg[1]).cluster(seg[3]), e, seg)
	}
}

func (p *parse) placeInCluster(c *clusterFiles, e *snapshot.Entry, seg []string) {
	known := map[string]**snapshot.Entry{"cluster.yaml": &c.yaml, "elasticsearch.yml": &c.settings, "pre-run.sh": &c.preRun}
	if slot := known[seg[4]]; slot != nil && len(seg) == 5 {
		*slot = e
		return
	}
	p.misplaced(e, seg[4], []string{"cluster.yaml", "elasticsearch.yml", "pre-run.sh", "files"},
		"a cluster's folder holds cluster.yaml, elasticsearch.yml, pre-run.sh and files/; whatever the nodes need goes into files/")
}

func (p *parse) misplaced(e *snapshot.Entry, got string, known []string, fix string) {
	if near := nearest(got, known); near != "" && near != got {
		fix = "did you mean " + near + "?"
	}
	p.problem(Pos{File: shownPath(e.Path)}, "", "is not read here, and would do nothing", fix)
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

// checkName refuses a folder's name that could not name a group or a cluster everywhere: in Marathon ids, labels and hosts.
func (p *parse) checkName(kind, dir, folder string) {
	if name.re.MatchString(folder) {
		return
	}
	what := quote(folder) + " cannot name a " + kind
	for _, r := range folder {
		if r >= 0x80 {
			what += ": it has a letter outside a–z, which may look like one of them"
			break
		}
	}
	p.problem(Pos{File: shownPath(strings.TrimSuffix(dir, "/"))}, "", what, "name the folder with "+strings.TrimPrefix(name.want, "a name of "))
}
