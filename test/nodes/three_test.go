package nodes_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// Three nodes that are masters and hold data, found through the rendered HAProxy and nothing else.
func TestThreeNodesWithoutMastersOfTheirOwnAreOneCluster(t *testing.T) {
	for _, name := range []string{"2.4.6", "6.8.23", "7.17.28", "8.19.21"} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			c := newCluster(t, releaseOf(t, name), 3, "")
			c.create()
			nodes := c.nodes(3)
			formed := time.Since(began)
			settings := 0
			for _, n := range nodes {
				settings += n.isWhatGitSays(true)
			}
			uuid, master := c.areOne(nodes)
			c.fill(nodes[0])

			// Before esfleet has recorded the cluster: the node knows its list of first masters and its data.
			c.restarted(nodes[1], 3).isWhatGitSays(true)
			c.isUnharmed(uuid)

			// Afterwards a node without any data can only join, though all masters are in place again.
			c.record(uuid)
			c.wiped(nodes[2]).isWhatGitSays(false)
			c.isUnharmed(uuid)
			if t.Failed() {
				return
			}
			t.Logf("%s: 3 nodes, one cluster %s under %s, %d settings as git says, formed in %.0f s; after kill -9 and a wiped node still %d documents; %.0f s",
				name, uuid, master, settings, formed.Seconds(), documents, time.Since(began).Seconds())
		})
	}
}

// areOne says that all nodes agree on the cluster and its master, and that no fewer than two could.
func (c *cluster) areOne(nodes []*node) (uuid, master string) {
	c.t.Helper()
	for i, n := range nodes {
		if i == 0 {
			uuid, master = n.uuid(), n.master()
		}
		if u, m := n.uuid(), n.master(); u != uuid || m != master {
			c.t.Errorf("%s is in cluster %s under %s, %s in %s under %s", n.Name, u, m, nodes[0].Name, uuid, master)
		}
		if key := c.release.quorum; key != "" && n.shown()[key] != "2" {
			c.t.Errorf("%s: %s is %q, want 2 of 3", n.Name, key, n.shown()[key])
		}
	}
	if !strings.HasPrefix(master, "data-") {
		c.t.Errorf("the master is %q", master)
	}
	return uuid, master
}

// master is the name of the elected master as this node sees it.
func (n *node) master() string {
	n.cluster.t.Helper()
	return strings.TrimSpace(string(n.get("/_cat/master?h=node&local=true")))
}

const documents = 30

// index has six shards, which fit three nodes just so: a lost copy waits for the node that comes back or in its place.
const index = `{"settings":{"number_of_shards":3,"index.unassigned.node_left.delayed_timeout":"0s"}}`

// fill makes the index and writes documents.
func (c *cluster) fill(n *node) {
	c.t.Helper()
	for _, tmpl := range c.desired.IndexTemplates {
		body, err := json.Marshal(tmpl.Body)
		must(c.t, err)
		if code, answer := send(c.t, http.MethodPut, n.url+"/"+tmpl.Path, body); code != http.StatusOK {
			c.t.Fatalf("PUT %s: %d %s", tmpl.Path, code, answer)
		}
	}
	if code, answer := send(c.t, http.MethodPut, n.url+"/docs", []byte(index)); code != http.StatusOK {
		c.t.Fatalf("PUT /docs: %d %s", code, answer)
	}
	var lines strings.Builder
	for i := range documents {
		fmt.Fprintf(&lines, `{"index":{"_id":"%d"}}`+"\n"+`{"n":%d}`+"\n", i, i)
	}
	path := "/docs/_bulk?refresh=true"
	if c.release.docs != "_doc" {
		path = "/docs/" + c.release.docs + "/_bulk?refresh=true"
	}
	code, answer := send(c.t, http.MethodPost, n.url+path, []byte(lines.String()))
	if code != http.StatusOK || !strings.Contains(string(answer), `"errors":false`) {
		c.t.Fatalf("write documents: %d %s", code, answer)
	}
	c.nodes(3) // both copies of each shard
}

// isUnharmed waits for green, and asks every node for the cluster and the documents.
func (c *cluster) isUnharmed(uuid string) {
	c.t.Helper()
	nodes := c.nodes(3)
	if got, _ := c.areOne(nodes); got != uuid {
		c.t.Errorf("cluster %s became %s", uuid, got)
	}
	for _, n := range nodes {
		var answer struct{ Count int }
		if err := json.Unmarshal(n.get("/docs/_count"), &answer); err != nil || answer.Count != documents {
			c.t.Errorf("%s finds %d of %d documents: %v", n.Name, answer.Count, documents, err)
		}
		if shards := n.get("/_cat/shards/docs?h=state,node"); strings.Count(string(shards), "STARTED "+n.Name) != 2 {
			c.t.Errorf("%s does not hold two of six shards:\n%s", n.Name, shards)
		}
	}
}

// wiped lets Marathon end a node's task with its volume, and waits for the blank one in its place.
func (c *cluster) wiped(old *node) *node {
	c.t.Helper()
	id := render.AppID(c.desired.ID, spec.Data)
	if code, answer := send(c.t, http.MethodDelete, c.marathon+"/v2/apps"+string(id)+"/tasks/"+string(old.task.ID)+"?wipe=true", nil); code != http.StatusOK {
		c.t.Fatalf("wipe %s: %d %s", old.Name, code, answer)
	}
	var blank *node
	c.until("a blank node has joined", func() bool {
		blank = nil
		for _, task := range c.tasks() {
			if task.Host == old.task.Host && task.Instance != old.task.Instance && task.Healthy {
				blank = c.ask(task)
			}
		}
		return blank != nil && blank.inGreen(3)
	})
	if blank.Name != old.Name {
		c.t.Errorf("on %s, %s became %s", old.task.Host, old.Name, blank.Name)
	}
	if blank.task.Volumes[0] == old.task.Volumes[0] || c.release.keepsID && blank.ID == old.ID {
		c.t.Errorf("%s is not blank: volume %v, id %s", blank.Name, blank.task.Volumes, blank.ID)
	}
	return blank
}
