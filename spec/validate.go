package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// validate checks what a single field cannot show: how the cluster's values fit together. Each rule names the place to change.
func (b *builder) validate(root section) {
	b.checkElasticsearch(root.sub("elasticsearch"))
	for _, comp := range nodeComponents {
		s := root.sub(string(comp))
		if n := b.c.Nodes[comp]; n != nil && !s.blank {
			b.checkNodes(comp, n, s)
		}
	}
	b.checkReplicas(root)
	b.checkSmall(root)
	b.checkPorts(root)
	b.checkPlugins(root)
	b.checkOverrides(root)
	b.checkTimes(root)
	b.checkOwnSettings(root)
	b.checkChanges(root)
}

// supported lists the major versions by distribution.
var supported = map[Distribution][]int{ElasticsearchDist: {2, 5, 6, 7, 8}, OpenSearchDist: {1, 2}}

func (b *builder) checkElasticsearch(s section) {
	e := b.c.Elasticsearch
	if s.missing("version") {
		b.problem(s.pos(), s.path+".version", "is missing", `write elasticsearch: {version: "7.17.28"} here or under defaults: of group.yaml or fleet.yaml`)
	}
	if s.usable("version", "distribution") && !s.missing("version") && !slices.Contains(supported[e.Distribution], e.Version.Major) {
		what, fix := unsupported(e)
		b.problem(s.posOf("version"), s.path+".version", what, fix)
	}
	if e.User == "root" {
		b.problem(s.posOf("user"), s.path+".user", "is root, as whom Elasticsearch refuses to start", "write elasticsearch, or another user of the image")
	}
	b.needsImage(s)
}

func unsupported(e Elasticsearch) (what, fix string) {
	what = fmt.Sprintf("%s %s is not supported", e.Distribution, e.Version)
	switch {
	case e.Distribution == OpenSearchDist:
		return what, "write a version 1.x or 2.x, or distribution: elasticsearch"
	case e.Version.Major == 1:
		return what + ": its nodes find each other by multicast, and its blank masters delete documents", "upgrade to 2.4.6 first"
	case e.Version.Major >= 9:
		return what + ": esfleet has not been held against it", "write a version up to 8"
	}
	return what, "write a version of 2, 5, 6, 7 or 8"
}

// needsImage holds for every component: Docker runs nothing without an image.
func (b *builder) needsImage(s section) {
	if b.c.Containerizer == Docker && s.missing("image") {
		b.problem(s.pos(), s.path+".image", "is missing, and the docker containerizer needs one",
			"write image: … here or under defaults: of group.yaml or fleet.yaml, or containerizer: mesos")
	}
}

func (b *builder) checkNodes(comp Component, n *Nodes, s section) {
	if s.usable("memory", "heap") && !s.missing("memory") {
		switch {
		case n.Heap > n.Memory:
			b.problem(s.posOf("heap"), s.path+".heap", fmt.Sprintf("%s is more than the node's memory, %s", n.Heap, n.Memory), "write half of memory: the rest is for Lucene")
		case n.Heap > maxHeap:
			b.problem(s.posOf("heap"), s.path+".heap", fmt.Sprintf("%s is above 31GiB, from where Java's references take twice the room", n.Heap), "write at most 31GiB; Lucene uses the rest of memory")
		}
	}
	for _, f := range []string{"memory", "heap", "disk"} {
		if s.shape.field(f) != nil {
			b.wholeMiB(s, f)
		}
	}
	if comp.Stateful() && s.missing("disk") {
		b.problem(s.pos(), s.path+".disk", "is missing", "write how much one node may hold, like disk: 100GiB; it can't grow later without moving the data")
	}
	b.checkConstraints(s)
	b.checkEnv(s)
	b.checkSettings(n.Settings, "nodes."+string(comp)+".settings")
}

// maxSize is far beyond any host, and small enough that a cluster's sizes can be added up.
const maxSize = 1024 * TiB

func (b *builder) wholeMiB(s section, field string) {
	switch v := s.size(field); {
	case v > maxSize:
		b.problem(s.posOf(field), s.path+"."+field, s.text(field)+" is more than any host has", "write less than 1024TiB")
	case v%MiB != 0:
		b.problem(s.posOf(field), s.path+"."+field, fmt.Sprintf("%s is not a whole number of MiB, which is what Marathon counts in", s.text(field)),
			fmt.Sprintf("write %dMiB", v.MiB()+1))
	}
}

// checkReplicas holds the number of nodes against quorums and the reliability rules.
func (b *builder) checkReplicas(root section) {
	masters := b.c.MasterComponent()
	s, n := root.sub(string(masters)), b.c.Nodes[masters]
	if n == nil || !root.usable(string(Master), string(Data)) {
		return
	}
	if s.usable("replicas", "perHost") {
		if n.Replicas == 2 {
			b.problem(s.posOf("replicas"), s.path+".replicas", "2 master-eligible nodes cannot lose one: both are needed for a majority", "write 3, or give the cluster three masters of its own under master:")
		}
		if most := max(1, (n.Replicas-1)/2); n.PerHost > most {
			b.problem(s.posOf("perHost"), s.path+".perHost", fmt.Sprintf("%d of %d master-eligible nodes on one host: losing it loses the majority", n.PerHost, n.Replicas), fmt.Sprintf("write at most %d", most))
		}
	}
	d, data, i := root.sub(string(Data)), b.c.Nodes[Data], root.sub("indices")
	if data == nil || !i.usable("replicas") || !d.usable("replicas", "perHost") {
		return
	}
	if need := 1 + b.c.Indices.Replicas; data.Replicas < need {
		b.problem(d.posOf("replicas"), d.path+".replicas", fmt.Sprintf("%d data nodes cannot hold %d copies of each shard (a primary and indices.replicas: %d)", data.Replicas, need, b.c.Indices.Replicas),
			fmt.Sprintf("write %d or more", need))
	}
	if data.PerHost > b.c.Indices.Replicas && masters != Data {
		b.problem(d.posOf("perHost"), d.path+".perHost", fmt.Sprintf("%d nodes on one host and %d replicas: losing the host could lose every copy of a shard", data.PerHost, b.c.Indices.Replicas),
			fmt.Sprintf("write at most %d, or raise indices.replicas", b.c.Indices.Replicas))
	}
}

// operators of Marathon, and how many words a constraint with it has.
var operators = map[string][2]int{"UNIQUE": {2, 2}, "CLUSTER": {2, 3}, "GROUP_BY": {2, 3}, "LIKE": {3, 3}, "UNLIKE": {3, 3}, "MAX_PER": {3, 3}, "IS": {3, 3}}

func (b *builder) checkConstraints(s section) {
	for i, p := range s.list("constraints") {
		var words []string
		for _, e := range p.node.entries {
			words = append(words, e.value.text)
		}
		if len(words) < 2 || slices.ContainsFunc(p.node.entries, func(e entry) bool { return e.value.kind == badNode }) {
			continue
		}
		path := fmt.Sprintf("%s.constraints[%d]", s.path, i)
		count, known := operators[words[1]]
		switch upper := strings.ToUpper(words[1]); {
		case !known && operators[upper] != [2]int{}:
			b.problem(p.node.entries[1].value.pos(p.file), path, quote(words[1])+" is an operator in lower case", "write "+upper)
		case !known:
			b.problem(p.node.entries[1].value.pos(p.file), path, quote(words[1])+" is not one of Marathon's operators", "write UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE, MAX_PER or IS")
		case len(words) < count[0] || len(words) > count[1]:
			forms := []string{"[field, " + words[1] + "]", "[field, " + words[1] + ", value]"}
			b.problem(p.pos(), path, fmt.Sprintf("%s does not take %d words", words[1], len(words)), "write "+orList(forms[count[0]-2:count[1]-1]))
		}
	}
}

// checkSmall is for the components beside Elasticsearch.
func (b *builder) checkSmall(root section) {
	d := root.sub("discovery")
	static := b.c.Discovery.Mode == Static
	switch {
	case !d.usable("mode", "address"):
	case static && d.missing("address"):
		b.problem(d.posOf("mode"), "discovery.address", "is missing, and mode static needs it", "write address: host:port")
	case !static && !d.missing("address"):
		b.problem(d.posOf("address"), "discovery.address", "is only for mode static; here esfleet runs discovery itself", "delete it, or write mode: static")
	}
	if !static {
		b.needsImage(d)
	}
	b.checkClientFront(d)
	sections := []section{d}
	if e := root.sub("exporter"); b.c.Exporter != nil {
		if e.missing("graphite") {
			b.problem(e.pos(), "exporter.graphite", "is missing", "write graphite: host:2003")
		}
		b.needsImage(e)
		b.wholeSeconds(e, "interval")
		sections = append(sections, e)
	}
	if k := root.sub("kibana"); b.c.Kibana != nil {
		b.needsImage(k)
		sections = append(sections, k)
	}
	for _, s := range sections {
		b.wholeMiB(s, "memory")
		b.checkEnv(s)
	}
}

// longestDrain keeps a mistyped time from stretching every node's turn to days.
const longestDrain = time.Hour

// checkClientFront wants somebody there who can take a node out of it.
func (b *builder) checkClientFront(d section) {
	b.wholeSeconds(d, "drain")
	if d.usable("drain") && b.c.Discovery.Drain > longestDrain {
		b.problem(d.posOf("drain"), "discovery.drain", fmt.Sprintf("%s is added to every node's turn", d.text("drain")), "write at most 1h")
	}
	if mode := b.c.Discovery.Mode; b.c.Discovery.ClientPort != 0 && mode != HAProxy && d.usable("mode", "clientPort") {
		b.problem(d.posOf("clientPort"), "discovery.clientPort", fmt.Sprintf("is only for mode haproxy; with %s esfleet could not take a node out of it before the node stops", mode),
			"delete it, or write mode: haproxy")
	}
}

func (b *builder) checkTimes(root section) {
	c := root.sub("checks")
	for _, f := range []string{"interval", "timeout", "grace"} {
		b.wholeSeconds(c, f)
	}
	if c.usable("interval", "timeout") && b.c.Checks.Timeout > b.c.Checks.Interval {
		b.problem(c.posOf("timeout"), "checks.timeout", fmt.Sprintf("%s is longer than the interval, %s: checks would overlap", b.c.Checks.Timeout, b.c.Checks.Interval), "write a timeout of at most the interval")
	}
}

func (b *builder) wholeSeconds(s section, field string) {
	if !s.usable(field) {
		return
	}
	if d := s.duration(field); d < 1e9 || d%1e9 != 0 {
		b.problem(s.posOf(field), s.path+"."+field, s.text(field)+" is not a whole number of seconds", "write at least 1s, in whole seconds")
	}
}
