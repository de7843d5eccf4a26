package render_test

import (
	"bufio"
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esfleet/esfleet/spec"
)

func TestAMasterStartsWithItsPlaceInTheCluster(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		out, _ := newBoot(t, path, localCluster(t), spec.Master, m.URL).mustStart(t)
		wantLines(t, out,
			`node.name: "master-127.0.0.9"`,
			`cluster.name: "search-logs"`,
			`network.host: "127.0.0.9"`,
			`http.port: 31000`,
			`transport.port: 31001`,
			`discovery.seed_hosts: ["10.0.1.8:19300", "10.0.1.9:19300"]`,
			`cluster.initial_master_nodes: ["master-10.0.0.2", "master-10.0.0.3", "master-127.0.0.9"]`,
			`node.attr.esfleet_component: "master"`,
			`node.attr.esfleet_instance: "00000001-0000-4000-8000-000000000000"`,
			`-Xms1024m`, `-Xmx1024m`, `8-13:-XX:+UseConcMarkSweepGC`,
		)
		if strings.Contains(out, "-Xms1g") || strings.Contains(out, "file=logs/") || strings.Contains(out, "#shipped") {
			t.Errorf("the shipped heap, relative log or configuration is still there:\n%s", out)
		}
	})
}

func TestOffLoopbackAnAgentsNodeAlsoListensWhereMesosChecksIt(t *testing.T) {
	t.Parallel()
	m := newMarathon(t)
	m.masters()
	b := newBoot(t, shells[0].path(t), localCluster(t), spec.Data, m.URL)
	b.env["HOST"] = "agent-7.example.net"
	out, _ := b.mustStart(t)
	wantLines(t, out, `network.host: "agent-7.example.net"`, `http.bind_host: ["agent-7.example.net", "127.0.0.1"]`, `http.publish_host: "agent-7.example.net"`)
}

func TestADataNodeOfAClusterWithMastersNeverForms(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		out, _ := newBoot(t, path, localCluster(t), spec.Data, m.URL).mustStart(t)
		if strings.Contains(out, "initial_master_nodes") {
			t.Error(out)
		}
	})
}

func TestOnceTheClusterIsRecordedABlankMasterOnlyJoins(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		m.app("/search/logs/gate", 0, map[string]string{"esfleet.cluster-uuid": "u-1"})
		out, stderr := newBoot(t, path, localCluster(t), spec.Master, m.URL).mustStart(t)
		if strings.Contains(out, "initial_master_nodes") || !strings.Contains(stderr, "cluster u-1 was formed before") {
			t.Error(out, stderr)
		}
	})
}

func TestAMasterWithDataFormsNothing(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		b := newBoot(t, path, localCluster(t), spec.Master, m.URL)
		if err := os.MkdirAll(filepath.Join(b.sandbox, "esdata/data/nodes/0"), 0o755); err != nil {
			t.Fatal(err)
		}
		out, _ := b.mustStart(t)
		if strings.Contains(out, "initial_master_nodes") {
			t.Error(out)
		}
	})
}

func TestWhereAVolumeIsALinkTheNodeIsToldWhereItLeads(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		b := newBoot(t, path, localCluster(t), spec.Master, m.URL)
		volume := openDir(t)
		if err := os.Symlink(volume, filepath.Join(b.sandbox, "esdata")); err != nil {
			t.Fatal(err)
		}
		out, _ := b.mustStart(t)
		wantLines(t, out, fmt.Sprintf("path.data: %q", filepath.Join(volume, "data")))
	})
}

func TestAMasterThatDiedBeforeTheClusterFormedComesBackWithTheSameList(t *testing.T) {
	t.Parallel()
	m := newMarathon(t)
	m.masters()
	b := newBoot(t, shells[0].path(t), localCluster(t), spec.Master, m.URL)
	b.mustStart(t)
	if err := os.MkdirAll(filepath.Join(b.sandbox, "esdata/data/nodes/0"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Another master has been placed elsewhere meanwhile.
	m.app("/search/logs/es-master", 3, nil, task(1, "127.0.0.9", "TASK_RUNNING"), task(2, "10.0.0.2", "TASK_RUNNING"), task(4, "10.0.0.4", "TASK_RUNNING"))
	out, _ := b.mustStart(t)
	wantLines(t, out, `cluster.initial_master_nodes: ["master-10.0.0.2", "master-10.0.0.3", "master-127.0.0.9"]`)
}

func TestAMasterWaitsUntilAllAreInPlace(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		suspended := task(3, "10.0.0.3", "TASK_KILLED")
		delete(suspended, "version")
		m.app("/search/logs/es-master", 3, nil, task(1, "127.0.0.9", "TASK_RUNNING"), task(2, "10.0.0.2", "TASK_STAGING"), suspended)
		m.onAsk = func(id string, n int) {
			if id == "/search/logs/es-master" && n == 2 {
				m.app(id, 3, nil, task(1, "127.0.0.9", "TASK_RUNNING"), task(2, "10.0.0.2", "TASK_RUNNING"), task(3, "10.0.0.3", "TASK_RUNNING"))
			}
		}
		out, stderr := newBoot(t, path, localCluster(t), spec.Master, m.URL).mustStart(t)
		wantLines(t, out, `cluster.initial_master_nodes: ["master-10.0.0.2", "master-10.0.0.3", "master-127.0.0.9"]`)
		if !strings.Contains(stderr, "2 of 3 masters are placed") {
			t.Error(stderr)
		}
	})
}

func TestMastersThatNeverGatherEndWithAMessage(t *testing.T) {
	t.Parallel()
	m := newMarathon(t)
	m.masters()
	m.app("/search/logs/es-master", 3, nil, task(1, "127.0.0.9", "TASK_RUNNING"))
	newBoot(t, shells[0].path(t), localCluster(t), spec.Master, m.URL).mustFail(t, 73, "cannot form the cluster: 1 of 3 masters are placed")
}

// Without the gate's record nobody knows whether the cluster was formed before.
func TestABlankMasterDoesNotFormWhileTheGateIsUnknown(t *testing.T) {
	t.Parallel()
	m := newMarathon(t)
	m.masters()
	m.raw("/search/logs/gate", `{"app":{"id":"/search/logs/gate","labels":{"esfleet.clus`)
	newBoot(t, shells[0].path(t), localCluster(t), spec.Master, m.URL).mustFail(t, 73, "does not know /search/logs/gate")
}

func TestWhereMastersShareAHostTheInstanceIsInTheName(t *testing.T) {
	t.Parallel()
	m := newMarathon(t)
	m.masters()
	m.app("/search/logs/es-master", 3, nil, task(1, "127.0.0.9", "TASK_RUNNING"), task(2, "127.0.0.9", "TASK_RUNNING"), task(3, "10.0.0.3", "TASK_RUNNING"))
	c := localCluster(t)
	c.Nodes[spec.Master].PerHost = 2
	out, _ := newBoot(t, shells[0].path(t), c, spec.Master, m.URL).mustStart(t)
	wantLines(t, out, `node.name: "master-127.0.0.9-00000001"`,
		`cluster.initial_master_nodes: ["master-10.0.0.3-00000003", "master-127.0.0.9-00000001", "master-127.0.0.9-00000002"]`,
		`cluster.routing.allocation.same_shard.host: true`)
}

func TestANodeWaitsForTheRing(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		m.app("/search/logs/discovery", 1, nil)
		m.onAsk = func(id string, n int) {
			if id == "/search/logs/discovery" && n == 2 {
				m.app(id, 1, nil, task(5, "10.0.1.5", "TASK_RUNNING"))
			}
		}
		out, stderr := newBoot(t, path, localCluster(t), spec.Data, m.URL).mustStart(t)
		wantLines(t, out, `discovery.seed_hosts: ["10.0.1.5:19300"]`)
		if !strings.Contains(stderr, "waits for a running task of /search/logs/discovery: it has none") {
			t.Error(stderr)
		}
	})
}

func TestWithoutARingAFirstStartEndsWithAMessage(t *testing.T) {
	t.Parallel()
	newBoot(t, shells[0].path(t), localCluster(t), spec.Data, newMarathon(t).URL).
		mustFail(t, 72, "found no running task of /search/logs/discovery", "does not answer, or does not know it")
}

func TestANodeRestartsWithTheLastKnownRingWhileMarathonIsAway(t *testing.T) {
	t.Parallel()
	m := newMarathon(t)
	m.masters()
	c := localCluster(t)
	b := newBoot(t, shells[0].path(t), c, spec.Data, m.URL)
	b.mustStart(t)
	m.Close()
	out, stderr := b.mustStart(t)
	wantLines(t, out, `discovery.seed_hosts: ["10.0.1.8:19300", "10.0.1.9:19300"]`)
	if !strings.Contains(stderr, "goes on with the last known ring") {
		t.Error(stderr)
	}
}

func TestAnOverrideHoldsOnItsHostOnly(t *testing.T) {
	t.Parallel()
	c := localCluster(t)
	c.Overrides = []spec.Override{{Hosts: []string{"127.0.0.9"}, Settings: map[string]any{"action.auto_create_index": true, "node.attr.disk": "slow"}}}
	for host, want := range map[string]string{"127.0.0.9": "action.auto_create_index: true", "127.0.0.8": "action.auto_create_index: false"} {
		m := newMarathon(t)
		m.masters()
		b := newBoot(t, shells[0].path(t), c, spec.Data, m.URL)
		b.env["HOST"] = host
		out, _ := b.mustStart(t)
		wantLines(t, out, want)
		if n := strings.Count(out, "action.auto_create_index"); n != 1 {
			t.Errorf("%s: the key is there %d times", host, n)
		}
	}
}

func TestAChangedBundleStartsNothing(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		b := newBoot(t, path, localCluster(t), spec.Data, "http://127.0.0.1:1")
		b.env["ESFLEET_BUNDLE_SHA256"] = strings.Repeat("0", 64)
		b.mustFail(t, 65, "does not have the digest 00000", "somebody changed it by hand")
	})
}

// pathWithout is a minimal image's tools but one.
func pathWithout(t testing.TB, missing string) string {
	dir := linkSh(t, "dash")
	for _, tool := range strings.Fields("base64 sha256sum gzip tar rm mkdir awk sed sort grep id cp mv cat tail tee env ls cut tr curl") {
		bin, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if tool == missing {
			continue
		}
		if err := os.Symlink(bin, filepath.Join(dir, tool)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAnImageWithoutAToolSaysWhich(t *testing.T) {
	t.Parallel()
	m := newMarathon(t)
	m.masters()
	for missing, code := range map[string]int{"base64": 69, "awk": 69} {
		t.Run(missing, func(t *testing.T) {
			newBoot(t, pathWithout(t, missing), localCluster(t), spec.Data, m.URL).mustFail(t, code, missing, "in this image")
		})
	}
}

func withPreRun(c *spec.Cluster, script string) (*spec.Cluster, string) {
	ref := fileRef("pre-run.sh", script)
	c.PreRun = &ref
	return c, script
}

func TestAFailingPreRunStopsTheStartAndSaysWhy(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		c, script := withPreRun(localCluster(t), "#!/bin/sh\necho first\necho 'the dictionary is missing' >&2\nexit 3\n")
		b := newBootWith(t, path, c, spec.Data, m.URL, script)
		b.mustFail(t, 70, "pre-run.sh failed with exit code 3 on 127.0.0.9: first the dictionary is missing")
	})
}

// Marathon can take a node off the definition that it fails with only while the node runs.
func TestANodeThatCannotStartStaysForAWhileAndEndsWhenItIsTold(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		c, script := withPreRun(localCluster(t), "#!/bin/sh\nexit 3\n")
		b := newBootWith(t, path, c, spec.Data, m.URL, script)
		b.env["ESFLEET_LINGER"] = "600"
		cmd := b.command(t.Context())
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stderr)
		for lines.Scan() && !strings.Contains(lines.Text(), "pre-run.sh failed") {
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatalf("it did not stay: %v", err)
		}
		for lines.Scan() { // until the last of its processes has let go
		}
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 70 {
			t.Errorf("ended with %d", cmd.ProcessState.ExitCode())
		}
	})
}

func TestPreRunKnowsItsNodeAndRunsAsItsUser(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		c, script := withPreRun(localCluster(t), "env >\"$ESFLEET_DATA/../seen\"; id -u >>\"$ESFLEET_DATA/../seen\"; cp \"$ESFLEET_CONFIG/synonyms.txt\" .\n")
		b := newBootWith(t, path, c, spec.Data, m.URL, script)
		out, _ := b.mustStart(t)
		seen, err := os.ReadFile(filepath.Join(b.sandbox, "esdata/seen"))
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, string(seen), "ESFLEET_NODE_NAME=data-127.0.0.9", "ESFLEET_HOST=127.0.0.9", "ESFLEET_HTTP_PORT=31000", "ESFLEET_COMPONENT=data")
		if strings.Contains(string(seen), "ESFLEET_BUNDLE_0") {
			t.Error("the bundle is still in the environment")
		}
		if os.Geteuid() == 0 {
			if id := lastLine(string(seen)); id == "0" || id != lastLine(out) {
				t.Errorf("pre-run ran as %s, Elasticsearch as %s", id, lastLine(out))
			}
		}
	})
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func TestRootNeverRunsElasticsearch(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	for user, want := range map[string]string{"root": "names nobody else", "": "names nobody else", "no-such-user": "user no-such-user does not exist"} {
		c := localCluster(t)
		c.Elasticsearch.User = user
		newBoot(t, shells[0].path(t), c, spec.Data, "http://127.0.0.1:1").mustFail(t, 77, want)
	}
}

// pluginServer serves one archive and gives its checksum.
func pluginServer(t testing.TB) (url, sum string) {
	content := []byte("a plugin")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
	t.Cleanup(s.Close)
	h := sha512.Sum512(content)
	return s.URL + "/analysis-ik.zip", hex.EncodeToString(h[:])
}

func TestMissingPluginsAreInstalledIntoACopyOfASharedHome(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		c := localCluster(t)
		url, sum := pluginServer(t)
		c.Plugins = []spec.Plugin{{Name: "analysis-ik", URL: url, SHA512: sum}, {Name: "analysis-icu"}, {Name: "present"}}
		if err := os.Mkdir(filepath.Join(c.Elasticsearch.Home, "plugins/present"), 0o755); err != nil {
			t.Fatal(err)
		}
		b := newBoot(t, path, c, spec.Data, m.URL)
		out, _ := b.mustStart(t)
		wantLines(t, out, "analysis-ik", "analysis-icu", "present")
		installed, err := os.ReadFile(filepath.Join(b.sandbox, "home/installed"))
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, string(installed), "installed install --batch analysis-icu", "installed install --batch file://"+b.sandbox+"/tmp/analysis-ik.zip")
		if fileExists(filepath.Join(c.Elasticsearch.Home, "plugins/analysis-ik")) {
			t.Error("other clusters' nodes on the agent now have the plugin too")
		}
	})
}

func TestAPluginWithAnotherChecksumStopsTheStart(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		c := localCluster(t)
		url, sum := pluginServer(t)
		c.Plugins = []spec.Plugin{{Name: "analysis-ik", URL: url, SHA512: strings.Repeat("0", 128)}}
		newBoot(t, path, c, spec.Data, m.URL).mustFail(t, 71, "has sha512 "+sum+", but git says 000")
	})
}

func TestAPluginThatCannotBeDownloadedOrIsAnotherStopsTheStart(t *testing.T) {
	t.Parallel()
	m := newMarathon(t)
	m.masters()
	url, sum := pluginServer(t)
	c := localCluster(t)
	c.Plugins = []spec.Plugin{{Name: "gone", URL: "http://127.0.0.1:1/gone.zip", SHA512: sum}}
	newBoot(t, shells[0].path(t), c, spec.Data, m.URL).mustFail(t, 71, "cannot download plugin gone from http://127.0.0.1:1/gone.zip")
	tool := filepath.Join(c.Elasticsearch.Home, "bin/elasticsearch-plugin")
	if err := os.WriteFile(tool, []byte("#!/bin/sh\nmkdir \"$(dirname \"$0\")/../plugins/other\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.Plugins = []spec.Plugin{{Name: "wanted", URL: url, SHA512: sum}}
	newBoot(t, shells[0].path(t), c, spec.Data, m.URL).mustFail(t, 71, "holds a plugin of another name")
}

func TestEachVersionIsStartedInItsOwnWay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		dist  spec.Distribution
		v     spec.Version
		lines []string
		never []string
	}{
		{spec.ElasticsearchDist, spec.Version{Major: 2, Minor: 4, Patch: 6}, []string{
			"ES_HEAP_SIZE=1024m", "transport.tcp.port: 31001", "node.master: true", "node.data: false", "discovery.zen.minimum_master_nodes: 2",
			`discovery.zen.ping.unicast.hosts: ["10.0.1.8:19300", "10.0.1.9:19300"]`, "index.number_of_replicas: 1", `node.esfleet_component: "master"`,
		}, []string{"node.ingest", "initial_master"}},
		{spec.ElasticsearchDist, spec.Version{Major: 5, Minor: 6, Patch: 16}, []string{
			"transport.tcp.port: 31001", "node.ingest: false", `node.attr.esfleet_component: "master"`,
		}, []string{"number_of_replicas", "initial_master", "ES_HEAP_SIZE"}},
		{spec.ElasticsearchDist, spec.Version{Major: 6, Minor: 8, Patch: 23}, []string{"transport.port: 31001", "discovery.zen.minimum_master_nodes: 2"}, []string{"initial_master"}},
		{spec.ElasticsearchDist, spec.Version{Major: 7, Minor: 5}, []string{"node.master: true", "transport.port: 31001"}, []string{"minimum_master", "node.roles"}},
		{spec.ElasticsearchDist, spec.Version{Major: 8, Minor: 19, Patch: 21}, []string{`node.roles: ["master"]`}, []string{"minimum_master", "node.master"}},
		{spec.OpenSearchDist, spec.Version{Major: 1, Minor: 3}, []string{`node.roles: ["master"]`, `cluster.initial_master_nodes: ["master-10.0.0.2", "master-10.0.0.3", "master-127.0.0.9"]`}, []string{"xpack"}},
		{spec.OpenSearchDist, spec.Version{Major: 2, Minor: 11}, []string{`node.roles: ["cluster_manager"]`, `cluster.initial_cluster_manager_nodes: ["master-10.0.0.2", "master-10.0.0.3", "master-127.0.0.9"]`, "-Xmx1024m"}, []string{"initial_master_nodes"}},
	} {
		t.Run(fmt.Sprintf("%s %s", tc.dist, tc.v), func(t *testing.T) {
			t.Parallel()
			m := newMarathon(t)
			m.masters()
			c := localCluster(t)
			c.Elasticsearch.Distribution, c.Elasticsearch.Version = tc.dist, tc.v
			c.Elasticsearch.Home = fakeHome(t, string(tc.dist))
			out, _ := newBoot(t, shells[0].path(t), c, spec.Master, m.URL).mustStart(t)
			wantLines(t, out, tc.lines...)
			for _, never := range tc.never {
				if strings.Contains(out, never) {
					t.Errorf("%s is there:\n%s", never, out)
				}
			}
		})
	}
}

func TestSecurityIsTurnedOffOnlyWhereItExistsAndGitIsSilent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, module string
		settings     map[string]any
		want, never  string
	}{
		{"no module", "", nil, "", "xpack."},
		{"module, git silent", "modules/x-pack-security", nil, "xpack.security.enabled: false", ""},
		{"module, git decides", "modules/x-pack-security", map[string]any{"xpack.security.enabled": true}, "xpack.security.enabled: true", "xpack.security.enabled: false"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMarathon(t)
			m.masters()
			c := localCluster(t)
			c.Settings = tc.settings
			if err := os.MkdirAll(filepath.Join(c.Elasticsearch.Home, tc.module), 0o755); err != nil {
				t.Fatal(err)
			}
			out, _ := newBoot(t, shells[0].path(t), c, spec.Data, m.URL).mustStart(t)
			if tc.want != "" {
				wantLines(t, out, tc.want)
			}
			if tc.never != "" && strings.Contains(out, tc.never) {
				t.Error(out)
			}
		})
	}
}

// Mesos stops a task by SIGTERM to its first process: that must have become Elasticsearch.
func TestTheTasksProcessBecomesElasticsearch(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		m := newMarathon(t)
		m.masters()
		c := localCluster(t)
		program := "#!/bin/sh\ntrap 'echo stopped by TERM; exit 0' TERM\necho pid $$\nwhile :; do sleep 0.1; done\n"
		if err := os.WriteFile(filepath.Join(c.Elasticsearch.Home, "bin/elasticsearch"), []byte(program), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := newBoot(t, path, c, spec.Data, m.URL).command(t.Context())
		out := &lines{want: "pid", seen: make(chan struct{})}
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-out.seen:
		case <-time.After(time.Minute):
			t.Error("did not start")
		}
		if err := exec.Command("kill", "-TERM", fmt.Sprint(cmd.Process.Pid)).Run(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		wantLines(t, out.buf.String(), fmt.Sprintf("pid %d", cmd.Process.Pid), "stopped by TERM")
	})
}

// lines closes seen once a wanted word has been written. It is read only after the writer has ended.
type lines struct {
	buf  bytes.Buffer
	want string
	seen chan struct{}
	done bool
}

func (l *lines) Write(p []byte) (int, error) {
	l.buf.Write(p)
	if !l.done && strings.Contains(l.buf.String(), l.want) {
		l.done = true
		close(l.seen)
	}
	return len(p), nil
}
