package nodes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// patience bounds a broken run; a loaded machine takes minutes for what an idle one does in seconds.
const patience = 6 * time.Minute

var client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}

// A cluster is rendered from git's files and runs on a simulated Marathon, as processes.
type cluster struct {
	t        testing.TB
	place    *place
	release  release
	home     string
	sim      *marathonsim.Sim
	marathon string // its URL
	desired  *render.Desired
}

// newCluster declares a cluster without masters of its own, with replicas data nodes and a machine for each; more is YAML
// that is added to its cluster.yaml.
func newCluster(t testing.TB, r release, replicas int, more string) *cluster {
	t.Helper()
	p := newPlace(t)
	c := &cluster{t: t, place: p, release: r, home: p.home(r.distribution + "-" + r.version)}
	runner, err := marathonsim.Processes(filepath.Join(p.dir, "mesos"))
	must(t, err)
	var agents []marathonsim.Agent
	for i := range replicas {
		agents = append(agents, marathonsim.Agent{
			Hostname: p.agent(i + 1), CPUs: 8, Mem: 16384, Disk: 100_000, Ports: []marathonsim.PortRange{{First: 31000, Last: 31999}},
		})
	}
	c.sim = marathonsim.New(marathonsim.Options{
		Agents: agents, Runner: runner,
		ScaleCheck:   2 * time.Second, // by nothing else a wiped node is missed
		ChecksWithin: 500 * time.Millisecond,
	})
	t.Cleanup(c.sim.Close)
	server := httptest.NewServer(c.sim)
	t.Cleanup(server.Close)
	c.marathon = server.URL
	files := c.files(more)
	git := snapshot.FromMap("0000000000000000000000000000000000000000", files)
	fleet, problems := spec.Parse(git, nil)
	if len(problems) > 0 {
		t.Fatalf("%v in\n%s", problems, files["groups/search/clusters/logs/cluster.yaml"])
	}
	declared := fleet.Groups[0].Clusters[0]
	declared.Nodes[spec.Data].Replicas = replicas // spec refuses one alone: it could not lose a node
	c.desired, err = render.Cluster(declared, git, render.Target{
		Version: marathon.Version{Major: 1, Minor: 11, Patch: 24}, NodeURLs: []string{c.marathon},
	})
	must(t, err)
	return c
}

// files is the fleet as git has it.
func (c *cluster) files(more string) map[string]string {
	const dir = "groups/search/clusters/logs/"
	env := "{}"
	if c.release.before("5") {
		env = `{ES_GC_OPTS: "-XX:+UseSerialGC"}` // which later ones refuse, and read files/jvm.options
	}
	return map[string]string{
		"fleet.yaml":               fmt.Sprintf("apiVersion: esfleet/v1\nkind: Fleet\nname: nodes\nmarathons: {main: {url: %q}}\n", c.marathon),
		"groups/search/group.yaml": "apiVersion: esfleet/v1\nkind: Group\nmarathon: main\n",
		dir + "cluster.yaml": fmt.Sprintf(`apiVersion: esfleet/v1
kind: Cluster
purpose: online
containerizer: mesos
elasticsearch: {distribution: %s, version: %q, home: %q, user: nobody}
data:
  replicas: 3
  cpus: 1
  memory: 1GiB
  heap: 128MiB
  disk: 1GiB
  env: %s
  settings: {indices.queries.cache.size: 5%%}
discovery: {port: 31900, replicas: 1}
indices: {replicas: 1, totalShardsPerNode: 2}
checks: {interval: 5s, timeout: 4s, grace: 15m, maxFailures: 60}
%s`, c.release.distribution, c.release.version, c.home, env, more),
		dir + "elasticsearch.yml":  fmt.Sprintf("action.auto_create_index: logs-*,.kibana*\nhttp.max_content_length: 50mb\npath.repo: [%q, %q]\n", c.place.folder("one"), c.place.folder("two")),
		dir + "pre-run.sh":         "#!/bin/sh\necho \"$ESFLEET_NODE_NAME\" >prepared\n",
		dir + "files/synonyms.txt": "quick,fast\n",
		// The heap stands for what a distribution ships: git's replaces it.
		dir + "files/jvm.options": "-Xms4g\n-Xmx4g\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n-XX:-AlwaysPreTouch\n",
	}
}

// create sends each app to Marathon, and waits until it stands: the order and the waiting are esfleet's.
func (c *cluster) create() {
	c.t.Helper()
	for _, app := range c.desired.Apps {
		c.put(app.ID, app.Doc)
		c.until(fmt.Sprintf("%s stands", app.ID), func() bool { return c.stands(app.ID, app.Instances) })
	}
}

// stands says that no deployment is open, and all of an app's tasks run and have passed their check.
func (c *cluster) stands(id marathon.AppID, instances int) bool {
	view := c.sim.View()
	healthy := 0
	for _, task := range tasksIn(view, id) {
		if task.Healthy && task.State == "TASK_RUNNING" {
			healthy++
		}
	}
	return len(view.Deployments) == 0 && healthy == instances
}

func tasksIn(v marathonsim.View, id marathon.AppID) []marathonsim.Task {
	for _, a := range v.Apps {
		if a.ID == id {
			return a.Tasks
		}
	}
	return nil
}

// record writes the cluster's uuid where esfleet does: from then on no node ever forms a cluster.
func (c *cluster) record(uuid string) {
	c.t.Helper()
	gate := c.desired.App(spec.Gate)
	doc := maps.Clone(gate.Doc)
	labels := map[string]any{"esfleet.cluster-uuid": uuid}
	if old, ok := doc["labels"].(map[string]any); ok {
		maps.Copy(labels, old)
	}
	doc["labels"] = labels
	c.put(gate.ID, doc)
	c.until("the gate keeps the uuid", func() bool { return c.stands(gate.ID, 0) })
}

func (c *cluster) put(id marathon.AppID, doc any) {
	c.t.Helper()
	body, err := json.Marshal(doc)
	must(c.t, err)
	if code, answer := send(c.t, http.MethodPut, c.marathon+"/v2/apps"+string(id)+"?partialUpdate=false", body); code/100 != 2 {
		c.t.Fatalf("PUT %s: %d %s", id, code, answer)
	}
}

// send gives up with the test's failure if nobody answers.
func send(t testing.TB, method, url string, body []byte) (int, []byte) {
	t.Helper()
	code, answer, err := request(t, method, url, body)
	must(t, err)
	return code, answer
}

func request(t testing.TB, method, url string, body []byte) (int, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	must(t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json") // without a body, 2.x would take it for the answer's
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// until polls, since nothing tells when an Elasticsearch is ready.
func (c *cluster) until(what string, done func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(deadline) || c.crashes() {
			c.t.Fatalf("never came true: %s\n%s", what, c.words())
		}
	}
}

// crashes says that a node has been started more often than any test has killed it.
func (c *cluster) crashes() bool {
	return slices.ContainsFunc(c.tasks(), func(task marathonsim.Task) bool {
		var run int
		_, err := fmt.Sscan(string(task.ID[strings.LastIndexByte(string(task.ID), '.')+1:]), &run)
		return err == nil && run > 5
	})
}

// words are the last that each task has said.
func (c *cluster) words() string {
	var out strings.Builder
	for _, name := range []string{"stderr", "stdout", "logs/search-logs.log"} {
		files, err := filepath.Glob(filepath.Join(c.place.dir, "mesos", "tasks", "*", name))
		must(c.t, err)
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				continue // a task that has just begun
			}
			fmt.Fprintf(&out, "--- %s\n%s\n", strings.TrimPrefix(f, c.place.dir), b[max(0, len(b)-3000):])
		}
	}
	return out.String()
}

// sandbox is a task's folder.
func (c *cluster) sandbox(task marathonsim.Task) string {
	return filepath.Join(c.place.dir, "mesos", "tasks", string(task.ID))
}

// tasks are the data nodes' tasks by host.
func (c *cluster) tasks() []marathonsim.Task {
	out := slices.Clone(tasksIn(c.sim.View(), render.AppID(c.desired.ID, spec.Data)))
	slices.SortFunc(out, func(a, b marathonsim.Task) int { return strings.Compare(a.Host, b.Host) })
	return out
}
