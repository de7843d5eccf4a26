package nodes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestARealNodeOfEachVersionIsWhatGitSays(t *testing.T) {
	for _, name := range []string{"2.4.6", "5.6.16", "6.8.23", "7.10.2", "7.17.28", "8.19.21", "opensearch 2.11.0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			r := releaseOf(t, name)
			url, sum := servePlugin(t, r, "lab-nothing")
			c := newCluster(t, r, 1, fmt.Sprintf(`plugins: [{name: lab-nothing, url: %q, sha512: %s}]
overrides: [{hosts: [%s], settings: {indices.recovery.max_bytes_per_sec: 20mb}}]
`, url, sum, strings.Join(firstAgents(), ", ")))
			c.create()
			n := c.nodes(1)[0]
			settings := n.isWhatGitSays(true)
			if got := n.shown()["indices.recovery.max_bytes_per_sec"]; got != "20mb" {
				t.Errorf("the override of this host is not there: %q", got)
			}
			plugins := n.plugins()
			if plugins != "lab-nothing" {
				t.Errorf("plugins are %q", plugins)
			}
			n.takesTheReliabilityRules()
			uuid := n.uuid()

			// The second run of the instance, after esfleet has recorded the cluster: it finds its data and forms nothing.
			c.record(uuid)
			n = c.restarted(n, 1)
			n.isWhatGitSays(false)
			if got := n.uuid(); got != uuid {
				t.Errorf("cluster %s became %s", uuid, got)
			}
			if t.Failed() {
				return
			}
			t.Logf("%s: green; roles %s; %d settings, 3 attributes and plugins %s as git says; came back after kill -9; %.0f s",
				name, roleWords(n), settings, plugins, time.Since(began).Seconds())
		})
	}
}

func roleWords(n *node) string {
	if n.cluster.release.roles == "" {
		return "master and data (by settings)"
	}
	return strings.Join(n.Roles, ",")
}

func (n *node) plugins() string {
	var names []string
	for _, p := range n.Plugins {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// restarted kills a node's JVM, and waits until Marathon has started the same node on the same volume, and the cluster of
// count nodes is green with it.
func (c *cluster) restarted(old *node, count int) *node {
	c.t.Helper()
	must(c.t, syscall.Kill(old.Process.ID, syscall.SIGKILL))
	var again *node
	c.until(old.Name+" is back", func() bool {
		again = nil
		for _, task := range c.tasks() {
			if task.Instance == old.task.Instance && task.ID != old.task.ID && task.Healthy {
				again = c.ask(task)
			}
		}
		return again != nil && again.inGreen(count)
	})
	if again.Name != old.Name || again.task.Volumes[0] != old.task.Volumes[0] {
		c.t.Errorf("%s on volume %v came back as %s on %v", old.Name, old.task.Volumes, again.Name, again.task.Volumes)
	}
	if c.release.keepsID && again.ID != old.ID {
		c.t.Errorf("%s came back with another data folder: its id was %s and is %s", old.Name, old.ID, again.ID)
	}
	return again
}

// takesTheReliabilityRules makes an index that says nothing of copies, and looks how many it was given.
func (n *node) takesTheReliabilityRules() {
	t := n.cluster.t
	t.Helper()
	for _, tmpl := range n.cluster.desired.IndexTemplates {
		body, err := json.Marshal(tmpl.Body)
		must(t, err)
		if code, answer := send(t, http.MethodPut, n.url+"/"+tmpl.Path, body); code != http.StatusOK {
			t.Errorf("PUT %s: %d %s", tmpl.Path, code, answer)
		}
	}
	if code, answer := send(t, http.MethodPut, n.url+"/rules", []byte(`{"settings":{"number_of_shards":2}}`)); code != http.StatusOK {
		t.Errorf("PUT /rules: %d %s", code, answer)
	}
	answer := n.get("/rules/_settings?flat_settings=true")
	for _, want := range []string{`"index.number_of_replicas":"1"`, `"index.routing.allocation.total_shards_per_node":"2"`} {
		if !bytes.Contains(answer, []byte(want)) {
			t.Errorf("a new index lacks %s: %s", want, answer)
		}
	}
	shards := n.get("/_cat/shards/rules?h=prirep")
	if primaries, replicas := bytes.Count(shards, []byte("p")), bytes.Count(shards, []byte("r")); primaries != 2 || replicas != 2 {
		t.Errorf("the index has %d primaries and %d replicas:\n%s", primaries, replicas, shards)
	}
	n.delete("rules") // its replicas have no second node
}

func (n *node) delete(index string) {
	n.cluster.t.Helper()
	if code, answer := send(n.cluster.t, http.MethodDelete, n.url+"/"+index, nil); code != http.StatusOK {
		n.cluster.t.Errorf("DELETE %s: %d %s", index, code, answer)
	}
}

func TestWhatAKilledRunHasLeftIsEnded(t *testing.T) {
	p := newPlace(t)
	left := exec.Command("sleep", "3600")
	left.Dir = p.folder("mesos")
	left.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	must(t, left.Start())
	ended := make(chan error, 1)
	go func() { ended <- left.Wait() }()
	p.clear()
	if err := <-ended; err == nil || err.Error() != "signal: killed" {
		t.Errorf("it ended with %v", err)
	}
	if _, err := os.Stat(p.dir); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
}
