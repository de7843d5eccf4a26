package spec

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// Parse reads a Snapshot as a fleet. It returns the Fleet and no Problem, or no Fleet and every Problem at once, sorted by
// place: a fleet is never half read. A cache spares parsing files whose content was parsed before; it may be nil.
func Parse(s *snapshot.Snapshot, cache *Cache) (*Fleet, []Problem) {
	p := &parse{snap: s, cache: cache.begin()}
	p.takeOver()
	var f *Fleet
	if p.checkTree() {
		f = p.fleet()
	}
	if f != nil {
		p.cache.end(len(p.list) == 0)
	}
	if len(p.list) > 0 {
		return nil, p.sorted()
	}
	return f, nil
}

type parse struct {
	report
	snap  *snapshot.Snapshot
	cache *use
	pool  pool
	taken []*Group           // groups of an earlier Parse, of which nothing has changed
	look  [][]snapshot.Entry // all entries that are not theirs, in order
	// fleetBlob and groupBlob are the documents whose defaults flow into the cluster at hand; empty if there is none.
	fleetBlob, groupBlob snapshot.BlobID
}

func (p *parse) fleet() *Fleet {
	l := p.arrange()
	if l.fleet == nil {
		p.noFleetFile()
		return nil
	}
	root := p.document(*l.fleet, "Fleet")
	f := &Fleet{Name: FleetName(root.childText("name")), Commit: p.snap.Commit, Pos: Pos{File: l.fleet.Path, Line: 1, Column: 1}}
	f.Marathons = p.marathons(placed{l.fleet.Path, root})
	f.Guards = p.guards(placed{l.fleet.Path, root})
	f.Groups = p.taken
	for _, g := range l.groups {
		f.Groups = append(f.Groups, p.group(f, g, placed{l.fleet.Path, root.child("defaults")}))
	}
	slices.SortFunc(f.Groups, func(a, b *Group) int { return strings.Compare(string(a.Name), string(b.Name)) })
	clusters := 0
	for _, g := range f.Groups {
		clusters += len(g.Clusters)
	}
	if clusters == 0 {
		p.problem(Pos{File: l.fleet.Path}, "", "no cluster is declared anywhere in the commit",
			"add groups/<group>/clusters/<cluster>/cluster.yaml; to end a cluster write state: retired, an empty fleet never means that clusters go")
	}
	return f
}

// takeOver finds the groups that are what they were in an earlier, faultless Parse: neither their folder nor the fleet's
// defaults have changed. Of their files nothing is looked at again.
func (p *parse) takeOver() {
	if e, ok := p.snap.Lookup("fleet.yaml"); ok {
		p.fleetBlob = e.Blob
	}
	const dir = "groups/"
	groups, entries := p.snap.Folder(dir)
	if groups == nil {
		p.look = [][]snapshot.Entry{p.snap.Entries}
		return
	}
	first := p.first(dir)
	p.look = append(p.look, p.snap.Entries[:first])
	from := int32(0)
	for i := range groups.Folders {
		folder := &groups.Folders[i]
		g := p.cache.whole(GroupName(strings.TrimSuffix(folder.Path[len(dir):], "/")), folder.ID, p.fleetBlob)
		if g == nil {
			continue
		}
		p.taken = append(p.taken, g)
		p.look = append(p.look, entries[from:folder.Skip])
		from = folder.Skip + folder.Len
	}
	p.look = append(p.look, entries[from:], p.snap.Entries[first+len(entries):])
}

// first is the index of the first entry that does not come before a path.
func (p *parse) first(path string) int {
	e := p.snap.Entries
	return sort.Search(len(e), func(i int) bool { return e[i].Path >= path })
}

func (p *parse) noFleetFile() {
	fix := "add it; an empty or half-read commit never means that clusters go"
	for _, other := range []string{"fleet.yml", "Fleet.yaml", "fleet.json", "fleet.yaml.txt"} {
		if p.exists(other) {
			fix = "rename " + other
		}
	}
	p.problem(Pos{File: "fleet.yaml"}, "", "is missing", fix)
}

func (p *parse) marathons(root placed) []Marathon {
	var out []Marathon
	list := root.node.child("marathons")
	if list == nil || list.kind == badNode {
		return nil
	}
	if len(list.entries) == 0 {
		p.problem(list.pos(root.file), "marathons", "is empty", "name at least one Marathon: {main: {url: http://marathon.example:8080}}")
	}
	for _, e := range list.entries {
		m := Marathon{Name: MarathonName(e.key), Pos: e.pos(root.file), URLs: e.value.childTexts("urls"),
			NodeURLs: e.value.childTexts("nodeUrls"), Credentials: e.value.childText("credentials")}
		path := "marathons." + e.key
		switch url, urls := e.value.child("url"), e.value.child("urls"); {
		case url != nil && urls != nil:
			p.problem(url.pos(root.file), path+".url", "stands beside urls", "keep one of them")
		case url != nil:
			m.URLs = []string{url.text}
		case urls == nil && e.value.kind == mapNode:
			p.problem(e.pos(root.file), path+".url", "is missing", "write url: http://marathon.example:8080")
		}
		for _, list := range [][]string{m.URLs, m.NodeURLs} {
			for i := range list {
				list[i] = strings.TrimRight(list[i], "/")
			}
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
	dir := "groups/" + files.name + "/"
	p.checkName("group", dir, files.name)
	g := &Group{Name: GroupName(files.name), Pos: Pos{File: dir + "group.yaml", Line: 1, Column: 1}}
	root := &node{}
	p.groupBlob = ""
	if files.yaml == nil {
		p.problem(Pos{File: g.Pos.File}, "", "is missing", "add it: it says whose the clusters in this folder are and which Marathon runs them")
	} else {
		root = p.document(*files.yaml, "Group")
		p.groupBlob = files.yaml.Blob
		p.groupMarathon(f, g, root)
	}
	folder, _ := p.snap.Folder(dir)
	p.cache.open(g, folder.ID, p.fleetBlob, p.groupBlob)
	g.Role, g.Owners = root.childText("role"), root.childTexts("owners")
	quota := root.child("quota")
	if quota != nil && quota.kind == mapNode {
		g.Quota = &Quota{Memory: parseSize(quota.childText("memory")), Disk: parseSize(quota.childText("disk"))}
		if c := quota.child("cpus"); c != nil {
			g.Quota.CPUs = c.float()
		}
	}
	layers := []placed{{g.Pos.File, root.child("defaults")}, defaults}
	for _, c := range files.clusters {
		g.Clusters = append(g.Clusters, p.cluster(f, g, c, layers))
	}
	if g.Quota != nil {
		p.checkQuota(g, placed{g.Pos.File, quota})
	}
	return g
}

// groupMarathon finds the group's Marathon; with one in the fleet it need not be written.
func (p *parse) groupMarathon(f *Fleet, g *Group, root *node) {
	n := root.child("marathon")
	var known []string
	for _, m := range f.Marathons {
		known = append(known, string(m.Name))
	}
	switch {
	case root.kind != mapNode || len(known) == 0 || n != nil && n.kind == badNode:
	case n == nil && len(known) == 1:
		g.Marathon = MarathonName(known[0])
	case n == nil:
		p.problem(root.pos(g.Pos.File), "marathon", "is missing, and the fleet has several", "write marathon: "+orList(known))
	case !slices.Contains(known, n.text):
		fix := "write " + orList(known) + ", or add it to marathons: of fleet.yaml"
		if near := nearest(n.text, known); near != "" {
			fix = "did you mean " + near + "?"
		}
		p.problem(n.pos(g.Pos.File), "marathon", quote(n.text)+" is not among the marathons of fleet.yaml", fix)
	default:
		g.Marathon = MarathonName(n.text)
	}
}

func (p *parse) cluster(f *Fleet, g *Group, files *clusterFiles, defaults []placed) *Cluster {
	id := ClusterID{Group: g.Name, Name: ClusterName(files.name)}
	folder, _ := p.snap.Folder(files.dir)
	if c := p.cache.cluster(id, folder.ID); c != nil {
		return c
	}
	before := p.added
	c := &Cluster{
		ID: id, Fleet: f.Name, Marathon: g.Marathon, Role: g.Role, Owners: g.Owners,
		Pos: Pos{File: files.dir + "cluster.yaml", Line: 1, Column: 1},
	}
	p.checkName("cluster", files.dir, files.name)
	if files.yaml == nil {
		p.problem(Pos{File: c.Pos.File}, "", "is missing", "add it, or move this folder's files to the cluster they belong to")
		return c
	}
	b := &builder{c: c, report: &p.report, pool: &p.pool, written: map[string]Pos{}}
	root := section{b: b, shape: shapes["Cluster"], view: p.layers(c.Pos.File, p.document(*files.yaml, "Cluster"), defaults), file: c.Pos.File}
	root.blank = len(root.view) == 0 || root.view[0].node.kind == badNode
	b.build(root)
	if files.settings != nil {
		c.Settings = b.flat(b.flatten(placed{files.settings.Path, p.document(*files.settings, settingsKind)}, "settings"))
	}
	p.attachFiles(b, files)
	if b.seal(); !root.blank {
		b.validate(root)
	}
	if p.added == before {
		p.cache.keep(c, folder.ID)
	}
	return c
}

func (p *parse) layers(file string, own *node, defaults []placed) view {
	v := view{{file, own}}
	for _, d := range defaults {
		if d.node != nil {
			v = append(v, d)
		}
	}
	return v
}

// document parses one file, or takes it from the cache; its findings become Problems of this path.
func (p *parse) document(e snapshot.Entry, kind string) *node {
	d, err := p.cache.document(p.snap, e, kind)
	if err != nil {
		p.unreadable(e, err)
		return &node{}
	}
	p.findings(d, e.Path)
	if d.root == nil {
		return &node{}
	}
	return d.root
}

func (p *parse) findings(d *document, path string) {
	for _, f := range d.findings {
		f.Pos.File = path
		p.add(f)
	}
	p.dropped += d.dropped
}

func (p *parse) unreadable(e snapshot.Entry, err error) {
	p.problem(Pos{File: e.Path}, "", "could not be read: "+oneLine(err.Error()), "fetch the commit again; nothing is done with half of one")
}

// checkQuota adds up what the group's clusters ask for.
func (p *parse) checkQuota(g *Group, quota placed) {
	var sum Quota
	for _, c := range g.Clusters {
		u := c.Demand()
		sum.CPUs, sum.Memory, sum.Disk = sum.CPUs+u.CPUs, plus(sum.Memory, u.Memory), plus(sum.Disk, u.Disk)
	}
	over := func(name, asked, allowed string) {
		p.problem(quota.node.child(name).pos(quota.file), "quota."+name, fmt.Sprintf("the group's clusters ask for %s together and may have %s", asked, allowed),
			"ask for less in their cluster.yaml, or raise the quota")
	}
	if q := g.Quota; q.CPUs > 0 && sum.CPUs > q.CPUs+1e-9 {
		over("cpus", trimFloat(sum.CPUs), trimFloat(q.CPUs))
	}
	if q := g.Quota; q.Memory > 0 && sum.Memory > q.Memory {
		over("memory", sum.Memory.String(), q.Memory.String())
	}
	if q := g.Quota; q.Disk > 0 && sum.Disk > q.Disk {
		over("disk", sum.Disk.String(), q.Disk.String())
	}
}

func (n *node) childTexts(key string) []string {
	c := n.child(key)
	if c == nil {
		return nil
	}
	var out []string
	for _, e := range c.entries {
		if e.value.kind != badNode {
			out = append(out, e.value.text)
		}
	}
	return out
}
