package esclient_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// nodes answer in-process, by host; a host that is not there refuses connections.
type nodes map[string]http.HandlerFunc

func (n nodes) RoundTrip(r *http.Request) (*http.Response, error) {
	h := n[r.URL.Host]
	if h == nil {
		return nil, fmt.Errorf("dial tcp %s: connection refused", r.URL.Host)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	h(w, r)
	if err := r.Context().Err(); err != nil { // it answered too late
		return nil, err
	}
	return w.Result(), nil
}

// An answer is a status and a body.
type answer struct {
	status int
	body   json.RawMessage
}

func (a *answer) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&a.status, &a.body})
}

// A situation is what a node of a cluster in it answers, by call.
type situation map[string]answer

// calls are the paths of what is asked.
var calls = map[string]string{
	"/_cluster/state/version,master_node":                              "state",
	"/_cluster/state/version,master_node,metadata":                     "state",
	"/_cluster/state/version,master_node,nodes,routing_table,metadata": "state",
	"/_cluster/health":             "health",
	"/_cluster/settings":           "settings",
	"/_nodes/_all/http,plugins":    "nodes",
	"/_nodes/stats/fs,jvm":         "stats",
	"/_snapshot/_status":           "running",
	"/_recovery":                   "recovery",
	"/_stats/store":                "sizes",
	"/_snapshot":                   "repositories",
	"/_snapshot/r1/_all":           "snapshots",
	"/_template/rules":             "templates",
	"/_cluster/allocation/explain": "explain",
}

// node answers as recorded; what is asked beside that is empty. An explanation is only of the copy that was explained.
func (s situation) node(w http.ResponseWriter, r *http.Request) {
	name := calls[r.URL.Path]
	a, ok := s[name]
	switch {
	case name == "":
		a = answer{http.StatusMethodNotAllowed, json.RawMessage(`{"error":"Incorrect HTTP method"}`)}
	case name == "explain" && (!ok || !explains(r.Body, a.body)):
		a = answer{http.StatusBadRequest, json.RawMessage(`{"error":{"type":"illegal_argument_exception","reason":"no such copy"}}`)}
	case !ok:
		a = answer{http.StatusOK, json.RawMessage(`{}`)}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func explains(asked io.Reader, recorded []byte) bool {
	var want, got struct {
		Index   string
		Shard   int
		Primary bool
	}
	return json.NewDecoder(asked).Decode(&want) == nil && json.Unmarshal(recorded, &got) == nil && want == got
}

// with is s with other answers, given as name and body.
func (s situation) with(changes ...string) situation {
	out := situation{}
	for k, v := range s {
		out[k] = v
	}
	for i := 0; i+1 < len(changes); i += 2 {
		out[changes[i]] = answer{http.StatusOK, json.RawMessage(changes[i+1])}
	}
	return out
}

// edited is s with a part of an answer replaced, which must be there.
func (s situation) edited(t testing.TB, name, old, by string) situation {
	t.Helper()
	body := string(s[name].body)
	if !strings.Contains(body, old) {
		t.Fatalf("%s has no %s: %s", name, old, body)
	}
	return s.with(name, strings.ReplaceAll(body, old, by))
}

// small is a made-up cluster of two nodes and one index with a replica.
func small() situation {
	return situation{}.with(
		"state", `{"cluster_name":"logs","cluster_uuid":"uuid-1","version":7,"master_node":"A","metadata":{"cluster_uuid":"uuid-1","indices":{"i":{"state":"open",
			"settings":{"index.number_of_shards":"1","index.number_of_replicas":"1","index.unassigned.node_left.delayed_timeout":"5m"}}}},
			"nodes":{"A":{"name":"a","ephemeral_id":"ea"},"B":{"name":"b","ephemeral_id":"eb"}},
			"routing_table":{"indices":{"i":{"shards":{"0":[{"state":"STARTED","primary":true,"node":"A","relocating_node":null},
			{"state":"STARTED","primary":false,"node":"B","relocating_node":null}]}}}}}`,
		"health", `{"cluster_name":"logs","status":"green","timed_out":false,"number_of_nodes":2,"number_of_data_nodes":2,"active_shards":2,"relocating_shards":0,
			"initializing_shards":0,"unassigned_shards":0,"delayed_unassigned_shards":0,"number_of_pending_tasks":3,"number_of_in_flight_fetch":4}`,
		"nodes", `{"nodes":{"A":{"name":"a","host":"10.0.0.1","version":"7.17.28","roles":["master","data"],"attributes":{"esfleet_instance":"x"},
			"http":{"publish_address":"es-a/10.0.0.1:9200"},"plugins":[{"name":"z"},{"name":"y"}]},
			"B":{"name":"b","host":"10.0.0.2","version":"7.17.28","roles":["data_hot"],"http":{"publish_address":"10.0.0.2:9201"},"plugins":[]}}}`,
		"stats", `{"nodes":{"A":{"jvm":{"uptime_in_millis":5000},"fs":{"total":{"total_in_bytes":100,"available_in_bytes":40}}},
			"B":{"jvm":{"uptime_in_millis":6000},"fs":{"total":{"total_in_bytes":200,"available_in_bytes":50}}}}}`,
		"settings", `{"persistent":{"indices.recovery.max_bytes_per_sec":"20mb"},"transient":{"a.list":["x","y"]}}`,
		"running", `{"snapshots":[]}`,
		"sizes", `{"indices":{"i":{"shards":{"0":[{"routing":{"node":"A"},"store":{"size_in_bytes":11}},{"routing":{"node":"B"},"store":{"size_in_bytes":12}}]}}}}`,
	)
}

// target is where small's two nodes are asked.
func target() esgate.Target {
	return esgate.Target{Endpoints: []string{"http://a:9200", "http://b:9200"}, Name: "logs", UUID: "uuid-1",
		Dist: spec.ElasticsearchDist, Version: spec.Version{Major: 7, Minor: 17, Patch: 28}}
}

// both is a client of two nodes that answer the same.
func both(s situation) *esclient.Client {
	return esclient.New(nodes{"a:9200": s.node, "b:9200": s.node}, 0)
}

// A record keeps what was sent.
type record struct {
	sync.Mutex
	sent []string
}

func (r *record) of(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		var body []byte
		if q.Body != nil && q.Method != http.MethodGet {
			body, _ = io.ReadAll(q.Body)
		}
		r.Lock()
		r.sent = append(r.sent, strings.TrimSpace(fmt.Sprintf("%s %s%s %s", q.Method, q.URL.Host, q.URL.RequestURI(), body)))
		r.Unlock()
		h(w, q)
	}
}

// writes are the requests that were no GET.
func (r *record) writes() []string {
	var out []string
	for _, s := range r.sent {
		if !strings.HasPrefix(s, "GET ") {
			out = append(out, s)
		}
	}
	return out
}
