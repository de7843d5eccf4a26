package esclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esfleet/esfleet/spec"
)

// A realNode is a process of real Elasticsearch on a loopback address of its own.
type realNode struct {
	name, host string
	cmd        *exec.Cmd
}

func (n *realNode) url() string { return "http://" + n.host + ":9200" }

// A release is what starting a node of it needs to know.
type release struct {
	dist    spec.Distribution
	version spec.Version
	slot    int // of 127.0.0.0/8, so that versions do not meet
}

func (r *release) opensearch() bool { return r.dist == spec.OpenSearchDist }

func (r *release) cluster() string { return fmt.Sprintf("read-%s-%d", r.version, r.slot) }

// startNodes starts a node that may be master and one for data alone, and ends them with the test.
func startNodes(t *testing.T, r *release) (dir string, nodes []*realNode) {
	t.Helper()
	if os.Getenv("ESFLEET_E2E") == "" {
		t.Skip("skipped: starts real Elasticsearch; set ESFLEET_E2E=1, as `make test` does")
	}
	archives := os.Getenv("ESFLEET_ES_ARCHIVES")
	if archives == "" {
		archives = filepath.Join("..", "..", ".cache", "elasticsearch")
	}
	home, err := filepath.Abs(filepath.Join(archives, string(r.dist)+"-"+r.version.String()))
	must(t, err)
	if _, err := os.Stat(filepath.Join(home, "bin")); err != nil {
		t.Skipf("skipped: %s is not there; run `make setup`", home)
	}
	// Not t.TempDir: as root, the nodes become a user who may not enter that.
	dir, err = os.MkdirTemp("", "esfleet-esclient-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o777))
	for i, name := range []string{"m1", "d2"} {
		n := &realNode{name: name, host: fmt.Sprintf("127.0.%d.%d", r.slot, 11+i)}
		if c, err := net.DialTimeout("tcp", n.host+":9200", time.Second); err == nil {
			_ = c.Close()
			t.Fatalf("a node of an earlier run, or of another, answers at %s", n.url())
		}
		n.start(t, r, home, dir)
		nodes = append(nodes, n)
	}
	return dir, nodes
}

func (n *realNode) start(t *testing.T, r *release, home, dir string) {
	t.Helper()
	base := filepath.Join(dir, n.name)
	config := filepath.Join(base, "config")
	for _, d := range []string{config, filepath.Join(base, "tmp"), filepath.Join(base, "data"), filepath.Join(base, "logs"), filepath.Join(dir, "repo")} {
		must(t, os.MkdirAll(d, 0o777))
		must(t, os.Chmod(d, 0o777)) // despite the umask
	}
	must(t, os.Chmod(base, 0o777))
	file := "elasticsearch.yml"
	if r.opensearch() {
		file = "opensearch.yml"
	}
	var lines []string
	for k, v := range n.settings(r, base, home) {
		b, err := json.Marshal(v)
		must(t, err)
		lines = append(lines, k+": "+string(b))
	}
	must(t, os.WriteFile(filepath.Join(config, file), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	options := "-Xms192m\n-Xmx192m\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n-XX:-AlwaysPreTouch\n-Djava.io.tmpdir=" + filepath.Join(base, "tmp") + "\n"
	if r.version.Major < 7 && !r.opensearch() {
		options += "--add-opens=java.base/java.lang=ALL-UNNAMED\n"
	}
	must(t, os.WriteFile(filepath.Join(config, "jvm.options"), []byte(options), 0o644))
	for _, f := range []string{"log4j2.properties", "logging.yml"} {
		if b, err := os.ReadFile(filepath.Join(home, "config", f)); err == nil {
			must(t, os.WriteFile(filepath.Join(config, f), b, 0o644))
		}
	}
	n.run(t, r, home, base, config)
}

func (n *realNode) settings(r *release, base, home string) map[string]any {
	v := r.version
	first := fmt.Sprintf("127.0.%d.11:9300", r.slot)
	s := map[string]any{"cluster.name": r.cluster(), "node.name": n.name, "network.host": n.host, "http.port": 9200,
		"path.data": filepath.Join(base, "data"), "path.logs": filepath.Join(base, "logs"),
		"path.repo": []string{filepath.Join(filepath.Dir(base), "repo")}}
	set := func(when bool, yes, no string, value any) {
		if !when {
			yes = no
		}
		s[yes] = value
	}
	since := func(major, minor int) bool { return r.opensearch() || v.AtLeast(major, minor) }
	set(since(5, 0), "node.attr.esfleet_instance", "node.esfleet_instance", "instance-of-"+n.name)
	set(since(6, 7), "transport.port", "transport.tcp.port", 9300)
	set(since(7, 0), "discovery.seed_hosts", "discovery.zen.ping.unicast.hosts", []string{first})
	if since(7, 9) {
		s["node.roles"] = map[string][]string{"m1": {"master", "data"}, "d2": {"data"}}[n.name]
	} else {
		s["node.master"] = n.name == "m1"
	}
	switch {
	case r.opensearch() && v.Major >= 2:
		s["cluster.initial_cluster_manager_nodes"] = []string{"m1"}
	case since(7, 0):
		s["cluster.initial_master_nodes"] = []string{"m1"}
	default:
		s["discovery.zen.minimum_master_nodes"] = 1
	}
	if _, err := os.Stat(filepath.Join(home, "modules", "x-pack-security")); err == nil {
		s["xpack.security.enabled"] = false
	}
	return s
}

func (n *realNode) run(t *testing.T, r *release, home, base, config string) {
	t.Helper()
	program, args := "elasticsearch", []string(nil)
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + base, "ES_TMPDIR=" + filepath.Join(base, "tmp"),
		"CLI_JAVA_OPTS=-Xmx32m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"}
	switch {
	case r.opensearch():
		program = "opensearch"
		env = append(env, "OPENSEARCH_PATH_CONF="+config, "OPENSEARCH_TMPDIR="+filepath.Join(base, "tmp"))
	case r.version.Major < 5:
		args = []string{"-Des.path.conf=" + config}
		env = append(env, "ES_HEAP_SIZE=192m", "ES_GC_OPTS=-XX:+UseSerialGC", "ES_JAVA_OPTS=-XX:TieredStopAtLevel=1")
	case r.version.Major < 6:
		args = []string{"-Epath.conf=" + config}
		env = append(env, "ES_JVM_OPTIONS="+filepath.Join(config, "jvm.options"))
	default:
		env = append(env, "ES_PATH_CONF="+config)
	}
	if java := javaHome(); java != "" {
		env = append(env, "JAVA_HOME="+java, "ES_JAVA_HOME="+java, "OPENSEARCH_JAVA_HOME="+java)
	}
	out, err := os.Create(filepath.Join(base, "out"))
	must(t, err)
	n.cmd = exec.Command(filepath.Join(home, "bin", program), args...)
	n.cmd.Dir, n.cmd.Env, n.cmd.Stdout, n.cmd.Stderr = base, env, out, out
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() == 0 {
		n.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	must(t, n.cmd.Start())
	t.Cleanup(func() {
		n.kill()
		if said, err := os.ReadFile(out.Name()); err == nil && t.Failed() {
			t.Logf("%s said:\n%s", n.name, said[max(0, len(said)-3000):])
		}
		_ = out.Close()
	})
}

// kill ends the node and what it started, as kill -9 does. Once is enough.
func (n *realNode) kill() {
	if n.cmd.ProcessState == nil {
		_ = syscall.Kill(-n.cmd.Process.Pid, syscall.SIGKILL)
		_ = n.cmd.Wait()
	}
}

func javaHome() string {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return home
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return ""
	}
	if java, err = filepath.EvalSymlinks(java); err != nil {
		return ""
	}
	return filepath.Dir(filepath.Dir(java))
}

// call makes a request to a real node that must succeed.
func call(t *testing.T, method, url, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := transport.RoundTrip(req)
	must(t, err)
	defer res.Body.Close() //nolint:errcheck // read-only
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, url, res.StatusCode, answer)
	}
}

// transport keeps no connection, so that nothing outlives a test.
var transport = &http.Transport{DisableKeepAlives: true}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
