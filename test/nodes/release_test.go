package nodes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A release is one version that esfleet supports, and what its documentation says that a node of it is told and shows.
// It repeats on purpose what render knows: a wrong name there must not be expected here.
type release struct {
	distribution, version string

	roles   string // of a node that is master and data, sorted; empty where a node tells them by attributes
	attr    string // what an attribute's setting begins with
	seeds   string
	initial string // the list of the first masters; empty where there is none
	quorum  string // the number of masters that must agree; empty where the nodes know it themselves
	port    string
	docs    string // the type in a document's address
	// keepsID says that a node's id lies in its data folder, and so tells whether that is the same.
	keepsID bool
}

var releases = map[string]release{
	"2.4.6": {
		attr: "node.", seeds: "discovery.zen.ping.unicast.hosts", quorum: "discovery.zen.minimum_master_nodes",
		port: "transport.tcp.port", docs: "doc",
	},
	"5.6.16": {
		roles: "data,ingest,master", attr: "node.attr.", seeds: "discovery.zen.ping.unicast.hosts",
		quorum: "discovery.zen.minimum_master_nodes", port: "transport.tcp.port", docs: "doc", keepsID: true,
	},
	"6.8.23": {
		roles: "data,ingest,master", attr: "node.attr.", seeds: "discovery.zen.ping.unicast.hosts",
		quorum: "discovery.zen.minimum_master_nodes", port: "transport.port", docs: "doc", keepsID: true,
	},
	"7.10.2": {
		roles: "data,ingest,master,remote_cluster_client", attr: "node.attr.", seeds: "discovery.seed_hosts",
		initial: "cluster.initial_master_nodes", port: "transport.port", docs: "_doc", keepsID: true,
	},
	"7.17.28": {
		roles: "data,ingest,master,remote_cluster_client", attr: "node.attr.", seeds: "discovery.seed_hosts",
		initial: "cluster.initial_master_nodes", port: "transport.port", docs: "_doc", keepsID: true,
	},
	"8.19.21": {
		roles: "data,ingest,master,remote_cluster_client", attr: "node.attr.", seeds: "discovery.seed_hosts",
		initial: "cluster.initial_master_nodes", port: "transport.port", docs: "_doc", keepsID: true,
	},
	"opensearch 2.11.0": {
		roles: "cluster_manager,data,ingest,remote_cluster_client", attr: "node.attr.", seeds: "discovery.seed_hosts",
		initial: "cluster.initial_cluster_manager_nodes", port: "transport.port", docs: "_doc", keepsID: true,
	},
}

// releaseOf finds "7.17.28", or "opensearch 2.11.0".
func releaseOf(t testing.TB, name string) release {
	t.Helper()
	r, ok := releases[name]
	if !ok {
		t.Fatalf("nothing is known of %s", name)
	}
	r.distribution, r.version = "elasticsearch", name
	if d, v, two := strings.Cut(name, " "); two {
		r.distribution, r.version = d, v
	}
	return r
}

func (r release) before(major string) bool {
	return r.distribution == "elasticsearch" && strings.SplitN(r.version, ".", 2)[0] < major // one digit each
}

// secured says that the node would turn security on if nobody spoke against it.
func (r release) secured(home string) bool {
	_, err := os.Stat(filepath.Join(home, "modules", "x-pack-security"))
	return err == nil && !r.before("7")
}
