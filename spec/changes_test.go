package spec_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/spec"
)

const (
	oneInstance     = "1b9c6a5e-7f2d-11ee-8c3a-0242ac120002"
	anotherInstance = "2b9c6a5e-7f2d-11ee-8c3a-0242ac120002"
)

// changing is a cluster with every word about changes, and a group whose defaults have some of them.
func changing(t *testing.T) map[string]string {
	files := base(t)
	files["groups/search/group.yaml"] += `defaults:
  restart: storm-1
  indices: {delay: 10m}
  rollout: {hold: 48h, snapshotWithin: 12h}
  clusterSettings:
    cluster.routing.allocation.cluster_concurrent_rebalance: 4
    search.max_buckets: 20000
`
	files[clusterFile] = `apiVersion: esfleet/v1
kind: Cluster
state: retired
retirement: {grace: 72h, destroy: true}
restart: "2026-11-22"
data: {replicas: 4, disk: 10GiB, generation: 2}
rollout: {canary: 2, soak: 30m, pause: true}
replace:
  - ` + oneInstance + `
  - {instance: ` + anotherInstance + `, loseCopies: true}
clusterSettings:
  cluster:
    routing.allocation.cluster_concurrent_rebalance: 2
    routing.allocation.awareness.attributes: "rack,zone"
  search.default_allow_partial_results: false
  cluster.routing.allocation.balance.shard: 0.50
`
	return files
}

func TestACommitSaysHowARunningClusterChanges(t *testing.T) {
	c := mustParse(t, changing(t), nil).Groups[0].Clusters[0]
	if want := (spec.Rollout{Canary: 2, Soak: 30 * time.Minute, Pause: true, Hold: 48 * time.Hour, SnapshotWithin: 12 * time.Hour}); c.Rollout != want {
		t.Errorf("rollout %+v", c.Rollout)
	}
	if want := (spec.Retirement{Grace: 72 * time.Hour, Destroy: true}); c.Retirement != want {
		t.Errorf("retirement %+v", c.Retirement)
	}
	if c.Restart != "2026-11-22" || c.Nodes[spec.Data].Generation != 2 || c.Indices.Delay != 10*time.Minute {
		t.Errorf("restart %q, generation %d, delay %s", c.Restart, c.Nodes[spec.Data].Generation, c.Indices.Delay)
	}
	at := func(line, column int) spec.Pos { return spec.Pos{File: clusterFile, Line: line, Column: column} }
	if d := cmp.Diff([]spec.Replacement{{Pos: at(9, 5), Instance: oneInstance}, {Pos: at(10, 5), Instance: anotherInstance, LoseCopies: true}}, c.Replace); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{
		"cluster.routing.allocation.cluster_concurrent_rebalance": "2",
		"cluster.routing.allocation.awareness.attributes":         "rack,zone",
		"cluster.routing.allocation.balance.shard":                "0.50",
		"search.default_allow_partial_results":                    "false",
		"search.max_buckets":                                      "20000",
	}, c.ClusterSettings); d != "" {
		t.Error(d)
	}
}

func TestEveryWordAboutChangesIsExplained(t *testing.T) {
	c := mustParse(t, changing(t), nil).Groups[0].Clusters[0]
	got := map[string]string{}
	for _, v := range c.Explain() {
		got[v.Path] = v.Text + " from " + v.Origin()
	}
	for path, want := range map[string]string{
		"restart":                            "2026-11-22 from " + clusterFile + ":5:10",
		"retirement.destroy":                 "true from " + clusterFile + ":4:35",
		"retirement.grace":                   "72h0m0s from " + clusterFile + ":4:21",
		"rollout.pause":                      "true from " + clusterFile + ":7:40",
		"rollout.hold":                       "48h0m0s from groups/search/group.yaml:6:19",
		"indices.delay":                      "10m0s from groups/search/group.yaml:5:20",
		"nodes.data.generation":              "2 from " + clusterFile + ":6:46",
		"replace[1]":                         anotherInstance + " loseCopies from " + clusterFile + ":10:5",
		"clusterSettings.search.max_buckets": "20000 from groups/search/group.yaml:9:5",
	} {
		if got[path] != want {
			t.Errorf("%s: %s, want %s", path, got[path], want)
		}
	}
}

func TestWithoutAWordNothingIsRestartedReplacedOrDestroyed(t *testing.T) {
	c := mustParse(t, base(t), nil).Groups[0].Clusters[0]
	if c.Restart != "" || c.Replace != nil || c.ClusterSettings != nil || c.Nodes[spec.Data].Generation != 1 {
		t.Errorf("%q %v %v %d", c.Restart, c.Replace, c.ClusterSettings, c.Nodes[spec.Data].Generation)
	}
	if want := (spec.Retirement{Grace: 7 * 24 * time.Hour}); c.Retirement != want {
		t.Errorf("retirement %+v", c.Retirement)
	}
	if want := (spec.Rollout{Canary: 1, Hold: 24 * time.Hour}); c.Rollout != want || c.Indices.Delay != 5*time.Minute {
		t.Errorf("rollout %+v, delay %s", c.Rollout, c.Indices.Delay)
	}
}

// A generation is about documents that move over, and masters have none.
func TestOnlyDataNodesHaveGenerations(t *testing.T) {
	files := base(t)
	files[clusterFile] += "master: {}\n"
	c := mustParse(t, files, nil).Groups[0].Clusters[0]
	if g := c.Nodes[spec.Master].Generation; g != 0 {
		t.Errorf("masters of generation %d", g)
	}
}

// From 7 on the masters themselves count who may vote, so a cluster without masters of its own may have two generations.
func TestSharedClustersTakeAnotherGenerationFrom7On(t *testing.T) {
	for version, ok := range map[string]bool{`version: "2.4.6"`: false, `version: "6.8.23"`: false, `version: "7.17.28"`: true, `version: "1.3.14", distribution: opensearch`: true} {
		files := base(t)
		files[clusterFile] = "apiVersion: esfleet/v1\nkind: Cluster\nelasticsearch: {" + version + "}\ndata: {disk: 1GiB, generation: 2}\n"
		_, problems := spec.Parse(snapshot.FromMap("c1", files), nil)
		if (len(problems) == 0) != ok {
			t.Errorf("%s: %v", version, problems)
		}
		files[clusterFile] += "master: {}\n"
		if _, problems := spec.Parse(snapshot.FromMap("c1", files), nil); len(problems) > 0 {
			t.Errorf("%s with masters of its own: %v", version, problems)
		}
	}
}

// What is inside lists and free keys no walk over properties reaches, so it stands here by hand.
func TestSchemaAndValidatorAgreeOnWhatIsInsideListsAndFreeKeys(t *testing.T) {
	schema := compileSchema(t, "Cluster")
	const head = "apiVersion: esfleet/v1\nkind: Cluster\n"
	for text, ok := range map[string]bool{
		"replace: []":                                     true,
		"replace: [" + oneInstance + "]":                  true,
		"replace: [{instance: " + oneInstance + "}]":      true,
		"replace: [{loseCopies: true}]":                   false,
		"replace: [{instance: x}]":                        false,
		"replace: [" + strings.ToUpper(oneInstance) + "]": false,
		"replace: [[]]":                                   false,
		"replace: [{instance: " + oneInstance + ", loseCopies: yes-please}]": false,
		"clusterSettings: {}":                  true,
		"clusterSettings: {a.b: 1, c: {d: x}}": true,
		"clusterSettings: {a: [1]}":            false,
		"clusterSettings: {a: {b: []}}":        false,
		"clusterSettings: {a: {}}":             false,
		"clusterSettings: {\"a b\": 1}":        false,
		"data: {settings: {a: [1, x]}}":        true,
		"restart: " + strings.Repeat("x", 64):  true,
		"restart: " + strings.Repeat("x", 65):  false,
		"restart: \"2026-11-22T10:00\"":        true,
		"restart: -x":                          false,
	} {
		refused := schemaRefuses(t, schema, head+text+"\n") != nil
		if got := spec.ShapeRefuses("Cluster", head+text+"\n"); got != refused || refused == ok {
			t.Errorf("%s: schema refuses: %v, validator refuses: %v", text, refused, got)
		}
	}
}
