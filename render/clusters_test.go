package render_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

const preRun = "#!/bin/sh\necho \"$ESFLEET_NODE_NAME\" >prepared\n"

// blobs holds the content of every file that the clusters below refer to.
func blobs(contents ...string) snapshot.Memory {
	m := snapshot.Memory{}
	for _, c := range append(contents, preRun, "quick,fast\n") {
		m[snapshot.BlobIDOf([]byte(c))] = []byte(c)
	}
	return m
}

func fileRef(path, content string) spec.FileRef {
	return spec.FileRef{Path: path, Blob: snapshot.BlobIDOf([]byte(content)), Size: int64(len(content)), Pos: spec.Pos{File: "groups/search/clusters/logs/" + path}}
}

// cluster is a complete cluster with dedicated masters, as spec hands it over; tests change what they are about.
func cluster(version spec.Version) *spec.Cluster {
	pre := fileRef("pre-run.sh", preRun)
	return &spec.Cluster{
		ID: spec.ClusterID{Group: "search", Name: "logs"}, Fleet: "example", Role: "search",
		Pos:     spec.Pos{File: "groups/search/clusters/logs/cluster.yaml"},
		Purpose: spec.Online, State: spec.Active, Drift: spec.Enforce,
		Elasticsearch: spec.Elasticsearch{
			Distribution: spec.ElasticsearchDist, Version: version,
			Image: "registry.example/es:" + version.String(), Home: "/usr/share/elasticsearch", User: "elasticsearch",
		},
		Containerizer: spec.Docker,
		Nodes: map[spec.Component]*spec.Nodes{
			spec.Master: {Replicas: 3, CPUs: 0.5, Memory: 2 * spec.GiB, Heap: spec.GiB, Disk: 5 * spec.GiB, DiskType: "root", PerHost: 1},
			spec.Data: {
				Replicas: 6, CPUs: 4, Memory: 32 * spec.GiB, Heap: 16 * spec.GiB, Disk: spec.TiB, DiskType: "root", PerHost: 1,
				Env: map[string]string{"TZ": "UTC"}, Constraints: [][]string{{"rack", "GROUP_BY"}},
				Settings: map[string]any{"thread_pool.write.queue_size": json.Number("500")},
			},
		},
		Discovery: spec.DiscoverySpec{Mode: spec.HAProxy, Port: 19300, StatsPort: 19301, Replicas: 2, CPUs: 0.1, Memory: 128 * spec.MiB, Image: "haproxy:2.8"},
		Exporter:  &spec.ExporterSpec{Graphite: "graphite.example:2003", Prefix: "es", Interval: time.Minute, CPUs: 0.1, Memory: 64 * spec.MiB},
		Kibana:    &spec.KibanaSpec{Image: "registry.example/kibana:" + version.String(), Home: "/usr/share/kibana", Replicas: 1, CPUs: 1, Memory: spec.GiB},
		Indices:   spec.Indices{Replicas: 1, TotalShardsPerNode: 2, Delay: 5 * time.Minute},
		Plugins:   []spec.Plugin{{Name: "analysis-ik", URL: "https://plugins.example/ik.zip", SHA512: "AB12"}, {Name: "analysis-icu"}},
		Overrides: []spec.Override{{Hosts: []string{"node-7.example"}, Settings: map[string]any{"node.attr.disk": "slow"}}},
		Checks:    spec.Checks{Interval: 10 * time.Second, Timeout: 5 * time.Second, Grace: 5 * time.Minute, MaxFailures: 6},
		Settings:  map[string]any{"action.auto_create_index": false, "path.repo": []any{"/mnt/backup"}},
		PreRun:    &pre,
		Files:     []spec.FileRef{fileRef("synonyms.txt", "quick,fast\n")},
		Origins: spec.OriginsOf(map[string]spec.Pos{
			"nodes.data.memory": {File: "groups/search/clusters/logs/cluster.yaml", Line: 9, Column: 32},
		}),
	}
}

var target = render.Target{Version: marathon.Version{Major: 1, Minor: 11, Patch: 24}, NodeURLs: []string{"http://marathon-1:8080", "http://marathon-2:8080"}}

func desired(t testing.TB, c *spec.Cluster, target render.Target) *render.Desired {
	t.Helper()
	d, err := render.Cluster(c, blobs(), target)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
