package discovery

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
)

// A fixedMarathon shows the masters that the test says, and tells of each change by an event.
type fixedMarathon struct {
	*httptest.Server
	mu      sync.Mutex
	ports   map[string]int // transport port by host
	changed chan struct{}  // closed at the next change
	bye     chan struct{}
}

func newFixedMarathon(t testing.TB) *fixedMarathon {
	m := &fixedMarathon{ports: map[string]int{}, changed: make(chan struct{}), bye: make(chan struct{})}
	m.Server = httptest.NewServer(m)
	t.Cleanup(func() { close(m.bye); m.Close() })
	return m
}

// master says where the master on a host listens.
func (m *fixedMarathon) master(host string, port int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ports[host] = port
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *fixedMarathon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Marathon-Leader", "http://m:8080")
	if r.URL.Path == "/v2/events" {
		m.stream(w, r)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	tasks := []map[string]any{}
	for host, port := range m.ports {
		tasks = append(tasks, map[string]any{"id": "masters." + host, "appId": mastersApp, "host": host, "ports": []int{9200, port}, "state": "TASK_RUNNING", "version": "2026-01-01T00:00:00.000Z"})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"app": map[string]any{"id": mastersApp, "instances": len(tasks), "tasksRunning": len(tasks), "tasks": tasks}})
}

func (m *fixedMarathon) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		m.mu.Lock()
		changed := m.changed
		m.mu.Unlock()
		fmt.Fprintf(w, "event: status_update_event\r\ndata: {\"appId\":%q}\r\n\r\n", mastersApp)
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-m.bye:
			return
		}
	}
}

// A node is one real Elasticsearch, on an address of its own.
type node struct {
	t               testing.TB
	name, home, dir string
	host            string
	transport       int
	master          bool
	cmd             *exec.Cmd
}

const ringAddress = "127.0.88.1"

func (n *node) start() {
	n.t.Helper()
	role := "[data]"
	if n.master {
		role = "[master]"
	}
	settings := fmt.Sprintf("cluster.name: ring\nnode.name: %s\nnode.roles: %s\nnetwork.host: %s\nhttp.port: 9200\ntransport.port: %d\n"+
		"discovery.seed_hosts: [\"%s:9310\"]\ncluster.initial_master_nodes: [m1, m2, m3]\npath.data: %s/data\npath.logs: %s/logs\n"+
		"xpack.security.enabled: false\ncluster.routing.allocation.disk.threshold_enabled: false\n", n.name, role, n.host, n.transport, ringAddress, n.dir, n.dir)
	jvm := "-Xms128m\n-Xmx128m\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n-XX:-AlwaysPreTouch\n-Djava.io.tmpdir=" + n.dir + "/tmp\n"
	log4j, err := os.ReadFile(filepath.Join(n.home, "config/log4j2.properties"))
	if err != nil {
		n.t.Fatal(err)
	}
	for name, content := range map[string]string{"config/elasticsearch.yml": settings, "config/jvm.options": jvm, "config/log4j2.properties": string(log4j), "tmp/.keep": "", "logs/.keep": "", "data/.keep": ""} {
		p := filepath.Join(n.dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			n.t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			n.t.Fatal(err)
		}
	}
	err = filepath.WalkDir(n.dir, func(p string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(p, nobody, nobody)
		}
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := os.OpenFile(filepath.Join(n.dir, "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		n.t.Fatal(err)
	}
	defer out.Close()
	n.cmd = exec.Command(filepath.Join(n.home, "bin/elasticsearch"))
	n.cmd.Dir, n.cmd.Stdout, n.cmd.Stderr = n.dir, out, out
	n.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "ES_PATH_CONF=" + n.dir + "/config", "ES_TMPDIR=" + n.dir + "/tmp", "ES_JAVA_HOME=" + java(n.t), "JAVA_HOME=" + java(n.t)}
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
}

const nobody = 65534

func (n *node) stop() {
	if n.cmd != nil {
		_ = syscall.Kill(-n.cmd.Process.Pid, syscall.SIGKILL)
		_ = n.cmd.Wait()
		n.cmd = nil
	}
}

// java is a JDK 17, which runs 7.17.
func java(t testing.TB) string {
	for _, home := range []string{os.Getenv("ESFLEET_JAVA_HOME"), "/usr/lib/jvm/java-17-openjdk-amd64"} {
		if _, err := os.Stat(filepath.Join(home, "bin/java")); home != "" && err == nil {
			return home
		}
	}
	t.Skip("no JDK 17; set ESFLEET_JAVA_HOME or run `make setup`")
	return ""
}

// sees says how many nodes are in the cluster of the node at host; 0 if it has no master.
func sees(host string) int {
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://" + host + ":9200/_cluster/health?master_timeout=2s")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	var h struct {
		Nodes int `json:"number_of_nodes"`
	}
	if res.StatusCode != http.StatusOK || json.NewDecoder(res.Body).Decode(&h) != nil {
		return 0
	}
	return h.Nodes
}

// within polls; the limit only bounds a broken run, on a machine that may be loaded.
func within(t testing.TB, limit time.Duration, what string, f func() bool) {
	t.Helper()
	begun := time.Now()
	for time.Since(begun) < limit {
		if f() {
			t.Logf("%s: after %.1f s", what, time.Since(begun).Seconds())
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("never happened: %s", what)
}

func TestSixRealNodesFindEachOtherThroughTheRingAlone(t *testing.T) {
	if os.Getenv("ESFLEET_E2E") == "" {
		t.Skip("starts six real Elasticsearch nodes; set ESFLEET_E2E=1, as `make test` does")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to start the nodes as somebody else")
	}
	archives := os.Getenv("ESFLEET_ES_ARCHIVES")
	if archives == "" {
		archives = filepath.Join("..", "..", ".cache", "elasticsearch")
	}
	home, err := filepath.Abs(filepath.Join(archives, "elasticsearch-7.17.28"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(home, "bin")); err != nil {
		t.Skipf("%s is not there; run `make setup`", home)
	}
	dir, err := os.MkdirTemp("", "ring")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m := newFixedMarathon(t)
	var nodes []*node
	for i, name := range []string{"m1", "m2", "m3", "d1", "d2", "d3"} {
		n := &node{t: t, name: name, home: home, dir: filepath.Join(dir, name), host: fmt.Sprintf("127.0.88.%d", 11+i), transport: 9300, master: i < 3}
		t.Cleanup(n.stop)
		nodes = append(nodes, n)
	}
	masters, data := nodes[:3], nodes[3:]
	ring := startRing(t, m, filepath.Join(dir, "haproxy"))
	for _, n := range nodes {
		n.start()
	}
	for _, n := range masters {
		m.master(n.host, n.transport) // Marathon tells of them one after the other
	}
	all := func() bool {
		for _, n := range nodes {
			if sees(n.host) != 6 {
				return false
			}
		}
		return true
	}
	within(t, 5*time.Minute, "six nodes form one cluster", all)

	for _, n := range masters {
		n.stop()
		n.transport = 9301
		n.start()
		m.master(n.host, n.transport)
		within(t, 5*time.Minute, n.name+" is back on another port", func() bool { return sees(data[0].host) == 6 && sees(n.host) == 6 })
	}
	data[0].stop()
	within(t, time.Minute, "d1 has left", func() bool { return sees(data[1].host) == 5 })
	data[0].start()
	within(t, 5*time.Minute, "d1 finds the masters on their new ports", all)

	ring()
	data[1].stop()
	data[1].start()
	within(t, 5*time.Minute, "d2 is up and finds nobody without the ring", func() bool {
		b, err := os.ReadFile(filepath.Join(data[1].dir, "logs/ring.log"))
		return err == nil && strings.Count(string(b), "master not discovered yet") > 0
	})
	if sees(data[1].host) == 6 {
		t.Error("d2 found the cluster without the ring: this test shows nothing")
	}
	startRing(t, m, filepath.Join(dir, "haproxy"))
	within(t, 5*time.Minute, "d2 joins once the ring is back", all)
}

// startRing runs a ring until the test ends or stop is called.
func startRing(t testing.TB, m *fixedMarathon, dir string) (stop func()) {
	t.Helper()
	out, err := os.OpenFile(filepath.Dir(dir)+"/ring-output", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	var l log
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	o := Options{
		Marathon: marathonsink.Options{URLs: []string{m.URL}}, App: mastersApp, PortIndex: 1,
		Place: Place{Bind: ringAddress, Port: 9310, Stats: 9311}, Dir: dir, HAProxy: needHAProxy(t), Log: l.logger(), Output: out,
	}
	go func() { ended <- Run(ctx, o) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		out.Close()
		t.Log(l.String())
	})
	t.Cleanup(stop)
	return stop
}
