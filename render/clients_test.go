package render_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/spec"
)

// clientCluster has a front for its clients.
func clientCluster(t testing.TB) *spec.Cluster {
	c := ringCluster(t, ownRing)
	c.Discovery.ClientPort, c.Discovery.Drain = 9200, 90*time.Second
	return c
}

func TestTheClientFrontFollowsWhoServes(t *testing.T) {
	for name, k := range map[string]struct {
		edit func(*spec.Cluster)
		want string
	}{
		"data nodes":                    {func(*spec.Cluster) {}, "/search/logs/es-datanode"},
		"data nodes of all generations": {func(c *spec.Cluster) { c.Nodes[spec.Data].Generation = 3 }, "/search/logs/es-datanode-g3,/search/logs/es-datanode-g2,/search/logs/es-datanode"},
		"coordinating nodes alone":      {func(c *spec.Cluster) { extraRoles(c); c.Nodes[spec.Data].Generation = 3 }, "/search/logs/es-coordinating"},
	} {
		c := cluster(es7)
		clientFront(c)
		k.edit(c)
		a := desired(t, c, target).App(spec.Discovery)
		if facts := factsOf(a); !strings.Contains(facts, "client_apps='"+k.want+"'\n") {
			t.Errorf("%s: not %s:\n%s", name, k.want, facts)
		}
	}
}

// Whoever has no client front gets not a byte else than before there was one, and who takes one restarts no node for it.
func TestAClientFrontConcernsTheDiscoveryAppAlone(t *testing.T) {
	one, other := cluster(es7), cluster(es7)
	clientFront(other)
	other.Discovery.Image = one.Discovery.Image
	a, b := desired(t, one, target), desired(t, other, target)
	for i := range a.Apps {
		same := cmp.Equal(a.Apps[i].Doc, b.Apps[i].Doc)
		if c := a.Apps[i].Component; same != (c != spec.Discovery) {
			t.Errorf("%s: same %v", c, same)
		}
	}
	one.Discovery.Drain = time.Hour
	if d := cmp.Diff(a.App(spec.Discovery).Doc, desired(t, one, target).App(spec.Discovery).Doc); d != "" {
		t.Errorf("a drain without a front changes the app: %s", d)
	}
}

func TestEsfleetRunsTheClientFront(t *testing.T) {
	eachShell(t, func(t *testing.T, path string) {
		c := clientCluster(t)
		b := newBootWith(t, fakeEsfleet(t, "--client-port int")+":"+path, c, spec.Discovery, "http://m:8080", ownRing)
		got, _ := b.mustStart(t)
		sandbox, err := filepath.EvalSymlinks(b.sandbox)
		if err != nil {
			t.Fatal(err)
		}
		want := "ARGS discovery --app /search/logs/es-master --bind 127.0.0.9 --port " + strconv.Itoa(c.Discovery.Port) +
			" --stats-port " + strconv.Itoa(c.Discovery.StatsPort) + " --client-port 9200 --client-apps /search/logs/es-datanode --gate /search/logs/gate" +
			" --drain 1m30s --dir " + sandbox + "/haproxy --template " + sandbox + "/.esfleet/ring/haproxy.cfg MARATHON http://127.0.0.1:1,http://m:8080\n"
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestAnImageWithoutEsfleetHasNoClientFrontAndSaysSo(t *testing.T) {
	for name, path := range map[string]string{
		"no esfleet":        "/nowhere",
		"one that is older": fakeEsfleet(t, "--port int"),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBootWith(t, path+":"+linkSh(t, "dash")+":/usr/bin:/bin", clientCluster(t), spec.Discovery, "http://m:8080", ownRing)
			b.mustFail(t, 69, "discovery.clientPort needs an image that holds esfleet")
		})
	}
}

// fakeEsfleet is a folder with a program that shows its arguments, or such a help.
func fakeEsfleet(t testing.TB, help string) string {
	dir := openDir(t)
	program := "#!/bin/sh\nif [ \"$2\" = --help ]; then echo '" + help + "'; else echo \"ARGS $* MARATHON $ESFLEET_MARATHON\"; fi\n"
	if err := os.WriteFile(filepath.Join(dir, "esfleet"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
