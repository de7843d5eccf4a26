package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

// keys are the names that differ between versions; an empty one does not exist there.
type keys struct {
	seeds         string
	initial       string // only for the very first formation
	transportPort string
	attr          string // prefix of a custom node attribute
}

func keysOf(es spec.Elasticsearch) keys {
	v := es.Version
	if es.Distribution == spec.OpenSearchDist {
		k := keys{"discovery.seed_hosts", "cluster.initial_master_nodes", "transport.port", "node.attr."}
		if v.AtLeast(2, 0) {
			k.initial = "cluster.initial_cluster_manager_nodes"
		}
		return k
	}
	switch {
	case v.AtLeast(7, 0):
		return keys{"discovery.seed_hosts", "cluster.initial_master_nodes", "transport.port", "node.attr."}
	case v.AtLeast(6, 7):
		return keys{"discovery.zen.ping.unicast.hosts", "", "transport.port", "node.attr."}
	case v.AtLeast(5, 0):
		return keys{"discovery.zen.ping.unicast.hosts", "", "transport.tcp.port", "node.attr."}
	}
	return keys{"discovery.zen.ping.unicast.hosts", "", "transport.tcp.port", "node."}
}

// decided lists the settings that the boot script writes because only the node's place decides them.
func decided(es spec.Elasticsearch) []string {
	k := keysOf(es)
	out := []string{"node.name", "http.port", "path.data", "path.logs", "network.host", "network.publish_host", "network.bind_host", "http.bind_host", "http.publish_host", k.seeds, k.transportPort}
	if k.initial != "" {
		out = append(out, k.initial)
	}
	return out
}

// configs renders elasticsearch.yml, and a complete variant of it for each host that has overrides: a shell script
// cannot merge YAML, and Elasticsearch refuses a key that is there twice.
func (r *renderer) configs(component spec.Component, n *spec.Nodes) ([]bundle.File, error) {
	base := r.settings(component, n)
	if err := r.refuseDecided(base); err != nil {
		return nil, err
	}
	content, err := yaml(base)
	if err != nil {
		return nil, err
	}
	files := []bundle.File{{Path: "config/elasticsearch.yml", Content: content}}
	hosts := map[string]map[string]any{}
	for _, o := range r.c.Overrides {
		for _, h := range o.Hosts {
			if hosts[h] == nil {
				hosts[h] = maps.Clone(base)
			}
			maps.Copy(hosts[h], o.Settings)
		}
	}
	for _, h := range slices.Sorted(maps.Keys(hosts)) {
		if err := r.refuseDecided(hosts[h]); err != nil {
			return nil, err
		}
		if content, err = yaml(hosts[h]); err != nil {
			return nil, err
		}
		files = append(files, bundle.File{Path: "config/hosts/" + h + ".yml", Content: content})
	}
	return files, nil
}

func (r *renderer) refuseDecided(settings map[string]any) error {
	for _, k := range decided(r.c.Elasticsearch) {
		if _, ok := settings[k]; ok {
			return fmt.Errorf("%s: setting %s is written by esfleet on each node; remove it", r.c.Pos, k)
		}
	}
	return nil
}

// settings are the cluster's own under esfleet's defaults, and the ones that esfleet manages over all.
func (r *renderer) settings(component spec.Component, n *spec.Nodes) map[string]any {
	s := map[string]any{}
	maps.Copy(s, r.defaults())
	maps.Copy(s, r.c.Settings)
	maps.Copy(s, n.Settings)
	maps.Copy(s, r.roles(component))
	if q := r.quorum(); q > 0 {
		s["discovery.zen.minimum_master_nodes"] = q
	}
	return s
}

// defaults are what a cluster's own elasticsearch.yml may override.
func (r *renderer) defaults() map[string]any {
	s := map[string]any{
		"cluster.name": ClusterName(r.c),
		// Two nodes may meet on a host where perHost allows it, and while one generation of data nodes follows another. The
		// elected master decides where copies go, so that every node must know.
		"cluster.routing.allocation.same_shard.host": true,
	}
	if v := r.c.Elasticsearch.Version; r.c.Elasticsearch.Distribution == spec.ElasticsearchDist && !v.AtLeast(5, 0) {
		s["index.number_of_replicas"] = r.c.Indices.Replicas
		if t := r.c.Indices.TotalShardsPerNode; t > 0 {
			s["index.routing.allocation.total_shards_per_node"] = t
		}
	}
	return s
}

// quorum is minimum_master_nodes where nothing but this number prevents two clusters: before Elasticsearch 7.
func (r *renderer) quorum() int {
	es := r.c.Elasticsearch
	if es.Distribution != spec.ElasticsearchDist || es.Version.AtLeast(7, 0) {
		return 0
	}
	return r.c.Nodes[r.c.MasterComponent()].Replicas/2 + 1
}

// roles says what a component's nodes do. Data nodes ingest as well unless the cluster has nodes for that.
func (r *renderer) roles(component spec.Component) map[string]any {
	es := r.c.Elasticsearch
	master := component == r.c.MasterComponent()
	data := component == spec.Data
	ingest := component == spec.Ingest || data && r.c.Nodes[spec.Ingest] == nil
	if es.Distribution == spec.ElasticsearchDist && !es.Version.AtLeast(7, 9) {
		s := map[string]any{"node.master": master, "node.data": data}
		if es.Version.AtLeast(5, 0) {
			s["node.ingest"] = ingest
		}
		return s
	}
	roles := []any{}
	if master {
		roles = append(roles, masterRole(es))
	}
	if data {
		roles = append(roles, "data")
	}
	if ingest {
		roles = append(roles, "ingest")
	}
	if data || component == spec.Coordinating {
		roles = append(roles, "remote_cluster_client")
	}
	return map[string]any{"node.roles": roles}
}

func masterRole(es spec.Elasticsearch) string {
	if es.Distribution == spec.OpenSearchDist && es.Version.AtLeast(2, 0) {
		return "cluster_manager"
	}
	return "master"
}

// yaml writes flat settings, a line each, sorted. JSON values are YAML values, and need no rules for quoting.
func yaml(settings map[string]any) ([]byte, error) {
	var sb strings.Builder
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		var v strings.Builder
		enc := json.NewEncoder(&v)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(settings[k]); err != nil {
			return nil, fmt.Errorf("write setting %s: %w", k, err)
		}
		sb.WriteString(k + ": " + v.String())
	}
	return []byte(sb.String()), nil
}
