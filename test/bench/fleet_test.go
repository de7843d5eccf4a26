package bench

import (
	"fmt"
	"testing"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/spec"
)

const fleetYAML = `apiVersion: esfleet/v1
kind: Fleet
name: bench
marathons:
  main: {url: "http://marathon.test:8080"}
defaults:
  indices: {replicas: 1, totalShardsPerNode: 2}
  checks: {interval: 3s, timeout: 2s}
  rollout: {canary: 1, soak: 1m}
`

const groupYAML = `apiVersion: esfleet/v1
kind: Group
owners: [team-%03d@example.net]
defaults:
  elasticsearch: {version: "7.17.28", image: "registry.example.net/elasticsearch:7.17.28"}
  discovery: {image: "registry.example.net/discovery:1.0"}
`

const clusterYAML = `apiVersion: esfleet/v1
kind: Cluster
purpose: online
master: {replicas: 3, cpus: 0.5, memory: 2GiB, heap: 1GiB, disk: 5GiB}
data:
  replicas: 3
  cpus: 4
  memory: %dGiB
  disk: 1TiB
  env: {TZ: UTC}
  settings: {indices.queries.cache.size: 5%%}
discovery: {port: %d}
exporter: {graphite: "graphite.example.net:2003", image: "registry.example.net/es2graphite:1.0"}
plugins: [analysis-icu]
`

const settingsYAML = `indices.recovery.max_bytes_per_sec: %dmb
cluster.routing.allocation.node_concurrent_recoveries: 2
thread_pool.write.queue_size: 500
`

const preRun = `#!/bin/sh
# cluster %d
set -eu
ulimit -n 65536
mkdir -p "$ES_TMPDIR"
`

// perGroup is how many clusters a business line has.
const perGroup = 50

func dirOf(i int) string {
	return fmt.Sprintf("groups/g%03d/clusters/c%05d/", i/perGroup, i)
}

// files is a fleet of n clusters with dedicated masters, three data nodes and an exporter: five apps, four files each, no
// two alike.
func files(n int) map[string]string {
	out := map[string]string{"fleet.yaml": fleetYAML}
	for i := range n {
		out[fmt.Sprintf("groups/g%03d/group.yaml", i/perGroup)] = fmt.Sprintf(groupYAML, i/perGroup)
		out[dirOf(i)+"cluster.yaml"] = fmt.Sprintf(clusterYAML, 16+i%16, 9300+i%500)
		out[dirOf(i)+"elasticsearch.yml"] = fmt.Sprintf(settingsYAML, 20+i%80)
		out[dirOf(i)+"pre-run.sh"] = fmt.Sprintf(preRun, i)
		out[dirOf(i)+"files/stopwords.txt"] = fmt.Sprintf("a\nan\nthe\nword%d\n", i)
	}
	return out
}

// parse reads files as a fleet; through cache, if there is one.
func parse(t testing.TB, commit string, files map[string]string, cache *spec.Cache) reconcile.Input {
	t.Helper()
	s := snapshot.FromMap(commit, files)
	f, problems := spec.Parse(s, cache)
	if f == nil {
		t.Fatal(problems[0])
	}
	return reconcile.Input{Fleet: f, Blobs: s}
}
