package render

import "github.com/esfleet/esfleet/spec"

// ClusterName is Elasticsearch's cluster.name: what a node must answer to belong to c.
func ClusterName(c *spec.Cluster) string { return string(c.ID.Group) + "-" + string(c.ID.Name) }
