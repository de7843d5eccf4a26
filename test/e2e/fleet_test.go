package e2e_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/examples"
	"sigs.k8s.io/yaml"
)

// Paths of the example fleet that the story changes.
const (
	fleetFile    = "fleet.yaml"
	searchFile   = "groups/search/group.yaml"
	billingFile  = "groups/billing/group.yaml"
	logsFile     = "groups/search/clusters/logs/cluster.yaml"
	catalogFile  = "groups/search/clusters/catalog/cluster.yaml"
	invoicesFile = "groups/billing/clusters/invoices/cluster.yaml"
)

// smallJVM is what a test machine can spare, in place of the options that a distribution ships.
const smallJVM = `-XX:+UseSerialGC
-XX:TieredStopAtLevel=1
-XX:-AlwaysPreTouch
-Djava.io.tmpdir=${ES_TMPDIR}
`

// files is a fleet repository's content.
type files map[string]string

// merge lays YAML over a file: mappings key by key, lists and values in place of what was there, null removes.
func (f files) merge(t *testing.T, path, overlay string) {
	t.Helper()
	var base, over map[string]any
	must(t, yaml.Unmarshal([]byte(f[path]), &base))
	if err := yaml.UnmarshalStrict([]byte(overlay), &over); err != nil {
		t.Fatalf("%v in\n%s", err, overlay)
	}
	out, err := yaml.Marshal(merged(base, over))
	must(t, err)
	f[path] = string(out)
}

func merged(base, over map[string]any) map[string]any {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range over {
		below, isMap := v.(map[string]any)
		switch {
		case v == nil:
			delete(out, k)
		case isMap:
			old, _ := out[k].(map[string]any)
			out[k] = merged(old, below)
		default:
			out[k] = v
		}
	}
	return out
}

// The surroundings are what the example fleet needs of its surroundings to run here.
type surroundings struct {
	marathons []string // members of the one
	hosts     []string // of the agents
	homes     map[string]string
	kibana    string
	graphite  string
	plugin    string // URL
	pluginSum string
}

// localFleet is the example fleet with values for local processes: where things lie on this machine, small heaps, short
// checks. What the clusters are made of stays as the example says.
func localFleet(t *testing.T, s surroundings) files {
	t.Helper()
	f := files(examples.Files())
	f.merge(t, fleetFile, fmt.Sprintf(`
marathons: {main: {url: null, urls: [%s]}}
defaults:
  checks: {interval: 3s, timeout: 2s}
  elasticsearch: {user: nobody}
  indices: {delay: 1m}
  rollout: {canary: 0, soak: 0s}
`, strings.Join(s.marathons, ", ")))
	f.merge(t, searchFile, fmt.Sprintf("defaults: {elasticsearch: {home: %q}}", s.homes["7.17.28"]))
	f.merge(t, billingFile, fmt.Sprintf("defaults: {elasticsearch: {home: %q}}", s.homes["6.8.23"]))
	// The distribution's own analysis-icu comes from the internet.
	f.merge(t, logsFile, fmt.Sprintf(`
master: {heap: 64MiB}
data: {heap: 96MiB}
discovery: {port: 31910}
exporter: {graphite: %q, interval: 5s}
kibana: {home: %q}
plugins: null
overrides: [{hosts: [%q, %q], settings: {indices.recovery.max_bytes_per_sec: 20mb}}]
`, s.graphite, s.kibana, s.hosts[len(s.hosts)-2], s.hosts[len(s.hosts)-1]))
	f.merge(t, catalogFile, fmt.Sprintf(`
data: {heap: 96MiB}
discovery: {port: 31920}
plugins: [{name: analysis-ik, url: %q, sha512: %s}]
`, s.plugin, s.pluginSum))
	f.merge(t, invoicesFile, `
master: {heap: 64MiB}
data: {heap: 96MiB}
discovery: {port: 31930}
`)
	for _, c := range []string{logsFile, catalogFile, invoicesFile} {
		f[filepath.Join(filepath.Dir(c), "files", "jvm.options")] = smallJVM
	}
	return f
}

// homes copies the distributions to where any user may read them.
func (w *workspace) homes(versions ...string) map[string]string {
	w.t.Helper()
	from := os.Getenv("ESFLEET_ES_ARCHIVES")
	if from == "" {
		from = filepath.Join("..", "..", ".cache", "elasticsearch")
	}
	out := map[string]string{}
	must(w.t, os.MkdirAll(w.path("homes"), 0o755))
	for _, v := range versions {
		home := filepath.Join(from, "elasticsearch-"+v)
		if _, err := os.Stat(filepath.Join(home, "bin", "elasticsearch")); err != nil {
			w.t.Skipf("skipped: Elasticsearch %s is not at %s; run `make setup`", v, home)
		}
		out[v] = w.path("homes", v)
		if msg, err := exec.Command("cp", "-r", home, out[v]).CombinedOutput(); err != nil {
			w.t.Fatalf("copy %s: %v: %s", home, err, msg)
		}
		if msg, err := exec.Command("chmod", "-R", "a+rX", out[v]).CombinedOutput(); err != nil {
			w.t.Fatalf("chmod %s: %v: %s", out[v], err, msg)
		}
	}
	return out
}

// kibana makes a folder that looks like Kibana to the boot script. It answers what the health check asks, if it was told
// where Elasticsearch is.
func (w *workspace) kibana() string {
	w.t.Helper()
	w.write("kibana/bin/kibana", `#!/bin/sh
set -eu
[ "$1" = -c ]
grep -q '^elasticsearch.hosts: \["http://127\.' "$2"
address=$(sed -n 's/^server.host: "\(.*\)"$/\1/p' "$2")
port=$(sed -n 's/^server.port: //p' "$2")
mkdir -p www/api
echo "${GREETING:-hello}" >www/api/status
exec busybox httpd -f -p "$address:$port" -h www
`, 0o755)
	return w.path("kibana")
}

// servePlugin serves a plugin that does nothing, under the name that the example asks for.
func servePlugin(t *testing.T, name, version string) (url, sum string) {
	t.Helper()
	archive := pluginArchive(t, name, version)
	digest := sha512.Sum512(archive)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }))
	t.Cleanup(s.Close)
	return s.URL + "/" + name + "-" + version + ".zip", hex.EncodeToString(digest[:])
}

func pluginArchive(t *testing.T, name, version string) []byte {
	t.Helper()
	jar := zipped(t, map[string][]byte{"standin/StandIn.class": emptyPlugin("standin/StandIn")})
	descriptor := strings.Join([]string{"description=stands in", "version=1", "name=" + name, "classname=standin.StandIn",
		"java.version=1.8", "elasticsearch.version=" + version, ""}, "\n")
	return zipped(t, map[string][]byte{"plugin-descriptor.properties": []byte(descriptor), "standin.jar": jar})
}

func zipped(t *testing.T, content map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range content {
		f, err := z.Create(name)
		must(t, err)
		_, err = f.Write(data)
		must(t, err)
	}
	must(t, z.Close())
	return b.Bytes()
}

// emptyPlugin is the class file of `public class NAME extends org.elasticsearch.plugins.Plugin {}`: a compiler would be
// one more thing to install.
func emptyPlugin(name string) []byte {
	text := func(s string) string { return string(binary.BigEndian.AppendUint16([]byte{1}, uint16(len(s)))) + s }
	return []byte("\xca\xfe\xba\xbe\x00\x00\x00\x34" + // Java 8
		"\x00\x0a" + // nine constants:
		"\x07\x00\x02" + text(name) + // 1 this class, 2 its name
		"\x07\x00\x04" + text("org/elasticsearch/plugins/Plugin") + // 3 its superclass, 4 the name
		text("<init>") + text("()V") + text("Code") + // 5, 6, 7
		"\x0c\x00\x05\x00\x06" + // 8 the constructor's name and type
		"\x0a\x00\x03\x00\x08" + // 9 the superclass's constructor
		"\x00\x21\x00\x01\x00\x03\x00\x00\x00\x00" + // public; this, super, no interfaces, no fields
		"\x00\x01\x00\x01\x00\x05\x00\x06\x00\x01\x00\x07" + // one method: the constructor, with its code
		"\x00\x00\x00\x11\x00\x01\x00\x01\x00\x00\x00\x05\x2a\xb7\x00\x09\xb1\x00\x00\x00\x00" + // which calls super()
		"\x00\x00")
}

// agentsJSON is five machines for `esfleet sim`, at addresses that only this workspace uses, with the ports that the lab's
// agents have.
func (w *workspace) agentsJSON() (hosts []string, file string) {
	w.t.Helper()
	type agent struct {
		Hostname        string
		CPUs, Mem, Disk float64
		Ports           []string
		Attributes      map[string]string
	}
	var agents []agent
	for i := range 5 {
		host := fmt.Sprintf("127.0.%d.%d", 40+w.slot, 11+i)
		hosts = append(hosts, host)
		agents = append(agents, agent{host, 8, 16384, 100_000, []string{"31000-31999"}, map[string]string{"rack": fmt.Sprintf("r%d", i%3+1)}})
	}
	b, err := json.Marshal(map[string]any{"agents": agents})
	must(w.t, err)
	return hosts, w.write("agents.json", string(b), 0o644)
}
