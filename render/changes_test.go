package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
	"github.com/google/go-cmp/cmp"
)

// A changed environment is a changed definition, which is what makes every node start once more; what runs stays the same.
func TestAnotherRestartWordChangesOneVariableOfTheNodesAndNothingElse(t *testing.T) {
	c := cluster(es7)
	extraRoles(c)
	before := desired(t, c, target)
	c.Restart = "2026-11-22"
	c.Origins = spec.OriginsOf(map[string]spec.Pos{"restart": {File: "cluster.yaml", Line: 3, Column: 10}})
	after := desired(t, c, target)
	for i := range after.Apps {
		was, now := &before.Apps[i], &after.Apps[i]
		if env := now.Doc["env"].(map[string]any); now.Component.RunsElasticsearch() {
			if env["ESFLEET_RESTART"] != "2026-11-22" {
				t.Errorf("%s: the word is %v", now.ID, env["ESFLEET_RESTART"])
			}
			if at := now.OriginOf("env.ESFLEET_RESTART", spec.Pos{}); at.Line != 3 {
				t.Errorf("%s: the word comes from %s", now.ID, at)
			}
			delete(env, "ESFLEET_RESTART")
		}
		if d := cmp.Diff(was.Doc, now.Doc); d != "" {
			t.Errorf("%s: %s", now.ID, d)
		}
		if was.Bundle != nil && was.Bundle.Digest != now.Bundle.Digest {
			t.Errorf("%s: its bundle changes", now.ID)
		}
	}
}

// A new generation is a new app. Masters, and whoever else has a life of its own, must not restart for it.
func TestAnotherGenerationLeavesTheOtherNodesAlone(t *testing.T) {
	c := cluster(es7)
	extraRoles(c)
	before := desired(t, c, target)
	c.Nodes[spec.Data].Generation, c.Nodes[spec.Data].Disk = 2, 2*spec.TiB
	after := desired(t, c, target)
	for _, comp := range []spec.Component{spec.Gate, spec.Discovery, spec.Master, spec.Ingest, spec.Coordinating} {
		if d := cmp.Diff(before.App(comp).Doc, after.App(comp).Doc); d != "" {
			t.Errorf("%s: %s", comp, d)
		}
	}
	data := after.App(spec.Data)
	if data.ID != "/search/logs/es-datanode-g2" || data.Doc["id"] != "/search/logs/es-datanode-g2" {
		t.Errorf("data lives at %s, %v", data.ID, data.Doc["id"])
	}
	if d := cmp.Diff(before.App(spec.Data).Doc["labels"], data.Doc["labels"]); d != "" {
		t.Errorf("labels: %s", d)
	}
}

func TestClientsAndTheRingFollowTheGeneration(t *testing.T) {
	c := cluster(es7)
	delete(c.Nodes, spec.Master)
	c.Nodes[spec.Data].Generation = 3
	d := desired(t, c, target)
	for comp, want := range map[spec.Component]string{
		spec.Discovery: "masters_app='/search/logs/es-datanode-g3'", spec.Exporter: "apps='/search/logs/es-datanode-g3'", spec.Kibana: "apps='/search/logs/es-datanode-g3'",
	} {
		if facts := factsOf(d.App(comp)); !strings.Contains(facts, want+"\n") {
			t.Errorf("%s lacks %s:\n%s", comp, want, facts)
		}
	}
}

func factsOf(a *render.App) string {
	for _, f := range a.Bundle.Files {
		if f.Path == "facts.sh" {
			return string(f.Content)
		}
	}
	return ""
}

// A cluster that is declared with a later generation from its first day forms like any other.
func TestALaterGenerationFormsAClusterUnderItsOwnNames(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m, b := secondGeneration(t, path)
		m.app("/search/logs/es-datanode", 3, nil) // stopped
		out, _ := b.mustStart(t)
		wantLines(t, out, `node.name: "data-g2-127.0.0.9"`,
			`cluster.initial_master_nodes: ["data-g2-10.0.0.2", "data-g2-10.0.0.3", "data-g2-127.0.0.9"]`,
			`discovery.seed_hosts: ["10.0.1.8:19300", "10.0.1.9:19300"]`)
	})
}

// Where data nodes are the masters the ring leads to nobody yet who is in the cluster, so the older ones are asked.
func TestALaterGenerationJoinsTheMastersBeforeIt(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m, b := secondGeneration(t, path)
		m.app("/search/logs/gate", 0, map[string]string{marathon.LabelClusterUUID: "u-1"})
		m.app("/search/logs/es-datanode", 3, nil, task(4, "10.0.0.4", "TASK_RUNNING"), task(5, "10.0.0.5", "TASK_FAILED"), task(6, "10.0.0.6", "TASK_RUNNING"))
		out, _ := b.mustStart(t)
		wantLines(t, out, `discovery.seed_hosts: ["10.0.1.8:19300", "10.0.1.9:19300", "10.0.0.4:31009", "10.0.0.6:31013"]`)
		if strings.Contains(out, "initial_master_nodes") {
			t.Error("it forms a cluster of its own")
		}
	})
}

// Without the record the boot script alone stands between blank masters and a second cluster of the same name.
func TestALaterGenerationNeverFormsBesideTheOneBefore(t *testing.T) {
	t.Parallel()
	m, b := secondGeneration(t, shells[0].path(t))
	m.app("/search/logs/es-datanode", 3, nil, task(4, "10.0.0.4", "TASK_RUNNING"))
	b.mustFail(t, 73, "nodes of /search/logs/es-datanode run")
}

// secondGeneration is a blank node of a cluster without masters of its own.
func secondGeneration(t *testing.T, path string) (*fakeMarathon, *boot) {
	m := newMarathon(t)
	m.masters()
	c := localCluster(t)
	delete(c.Nodes, spec.Master)
	c.Nodes[spec.Data].Generation, c.Nodes[spec.Data].Replicas = 2, 3
	m.app("/search/logs/es-datanode-g2", 3, nil, task(3, "10.0.0.3", "TASK_STAGING"), task(1, "127.0.0.9", "TASK_RUNNING"), task(2, "10.0.0.2", "TASK_RUNNING"))
	return m, newBoot(t, path, c, spec.Data, m.URL)
}

func TestTheDelayIsWrittenAsElasticsearchReadsIt(t *testing.T) {
	c := cluster(es7)
	for d, want := range map[time.Duration]string{time.Minute: "60s", 90 * time.Minute: "5400s", 90500 * time.Millisecond: "90500ms"} {
		c.Indices.Delay = d
		if got := render.DelayedTimeout(c); got != want {
			t.Errorf("%s is written %s", d, got)
		}
		index := desired(t, c, target).IndexTemplates[0].Body["settings"].(map[string]any)["index"].(map[string]any)
		if got := index["unassigned"].(map[string]any)["node_left"].(map[string]any)["delayed_timeout"]; got != want {
			t.Errorf("the template has %v", got)
		}
	}
}
