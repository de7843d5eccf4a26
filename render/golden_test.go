package render_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// goldens are one per topology, version and containerizer that differ in what they render.
var goldens = []struct {
	name   string
	dist   spec.Distribution
	v      spec.Version
	target marathon.Version
	edit   func(*spec.Cluster)
}{
	{"dedicated-es7-docker-marathon1.11", spec.ElasticsearchDist, spec.Version{Major: 7, Minor: 17, Patch: 28}, marathon.Version{Major: 1, Minor: 11, Patch: 24}, nil},
	{"dedicated-es7-docker-marathon1.4", spec.ElasticsearchDist, spec.Version{Major: 7, Minor: 17, Patch: 28}, marathon.Version{Major: 1, Minor: 4, Patch: 2}, nil},
	{"dedicated-es7-docker-marathon1.5", spec.ElasticsearchDist, spec.Version{Major: 7, Minor: 17, Patch: 28}, marathon.Version{Major: 1, Minor: 5, Patch: 15}, nil},
	{"dedicated-es8-mesos-image", spec.ElasticsearchDist, spec.Version{Major: 8, Minor: 19, Patch: 21}, target.Version, mesosImage},
	{"dedicated-es5-mesos-plain", spec.ElasticsearchDist, spec.Version{Major: 5, Minor: 6, Patch: 16}, target.Version, mesosPlain},
	{"shared-es2-mesos-plain", spec.ElasticsearchDist, spec.Version{Major: 2, Minor: 4, Patch: 6}, target.Version, func(c *spec.Cluster) { mesosPlain(c); shared(c) }},
	{"shared-es6-docker", spec.ElasticsearchDist, spec.Version{Major: 6, Minor: 8, Patch: 23}, target.Version, shared},
	{"shared-opensearch1-docker", spec.OpenSearchDist, spec.Version{Major: 1, Minor: 3, Patch: 14}, target.Version, shared},
	{"extra-roles-opensearch2-docker", spec.OpenSearchDist, spec.Version{Major: 2, Minor: 11, Patch: 0}, target.Version, extraRoles},
	{"shared-es8-second-generation", spec.ElasticsearchDist, spec.Version{Major: 8, Minor: 19, Patch: 21}, target.Version, func(c *spec.Cluster) {
		shared(c)
		c.Nodes[spec.Data].Generation, c.Restart = 2, "2026-11-22"
	}},
	{"client-front-es7-second-generation", spec.ElasticsearchDist, spec.Version{Major: 7, Minor: 17, Patch: 28}, target.Version, func(c *spec.Cluster) {
		clientFront(c)
		c.Nodes[spec.Data].Generation = 2
	}},
	{"bamboo-es7-fixed-ports", spec.ElasticsearchDist, spec.Version{Major: 7, Minor: 17, Patch: 28}, target.Version, bambooAndFixedPorts},
}

func mesosImage(c *spec.Cluster) { c.Containerizer = spec.Mesos }

func mesosPlain(c *spec.Cluster) {
	c.Containerizer = spec.Mesos
	c.Elasticsearch.Image, c.Elasticsearch.Home, c.Elasticsearch.JavaHome = "", "/opt/elasticsearch", "/opt/jdk"
	c.Discovery.Image, c.Kibana.Image = "", ""
}

func shared(c *spec.Cluster) {
	delete(c.Nodes, spec.Master)
	c.Nodes[spec.Data].PerHost = 2
	c.Nodes[spec.Data].DiskType = "mount"
	c.Discovery = spec.DiscoverySpec{Mode: spec.Static, Address: "ring.example:9300"}
	c.Exporter, c.Kibana, c.Role = nil, nil, ""
}

func extraRoles(c *spec.Cluster) {
	c.Nodes[spec.Ingest] = &spec.Nodes{Replicas: 2, CPUs: 1, Memory: 4 * spec.GiB, Heap: 2 * spec.GiB, PerHost: 1}
	c.Nodes[spec.Coordinating] = &spec.Nodes{Replicas: 2, CPUs: 1, Memory: 4 * spec.GiB, Heap: 2 * spec.GiB, PerHost: 1}
	c.Exporter.Command, c.Exporter.Env = "exec es2graphite -g $ESFLEET_GRAPHITE", map[string]string{"LEVEL": "indices"}
}

func clientFront(c *spec.Cluster) {
	c.Discovery.Image, c.Discovery.ClientPort, c.Discovery.Drain = "registry.example/esfleet-haproxy:2.8", 9200, 15*time.Second
}

func bambooAndFixedPorts(c *spec.Cluster) {
	c.Discovery.Mode, c.Discovery.Image = spec.Bamboo, "registry.example/bamboo:1.0"
	c.Discovery.Env = map[string]string{"BAMBOO_ZK_HOST": "zk.example:2181"}
	c.Nodes[spec.Data].HTTPPort, c.Nodes[spec.Data].TransportPort = 9200, 9300
	c.Kibana.Port = 5601
}

func TestAppsLookAsReviewed(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			c := cluster(g.v)
			c.Elasticsearch.Distribution = g.dist
			if g.edit != nil {
				g.edit(c)
			}
			d := desired(t, c, render.Target{Version: g.target, NodeURLs: target.NodeURLs})
			got := txtar.Format(show(t, d))
			file := filepath.Join("testdata", g.name+".txtar")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("run go test ./render -update if this is meant (-want +got):\n%s", diff)
			}
		})
	}
}

// show prints what a reviewer reads: each document with the packed bundle left out, and what is in the bundle, but for
// the scripts, which are the same everywhere.
func show(t testing.TB, d *render.Desired) *txtar.Archive {
	a := &txtar.Archive{}
	add := func(name string, v any) {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
		a.Files = append(a.Files, txtar.File{Name: name, Data: buf.Bytes()})
	}
	for _, app := range d.Apps {
		if env, ok := app.Doc["env"].(map[string]any); ok {
			for k := range env {
				if bundle.IsEnv(k) {
					env[k] = "(packed)"
				}
			}
		}
		add(app.ID.Name()+".json", app.Doc)
		if app.Bundle == nil {
			continue
		}
		for _, f := range app.Bundle.Files {
			if f.Path == "facts.sh" || strings.HasPrefix(f.Path, "config/") || f.Path == "plugins.txt" {
				a.Files = append(a.Files, txtar.File{Name: app.ID.Name() + "/" + f.Path, Data: f.Content})
			}
		}
	}
	for _, tmpl := range d.IndexTemplates {
		add("PUT "+tmpl.Path, tmpl.Body)
	}
	return a
}
