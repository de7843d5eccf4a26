package render

import (
	"strconv"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// templateName is the index template that esfleet owns in every cluster.
const templateName = "esfleet-reliability"

// DelayedTimeout is indices.delay as Elasticsearch writes it: how long it waits for a node that left before it copies its
// shards anew. The template gives it to new indices; the others are set by their API.
func DelayedTimeout(c *spec.Cluster) string {
	if d := c.Indices.Delay; d%time.Second != 0 {
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	return strconv.Itoa(seconds(c.Indices.Delay)) + "s"
}

// IndexTemplates are the reliability rules. From 5 on elasticsearch.yml may not hold index settings; before, it may, but a
// real 2.4.6 takes only the replicas from there and puts three shards of an index on a node that may hold two. It is a legacy template
// of the lowest order, in all versions: those apply before any other legacy template and not at all where a composable
// one matches, so they never break an index that brings its own. A composable catch-all would shadow legacy templates
// of the users.
func IndexTemplates(c *spec.Cluster) ([]IndexTemplate, error) {
	es := c.Elasticsearch
	opensearch := es.Distribution == spec.OpenSearchDist
	index := map[string]any{"number_of_replicas": c.Indices.Replicas}
	if t := c.Indices.TotalShardsPerNode; t > 0 {
		index["routing"] = map[string]any{"allocation": map[string]any{"total_shards_per_node": t}}
	}
	if c.Indices.Delay > 0 {
		index["unassigned"] = map[string]any{"node_left": map[string]any{"delayed_timeout": DelayedTimeout(c)}}
	}
	body := marathon.Doc{"order": -1, "settings": map[string]any{"index": index}}
	if opensearch || es.Version.AtLeast(6, 0) {
		body["index_patterns"] = []string{"*"}
	} else {
		body["template"] = "*"
	}
	doc, _, err := canonical(body)
	if err != nil {
		return nil, err
	}
	return []IndexTemplate{{Name: templateName, Path: "_template/" + templateName, Body: doc}}, nil
}
