package esclient_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

func TestAReadingHoldsAllThatWasAnswered(t *testing.T) {
	target := target()
	target.Templates, target.Snapshots = []string{"rules"}, true
	s := small().with("templates", `{"rules":{"order":1}}`, "repositories", `{"r1":{"type":"fs"},"broken":{"type":"fs"}}`,
		"running", `{"snapshots":[{"state":"STARTED"}]}`,
		"snapshots", `{"snapshots":[{"state":"SUCCESS","end_time_in_millis":1000},{"state":"SUCCESS","end_time_in_millis":3000},{"state":"PARTIAL","end_time_in_millis":9000}]}`,
		"recovery", `{"i":{"shards":[{"id":0,"type":"PEER","stage":"TRANSLOG","total_time_in_millis":5,"source":{"name":"a"},"target":{"name":"b"},
			"index":{"size":{"total_in_bytes":9,"reused_in_bytes":9,"recovered_in_bytes":0},"files":{"total":3,"reused":3}}},
			{"id":1,"type":"EXISTING_STORE","stage":"INDEX","source":{"name":"a"},"target":{"name":"a"}}]}}`)
	h := both(s).Read(t.Context(), target)
	if h.At.IsZero() || time.Since(h.At) > time.Hour {
		t.Errorf("it was read at %s", h.At)
	}
	v := spec.Version{Major: 7, Minor: 17, Patch: 28}
	want := esgate.Health{Asked: true, Known: true, At: h.At, Name: "logs", UUID: "uuid-1", Master: "a", StateVersion: 7, Status: "green",
		Nodes: []esgate.Node{
			{Name: "a", ID: "A", EphemeralID: "ea", Host: "10.0.0.1", HTTP: "http://10.0.0.1:9200", Version: v, MasterEligible: true, Data: true,
				Attributes: map[string]string{"esfleet_instance": "x"}, Plugins: []string{"y", "z"}, Uptime: 5 * time.Second, DiskTotal: 100, DiskFree: 40},
			{Name: "b", ID: "B", EphemeralID: "eb", Host: "10.0.0.2", HTTP: "http://10.0.0.2:9201", Version: v, Data: true,
				Uptime: 6 * time.Second, DiskTotal: 200, DiskFree: 50}},
		Shards:       []esgate.Shard{{Index: "i", Primary: true, State: "STARTED", Node: "a", Bytes: 11}, {Index: "i", State: "STARTED", Node: "b", Bytes: 12}},
		Indices:      []esgate.Index{{Name: "i", Shards: 1, Replicas: 1, DelayedTimeout: "5m"}},
		PendingTasks: 3, InFlightFetch: 4,
		Persistent: map[string]string{"indices.recovery.max_bytes_per_sec": "20mb"}, Transient: map[string]string{"a.list": "x,y"},
		Templates:    map[string]map[string]any{"rules": {"order": 1.0}},
		Snapshotting: true, LastSnapshot: time.UnixMilli(3000).UTC(),
		Recoveries: []esgate.Recovery{{Index: "i", From: "a", To: "b", Bytes: 9, Done: 9, Running: 5 * time.Millisecond, OperationsOnly: true},
			{Index: "i", Number: 1, To: "a"}},
	}
	if d := cmp.Diff(want, h); d != "" {
		t.Error(d)
	}
}

func TestVersion2TellsRolesByAttributesAndHasNoWordForAnUnsetSetting(t *testing.T) {
	target := target()
	target.Version = spec.Version{Major: 2, Minor: 4, Patch: 6}
	s := small().edited(t, "nodes", `"roles":["master","data"],`, "").edited(t, "nodes", `"roles":["data_hot"],`, `"attributes":{"master":"false"},`).
		edited(t, "nodes", "7.17.28", "2.4.6").with("settings", `{"persistent":{"x.exclude._name":""},"transient":{}}`)
	h := both(s).Read(t.Context(), target)
	if !h.Known || !h.Nodes[0].MasterEligible || !h.Nodes[0].Data || h.Nodes[1].MasterEligible || !h.Nodes[1].Data || len(h.Persistent) != 0 {
		t.Errorf("got %+v", h)
	}
	s = s.edited(t, "nodes", `"attributes":{"master":"false"}`, `"attributes":{"client":"true"}`).
		edited(t, "health", `"number_of_data_nodes":2`, `"number_of_data_nodes":1`)
	if h = both(s).Read(t.Context(), target); !h.Known || h.Nodes[1].MasterEligible || h.Nodes[1].Data {
		t.Errorf("a client is %+v", h)
	}
}

func TestOnlyARecoveryThatHasLookedAtItsFilesCopiesNone(t *testing.T) {
	for name, c := range map[string]struct {
		kind, stage   string
		total, reused int
		want          bool
	}{
		"operations alone":            {"PEER", "TRANSLOG", 0, 0, true},
		"all files are there already": {"PEER", "INDEX", 3, 3, true},
		"some are copied":             {"PEER", "INDEX", 3, 2, false},
		"not begun":                   {"PEER", "INIT", 0, 0, false},
		"not counted yet":             {"PEER", "INDEX", 0, 0, false},
		"a local one":                 {"STORE", "TRANSLOG", 0, 0, false},
		"a replica of version 2":      {"REPLICA", "FINALIZE", 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := small().with("recovery", fmt.Sprintf(`{"i":{"shards":[{"id":0,"type":%q,"stage":%q,"source":{"name":"a"},"target":{"name":"b"},
				"index":{"files":{"total":%d,"reused":%d}}}]}}`, c.kind, c.stage, c.total, c.reused))
			h := both(s).Read(t.Context(), target())
			if len(h.Recoveries) != 1 || h.Recoveries[0].OperationsOnly != c.want {
				t.Errorf("got %+v", h)
			}
		})
	}
}

// A repository may hold thousands of snapshots, each of which is read from it.
func TestOnlyTheNewestSnapshotsAreAskedForWhereThatCanBeSaid(t *testing.T) {
	for name, c := range map[string]struct {
		dist    spec.Distribution
		version spec.Version
		want    string
	}{
		"it can":       {spec.ElasticsearchDist, spec.Version{Major: 7, Minor: 14}, "order=desc&size=100&sort=start_time"},
		"too old":      {spec.ElasticsearchDist, spec.Version{Major: 7, Minor: 13}, ""},
		"not a fork's": {spec.OpenSearchDist, spec.Version{Major: 2, Minor: 11}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var seen record
			target := target()
			target.Endpoints, target.Snapshots, target.Dist, target.Version = target.Endpoints[:1], true, c.dist, c.version
			s := small().with("repositories", `{"r1":{"type":"fs"}}`, "snapshots", `{"responses":[{"snapshots":[{"state":"SUCCESS","end_time_in_millis":7000}]}]}`)
			h := esclient.New(nodes{"a:9200": seen.of(s.node)}, 0).Read(t.Context(), target)
			if !h.LastSnapshot.Equal(time.UnixMilli(7000)) {
				t.Errorf("got %+v", h)
			}
			for _, q := range seen.sent {
				if strings.Contains(q, "/_snapshot/r1/_all") && (!strings.Contains(q, c.want) || strings.Contains(q, "size=") != (c.want != "")) {
					t.Errorf("asked %s", q)
				}
			}
		})
	}
}

func TestTheForkHasAnotherWordForAMaster(t *testing.T) {
	s := small().edited(t, "nodes", `"roles":["master","data"]`, `"roles":["cluster_manager","data"]`)
	if h := both(s).Read(t.Context(), target()); !h.Known || !h.Nodes[0].MasterEligible || h.Nodes[1].MasterEligible {
		t.Errorf("got %+v", h)
	}
}

func TestBeforeTheClusterIsRecordedItsIdentityIsReported(t *testing.T) {
	target := target()
	target.UUID = ""
	if h := both(small()).Read(t.Context(), target); !h.Known || h.UUID != "uuid-1" || h.Name != "logs" {
		t.Errorf("got %+v", h)
	}
}

// doubts is what makes a reading unknown: an answer of node a and node b, or of both.
func TestAnyDoubtIsNotKnownAndSaysWhy(t *testing.T) {
	green := small()
	one := func(s situation) nodes { return nodes{"a:9200": s.node} }
	two := func(a, b situation) nodes { return nodes{"a:9200": a.node, "b:9200": b.node} }
	for _, c := range []struct {
		name  string
		nodes nodes
		alone bool // only node a is named
		why   []string
	}{
		{"nobody answers", nodes{}, false, []string{"none of 2 nodes", "a:9200", "b:9200", "connection refused"}},
		{"one of two answers", one(green), false, []string{"only one of 2 nodes", "b:9200"}},
		{"two nodes name different clusters", two(green, green.edited(t, "state", "uuid-1", "uuid-2")), false, []string{"different clusters", "uuid-1", "uuid-2"}},
		{"two nodes name clusters of different names", two(green, green.edited(t, "state", `"logs"`, `"shop"`)), false, []string{"different clusters", "logs", "shop"}},
		{"two nodes follow different masters", two(green, green.edited(t, "state", `"master_node":"A"`, `"master_node":"B"`)), false, []string{"masters"}},
		{"another cluster's uuid on both", two(green.edited(t, "state", "uuid-1", "uuid-2"), green.edited(t, "state", "uuid-1", "uuid-2")), false, []string{"another cluster answers", "uuid-2", "recorded is uuid-1"}},
		{"another cluster's name", one(green.edited(t, "state", `"logs"`, `"shop"`)), true, []string{"another cluster answers", `"shop"`, `git declares "logs"`}},
		{"a cluster that has not formed", one(green.edited(t, "state", "uuid-1", "_na_")), true, []string{"no cluster has formed"}},
		{"no uuid", one(green.with("state", `{"cluster_name":"logs","master_node":"A"}`)), true, []string{"no cluster has formed"}},
		{"no master", one(green.with("state", `{"cluster_name":"logs","cluster_uuid":"uuid-1"}`)), true, []string{"names no master"}},
		{"an answer that is cut", one(green.with("state", `{"cluster_name":"lo`)), true, []string{"a:9200", "unexpected EOF"}},
		{"an answer that is no JSON", one(green.with("state", `<html>proxy</html>`)), true, []string{"invalid character"}},
		{"an answer of another shape", one(green.with("health", `["logs"]`)), true, []string{"/_cluster/health", "cannot unmarshal"}},
		{"an answer with something behind it", one(green.with("settings", `{"persistent":{},"transient":{}}{}`)), true, []string{"/_cluster/settings", "more than one"}},
		{"an empty answer", one(green.with("health", "")), true, []string{"/_cluster/health", "unexpected EOF"}},
		{"a status it does not know", one(green.edited(t, "health", `"green"`, `"blue"`)), true, []string{`"blue"`}},
		{"a number that is missing", one(green.edited(t, "health", `"delayed_unassigned_shards":0,`, "")), true, []string{"a number is missing"}},
		{"no settings", one(green.with("settings", `{}`)), true, []string{"names no settings"}},
		{"a huge answer", one(green.with("settings", `{"persistent":{"x":"`+strings.Repeat("x", 2<<20)+`"}}`)), true, []string{"more than 1048576 bytes"}},
		{"a node that is missing", one(green.with("stats", `{"nodes":{"A":{}}}`)), true, []string{"1 of 2 members do not answer: b"}},
		{"a node of another name", one(green.edited(t, "nodes", `"name":"b"`, `"name":"c"`)), true, []string{"do not answer: b"}},
		{"two nodes of one name", one(green.edited(t, "state", `"name":"b"`, `"name":"a"`).edited(t, "nodes", `"name":"b"`, `"name":"a"`)), true, []string{"two members are named a"}},
		{"a version that is none", one(green.edited(t, "nodes", "7.17.28", "seven")), true, []string{`version "seven"`}},
		{"a copy on a node that is not there", one(green.edited(t, "state", `"node":"B"`, `"node":"C"`)), true, []string{"node C", "shard 0 of i"}},
		{"a copy in a state it does not know", one(green.edited(t, "state", `"STARTED"`, `"DREAMING"`)), true, []string{"DREAMING"}},
		{"an index without copies", one(green.edited(t, "state", `"routing_table":{"indices":{"i"`, `"routing_table":{"indices":{"j"`)), true, []string{"index i has no routing table"}},
		{"an index without a number of replicas", one(green.edited(t, "state", `"index.number_of_replicas":"1",`, "")), true, []string{"index i", "number_of_replicas"}},
		{"counts that contradict the copies", one(green.edited(t, "health", `"active_shards":2`, `"active_shards":3`)), true, []string{"read twice", "3 active copies, and lists 2"}},
		{"a number of nodes that contradicts", one(green.edited(t, "health", `"number_of_nodes":2`, `"number_of_nodes":3`)), true, []string{"3 nodes, and lists 2"}},
		{"green without a copy", one(lacking(t, 1).edited(t, "health", "yellow", "green")), true, []string{"green", "lists 1 that are not"}},
		{"a number of data nodes that contradicts", one(green.edited(t, "health", `"number_of_data_nodes":2`, `"number_of_data_nodes":1`)), true, []string{"1 data nodes, and lists 2"}},
		{"health of another cluster", one(green.edited(t, "health", `"logs"`, `"shop"`)), true, []string{`the name "shop"`}},
		{"a server error", one(situationWith(green, "running", 500, `{"error":{"type":"oops","reason":"broken"},"status":500}`)), true, []string{"/_snapshot/_status", "status 500: oops: broken"}},
		{"a 408 that is no health", one(situationWith(green, "health", 408, `{"error":"late"}`)), true, []string{"a number is missing"}},
		{"a master that is lost between the calls", one(situationWith(green, "health", 503, `{"error":{"type":"master_not_discovered_exception","reason":null}}`)), true, []string{"no master (503)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := target()
			if c.alone {
				target.Endpoints = target.Endpoints[:1]
			}
			unknown(t, esclient.New(c.nodes, 0).Read(t.Context(), target), c.why...)
		})
	}
	t.Run("nobody to ask", func(t *testing.T) {
		target := target()
		target.Endpoints = nil
		unknown(t, both(green).Read(t.Context(), target), "no node runs")
	})
	t.Run("an address that is none", func(t *testing.T) {
		target := target()
		target.Endpoints = []string{"http://a b:9200"}
		unknown(t, both(green).Read(t.Context(), target), "none of 1 nodes")
	})
}

func situationWith(s situation, name string, status int, body string) situation {
	out := s.with()
	out[name] = answer{status, []byte(body)}
	return out
}

// unknown fails unless h says nothing but that it is not known, and why.
func unknown(t *testing.T, h esgate.Health, why ...string) {
	t.Helper()
	if h.At.IsZero() {
		t.Error("nobody knows when")
	}
	for _, w := range why {
		if !strings.Contains(h.Why, w) {
			t.Errorf("why is %q, without %q", h.Why, w)
		}
	}
	if strings.Contains(h.Why, "\n") || len(h.Why) > 2000 {
		t.Errorf("why has %d bytes or several lines: %q", len(h.Why), h.Why)
	}
	if d := cmp.Diff(esgate.Health{Asked: true, At: h.At, Why: h.Why}, h); d != "" {
		t.Errorf("something of it may be believed: %s", d)
	}
}

func TestAReadingThatContradictsItselfIsMadeOnceMore(t *testing.T) {
	asked := 0
	green, torn := small(), small().edited(t, "health", `"active_shards":2`, `"active_shards":1`)
	node := func(w http.ResponseWriter, r *http.Request) {
		if s := green; r.URL.Path != "/_cluster/health" {
			s.node(w, r)
			return
		}
		if asked++; asked == 1 {
			torn.node(w, r)
			return
		}
		green.node(w, r)
	}
	target := target()
	target.Endpoints = target.Endpoints[:1]
	if h := esclient.New(nodes{"a:9200": node}, 0).Read(t.Context(), target); !h.Known || asked != 2 {
		t.Errorf("asked %d times: %+v", asked, h)
	}
}

func TestAMasterThatChangesDuringTheReadingMakesItUnknown(t *testing.T) {
	for name, change := range map[string][2]string{
		"another master":                          {`"master_node":"A"`, `"master_node":"B"`},
		"a state that went back":                  {`"version":7`, `"version":6`},
		"another cluster at the same address":     {"uuid-1", "uuid-2"},
		"a cluster of that name, but not formed":  {"uuid-1", "_na_"},
		"a node that was thrown out meanwhile":    {`"master_node":"A",`, ""},
		"an address that now is another's answer": {`{"cluster_name"`, `{"cluster"`},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := small(), small().edited(t, "state", change[0], change[1])
			asked := 0
			node := func(w http.ResponseWriter, r *http.Request) {
				s := before
				if strings.HasSuffix(r.URL.Path, "/version,master_node") {
					if asked++; asked > 1 {
						s = after
					}
				}
				s.node(w, r)
			}
			target := target()
			target.Endpoints = target.Endpoints[:1]
			unknown(t, esclient.New(nodes{"a:9200": node}, 0).Read(t.Context(), target))
			if asked != 2 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

func TestAPictureOfAnotherMasterThanTheProofsIsUnknown(t *testing.T) {
	for name, change := range map[string][2]string{
		"another master":       {`"master_node":"A"`, `"master_node":"B"`},
		"an older state":       {`"version":7`, `"version":6`},
		"another cluster's":    {"uuid-1", "uuid-2"},
		"one without a master": {`"master_node":"A",`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before, odd := small(), small().edited(t, "state", change[0], change[1])
			node := func(w http.ResponseWriter, r *http.Request) {
				s := before
				if strings.Contains(r.URL.Path, "routing_table") {
					s = odd
				}
				s.node(w, r)
			}
			unknown(t, esclient.New(nodes{"a:9200": node, "b:9200": node}, 0).Read(t.Context(), target()), "it changed during the reading")
		})
	}
}

func TestTemplatesThatAreNotThereAreLeftOutAndOthersFailTheReading(t *testing.T) {
	target := target()
	target.Templates = []string{"rules"}
	if h := both(situationWith(small(), "templates", 404, `{}`)).Read(t.Context(), target); !h.Known || h.Templates == nil || len(h.Templates) != 0 {
		t.Errorf("got %+v", h)
	}
	unknown(t, both(situationWith(small(), "templates", 403, `{}`)).Read(t.Context(), target), "/_template/rules", "status 403")
}

func TestTwoThatAgreeAreEnoughWhateverTheOthersDo(t *testing.T) {
	var seen record
	green := small().node
	n := nodes{"a:9200": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "nonsense") }, "b:9200": green, "c:9200": green,
		"d:9200": seen.of(green)}
	target := target()
	target.Endpoints = []string{"http://a:9200", "http://b:9200", "http://c:9200", "http://d:9200"}
	if h := esclient.New(n, 0).Read(t.Context(), target); !h.Known {
		t.Errorf("got %+v", h)
	}
	if len(seen.sent) != 0 {
		t.Errorf("a node more than needed was asked %q", seen.sent)
	}
}

func TestAReadingOfTenThousandCopiesIsTaken(t *testing.T) {
	const indices, perIndex = 500, 10
	var routing, settings, sizes strings.Builder
	for i := range indices {
		comma := ","
		if i == 0 {
			comma = ""
		}
		fmt.Fprintf(&settings, `%s"logs-%03d":{"state":"open","settings":{"index.number_of_shards":"%d","index.number_of_replicas":"1"}}`, comma, i, perIndex)
		fmt.Fprintf(&routing, `%s"logs-%03d":{"shards":{`, comma, i)
		fmt.Fprintf(&sizes, `%s"logs-%03d":{"shards":{`, comma, i)
		for s := range perIndex {
			if s > 0 {
				routing.WriteString(",")
				sizes.WriteString(",")
			}
			fmt.Fprintf(&routing, `"%d":[{"state":"STARTED","primary":true,"node":"A"},{"state":"STARTED","primary":false,"node":"B"}]`, s)
			fmt.Fprintf(&sizes, `"%d":[{"routing":{"node":"A"},"store":{"size_in_bytes":%d}}]`, s, i*perIndex+s)
		}
		routing.WriteString("}}")
		sizes.WriteString("}}")
	}
	s := small().with("state", `{"cluster_name":"logs","version":7,"master_node":"A","metadata":{"cluster_uuid":"uuid-1","indices":{`+settings.String()+
		`}},"nodes":{"A":{"name":"a"},"B":{"name":"b"}},"routing_table":{"indices":{`+routing.String()+`}}}`,
		"sizes", `{"indices":{`+sizes.String()+`}}`).edited(t, "health", `"active_shards":2`, `"active_shards":10000`)
	h := both(s).Read(t.Context(), target())
	if !h.Known || len(h.Shards) != 2*indices*perIndex || len(h.Indices) != indices {
		t.Fatalf("%d copies, %d indices: %s", len(h.Shards), len(h.Indices), h.Why)
	}
	if last := h.Shards[len(h.Shards)-2]; last != (esgate.Shard{Index: "logs-499", Number: 9, Primary: true, State: "STARTED", Node: "a", Bytes: 4999}) {
		t.Errorf("the last primary is %+v", last)
	}
}
