package nodes_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/spec"
)

// A node is what a running Elasticsearch says of itself.
type node struct {
	cluster *cluster
	task    marathonsim.Task
	url     string

	ID         string // in the cluster
	Name       string
	Attributes map[string]string
	Roles      []string
	Settings   map[string]any
	Plugins    []struct{ Name string }
	Process    struct{ ID int }
	JVM        struct {
		Mem struct {
			HeapMax int64 `json:"heap_max_in_bytes"`
		}
	}
}

// ask reads a node; nil while it does not answer.
func (c *cluster) ask(task marathonsim.Task) *node {
	c.t.Helper()
	if len(task.Ports) < 2 {
		return nil
	}
	url := fmt.Sprintf("http://%s:%d", task.Host, task.Ports[0])
	code, body, err := request(c.t, http.MethodGet, url+"/_nodes/_local?flat_settings=true", nil)
	if err != nil || code != http.StatusOK {
		return nil
	}
	var answer struct{ Nodes map[string]*node }
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Nodes) != 1 {
		c.t.Fatalf("%s says of itself: %v: %s", url, err, body)
	}
	for id, n := range answer.Nodes {
		n.cluster, n.task, n.url, n.ID = c, task, url, id
		slices.Sort(n.Roles)
		return n
	}
	return nil
}

// nodes waits until each task's node is in one green cluster with all others, and reads them.
func (c *cluster) nodes(count int) []*node {
	c.t.Helper()
	var out []*node
	c.until(fmt.Sprintf("%d nodes are a green cluster", count), func() bool {
		out = out[:0]
		for _, task := range c.tasks() {
			if task.State != "TASK_RUNNING" {
				continue
			}
			n := c.ask(task)
			if n == nil || !n.inGreen(count) {
				return false
			}
			out = append(out, n)
		}
		return len(out) == count
	})
	return out
}

func (n *node) inGreen(count int) bool {
	path := fmt.Sprintf("/_cluster/health?wait_for_status=green&wait_for_nodes=%d&timeout=1s&master_timeout=1s", count)
	code, body, err := request(n.cluster.t, http.MethodGet, n.url+path, nil)
	var health struct {
		Moving *int `json:"relocating_shards"`
	}
	return err == nil && code == http.StatusOK && json.Unmarshal(body, &health) == nil && health.Moving != nil && *health.Moving == 0
}

// get fails the test unless the node answers 200.
func (n *node) get(path string) []byte {
	n.cluster.t.Helper()
	code, body := send(n.cluster.t, http.MethodGet, n.url+path, nil)
	if code != http.StatusOK {
		n.cluster.t.Fatalf("GET %s: %d: %s", path, code, body)
	}
	return body
}

// uuid is the cluster's, where every version tells it.
func (n *node) uuid() string {
	n.cluster.t.Helper()
	var state struct {
		Metadata struct {
			UUID string `json:"cluster_uuid"`
		}
	}
	body := n.get("/_cluster/state/metadata?filter_path=metadata.cluster_uuid")
	if err := json.Unmarshal(body, &state); err != nil || len(state.Metadata.UUID) < 10 || state.Metadata.UUID == "_na_" {
		n.cluster.t.Fatalf("the cluster has no uuid: %v: %s", err, body)
	}
	return state.Metadata.UUID
}

// wants are the settings that the node must have: those of git's configuration in its bundle, and those that its place
// decides. forms says whether it was started to form the cluster.
func (n *node) wants(forms bool) map[string]string {
	n.cluster.t.Helper()
	c, r := n.cluster, n.cluster.release
	// The simulator links a volume into the sandbox, as Mesos does where it cannot mount it.
	data, err := filepath.EvalSymlinks(filepath.Join(c.sandbox(n.task), "esdata/data"))
	must(c.t, err)
	out := n.rendered()
	app := c.desired.App(spec.Data)
	maps.Copy(out, map[string]string{
		"node.name":                  "data-" + n.task.Host,
		r.attr + "esfleet_bundle":    app.Bundle.Digest,
		r.attr + "esfleet_component": "data",
		r.attr + "esfleet_instance":  n.instance(),
		"network.host":               n.task.Host,
		"http.port":                  fmt.Sprint(n.task.Ports[0]),
		r.port:                       fmt.Sprint(n.task.Ports[1]),
		"path.data":                  data,
		"path.logs":                  filepath.Join(c.sandbox(n.task), "logs"),
		r.seeds:                      c.ring(),
	})
	if r.secured(c.home) {
		out["xpack.security.enabled"] = "false"
	}
	if r.initial != "" && forms {
		var names []string
		for i := range app.Instances {
			names = append(names, "data-"+c.place.agent(i+1))
		}
		out[r.initial] = strings.Join(names, ",")
	}
	return out
}

// instance is what stays the same while Marathon restarts the task.
func (n *node) instance() string {
	id := string(n.task.Instance)
	return id[max(0, len(id)-36):]
}

// ring is where the one HAProxy listens.
func (c *cluster) ring() string {
	c.t.Helper()
	for _, task := range tasksIn(c.sim.View(), c.desired.App(spec.Discovery).ID) {
		return fmt.Sprintf("%s:%d", task.Host, task.Ports[0])
	}
	c.t.Fatal("no discovery runs")
	return ""
}

// rendered is the configuration that git's files have become for this host, a line a setting.
func (n *node) rendered() map[string]string {
	n.cluster.t.Helper()
	files := map[string][]byte{}
	for _, f := range n.cluster.desired.App(spec.Data).Bundle.Files {
		files[f.Path] = f.Content
	}
	content, ok := files["config/hosts/"+n.task.Host+".yml"]
	if !ok {
		content = files["config/elasticsearch.yml"]
	}
	out := map[string]string{}
	for s := bufio.NewScanner(bytes.NewReader(content)); s.Scan(); {
		key, value, _ := strings.Cut(s.Text(), ": ")
		d := json.NewDecoder(strings.NewReader(value))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			n.cluster.t.Fatalf("line %q: %v", s.Text(), err)
		}
		out[key] = text(v)
	}
	if len(out) < 5 {
		n.cluster.t.Fatalf("the bundle holds no configuration: %s", content)
	}
	return out
}

// text joins a list by commas, as some versions show it.
func text(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	var words []string
	for _, e := range list {
		words = append(words, fmt.Sprint(e))
	}
	return strings.Join(words, ",")
}

// shown are the node's settings, each as one text: up to 5.x a list is shown as key.0, key.1 ….
func (n *node) shown() map[string]string {
	out := map[string]string{}
	for k, v := range n.Settings {
		out[k] = text(v)
	}
	for _, k := range slices.Sorted(maps.Keys(out)) {
		list, isFirst := strings.CutSuffix(k, ".0")
		if !isFirst {
			continue
		}
		var words []string
		for i := 0; ; i++ {
			word, ok := out[fmt.Sprintf("%s.%d", list, i)]
			if !ok {
				break
			}
			delete(out, fmt.Sprintf("%s.%d", list, i))
			words = append(words, word)
		}
		out[list] = strings.Join(words, ",")
	}
	return out
}

// ownSettings are what a distribution sets by itself; no other may be there that git has not.
var ownSettings = []string{
	"client.type", "cluster.name", "config.ignore_system_properties", "default.", "http.type", "http.type.default", "name", "node.attr.xpack.installed",
	"node.attr.shard_indexing_pressure_enabled", "path.conf", "path.home", "pidfile", "transport.type", "transport.type.default", "transport.features.", "xpack.",
}

// isWhatGitSays compares everything that a node tells with what is rendered, and gives the number of settings compared.
func (n *node) isWhatGitSays(forms bool) int {
	t, r := n.cluster.t, n.cluster.release
	t.Helper()
	want, have := n.wants(forms), n.shown()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if got, ok := have[k]; !ok || got != want[k] {
			t.Errorf("%s: setting %s is %q, want %q", n.Name, k, got, want[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(have)) {
		_, known := want[k]
		if !known && !slices.ContainsFunc(ownSettings, func(own string) bool { return k == own || strings.HasSuffix(own, ".") && strings.HasPrefix(k, own) }) {
			t.Errorf("%s: setting %s is %q, and nothing in git says so", n.Name, k, have[k])
		}
	}
	if n.Name != want["node.name"] {
		t.Errorf("a node is called %q, want %q", n.Name, want["node.name"])
	}
	for _, a := range []string{"esfleet_bundle", "esfleet_component", "esfleet_instance"} {
		if n.Attributes[a] != want[r.attr+a] {
			t.Errorf("%s: attribute %s is %q, want %q", n.Name, a, n.Attributes[a], want[r.attr+a])
		}
	}
	if got := n.does(); got != r.roles {
		t.Errorf("%s: roles are %q, want %q", n.Name, got, r.roles)
	}
	if heap := n.JVM.Mem.HeapMax >> 20; heap < 100 || heap > 128 { // the JVM leaves out one survivor space
		t.Errorf("%s: the heap is %d MiB, want about 128", n.Name, heap)
	}
	n.hasItsFiles()
	return len(want)
}

// does are the node's roles; 2.x tells none, but in attributes what it does not do.
func (n *node) does() string {
	if n.cluster.release.roles == "" && (n.Attributes["master"] == "false" || n.Attributes["data"] == "false") {
		return fmt.Sprint(n.Attributes)
	}
	return strings.Join(n.Roles, ",")
}

// hasItsFiles looks for what pre-run.sh and files/ leave.
func (n *node) hasItsFiles() {
	t := n.cluster.t
	t.Helper()
	for name, want := range map[string]string{"prepared": "data-" + n.task.Host + "\n", "config/synonyms.txt": "quick,fast\n"} {
		if got, err := os.ReadFile(filepath.Join(n.cluster.sandbox(n.task), name)); err != nil || string(got) != want {
			t.Errorf("%s: %s is %q, %v; want %q", n.Name, name, got, err, want)
		}
	}
}
