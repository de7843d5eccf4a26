package histories_test

import (
	"fmt"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

const (
	group         = marathon.AppID("/g/c")
	neighbour     = marathon.AppID("/g/d")
	clusterFile   = "groups/g/clusters/c/cluster.yaml"
	neighbourFile = "groups/g/clusters/d/cluster.yaml"
)

// A wish is what the history's git says of its cluster.
type wish struct {
	releases   []string // of Elasticsearch that it may run, ascending
	release    int
	data       int
	masters    int // 0: data nodes elect among themselves
	zone       string
	cache      int // a setting of the data nodes
	rebalance  int // a setting of the running cluster
	kibana     int // version of its image; 0: none
	restart    string
	generation int
	replace    []string
	pause      bool
	suspended  bool
	reports    bool
	crashes    bool // the pre-run script of data nodes fails
	neighbour  bool // another cluster stands in the same group, and changes with the zone and the release
	absent     bool // its folder is gone
	broken     bool // the file is not YAML that means anything
}

// reachable is the wish with all that could only be held, or would never come up, taken back.
func (x wish) reachable() wish {
	x.replace, x.pause, x.suspended, x.reports, x.crashes, x.absent, x.broken = nil, false, false, false, false, false, false
	return x
}

// files are the repository.
func (x wish) files() map[string]string {
	out := map[string]string{"fleet.yaml": fleetFile, "groups/g/group.yaml": groupFile}
	if x.neighbour {
		out[neighbourFile] = strings.ReplaceAll(x.beside().text(), "port: 9310", "port: 9312")
	}
	switch {
	case !x.absent:
		out[clusterFile] = x.text()
	case !x.neighbour:
		out["groups/g/clusters/other/cluster.yaml"] = strings.ReplaceAll((wish{releases: x.releases, data: 1, generation: 1, suspended: true}).text(), "port: 9310", "port: 9311")
	}
	return out
}

// beside is what git says of the neighbour.
func (x wish) beside() wish {
	return wish{releases: x.releases, release: x.release, data: 3, zone: x.zone, generation: 1}
}

const fleetFile = `apiVersion: esfleet/v1
kind: Fleet
name: histories
marathons: {main: {url: "http://marathon.test:8080"}}
defaults:
  checks: {interval: 3s, timeout: 2s}
  rollout: {canary: 1, soak: 20s, hold: 1m}
  indices: {replicas: 1, delay: 5m}
`

const groupFile = `apiVersion: esfleet/v1
kind: Group
marathon: main
`

func (x wish) text() string {
	b := &strings.Builder{}
	put := func(format string, args ...any) { _, _ = fmt.Fprintf(b, format+"\n", args...) }
	put("apiVersion: esfleet/v1\nkind: Cluster\npurpose: online")
	version := x.releases[x.release]
	put("elasticsearch: {version: %q, image: %q}", version, "es:"+version)
	if x.masters > 0 {
		put("master: {replicas: %d, cpus: 0.1, memory: 1GiB, heap: 512MiB, disk: 1GiB}", x.masters)
	}
	put("data:\n  replicas: %d\n  cpus: 0.1\n  memory: 1GiB\n  heap: 512MiB\n  disk: %dGiB\n  generation: %d", x.data, 2+x.generation, x.generation)
	put("  env: {TZ: %q, MOOD: %q}\n  settings: {indices.queries.cache.size: %d%%}", x.zone, map[bool]string{true: "crash", false: "fine"}[x.crashes], 5+x.cache)
	put("discovery: {port: 9310, image: \"discovery:1\"}")
	put("clusterSettings: {cluster.routing.allocation.cluster_concurrent_rebalance: %d}", 2+x.rebalance)
	if x.kibana > 0 {
		put("kibana: {image: \"kibana:7.17.%d\"}", x.kibana)
	}
	if x.restart != "" {
		put("restart: %q", x.restart)
	}
	if len(x.replace) > 0 {
		put("replace: [%s]", strings.Join(x.replace, ", "))
	}
	if x.pause {
		put("rollout: {pause: true}")
	}
	if x.suspended {
		put("suspend: {reason: storm}")
	}
	if x.reports {
		put("drift: report")
	}
	if x.broken {
		put("purpose: [maybe")
	}
	return b.String()
}
