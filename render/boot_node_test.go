package render_test

import (
	"testing"

	"github.com/esfleet/esfleet/spec"
)

func TestAMasterStartsWithItsPlaceInTheCluster(t *testing.T) {
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		out, _ := newBoot(t, path, localCluster(t), spec.Master, m.URL).mustStart(t)
		wantLines(t, out,
			`node.name: "master-127.0.0.9"`,
			`cluster.name: "search-logs"`,
			`network.host: "127.0.0.9"`,
			`http.port: 31000`,
			`transport.port: 31001`,
			`discovery.seed_hosts: ["10.0.1.8:19300", "10.0.1.9:19300"]`,
			`cluster.initial_master_nodes: ["master-10.0.0.2", "master-10.0.0.3", "master-127.0.0.9"]`,
			`node.attr.esfleet_component: "master"`,
			`node.attr.esfleet_instance: "00000001-0000-4000-8000-000000000000"`,
			`-Xms1024m`, `8-13:-XX:+UseConcMarkSweepGC`,
		)
	})
}
