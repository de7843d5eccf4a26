package render_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

func TestEachGenerationOfDataNodesIsAnAppOfItsOwn(t *testing.T) {
	c := cluster(es7)
	for g, want := range map[int]marathon.AppID{0: "/search/logs/es-datanode", 1: "/search/logs/es-datanode", 2: "/search/logs/es-datanode-g2", 99: "/search/logs/es-datanode-g99"} {
		c.Nodes[spec.Data].Generation = g
		id := render.AppIDOf(c, spec.Data)
		if id != want {
			t.Errorf("generation %d lives at %s", g, id)
		}
		if n, ok := render.GenerationOf(id); !ok || n != max(1, g) {
			t.Errorf("%s is generation %d, %v", id, n, ok)
		}
	}
	for _, comp := range spec.Components {
		if comp != spec.Data && render.AppIDOf(c, comp) != render.AppID(c.ID, comp) {
			t.Errorf("%s moves to %s", comp, render.AppIDOf(c, comp))
		}
	}
}

func TestWhatIsNoDataAppHasNoGeneration(t *testing.T) {
	for _, id := range []marathon.AppID{"/search/logs/es-master", "/search/logs/es-datanode-g1", "/search/logs/es-datanode-g02", "/search/logs/es-datanode-g", "/search/logs/es-datanodes", "/search/logs/es-datanode-2", "/search/logs/es-datanode-g-3", "/g2"} {
		if n, ok := render.GenerationOf(id); ok {
			t.Errorf("%s is generation %d", id, n)
		}
	}
}

// The name is asked for by who has only Marathon's tasks before him, and made by a shell on the node. Both must agree, or
// esfleet would empty a node that is called otherwise.
func TestTheNameThatIsExpectedIsTheOneThatTheBootScriptGives(t *testing.T) {
	hosts := []string{"127.0.0.9", "agent-7.example.net"}
	tasks := []marathon.TaskID{
		"search_logs_es-datanode.instance-1b9c6a5e-7f2d-11ee-8c3a-0242ac120002._app.17",
		"search_logs_es-datanode.marathon-1b9c6a5e-7f2d-11ee-8c3a-0242ac120002",
		"search_logs_es-datanode-g2.2b9c6a5e-7f2d-11ee-8c3a-0242ac120002.3",
		"search_logs_es-datanode.2b9c6a5e-7f2d-11ee-8c3a-0242ac120002",
		"odd", "odd-and-longer-than-eight",
	}
	eachShell(t, func(t *testing.T, path string) {
		for _, comp := range []spec.Component{spec.Master, spec.Data, spec.Coordinating} {
			for _, perHost := range []int{1, 2} {
				for _, g := range []int{1, 12} {
					c := cluster(es7)
					extraRoles(c)
					c.Nodes[comp].PerHost, c.Nodes[comp].Generation = perHost, g
					got := namesBySh(t, path, c, comp, hosts, tasks)
					for _, host := range hosts {
						for _, task := range tasks {
							want := render.NodeName(c, comp, host, task.Instance())
							if got[0] != want {
								t.Errorf("%s of generation %d, %d a host: the node calls itself %q, expected is %q", task, g, perHost, got[0], want)
							}
							got = got[1:]
						}
					}
				}
			}
		}
	})
}

// namesBySh lets node_name of the very scripts and facts of an app's bundle name each task on each host.
func namesBySh(t *testing.T, path string, c *spec.Cluster, comp spec.Component, hosts []string, tasks []marathon.TaskID) []string {
	t.Helper()
	var script bytes.Buffer
	for _, name := range []string{"facts.sh", "common.sh", "node.sh"} {
		for _, f := range desired(t, c, target).App(comp).Bundle.Files {
			if f.Path == name {
				script.Write(f.Content)
			}
		}
	}
	for _, h := range hosts {
		for _, id := range tasks {
			fmt.Fprintf(&script, "node_name '%s' '%s'\n", h, id)
		}
	}
	dir, _, _ := strings.Cut(path, ":")
	cmd := exec.Command(filepath.Join(dir, "sh"), "-u")
	cmd.Env = []string{"PATH=" + path}
	cmd.Stdin = &script
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

func TestGenerationsOnOneHostHaveDifferentNames(t *testing.T) {
	seen := map[string]bool{}
	for g := range 99 {
		c := cluster(es7)
		c.Nodes[spec.Data].Generation = g + 1
		seen[render.NodeName(c, spec.Data, "agent-1", "i")] = true
	}
	if len(seen) != 99 || !seen["data-agent-1"] || !seen["data-g2-agent-1"] {
		t.Errorf("%d names", len(seen))
	}
}
