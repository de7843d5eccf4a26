package render_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// archive is an unpacked distribution that test/setup/elasticsearch.sh has fetched.
func archive(t testing.TB, name string) string {
	if os.Getenv("ESFLEET_E2E") == "" {
		t.Skip("starts a real Elasticsearch; set ESFLEET_E2E=1, as `make test` does")
	}
	dir := os.Getenv("ESFLEET_ES_ARCHIVES")
	if dir == "" {
		dir = filepath.Join("..", ".cache", "elasticsearch")
	}
	home, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if !fileExists(filepath.Join(home, "bin")) {
		t.Skipf("%s is not there; run `make setup`", home)
	}
	return home
}

// smallJVM keeps the shipped options' place, with what a test machine can spare.
const smallJVM = "-Xms4g\n-Xmx4g\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n-XX:-AlwaysPreTouch\n"

// realCluster is one node that is master and data, on an address of its own.
func realCluster(t testing.TB, home string, version spec.Version, transport int) *spec.Cluster {
	c := localCluster(t)
	c.Elasticsearch.Home, c.Elasticsearch.Version = home, version
	c.Nodes = map[spec.Component]*spec.Nodes{spec.Data: {
		Replicas: 1, CPUs: 1, Memory: spec.GiB, Heap: 128 * spec.MiB, Disk: spec.GiB, PerHost: 1,
		Settings: map[string]any{"indices.queries.cache.size": "5%"},
	}}
	c.Discovery = spec.DiscoverySpec{Mode: spec.Static, Address: fmt.Sprintf("127.0.0.77:%d", transport)}
	c.Settings = map[string]any{"action.auto_create_index": "logs-*,.kibana*", "search.max_buckets": json.Number("20000")}
	c.Overrides = nil
	pre := fileRef("pre-run.sh", preRun)
	c.PreRun = &pre
	jvm := fileRef("jvm.options", smallJVM)
	c.Files = append(c.Files, jvm)
	c.Checks.Grace = time.Minute
	return c
}

func freePorts(t testing.TB, host string) (a, b int) {
	t.Helper()
	var ports []int
	for range 2 {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports[0], ports[1]
}

// A node is a running Elasticsearch.
type node struct {
	boot *boot
	url  string
	out  *bytes.Buffer
	stop func() // SIGTERM, and waits
}

func startNode(t testing.TB, b *boot, httpPort, transportPort int) *node {
	t.Helper()
	b.env["HOST"], b.env["PORT0"], b.env["PORT1"] = "127.0.0.77", strconv.Itoa(httpPort), strconv.Itoa(transportPort)
	n := &node{boot: b, url: fmt.Sprintf("http://127.0.0.77:%d", httpPort), out: &bytes.Buffer{}}
	cmd := b.command(t.Context())
	cmd.Stdout, cmd.Stderr = n.out, n.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }() // the exit code of a stopped JVM says nothing
	n.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Error("the node did not stop after SIGTERM")
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
	}
	t.Cleanup(n.stop)
	deadline := time.Now().Add(3 * time.Minute)
	for {
		select {
		case <-done:
			t.Fatalf("the node ended:\n%s", n.out)
		case <-time.After(200 * time.Millisecond):
		}
		if code, _ := n.get(t, "/_cluster/health?wait_for_status=green&timeout=1s&master_timeout=1s"); code == http.StatusOK {
			return n
		}
		if time.Now().After(deadline) {
			t.Fatal("the node is not green after 3 minutes") // what it wrote is a race away
		}
	}
}

// get answers 0 if the node does not.
func (n *node) get(t testing.TB, path string) (int, []byte) {
	t.Helper()
	res, err := http.Get(n.url + path)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

// local is what the tests read of GET /_nodes/_local.
type local struct {
	ClusterName string `json:"cluster_name"`
	Nodes       map[string]struct {
		Name       string            `json:"name"`
		Attributes map[string]string `json:"attributes"`
		Roles      []string          `json:"roles"`
		Settings   json.RawMessage   `json:"settings"`
		JVM        struct {
			Mem struct {
				HeapMax int64 `json:"heap_max_in_bytes"`
			} `json:"mem"`
		} `json:"jvm"`
	} `json:"nodes"`
}

// TestARealElasticsearchStartsFromARenderedBundle runs the versions that are unpacked; `make setup` unpacks the first.
func TestARealElasticsearchStartsFromARenderedBundle(t *testing.T) {
	for _, tc := range []struct {
		dist  spec.Distribution
		v     spec.Version
		roles string // sorted, as the node reports them; empty before 5.0, which reports none
		env   map[string]string
	}{
		{spec.ElasticsearchDist, spec.Version{Major: 7, Minor: 17, Patch: 28}, "data,ingest,master,remote_cluster_client", nil},
		{spec.ElasticsearchDist, spec.Version{Major: 2, Minor: 4, Patch: 6}, "", map[string]string{"ES_GC_OPTS": "-XX:+UseSerialGC"}},
		{spec.ElasticsearchDist, spec.Version{Major: 5, Minor: 6, Patch: 16}, "data,ingest,master", nil},
		{spec.ElasticsearchDist, spec.Version{Major: 6, Minor: 8, Patch: 23}, "data,ingest,master", nil},
		{spec.ElasticsearchDist, spec.Version{Major: 8, Minor: 19, Patch: 21}, "data,ingest,master,remote_cluster_client", nil},
		{spec.OpenSearchDist, spec.Version{Major: 2, Minor: 11}, "cluster_manager,data,ingest,remote_cluster_client", nil},
	} {
		t.Run(fmt.Sprintf("%s %s", tc.dist, tc.v), func(t *testing.T) {
			home := archive(t, fmt.Sprintf("%s-%s", tc.dist, tc.v))
			httpPort, transportPort := freePorts(t, "127.0.0.77")
			c := realCluster(t, home, tc.v, transportPort)
			c.Elasticsearch.Distribution = tc.dist
			if !tc.v.AtLeast(7, 0) && tc.dist == spec.ElasticsearchDist {
				delete(c.Settings, "search.max_buckets") // unknown to the oldest
			}
			m := newMarathon(t)
			m.app("/search/logs/gate", 0, nil)
			m.app("/search/logs/es-datanode", 1, nil, task(1, "127.0.0.77", "TASK_RUNNING"))
			b := newBoot(t, shells[0].path(t), c, spec.Data, m.URL)
			for k, v := range tc.env {
				b.env[k] = v
			}
			n := startNode(t, b, httpPort, transportPort)
			n.hasWhatTheBundleSays(t, c, tc.roles)
			n.takesTheReliabilityRules(t, desired(t, c, target).IndexTemplates)
			uuid := n.uuid(t)
			n.stop()

			// The second run of the instance, after esfleet has recorded the cluster: it finds its data and forms nothing.
			m.app("/search/logs/gate", 0, map[string]string{"esfleet.cluster-uuid": uuid})
			n = startNode(t, b, httpPort, transportPort)
			if got := n.uuid(t); got != uuid {
				t.Errorf("cluster %s became %s", uuid, got)
			}
			yml, err := os.ReadFile(filepath.Join(b.sandbox, "config", string(tc.dist)+".yml"))
			if err != nil || strings.Contains(string(yml), "cluster.initial_") {
				t.Errorf("the second run would form a cluster again: %v\n%s", err, yml)
			}
		})
	}
}

// hasWhatTheBundleSays reads a node's name, settings, attributes, roles and heap back over HTTP.
func (n *node) hasWhatTheBundleSays(t testing.TB, c *spec.Cluster, roles string) {
	t.Helper()
	var l local
	_, body := n.get(t, "/_nodes/_local?flat_settings=true")
	if err := json.Unmarshal(body, &l); err != nil || len(l.Nodes) != 1 {
		t.Fatalf("%v: %s", err, body)
	}
	if l.ClusterName != "search-logs" {
		t.Errorf("cluster.name is %q", l.ClusterName)
	}
	for _, got := range l.Nodes {
		if got.Name != "data-127.0.0.77" {
			t.Errorf("node.name is %q", got.Name)
		}
		for k, want := range map[string]string{"esfleet_bundle": n.boot.env["ESFLEET_BUNDLE_SHA256"], "esfleet_component": "data", "esfleet_instance": "00000001-0000-4000-8000-000000000000"} {
			if got.Attributes[k] != want {
				t.Errorf("attribute %s is %q, want %q", k, got.Attributes[k], want)
			}
		}
		if heap := got.JVM.Mem.HeapMax >> 20; heap < 100 || heap > 128 {
			t.Errorf("heap is %d MiB, want about 128", heap)
		}
		settings := map[string]any{}
		if err := json.Unmarshal(got.Settings, &settings); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"path.data": filepath.Join(n.boot.sandbox, "esdata/data"), "indices.queries.cache.size": "5%"}
		for k, v := range c.Settings {
			want[k] = v
		}
		for k, v := range want {
			have, ok := settings[k]
			if !ok {
				have = settings[k+".0"] // how 5.x shows a list
			}
			if s := fmt.Sprint(have); s != fmt.Sprint(v) && s != fmt.Sprintf("[%v]", v) {
				t.Errorf("setting %s is %v, want %v", k, have, v)
			}
		}
		slices.Sort(got.Roles)
		if strings.Join(got.Roles, ",") != roles {
			t.Errorf("roles are %v", got.Roles)
		}
	}
	if code, _ := n.get(t, healthCheckPath(t, c)); code != http.StatusOK {
		t.Errorf("the health check's path answers %d", code)
	}
	if got, err := os.ReadFile(filepath.Join(n.boot.sandbox, "prepared")); err != nil || string(got) != "data-127.0.0.77\n" {
		t.Errorf("pre-run.sh left %q, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(n.boot.sandbox, "config/synonyms.txt")); err != nil || string(got) != "quick,fast\n" {
		t.Errorf("the configuration folder's synonyms.txt is %q, %v", got, err)
	}
}

// takesTheReliabilityRules makes an index and looks how many replicas it was given.
func (n *node) takesTheReliabilityRules(t testing.TB, templates []render.IndexTemplate) {
	t.Helper()
	for _, tmpl := range templates {
		body, err := json.Marshal(tmpl.Body)
		if err != nil {
			t.Fatal(err)
		}
		if code, answer := n.send(t, http.MethodPut, "/"+tmpl.Path, body); code != http.StatusOK {
			t.Errorf("PUT %s: %d %s", tmpl.Path, code, answer)
		}
	}
	n.send(t, http.MethodPut, "/rules", []byte(`{}`))
	_, answer := n.get(t, "/rules/_settings?flat_settings=true")
	for _, want := range []string{`"index.number_of_replicas":"1"`, `"index.routing.allocation.total_shards_per_node":"2"`} {
		// Before 5.0 the rules are the node's settings; an index does not repeat those.
		if len(templates) > 0 && !bytes.Contains(answer, []byte(want)) {
			t.Errorf("a new index lacks %s: %s", want, answer)
		}
	}
	if len(templates) == 0 {
		if _, shards := n.get(t, "/_cat/shards/rules?h=prirep"); bytes.Count(shards, []byte("r")) != 5 {
			t.Errorf("five primaries have not one replica each:\n%s", shards)
		}
	}
	n.send(t, http.MethodDelete, "/rules", nil) // its replicas have no second node
}

func (n *node) send(t testing.TB, method, path string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, n.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

func healthCheckPath(t testing.TB, c *spec.Cluster) string {
	check := desired(t, c, target).App(spec.Data).Doc["healthChecks"].([]any)[0]
	return check.(map[string]any)["path"].(string)
}

// uuid is the cluster's, where every version tells it.
func (n *node) uuid(t testing.TB) string {
	t.Helper()
	var root struct {
		Metadata struct {
			UUID string `json:"cluster_uuid"`
		} `json:"metadata"`
	}
	_, body := n.get(t, "/_cluster/state/metadata?filter_path=metadata.cluster_uuid")
	if err := json.Unmarshal(body, &root); err != nil || len(root.Metadata.UUID) < 10 {
		t.Fatalf("no uuid: %v: %s", err, body)
	}
	return root.Metadata.UUID
}
