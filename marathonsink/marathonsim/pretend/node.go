package pretend

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// A node is one Elasticsearch process.
type node struct {
	fleet *Fleet
	task  marathonsim.Task
	name  string
	upAt  time.Time

	mu sync.Mutex
	c  *cluster
}

func (n *node) kind() string { return n.task.Labels[marathon.LabelComponent] }

func (n *node) data() bool { return n.kind() == "data" }

func (n *node) isUp() bool { return !time.Now().Before(n.upAt) }

func (n *node) volume() string {
	if len(n.task.Volumes) == 0 {
		return ""
	}
	return n.task.Volumes[0].PersistenceID
}

// joinAt is when the node is, or will be, a member; masters are members from the election on.
func (n *node) joinAt(f *Fleet, c *cluster) time.Time {
	at := n.upAt
	if c.formedAt.After(at) {
		at = c.formedAt
		if n.kind() == "master" {
			return at
		}
	}
	return at.Add(or(f.Join, 2*time.Second))
}

// joined says that the node is a member. A node whose disk holds another cluster's data never is.
func (n *node) joined(f *Fleet, c *cluster) bool {
	if c.uuid == "" || time.Now().Before(n.joinAt(f, c)) {
		return false
	}
	other := f.volumes[n.volume()]
	return other == "" || other == c.uuid
}

// Run is the node's life.
func (n *node) Run(ctx context.Context) error {
	c := n.fleet.join(n)
	n.mu.Lock()
	n.c = c
	n.mu.Unlock()
	<-ctx.Done()
	n.fleet.leave(c, n)
	return ctx.Err()
}

// A sight is what the node sees of its cluster at a moment.
type sight struct {
	up, member   bool
	uuid, colour string
	members      []*node
	master       string
}

func (n *node) look() sight {
	n.mu.Lock()
	c := n.c
	n.mu.Unlock()
	if c == nil {
		return sight{}
	}
	f := n.fleet
	gate := f.gate(c)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh(c, gate)
	v := sight{up: n.isUp(), member: n.joined(f, c), uuid: c.uuid}
	v.colour, v.members = f.status(c)
	if masters, _ := c.masters(); len(masters) > 0 {
		v.master = masters[0].name
	}
	return v
}

// ServeHTTP answers the few questions that are asked of a node from outside.
func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := n.look()
	if !v.up {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	p := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case p == "":
		uuid := v.uuid
		if !v.member {
			uuid = "_na_"
		}
		reply(w, 200, map[string]any{"name": n.name, "cluster_name": n.clusterName(), "cluster_uuid": uuid,
			"version": map[string]any{"number": "7.17.28", "build_flavor": "pretend"}, "tagline": "You Know, for Search"})
	case strings.HasPrefix(p, "/_nodes/_local"):
		reply(w, 200, n.nodesDoc([]*node{n}))
	case strings.HasPrefix(p, "/_nodes"):
		reply(w, 200, n.nodesDoc(v.members))
	case p == "/_cluster/health":
		n.health(w, r)
	case strings.HasPrefix(p, "/_cluster/state"):
		if v = n.await(r, func(v sight) bool { return v.member }, "master_timeout", 30*time.Second); !v.member {
			noMaster(w)
			return
		}
		reply(w, 200, map[string]any{"cluster_name": n.clusterName(), "cluster_uuid": v.uuid,
			"metadata": map[string]any{"cluster_uuid": v.uuid}})
	case p == "/_cat/master":
		if !v.member {
			noMaster(w)
			return
		}
		fmt.Fprintf(w, "%s %s\n", v.master, v.master)
	default:
		reply(w, 404, map[string]any{"error": "the pretended node does not know " + p, "status": 404})
	}
}

// clusterName is cluster.name as render writes it.
func (n *node) clusterName() string {
	return n.task.Labels[marathon.LabelGroup] + "-" + n.task.Labels[marathon.LabelCluster]
}

// health waits as asked, first for a master, then for the status, and answers 408 if that did not come.
func (n *node) health(w http.ResponseWriter, r *http.Request) {
	v := n.await(r, func(v sight) bool { return v.member }, "master_timeout", 30*time.Second)
	if !v.member {
		noMaster(w)
		return
	}
	want := r.URL.Query().Get("wait_for_status")
	good := func(v sight) bool { return want == "" || v.colour == "green" || want == v.colour }
	if !good(v) {
		v = n.await(r, good, "timeout", 30*time.Second)
	}
	code, data := 200, 0
	if !good(v) {
		code = 408
	}
	for _, m := range v.members {
		if m.data() {
			data++
		}
	}
	unassigned := 0
	if v.colour != "green" {
		unassigned = 1
	}
	reply(w, code, map[string]any{
		"cluster_name": n.clusterName(), "status": v.colour, "timed_out": code == 408,
		"number_of_nodes": len(v.members), "number_of_data_nodes": data, "active_primary_shards": data,
		"active_shards": 2*data - unassigned, "relocating_shards": 0, "initializing_shards": 0,
		"unassigned_shards": unassigned, "number_of_pending_tasks": 0,
	})
}

// await looks every quarter of a second, roughly, until the sight is good or the time that a parameter names is over. A
// look must not fall on the instant at which the asker gives up: in virtual time the two would race.
func (n *node) await(r *http.Request, good func(sight) bool, parameter string, fallback time.Duration) sight {
	limit, err := time.ParseDuration(r.URL.Query().Get(parameter))
	if err != nil {
		limit = fallback
	}
	deadline := time.Now().Add(limit)
	for {
		v := n.look()
		left := time.Until(deadline)
		if good(v) || left <= 0 {
			return v
		}
		select {
		case <-time.After(min(left, 239*time.Millisecond)):
		case <-r.Context().Done():
			return v
		}
	}
}

func (n *node) nodesDoc(members []*node) map[string]any {
	nodes := map[string]any{}
	for _, m := range members {
		address := m.task.Host
		if len(m.task.Ports) > 0 {
			address = fmt.Sprintf("%s:%d", m.task.Host, m.task.Ports[0])
		}
		nodes["pretend-"+string(m.task.Instance)] = map[string]any{
			"name": m.name, "host": m.task.Host, "ip": m.task.Host, "version": "7.17.28", "roles": []string{m.kind()},
			"http": map[string]any{"publish_address": address},
		}
	}
	return map[string]any{"_nodes": map[string]any{"total": len(nodes), "successful": len(nodes), "failed": 0},
		"cluster_name": n.clusterName(), "nodes": nodes}
}

func noMaster(w http.ResponseWriter) {
	reply(w, 503, map[string]any{"status": 503, "error": map[string]any{"type": "master_not_discovered_exception", "reason": nil}})
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // who went away needs no answer
}
