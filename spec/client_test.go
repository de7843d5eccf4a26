package spec_test

import (
	"testing"

	"github.com/esfleet/esfleet/spec"
)

func TestClientsAreLedToCoordinatingNodesElseToDataNodes(t *testing.T) {
	for _, k := range []struct {
		name  string
		front spec.DiscoverySpec
		nodes []spec.Component
		want  spec.Component
	}{
		{"data nodes", spec.DiscoverySpec{Mode: spec.HAProxy, ClientPort: 9200}, []spec.Component{spec.Data}, spec.Data},
		{"data nodes, never masters", spec.DiscoverySpec{Mode: spec.HAProxy, ClientPort: 9200}, []spec.Component{spec.Master, spec.Data, spec.Ingest}, spec.Data},
		{"coordinating nodes alone", spec.DiscoverySpec{Mode: spec.HAProxy, ClientPort: 9200}, []spec.Component{spec.Master, spec.Data, spec.Coordinating}, spec.Coordinating},
		{"nobody without a front", spec.DiscoverySpec{Mode: spec.HAProxy}, []spec.Component{spec.Data, spec.Coordinating}, ""},
		{"nobody where another program keeps the front", spec.DiscoverySpec{Mode: spec.Bamboo, ClientPort: 9200}, []spec.Component{spec.Data}, ""},
	} {
		c := &spec.Cluster{Discovery: k.front, Nodes: map[spec.Component]*spec.Nodes{}}
		for _, n := range k.nodes {
			c.Nodes[n] = &spec.Nodes{}
		}
		if got := c.ClientComponent(); got != k.want {
			t.Errorf("%s: %q, want %q", k.name, got, k.want)
		}
	}
}
