package render_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// shells are the two that images have. Each gets a PATH of its own, so that its `sh` is the one that the scripts find;
// busybox brings its own small tools as well.
var shells = []struct {
	name string
	path func(t testing.TB) string
}{
	{"dash", func(t testing.TB) string {
		return linkSh(t, "dash") + ":/usr/sbin:/usr/bin:/sbin:/bin"
	}},
	{"busybox", func(t testing.TB) string {
		bb, err := exec.LookPath("busybox")
		if err != nil {
			t.Skip("busybox is not installed; `make setup` installs it")
		}
		dir := openDir(t)
		if out, err := exec.Command(bb, "--install", "-s", dir).CombinedOutput(); err != nil {
			t.Fatalf("install busybox: %v: %s", err, out)
		}
		return dir
	}},
}

// openDir is a temporary folder that any user may enter: as root, the scripts become somebody else.
func openDir(t testing.TB) string {
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func linkSh(t testing.TB, shell string) string {
	bin, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("%s is not installed; `make setup` installs it", shell)
	}
	dir := openDir(t)
	if err := os.Symlink(bin, filepath.Join(dir, "sh")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// eachShell runs a test under dash and under busybox.
func eachShell(t *testing.T, f func(t *testing.T, path string)) {
	t.Helper()
	for _, sh := range shells {
		t.Run(sh.name, func(t *testing.T) {
			t.Parallel()
			f(t, sh.path(t))
		})
	}
}

// A fakeMarathon answers GET /v2/apps/… with documents that a test may change while it runs.
type fakeMarathon struct {
	*httptest.Server
	mu    sync.Mutex
	apps  map[string]string
	asked map[string]int
	// onAsk is called with the number of questions for an app so far, before it is answered.
	onAsk func(id string, n int)
}

func newMarathon(t testing.TB) *fakeMarathon {
	m := &fakeMarathon{apps: map[string]string{}, asked: map[string]int{}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimPrefix(r.URL.Path, "/v2/apps")
		m.mu.Lock()
		m.asked[id]++
		n, hook := m.asked[id], m.onAsk
		m.mu.Unlock()
		if hook != nil {
			hook(id, n)
		}
		m.mu.Lock()
		doc, ok := m.apps[id]
		m.mu.Unlock()
		if !ok {
			http.Error(w, `{"message":"App does not exist"}`, http.StatusNotFound)
			return
		}
		fmt.Fprint(w, doc)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *fakeMarathon) raw(id, doc string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apps[id] = doc
}

// app sets an app's answer; tasks are hosts, numbered in order.
func (m *fakeMarathon) app(id string, instances int, labels map[string]string, tasks ...map[string]any) {
	doc := map[string]any{"app": map[string]any{
		"id": id, "instances": instances, "labels": labels, "tasks": nonNil(tasks),
		"env": map[string]string{"ESFLEET_BUNDLE_0": strings.Repeat("QUJD", 24<<10), "QUOTED": "a \"b\" \\ , }", "ESFLEET_BUNDLE_1": "QQ=="},
	}}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	m.raw(id, string(b))
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func task(n int, host, state string) map[string]any {
	return map[string]any{
		"id":   fmt.Sprintf("search_logs_es-master.instance-%08x-0000-4000-8000-000000000000._app.1", n),
		"host": host, "state": state, "version": "2026-01-01T00:00:00.000Z", "ports": []int{31000 + 2*n, 31001 + 2*n},
	}
}

// masters answers with the gate, three placed masters on 10.0.0.1 … 3 and a ring of two: what a new cluster looks like.
func (m *fakeMarathon) masters() {
	m.app("/search/logs/gate", 0, map[string]string{})
	m.app("/search/logs/es-master", 3, nil, task(3, "10.0.0.3", "TASK_STAGING"), task(1, "127.0.0.9", "TASK_RUNNING"), task(2, "10.0.0.2", "TASK_RUNNING"))
	m.app("/search/logs/discovery", 2, nil, task(8, "10.0.1.8", "TASK_RUNNING"), task(9, "10.0.1.9", "TASK_RUNNING"), task(7, "10.0.1.7", "TASK_FAILED"))
}

// fakeHome is a distribution whose programs only tell how they were called.
func fakeHome(t testing.TB, dist string) string {
	home := openDir(t)
	show := `#!/bin/sh
echo "ARGS $*"
config=${ES_PATH_CONF:-${OPENSEARCH_PATH_CONF:-${1#*=}}}
echo BEGIN-CONFIG
cat "$config"/*.yml
echo END-CONFIG
cat "$config/jvm.options"
ls "$(dirname "$0")/../plugins"
env
id -u
`
	files := map[string]string{
		"bin/" + dist:              show,
		"bin/" + dist + "-plugin":  "#!/bin/sh\nh=$(dirname \"$0\")/..\nn=${3##*/}\nmkdir \"$h/plugins/${n%.zip}\" && echo \"installed $*\" >>\"$h/installed\"\n",
		"config/jvm.options":       "-Xms1g\n-Xmx1g\n8-13:-XX:+UseConcMarkSweepGC\n9-:-Xlog:gc*:file=logs/gc.log\n-XX:HeapDumpPath=data\n",
		"config/log4j2.properties": "status = error\n",
		"config/" + dist + ".yml":  "#shipped\n",
		"plugins/.keep":            "",
	}
	for name, content := range files {
		p := filepath.Join(home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// A boot is one run of a task of an app, as Mesos would start it: a clean environment and a sandbox.
type boot struct {
	sandbox string
	env     map[string]string
	cmd     string
}

func newBoot(t testing.TB, path string, c *spec.Cluster, component spec.Component, marathonURL string) *boot {
	t.Helper()
	return newBootWith(t, path, c, component, marathonURL)
}

// newBootWith also knows the content of files that the cluster refers to. The first of Marathon's addresses is dead.
func newBootWith(t testing.TB, path string, c *spec.Cluster, component spec.Component, marathonURL string, contents ...string) *boot {
	t.Helper()
	d, err := render.Cluster(c, blobs(contents...), render.Target{Version: target.Version, NodeURLs: []string{"http://127.0.0.1:1", marathonURL}})
	if err != nil {
		t.Fatal(err)
	}
	app := d.App(component)
	b := &boot{sandbox: openDir(t), cmd: app.Doc["cmd"].(string), env: map[string]string{
		"PATH": path, "HOST": "127.0.0.9", "PORT0": "31000", "PORT1": "31001",
		"MARATHON_APP_ID": string(app.ID), "MESOS_SANDBOX": "/no/such/folder/in/a/process",
		"MESOS_TASK_ID":  "search_logs_es-master.instance-00000001-0000-4000-8000-000000000000._app.3",
		"ESFLEET_LINGER": "0",
	}}
	for k, v := range app.Doc["env"].(map[string]any) {
		b.env[k] = v.(string)
	}
	return b
}

func (b *boot) command(ctx context.Context) *exec.Cmd {
	sh := "sh"
	for _, dir := range filepath.SplitList(b.env["PATH"]) {
		if p := filepath.Join(dir, "sh"); fileExists(p) {
			sh = p
			break
		}
	}
	cmd := exec.CommandContext(ctx, sh, "-c", b.cmd)
	cmd.Dir = b.sandbox
	for _, k := range slices.Sorted(maps.Keys(b.env)) {
		cmd.Env = append(cmd.Env, k+"="+b.env[k])
	}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func fileExists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

// run waits for the end and returns stdout, stderr and the exit code.
func (b *boot) run(t testing.TB) (stdout, stderr string, code int) {
	t.Helper()
	cmd := b.command(t.Context())
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run: %v", err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func (b *boot) mustStart(t testing.TB) (stdout, stderr string) {
	t.Helper()
	o, e, code := b.run(t)
	if code != 0 {
		t.Fatalf("exit code %d\nstdout: %s\nstderr: %s", code, o, e)
	}
	return o, e
}

func (b *boot) mustFail(t testing.TB, code int, words ...string) {
	t.Helper()
	o, e, got := b.run(t)
	if got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	if strings.Contains(o, "BEGIN-CONFIG") {
		t.Error("Elasticsearch was started all the same")
	}
	for _, w := range words {
		if !strings.Contains(e, w) {
			t.Errorf("stderr lacks %q:\n%s", w, e)
		}
	}
}

// localCluster runs from a home on the agent, as the tests' own user.
func localCluster(t testing.TB) *spec.Cluster {
	c := cluster(spec.Version{Major: 7, Minor: 17, Patch: 28})
	c.Containerizer = spec.Mesos
	c.Elasticsearch.Image = ""
	c.Elasticsearch.Home = fakeHome(t, "elasticsearch")
	c.Elasticsearch.User = "nobody"
	c.Plugins, c.PreRun = nil, nil
	c.Checks.Grace = time.Second // less patience; see render's facts
	return c
}

func wantLines(t testing.TB, text string, lines ...string) {
	t.Helper()
	have := strings.Split(text, "\n")
	for _, l := range lines {
		if !slices.Contains(have, l) {
			t.Errorf("no line %q in:\n%s", l, text)
		}
	}
}
