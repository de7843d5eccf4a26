package render_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
	"github.com/google/go-cmp/cmp"
)

var es7 = spec.Version{Major: 7, Minor: 17, Patch: 28}

func apps(t testing.TB, d *render.Desired) string {
	t.Helper()
	b, err := json.Marshal(d.Apps)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEqualSpecsGiveEqualBytes(t *testing.T) {
	one := apps(t, desired(t, cluster(es7), target))
	for range 10 {
		if diff := cmp.Diff(one, apps(t, desired(t, cluster(es7), target))); diff != "" {
			t.Fatal(diff)
		}
	}
}

// Every changed field but instances restarts all tasks, so nothing may enter an app that git did not change.
func TestWhatDoesNotConcernTheNodesDoesNotChangeTheirApps(t *testing.T) {
	want := apps(t, desired(t, cluster(es7), target))
	for name, edit := range map[string]func(*spec.Cluster){
		"a line moves in git":         func(c *spec.Cluster) { c.Pos.Line = 7 },
		"the owners change":           func(c *spec.Cluster) { c.Owners = []string{"someone"} },
		"the purpose changes":         func(c *spec.Cluster) { c.Purpose = spec.Standby },
		"the cluster is suspended":    func(c *spec.Cluster) { c.Suspend = &spec.Suspension{Reason: "r"} },
		"the cluster is retired":      func(c *spec.Cluster) { c.State = spec.Retired },
		"the rollout is slower":       func(c *spec.Cluster) { c.Rollout.Canary = 3 },
		"the drift mode changes":      func(c *spec.Cluster) { c.Drift = spec.Report },
		"the rollout is paused":       func(c *spec.Cluster) { c.Rollout.Pause, c.Rollout.Hold = true, time.Hour },
		"a node is to be replaced":    func(c *spec.Cluster) { c.Replace = []spec.Replacement{{Instance: "i", LoseCopies: true}} },
		"a retirement is prepared":    func(c *spec.Cluster) { c.Retirement = spec.Retirement{Grace: time.Hour, Destroy: true} },
		"cluster settings change":     func(c *spec.Cluster) { c.ClusterSettings = map[string]string{"search.max_buckets": "1"} },
		"shards wait longer":          func(c *spec.Cluster) { c.Indices.Delay = time.Hour },
		"masters are of a generation": func(c *spec.Cluster) { c.Nodes[spec.Master].Generation = 3 },
		"plugins are listed in another order": func(c *spec.Cluster) {
			slices.Reverse(c.Plugins)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster(es7)
			edit(c)
			if diff := cmp.Diff(want, apps(t, desired(t, c, target))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// With more replicas nothing but the number changes: then Marathon only scales.
func TestScalingChangesNothingButInstances(t *testing.T) {
	want := desired(t, cluster(es7), target)
	for _, component := range []spec.Component{spec.Master, spec.Data} {
		c := cluster(es7)
		c.Nodes[component].Replicas += 2
		got := desired(t, c, target).App(component)
		if got.Instances != want.App(component).Instances+2 {
			t.Errorf("%s: %d instances", component, got.Instances)
		}
		got.Doc["instances"] = want.App(component).Doc["instances"]
		if diff := cmp.Diff(want.App(component).Doc, got.Doc); diff != "" {
			t.Errorf("%s: %s", component, diff)
		}
	}
}

func TestAppsComeInTheOrderOfCreation(t *testing.T) {
	var ids []marathon.AppID
	for _, a := range desired(t, cluster(es7), target).Apps {
		ids = append(ids, a.ID)
	}
	want := []marathon.AppID{"/search/logs/gate", "/search/logs/discovery", "/search/logs/es-master", "/search/logs/es-datanode", "/search/logs/es2graphite", "/search/logs/kibana"}
	if !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
}

func TestWhatCannotBeAppliedIsRefusedWithPlaceAndReason(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*spec.Cluster)
		want []string
	}{
		"an environment variable of esfleet's": {
			func(c *spec.Cluster) { c.Nodes[spec.Data].Env["ESFLEET_MARATHON"] = "x" },
			[]string{"groups/search/clusters/logs/cluster.yaml", "ESFLEET_MARATHON", "choose another"},
		},
		"one fixed port of two": {
			func(c *spec.Cluster) { c.Nodes[spec.Data].HTTPPort = 9200 },
			[]string{"fixed both or neither"},
		},
		"a setting that the node itself must write": {
			func(c *spec.Cluster) { c.Settings["network.host"] = "_eth0_" },
			[]string{"network.host", "remove it"},
		},
		"the same in an override": {
			func(c *spec.Cluster) { c.Overrides[0].Settings["http.port"] = json.Number("9200") },
			[]string{"http.port", "remove it"},
		},
		"a file that is not in the commit": {
			func(c *spec.Cluster) { c.Files[0].Blob = "gone" },
			[]string{"groups/search/clusters/logs/synonyms.txt", "gone"},
		},
		"an unknown discovery": {
			func(c *spec.Cluster) { c.Discovery.Mode = "dns" },
			[]string{`"dns" is unknown`, "write haproxy"},
		},
		"an environment that would kill Marathon's leader": {
			func(c *spec.Cluster) { c.Nodes[spec.Data].Env["BIG"] = strings.Repeat("x", render.MaxBody) },
			[]string{"endanger Marathon's leader"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster(es7)
			tc.edit(c)
			_, err := render.Cluster(c, blobs(), target)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range append(tc.want, "search/logs") {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q lacks %q", err, w)
				}
			}
		})
	}
}

// noise does not compress.
func noise(n int) string {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func TestFilesThatFitStayUnderMarathonsLimitAndOthersAreNamed(t *testing.T) {
	c := cluster(es7)
	fits := noise(400 << 10)
	c.Files = append(c.Files, fileRef("dictionary.bin", fits))
	d, err := render.Cluster(c, blobs(fits), target)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(d.App(spec.Data).Doc)
	if err != nil || len(body) > render.MaxBody || len(body) < 500<<10 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	tooMuch := noise(600 << 10)
	c.Files = append(c.Files, fileRef("huge.bin", tooMuch))
	if _, err = render.Cluster(c, blobs(fits, tooMuch), target); err == nil || !strings.Contains(err.Error(), "files/huge.bin (614400 bytes)") {
		t.Errorf("got %v", err)
	}
}

func TestAValueKnowsWhereItWasWritten(t *testing.T) {
	a := desired(t, cluster(es7), target).App(spec.Data)
	if got := a.OriginOf("mem", spec.Pos{}).String(); got != "groups/search/clusters/logs/cluster.yaml:9:32" {
		t.Errorf("mem comes from %q", got)
	}
}

// A live definition has only JSON's types; a desired one must not differ by Go's.
func TestDocumentsHaveTheTypesOfDecodedJSON(t *testing.T) {
	for _, a := range desired(t, cluster(es7), target).Apps {
		b, err := json.Marshal(a.Doc)
		if err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		var again marathon.Doc
		if err := dec.Decode(&again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(again, a.Doc); diff != "" {
			t.Errorf("%s: %s", a.ID, diff)
		}
	}
}

func TestTheExampleFleetIsRendered(t *testing.T) {
	snap := snapshot.FromMap("example", examples.Files())
	fleet, problems := spec.Parse(snap, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, g := range fleet.Groups {
		for _, c := range g.Clusters {
			d, err := render.Cluster(c, snap, target)
			if err != nil {
				t.Error(err)
				continue
			}
			for _, a := range d.Apps {
				if a.Bundle == nil {
					continue
				}
				env := map[string]string{}
				for k, v := range a.Doc["env"].(map[string]any) {
					env[k] = v.(string)
				}
				if b, err := bundle.FromEnv(env); err != nil || b.Digest != a.Bundle.Digest {
					t.Errorf("%s: its bundle does not come back: %v", a.ID, err)
				}
			}
			if d.App(spec.Data) == nil || d.App(spec.Gate) == nil {
				t.Errorf("%s lacks apps", c.ID)
			}
		}
	}
}
