package spec

import (
	"slices"
	"strings"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// Parse reads a Snapshot as a fleet. It returns the Fleet, or no Fleet and every Problem at once, sorted by place.
// A cache spares parsing files whose content was parsed before; it may be nil.
func Parse(s *snapshot.Snapshot, cache *Cache) (*Fleet, []Problem) {
	p := &parse{snap: s, cache: cache.begin()}
	f := p.fleet()
	p.cache.end()
	if len(p.problems) > 0 {
		return nil, sorted(p.problems)
	}
	return f, nil
}

type parse struct {
	snap     *snapshot.Snapshot
	cache    *use
	problems []Problem
}

func (p *parse) problem(pos Pos, field, what, fix string) {
	p.problems = append(p.problems, Problem{Pos: pos, Field: field, What: what, Fix: fix})
}

func (p *parse) fleet() *Fleet {
	l := arrange(p.snap.Entries, func(pos Pos, what, fix string) { p.problem(pos, "", what, fix) })
	if l.fleet == nil {
		p.problem(Pos{File: "fleet.yaml"}, "", "is missing", "add it; an empty or half-read commit never means that clusters go")
		return nil
	}
	root := p.document(*l.fleet, "Fleet")
	f := &Fleet{Name: FleetName(root.childText("name")), Commit: p.snap.Commit, Pos: Pos{File: l.fleet.Path, Line: 1, Column: 1}}
	f.Marathons = p.marathons(placed{l.fleet.Path, root})
	f.Guards = p.guards(placed{l.fleet.Path, root})
	for _, g := range l.groups {
		f.Groups = append(f.Groups, p.group(f, g, placed{l.fleet.Path, root.child("defaults")}))
	}
	return f
}

func (p *parse) marathons(root placed) []Marathon {
	var out []Marathon
	list := root.node.child("marathons")
	if list == nil {
		return nil
	}
	for _, e := range list.entries {
		m := Marathon{Name: MarathonName(e.key), Pos: e.pos(root.file), URLs: e.value.childTexts("urls"),
			NodeURLs: e.value.childTexts("nodeUrls"), Credentials: e.value.childText("credentials")}
		if u := e.value.childText("url"); u != "" {
			m.URLs = append(m.URLs, u)
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Marathon) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return out
}

func (p *parse) guards(root placed) Guards {
	n := root.node.child("guards")
	if n == nil {
		return Guards{Pos: Pos{File: root.file}}
	}
	g := Guards{Approve: n.childText("approve"), Pos: n.pos(root.file)}
	if m := n.child("maxClusters"); m != nil {
		g.MaxClusters = int(m.float())
	}
	return g
}

func (p *parse) group(f *Fleet, files *groupFiles, defaults placed) *Group {
	g := &Group{Name: GroupName(files.name), Pos: Pos{File: "groups/" + files.name + "/group.yaml", Line: 1, Column: 1}}
	root := &node{}
	if files.yaml == nil {
		p.problem(Pos{File: g.Pos.File}, "", "is missing", "add it; the folder's clusters belong to a group that it describes")
	} else {
		root = p.document(*files.yaml, "Group")
	}
	g.Role, g.Marathon, g.Owners = root.childText("role"), MarathonName(root.childText("marathon")), root.childTexts("owners")
	if g.Marathon == "" && len(f.Marathons) == 1 {
		g.Marathon = f.Marathons[0].Name
	}
	if q := root.child("quota"); q != nil {
		g.Quota = &Quota{Memory: parseSize(q.childText("memory")), Disk: parseSize(q.childText("disk"))}
		if c := q.child("cpus"); c != nil {
			g.Quota.CPUs = c.float()
		}
	}
	layers := []placed{{g.Pos.File, root.child("defaults")}, defaults}
	for _, c := range files.clusters {
		g.Clusters = append(g.Clusters, p.cluster(f, g, c, layers))
	}
	return g
}

func (p *parse) cluster(f *Fleet, g *Group, files *clusterFiles, defaults []placed) *Cluster {
	c := &Cluster{
		ID: ClusterID{Group: g.Name, Name: ClusterName(files.name)}, Fleet: f.Name, Marathon: g.Marathon, Role: g.Role, Owners: g.Owners,
		Pos: Pos{File: files.dir + "cluster.yaml", Line: 1, Column: 1}, Origins: map[string]Pos{},
	}
	if files.yaml == nil {
		p.problem(Pos{File: c.Pos.File}, "", "is missing", "add it, or delete the folder")
		return c
	}
	b := &builder{c: c}
	v := view{{c.Pos.File, p.document(*files.yaml, "Cluster")}}
	for _, d := range defaults {
		if d.node != nil {
			v = append(v, d)
		}
	}
	b.build(section{b: b, shape: shapes["Cluster"], view: v, file: c.Pos.File})
	if files.settings != nil {
		c.Settings = b.flatten(placed{files.settings.Path, p.document(*files.settings, settingsKind)}, "settings")
	}
	p.attachFiles(b, files)
	p.problems = append(p.problems, b.problems...)
	return c
}

func (p *parse) attachFiles(b *builder, files *clusterFiles) {
	ref := func(e snapshot.Entry, path string) FileRef {
		return FileRef{Pos: Pos{File: e.Path}, Path: path, Blob: e.Blob, Size: e.Size, Executable: e.Kind == snapshot.Executable}
	}
	if files.preRun != nil {
		r := ref(*files.preRun, "pre-run.sh")
		b.c.PreRun = &r
		b.c.Origins["preRun"] = Pos{File: files.preRun.Path, Line: 1, Column: 1}
	}
	for _, e := range files.files {
		b.c.Files = append(b.c.Files, ref(e, strings.TrimPrefix(e.Path, files.dir+"files/")))
	}
}

// document parses one file, or takes it from the cache; its findings become Problems of this path.
func (p *parse) document(e snapshot.Entry, kind string) *node {
	d, err := p.cache.document(p.snap, e, kind)
	if err != nil {
		p.problem(Pos{File: e.Path}, "", "could not be read: "+oneLine(err.Error()), "fetch the commit again")
		return &node{}
	}
	for _, f := range d.findings {
		f.Pos.File = e.Path
		p.problems = append(p.problems, f)
	}
	if d.root == nil {
		return &node{}
	}
	return d.root
}

func (n *node) childTexts(key string) []string {
	c := n.child(key)
	if c == nil {
		return nil
	}
	var out []string
	for _, e := range c.entries {
		out = append(out, e.value.text)
	}
	return out
}
