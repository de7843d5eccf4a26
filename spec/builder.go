package spec

import (
	"strconv"
	"strings"
	"time"
)

// A builder makes one Cluster of its layers.
type builder struct {
	*report
	*pool
	c       *Cluster
	written map[string]Pos // becomes the Cluster's Origins
	// sealed is set when the Cluster is complete: what rules look up leaves no origin.
	sealed bool
}

func (b *builder) origin(key string, p Pos) {
	if p.Line > 0 && !b.sealed {
		b.written[key] = p
	}
}

// seal says that the Cluster is complete.
func (b *builder) seal() {
	b.c.Origins, b.sealed = b.pool.origins(b.written), true
}

// build fills the Cluster from its layers. Values that are missing or were reported are left zero.
func (b *builder) build(root section) {
	c := b.c
	c.Purpose = Purpose(root.text("purpose"))
	c.State = State(root.text("state"))
	c.Drift = DriftMode(root.text("drift"))
	c.Containerizer = Containerizer(root.text("containerizer"))
	b.buildSuspend(root.sub("suspend"))
	b.buildElasticsearch(root.sub("elasticsearch"))
	c.Nodes = map[Component]*Nodes{}
	for _, comp := range nodeComponents {
		if s := root.sub(string(comp)).as("nodes." + string(comp)); comp == Data || s.enabled() {
			c.Nodes[comp] = s.nodes(comp)
		}
	}
	b.buildSmall(root)
	b.buildLists(root)
	b.buildChanges(root)
}

var nodeComponents = []Component{Master, Data, Ingest, Coordinating}

func (s section) as(key string) section {
	s.key = key
	return s
}

func (b *builder) buildSuspend(s section) {
	if len(s.view) == 0 || s.blank {
		return
	}
	b.c.Suspend = &Suspension{Reason: s.text("reason"), By: s.text("by")}
	if until := s.text("until"); until != "" {
		t, err := time.Parse(time.RFC3339, until)
		if err != nil {
			b.problem(s.posOf("until"), "suspend.until", quote(until)+" is not a time that exists", `write a time like "2030-01-31T18:00:00Z"`)
		}
		b.c.Suspend.Until = t
	}
}

func (b *builder) buildElasticsearch(s section) {
	e := &b.c.Elasticsearch
	e.Distribution = Distribution(s.text("distribution"))
	e.Version, _ = parseVersion(s.text("version"))
	e.Image, e.Home, e.JavaHome, e.User = s.text("image"), strings.TrimRight(s.text("home"), "/"), s.text("javaHome"), s.text("user")
	if e.Home == "" && e.Distribution != "" {
		e.Home = "/usr/share/" + string(e.Distribution)
	}
}

// maxHeap is where the JVM's references double in size; a heap above it holds less.
const maxHeap = 31 * GiB

func (s section) nodes(c Component) *Nodes {
	ports := s.sub("ports")
	n := &Nodes{
		Pos: s.pos(), Replicas: s.whole("replicas"), CPUs: s.number("cpus"), Memory: s.size("memory"),
		Heap: s.size("heap"), HTTPPort: ports.whole("http"), TransportPort: ports.whole("transport"),
		PerHost: s.whole("perHost"), Env: s.env(), Settings: s.settings("settings"),
	}
	if n.Heap == 0 {
		n.Heap = min(n.Memory/2, maxHeap) / MiB * MiB
	}
	if c.Stateful() {
		n.Disk, n.DiskType = s.size("disk"), s.text("diskType")
	}
	if c == Data {
		n.Generation = s.whole("generation")
	}
	for _, row := range s.list("constraints") {
		var words []string
		for _, e := range row.node.entries {
			words = append(words, s.b.pool.text(e.value.text))
		}
		n.Constraints = append(n.Constraints, words)
	}
	return n
}

func (b *builder) buildSmall(root section) {
	c := b.c
	d := root.sub("discovery")
	c.Discovery = DiscoverySpec{
		Pos: d.pos(), Mode: DiscoveryMode(d.text("mode")), Address: d.text("address"), Port: d.whole("port"), StatsPort: d.whole("statsPort"),
		ClientPort: d.whole("clientPort"), Drain: d.duration("drain"),
		Replicas: d.whole("replicas"), CPUs: d.number("cpus"), Memory: d.size("memory"), Image: d.text("image"), Command: d.text("command"), Env: d.env(),
	}
	if e := root.sub("exporter"); e.enabled() {
		c.Exporter = &ExporterSpec{
			Pos: e.pos(), Graphite: e.text("graphite"), Prefix: e.text("prefix"), Interval: e.duration("interval"),
			CPUs: e.number("cpus"), Memory: e.size("memory"), Image: e.text("image"), Command: e.text("command"), Env: e.env(),
		}
		if c.Exporter.Prefix == "" {
			c.Exporter.Prefix = "es." + string(c.ID.Group) + "." + string(c.ID.Name)
		}
	}
	if k := root.sub("kibana"); k.enabled() {
		c.Kibana = &KibanaSpec{
			Pos: k.pos(), Image: k.text("image"), Home: strings.TrimRight(k.text("home"), "/"), Replicas: k.whole("replicas"), Port: k.whole("port"),
			CPUs: k.number("cpus"), Memory: k.size("memory"), Command: k.text("command"), Env: k.env(),
		}
	}
	i := root.sub("indices")
	c.Indices = Indices{Replicas: i.whole("replicas"), TotalShardsPerNode: i.whole("totalShardsPerNode"), Delay: i.duration("delay")}
	k := root.sub("checks")
	c.Checks = Checks{Interval: k.duration("interval"), Timeout: k.duration("timeout"), Grace: k.duration("grace"), MaxFailures: k.whole("maxFailures")}
}

func (b *builder) buildLists(root section) {
	for _, p := range root.list("plugins") {
		pl := Plugin{Pos: p.pos(), Name: b.pool.text(p.node.text)}
		if p.node.kind == mapNode {
			pl.Name, pl.URL, pl.SHA512 = b.pool.text(p.node.childText("name")), b.pool.text(p.node.childText("url")), b.pool.text(p.node.childText("sha512"))
		}
		b.c.Plugins = append(b.c.Plugins, pl)
	}
	for i, p := range root.list("overrides") {
		o := Override{Pos: p.pos()}
		if h := p.node.child("hosts"); h != nil {
			for _, e := range h.entries {
				o.Hosts = append(o.Hosts, b.pool.text(e.value.text))
			}
		}
		if s := p.node.child("settings"); s != nil {
			o.Settings = b.pool.flat(b.flatten(placed{p.file, s}, "overrides["+strconv.Itoa(i)+"].settings"))
		}
		b.c.Overrides = append(b.c.Overrides, o)
	}
}

func (n *node) childText(key string) string {
	c := n.child(key)
	if c == nil || c.kind == badNode {
		return ""
	}
	return c.text
}

func parseVersion(s string) (v Version, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return Version{}, false
	}
	for i, to := range []*int{&v.Major, &v.Minor, &v.Patch} {
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return Version{}, false
		}
		*to = n
	}
	return v, true
}
