package pretend

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"time"
)

// root is GET /.
func (x *call) root() answer {
	v := obj{"number": x.version.String(), "build_hash": "pretended", "build_snapshot": false}
	body := obj{"name": x.name, "cluster_name": x.cluster, "version": v, "tagline": "You Know, for Search"}
	switch {
	case x.version.opensearch:
		v["distribution"], body["tagline"] = "opensearch", "The OpenSearch Project: https://opensearch.org/"
	case x.version.atLeast(6, 3):
		v["build_flavor"] = "pretend"
	}
	if x.version.atLeast(5, 0) {
		body["cluster_uuid"] = "_na_"
		if x.disk.uuid != "" && x.seen != nil {
			body["cluster_uuid"] = x.disk.uuid
		}
	}
	a := ok(body)
	if x.version.zen1() && !x.member() {
		a.code = http.StatusServiceUnavailable
	}
	return a
}

func (n *node) address(port int) string { return fmt.Sprintf("%s:%d", n.task.Host, port) }

// peers are the nodes that this one knows: its master's list, or without one those it reaches.
func (n *node) peers() []*node {
	if n.member() || n.hangs() {
		return n.c.members
	}
	var out []*node
	for _, m := range n.c.nodes {
		if m == n || n.seen != nil && m.seen == n.seen && n.c.reaches(m, n) {
			out = append(out, m)
		}
	}
	return out
}

// metricsOfNodes are what /_nodes/… may ask for instead of nodes.
var metricsOfNodes = []string{"settings", "os", "process", "jvm", "thread_pool", "transport", "http", "plugins", "ingest", "aggregations", "indices", "fs", "_all"}

// nodes is everything below /_nodes. Each node is asked by itself: one that does not answer is waited for.
func (x *call) nodes() answer {
	if no := x.unknownParameter(); no != nil {
		return *no
	}
	rest := x.parts[1:]
	stats := slices.Index(rest, "stats")
	which, metrics := []string(nil), []string(nil)
	switch {
	case stats >= 0:
		which = rest[:stats]
		if len(rest) > stats+1 {
			metrics = words(rest[stats+1])
		}
	case len(rest) > 0 && slices.Contains(metricsOfNodes, words(rest[0])[0]):
		metrics = words(rest[0])
	case len(rest) > 0:
		which = rest[:1]
		if len(rest) > 1 {
			metrics = words(rest[1])
		}
	}
	if x.r.Method != http.MethodGet || len(rest) > 3 || slices.Contains(rest, "shutdown") {
		return x.noHandler()
	}
	answering := func() bool {
		for _, n := range x.chosen(which) {
			if n.alive() && n != x.node && !x.c.reaches(n, x.node) {
				return false
			}
		}
		return true
	}
	x.await(answering, x.limit("timeout", -1))
	var body obj
	x.fleet.enter(x.c, func() { body = x.nodesDoc(x.chosen(which), metrics, stats >= 0) })
	return ok(body)
}

// chosen are the nodes of a filter such as _local, _master, an id or a name.
func (x *call) chosen(which []string) []*node {
	peers := x.peers()
	if len(which) == 0 || which[0] == "_all" {
		return peers
	}
	if which[0] == "_local" {
		return []*node{x.node}
	}
	var out []*node
	for _, n := range peers {
		for _, w := range words(which[0]) {
			if w == n.id || matches([]string{w}, n.name) || w == n.task.Host || (w == "_master" || w == "_cluster_manager") && n == x.c.master {
				out = append(out, n)
				break
			}
		}
	}
	return out
}

func (x *call) nodesDoc(list []*node, metrics []string, stats bool) obj {
	nodes, failed := obj{}, 0
	for _, n := range list {
		if n != x.node && !x.c.reaches(n, x.node) {
			failed++
			continue
		}
		if stats {
			nodes[n.id] = n.stats(metrics)
		} else {
			nodes[n.id] = n.info(metrics)
		}
	}
	return obj{"_nodes": obj{"total": len(list), "successful": len(nodes), "failed": failed}, "cluster_name": x.cluster, "nodes": nodes}
}

// brief is what every answer about a node begins with.
func (n *node) brief() obj {
	o := obj{"name": n.name, "transport_address": n.address(n.transport), "host": n.task.Host, "ip": n.task.Host}
	if n.version.atLeast(5, 0) {
		o["roles"] = n.listRoles()
	}
	if a := n.attributesDoc(); len(a) > 0 || n.version.atLeast(5, 0) {
		o["attributes"] = a
	}
	return o
}

func (n *node) attributesDoc() obj {
	a := obj{}
	for k, v := range n.attributes {
		a[k] = v
	}
	if !n.version.atLeast(5, 0) {
		a["master"], a["data"] = fmt.Sprint(n.c.eligible(n)), fmt.Sprint(n.data)
	}
	return a
}

// info is the node's part of /_nodes.
func (n *node) info(metrics []string) obj {
	o := n.brief()
	o["version"], o["build_hash"] = n.version.String(), "pretended"
	wants := func(m string) bool {
		return len(metrics) == 0 || slices.Contains(metrics, m) || slices.Contains(metrics, "_all")
	}
	if wants("settings") {
		set := settings{"cluster.name": n.cluster, "node.name": n.name}
		set.merge(n.settings)
		o["settings"] = set.object(false)
	}
	if wants("process") {
		o["process"] = obj{"refresh_interval_in_millis": 1000, "id": 1000 + n.run, "mlockall": false}
	}
	if wants("jvm") {
		o["jvm"] = obj{"pid": 1000 + n.run, "version": "17.0.15", "start_time_in_millis": n.startedAt.UnixMilli(),
			"mem": obj{"heap_init_in_bytes": 1 << 30, "heap_max_in_bytes": 1 << 30}, "gc_collectors": []string{"G1 Young Generation", "G1 Old Generation"}}
	}
	if wants("transport") {
		o["transport"] = obj{"bound_address": []string{n.address(n.transport)}, "publish_address": n.address(n.transport), "profiles": obj{}}
	}
	if wants("http") {
		o["http"] = obj{"bound_address": []string{n.address(n.http)}, "publish_address": n.address(n.http), "max_content_length_in_bytes": 100 << 20}
	}
	if wants("plugins") {
		plugins := []any{}
		for _, p := range n.plugins {
			plugins = append(plugins, obj{"name": p, "version": n.version.String(), "elasticsearch_version": n.version.String()})
		}
		o["plugins"], o["modules"] = plugins, []any{}
	}
	return o
}

// stats is the node's part of /_nodes/stats.
func (n *node) stats(metrics []string) obj {
	now := n.c.now
	o := n.brief()
	o["timestamp"] = now.UnixMilli()
	wants := func(m string) bool { return len(metrics) == 0 || slices.Contains(metrics, m) }
	up := now.Sub(n.startedAt)
	if wants("jvm") {
		o["jvm"] = obj{"timestamp": now.UnixMilli(), "uptime_in_millis": up.Milliseconds(),
			"mem": obj{"heap_used_in_bytes": 300 << 20, "heap_used_percent": 29, "heap_committed_in_bytes": 1 << 30, "heap_max_in_bytes": 1 << 30},
			"gc": obj{"collectors": obj{
				"young": obj{"collection_count": int(up / (10 * time.Second)), "collection_time_in_millis": int(up / time.Second)},
				"old":   obj{"collection_count": 2, "collection_time_in_millis": 316}}}}
	}
	if wants("fs") {
		free := n.diskBytes - n.c.used(n)
		total := obj{"total_in_bytes": n.diskBytes, "free_in_bytes": free, "available_in_bytes": free}
		o["fs"] = obj{"timestamp": now.UnixMilli(), "total": total,
			"data": []any{obj{"path": "/data", "mount": "/data", "type": "ext4", "total_in_bytes": n.diskBytes, "free_in_bytes": free, "available_in_bytes": free}}}
	}
	if wants("indices") {
		size, docs := int64(0), 0
		if n.c.meta != nil {
			n.c.meta.rows(func(r *row) {
				if r.on == n && r.active() {
					size += r.s.bytes()
					docs += n.disk.copies[r.s].docs.count()
				}
			})
		}
		o["indices"] = obj{"docs": obj{"count": docs, "deleted": 0}, "store": obj{"size_in_bytes": size}}
	}
	return o
}

// letters are the roles as _cat/nodes writes them.
func (n *node) letters() string {
	if !n.version.atLeast(5, 0) {
		if n.data {
			return "d"
		}
		return "-"
	}
	var sb strings.Builder
	for _, r := range n.listRoles() {
		switch r {
		case "data", "ingest", "master", "remote_cluster_client":
			sb.WriteByte(r[0])
		case "cluster_manager":
			sb.WriteByte('m')
		}
	}
	if sb.Len() == 0 {
		return "-"
	}
	return sb.String()
}

// percentOf is a number that looks measured and is the same in every run.
func percentOf(parts ...any) int {
	h := fnv.New32a()
	fmt.Fprint(h, parts...)
	return 10 + int(h.Sum32()%50)
}
