package render_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

const ownRing = "# of this fleet\ndefaults\n  mode tcp\n  timeout connect 2s\n  timeout client 1h\n  timeout server 1h\n" +
	"listen ring\n  bind {{bind}}:{{front_port}}\n{{if stats}}\n  bind {{bind}}:{{stats_port}}\n{{end}}\n  server {{name}} {{address}}\n"

// ringCluster has a template of its own.
func ringCluster(t testing.TB, template string) *spec.Cluster {
	c := localCluster(t)
	c.Discovery.Port, c.Discovery.StatsPort = freePorts(t, "127.0.0.9")
	c.Files = append(c.Files, fileRef(render.RingTemplate, template))
	return c
}

func TestAFleetReplacesTheRingsTemplate(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("haproxy is not installed; `make setup` installs it")
	}
	eachShell(t, func(t *testing.T, path string) {
		for name, template := range map[string]string{"a good one": ownRing, "a bad one": "bad\nserver {{name}} {{address}}\n"} {
			port, _ := greeter(t, "127.0.0.91", "a")
			m := newMarathon(t)
			m.app("/search/logs/es-master", 1, nil, ringTask("127.0.0.91", port), ringTask("127.0.0.92; evil", port))
			c := ringCluster(t, template)
			b := newBootWith(t, path+":/usr/sbin", c, spec.Discovery, m.URL, template)
			out, stop := b.background(t)
			addr := net.JoinHostPort("127.0.0.9", strconv.Itoa(c.Discovery.Port))
			eventually(t, name+" leads to the master", func() bool { return greeting(addr) == "a" })
			config, err := os.ReadFile(filepath.Join(b.sandbox, "haproxy.cfg"))
			if err != nil || strings.Contains(string(config), "evil") || strings.Contains(string(config), "{{") {
				t.Errorf("%v\n%s", err, config)
			}
			if own, told := strings.HasPrefix(string(config), "# of this fleet\n"), strings.Contains(out.String(), "uses the built-in template"); own != (template == ownRing) || told == own {
				t.Errorf("%s: own %v, told %v\n%s", name, own, told, out)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAnImageWithEsfleetRunsItInPlaceOfTheLoop(t *testing.T) {
	eachShell(t, func(t *testing.T, path string) {
		dir := openDir(t)
		fake := "#!/bin/sh\n[ \"$2\" = --help ] || echo \"ARGS $* MARATHON $ESFLEET_MARATHON\"\n"
		if err := os.WriteFile(filepath.Join(dir, "esfleet"), []byte(fake), 0o755); err != nil {
			t.Fatal(err)
		}
		c := ringCluster(t, ownRing)
		b := newBootWith(t, dir+":"+path, c, spec.Discovery, "http://m:8080", ownRing)
		got, _ := b.mustStart(t)
		sandbox, err := filepath.EvalSymlinks(b.sandbox)
		if err != nil {
			t.Fatal(err)
		}
		want := "ARGS discovery --app /search/logs/es-master --bind 127.0.0.9 --port " + strconv.Itoa(c.Discovery.Port) +
			" --stats-port " + strconv.Itoa(c.Discovery.StatsPort) + " --dir " + sandbox + "/haproxy --template " + sandbox +
			"/.esfleet/ring/haproxy.cfg MARATHON http://127.0.0.1:1,http://m:8080\n"
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestAnEsfleetThatKnowsNoDiscoveryIsLeftAlone(t *testing.T) {
	dir := openDir(t)
	if err := os.WriteFile(filepath.Join(dir, "esfleet"), []byte("#!/bin/sh\nexit 64\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := ringCluster(t, ownRing)
	b := newBootWith(t, dir+":"+linkSh(t, "dash")+":/usr/bin:/bin", c, spec.Discovery, "http://m:8080", ownRing)
	b.mustFail(t, 69, "haproxy") // the loop's own first question: there is no /usr/sbin in this PATH
}

func TestAnotherTemplateRestartsTheRingAlone(t *testing.T) {
	one, other := ringCluster(t, ownRing), localCluster(t)
	other.Discovery, other.Elasticsearch = one.Discovery, one.Elasticsearch
	for _, component := range []spec.Component{spec.Discovery, spec.Master, spec.Data} {
		digest := func(c *spec.Cluster) string {
			d, err := render.Cluster(c, blobs(ownRing), target)
			if err != nil {
				t.Fatal(err)
			}
			return d.App(component).Bundle.Digest
		}
		if same := digest(one) == digest(other); same != (component != spec.Discovery) {
			t.Errorf("%s: same bundle: %v", component, same)
		}
	}
}
