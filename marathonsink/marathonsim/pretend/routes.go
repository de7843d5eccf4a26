package pretend

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A route is one call of the API.
type route struct {
	methods string
	path    string // a * is any one part
	local   bool   // the node answers by itself
	do      func(*call) answer
	only    func(version) bool // nil: every version knows it
}

func from(major, minor int) func(version) bool {
	return func(v version) bool { return v.atLeast(major, minor) }
}

var routes []route

func init() { // they lead to each other
	routes = []route{
		{"GET HEAD", "", true, (*call).root, nil},
		{"GET", "_cluster/state", false, (*call).state, nil},
		{"GET", "_cluster/state/*", false, (*call).state, nil},
		{"GET", "_cluster/state/*/*", false, (*call).state, nil},
		{"GET", "_cluster/settings", false, (*call).getSettings, nil},
		{"PUT", "_cluster/settings", false, (*call).putSettings, nil},
		{"GET", "_cluster/pending_tasks", false, func(*call) answer { return ok(obj{"tasks": []any{}}) }, nil},
		{"GET POST", "_cluster/allocation/explain", false, (*call).explain, from(5, 0)},
		{"POST", "_cluster/reroute", false, (*call).reroute, nil},
		{"POST", "_cluster/voting_config_exclusions", false, (*call).exclude, from(7, 8)},
		{"POST", "_cluster/voting_config_exclusions/*", false, (*call).excludePath, exclusionPath},
		{"DELETE", "_cluster/voting_config_exclusions", false, (*call).includeAll, from(7, 0)},
		{"GET", "_cat/master", false, (*call).catMaster, nil},
		{"GET", "_cat/cluster_manager", false, (*call).catMaster, func(v version) bool { return v.opensearch }},
		{"GET", "_cat/nodes", false, (*call).catNodes, nil},
		{"GET", "_cat/shards", false, (*call).catShards, nil},
		{"GET", "_cat/shards/*", false, (*call).catShards, nil},
		{"GET", "_cat/allocation", false, (*call).catAllocation, nil},
		{"GET", "_cat/recovery", false, (*call).catRecovery, nil},
		{"GET", "_recovery", false, (*call).recovery, nil},
		{"GET", "_stats", false, (*call).stats, nil},
		{"GET", "_stats/*", false, (*call).stats, nil},
		{"GET", "*/_stats", false, (*call).stats, nil},
		{"GET", "*/_stats/*", false, (*call).stats, nil},
		{"GET HEAD", "_template", false, (*call).getTemplate, nil},
		{"GET HEAD", "_template/*", false, (*call).getTemplate, nil},
		{"PUT POST", "_template/*", false, (*call).putTemplate, nil},
		{"DELETE", "_template/*", false, (*call).deleteTemplate, nil},
		{"GET HEAD", "_index_template", false, (*call).getComposable, from(7, 8)},
		{"GET HEAD", "_index_template/*", false, (*call).getComposable, from(7, 8)},
		{"PUT POST", "_index_template/*", false, (*call).putTemplate, from(7, 8)},
		{"DELETE", "_index_template/*", false, (*call).deleteTemplate, from(7, 8)},
		{"GET POST", "_flush", false, (*call).flush, nil},
		{"GET POST", "_flush/synced", false, (*call).flush, func(v version) bool { return v.opensearch || v.major < 8 }},
		{"GET POST", "*/_flush", false, (*call).flush, nil},
		{"GET", "_snapshot", false, (*call).getRepos, nil},
		{"GET", "_snapshot/_status", false, (*call).snapshotStatus, nil},
		{"GET", "_snapshot/*", false, (*call).getRepos, nil},
		{"PUT POST", "_snapshot/*", false, (*call).putRepo, nil},
		{"DELETE", "_snapshot/*", false, (*call).deleteRepo, nil},
		{"POST", "_snapshot/*/_verify", false, (*call).verifyRepo, nil},
		{"GET", "_snapshot/*/_status", false, (*call).snapshotStatus, nil},
		{"GET", "_snapshot/*/*", false, (*call).getSnapshots, nil},
		{"PUT POST", "_snapshot/*/*", false, (*call).putSnapshot, nil},
		{"DELETE", "_snapshot/*/*", false, (*call).deleteSnapshot, nil},
		{"GET", "_snapshot/*/*/_status", false, (*call).snapshotStatus, nil},
		{"GET", "_settings", false, (*call).getIndexSettings, nil},
		{"PUT", "_settings", false, (*call).putIndexSettings, nil},
		{"GET", "*/_settings", false, (*call).getIndexSettings, nil},
		{"PUT", "*/_settings", false, (*call).putIndexSettings, nil},
		{"GET POST", "*/_count", true, (*call).count, nil},
		{"PUT POST", "*/_doc", true, (*call).putDoc, nil},
		{"PUT POST", "*/_doc/*", true, (*call).putDoc, nil},
		{"GET HEAD", "*/_doc/*", true, (*call).getDoc, nil},
		{"GET HEAD", "*", false, (*call).getIndex, nil},
		{"PUT", "*", false, (*call).createIndex, nil},
		{"DELETE", "*", false, (*call).deleteIndex, nil},
	}
}

// fits says that a route is this path's. A * that stands for an index is none of Elasticsearch's own words.
func (t *route) fits(parts []string) bool {
	var want []string
	if t.path != "" {
		want = strings.Split(t.path, "/")
	}
	if len(want) != len(parts) {
		return false
	}
	for i, w := range want {
		if w == "*" && (i > 0 || !strings.HasPrefix(parts[0], "_") || parts[0] == "_all") {
			continue
		}
		if w != parts[i] {
			return false
		}
	}
	return true
}

// answer finds what was asked for.
func (x *call) answer() answer {
	if x.posing != nil {
		return x.pose()
	}
	switch {
	case len(x.parts) > 0 && x.parts[0] == "_nodes":
		return x.nodes()
	case len(x.parts) > 1 && x.parts[0] == "_cluster" && x.parts[1] == "health":
		return x.health()
	}
	known := false
	for i := range routes {
		t := &routes[i]
		if !t.fits(x.parts) || t.only != nil && !t.only(x.version) {
			continue
		}
		if known = true; slices.Contains(strings.Fields(t.methods), x.r.Method) {
			return x.serve(t)
		}
	}
	if known {
		return failure(http.StatusMethodNotAllowed, "method_not_allowed_exception", fmt.Sprintf("Incorrect HTTP method for uri [%s] and method [%s]", x.r.URL.Path, x.r.Method))
	}
	return x.noHandler()
}

func (x *call) noHandler() answer {
	return failure(http.StatusBadRequest, "illegal_argument_exception", fmt.Sprintf("no handler found for uri [%s] and method [%s]", x.r.URL.RequestURI(), x.r.Method))
}

// noMasterTimeout are the calls that refuse the parameter, from 5.0 on.
var noMasterTimeout = []string{"_nodes", "_recovery", "_cat/recovery", "_cluster/allocation/explain"}

func (x *call) unknownParameter() *answer {
	if !x.q.Has("master_timeout") || !x.version.atLeast(5, 0) {
		return nil
	}
	path := strings.Join(x.parts, "/")
	for _, p := range noMasterTimeout {
		if path == p || strings.HasPrefix(path, p+"/") {
			return x.refuseParameter("master_timeout")
		}
	}
	return nil
}

func (x *call) refuseParameter(name string) *answer {
	a := failure(http.StatusBadRequest, "illegal_argument_exception", fmt.Sprintf("request [%s] contains unrecognized parameter: [%s]", x.r.URL.Path, name))
	return &a
}

func (x *call) serve(t *route) answer {
	if no := x.unknownParameter(); no != nil {
		return *no
	}
	// Of what a node without a master may tell, only the state is modelled.
	local := t.local || x.flag("local", false) && strings.HasPrefix(t.path, "_cluster/state")
	if !local && !x.awaitMaster() {
		return x.noMaster()
	}
	var a answer
	x.fleet.enter(x.c, func() {
		if !local && !x.member() {
			a = x.noMaster()
			return
		}
		a = t.do(x)
		if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
			x.c.touch()
		}
	})
	if x.r.Method == http.MethodHead {
		a.body, a.text = nil, ""
	}
	return x.after(t, a)
}

// awaitMaster waits for one as long as master_timeout says, and while the node believes in one that does not answer for
// as long as the client does.
func (x *call) awaitMaster() bool {
	limit := x.limit("master_timeout", 30*time.Second)
	if x.q.Has("cluster_manager_timeout") {
		limit = x.limit("cluster_manager_timeout", limit)
	}
	for !x.await(x.member, limit) {
		hangs := false
		x.fleet.enter(x.c, func() { hangs = x.hangs() })
		if !hangs || x.r.Context().Err() != nil {
			return false
		}
		if !x.await(func() bool { return x.member() || !x.hangs() }, -1) {
			return false
		}
		limit = 0
	}
	return true
}

// after waits for what some calls promise to have happened before they answer.
func (x *call) after(t *route, a answer) answer {
	if a.code != http.StatusOK {
		return a
	}
	switch {
	case strings.HasPrefix(t.path, "_cluster/voting_config_exclusions") && x.r.Method == http.MethodPost:
		if !x.await(x.excludedDoNotVote, x.limit("timeout", 30*time.Second)) {
			return failure(http.StatusServiceUnavailable, "timeout_exception", "timed out waiting for voting config exclusions to take effect")
		}
	case t.path == "_snapshot/*/*" && x.r.Method == http.MethodPut && x.flag("wait_for_completion", false):
		x.await(func() bool { return x.c.meta.snapshotting() == nil }, -1)
		x.fleet.enter(x.c, func() { a = x.oneSnapshot(x.parts[1], x.parts[2]) })
	}
	return a
}

// pose answers who the other cluster is, and nothing else.
func (x *call) pose() answer {
	p := x.posing
	switch {
	case len(x.parts) == 0, x.parts[0] == "_cluster" && len(x.parts) > 1 && x.parts[1] == "state":
		return ok(obj{"name": "stranger", "cluster_name": p.Cluster, "cluster_uuid": p.UUID, "version": obj{"number": x.version.String()},
			"metadata": obj{"cluster_uuid": p.UUID}, "master_node": "stranger", "nodes": obj{}, "routing_table": obj{"indices": obj{}}})
	case x.parts[0] == "_cluster" && len(x.parts) > 1 && x.parts[1] == "health":
		return ok(obj{"cluster_name": p.Cluster, "status": "green", "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1,
			"active_primary_shards": 0, "active_shards": 0, "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0,
			"delayed_unassigned_shards": 0, "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0})
	case x.parts[0] == "_nodes":
		return ok(obj{"_nodes": obj{"total": 0, "successful": 0, "failed": 0}, "cluster_name": p.Cluster, "nodes": obj{}})
	}
	return x.noHandler()
}

func (c *cluster) isMember(n *node) bool { return slices.Contains(c.members, n) }
