package drift

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

var update = flag.Bool("u", false, "rewrite the golden files")

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// packed is an environment that carries files.
func packed(t *testing.T, files ...bundle.File) map[string]any {
	t.Helper()
	b, err := bundle.Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	env, err := bundle.ToEnv(b)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for k, v := range env {
		out[k] = v
	}
	return out
}

func with(m map[string]any, more map[string]any) map[string]any {
	for k, v := range more {
		m[k] = v
	}
	return m
}

func file(path, content string) bundle.File {
	return bundle.File{Path: path, Mode: 0o644, Content: []byte(content)}
}

func report(t *testing.T) *Report {
	want := marathon.Doc{
		"id": "/search/logs/es-datanode", "instances": 3, "cpus": 1, "mem": 4096,
		"container": marathon.Doc{"type": "MESOS", "volumes": []any{marathon.Doc{"containerPath": "data", "mode": "RW", "persistent": marathon.Doc{"size": 1024}}}},
		"env": with(packed(t, file("pre-run.sh", "ulimit -n 65536\necho ready\n"), file("new.txt", "new\n"), file("word.dat", "\x00\x01")), map[string]any{
			"ES_HEAP": "1g", "ES_PASSWORD": "swordfish", "GIT": "https://ci:hunter2@git.example/x"}),
		"constraints": [][]string{{"hostname", "UNIQUE"}},
	}
	have := marathon.Doc{
		"id": "/search/logs/es-datanode", "instances": json.Number("2"), "cpus": json.Number("1.0"), "mem": json.Number("2048.0"),
		"container": marathon.Doc{"type": "MESOS", "volumes": []any{marathon.Doc{"containerPath": "data", "mode": "RW", "persistent": marathon.Doc{"type": "root", "size": json.Number("1024"), "constraints": []any{}}}}},
		"env": with(packed(t, file("pre-run.sh", "ulimit -n 1024\necho ready\n"), file("word.dat", "\x00\x02")), map[string]any{
			"ES_HEAP": "1g", "ES_PASSWORD": "letmein", "EVIL": "\x1b[2Jgone"}),
		"constraints": []any{[]any{"rack", "GROUP_BY", "3"}},
		"role":        "marathon",
	}
	id := marathon.AppID("/search/logs/es-datanode")
	d := &render.Desired{
		ID:   spec.ClusterID{Group: "search", Name: "logs"},
		Spec: &spec.Cluster{Pos: spec.Pos{File: "groups/search/clusters/logs/cluster.yaml"}},
		Apps: []render.App{
			{ID: "/search/logs/gate", Component: spec.Gate, Doc: marathon.Doc{"id": "/search/logs/gate"}},
			{ID: id, Component: spec.Data, Doc: want, Origins: map[string]spec.Pos{
				"mem": {File: "groups/search/clusters/logs/cluster.yaml", Line: 12, Column: 11}, "env": {File: "fleet.yaml", Line: 3}}},
		},
	}
	s := &marathon.State{Version: at(1, 11, 24), Apps: map[marathon.AppID]*marathon.App{
		id:                  {ID: id, Doc: have},
		"/search/logs/old":  {ID: "/search/logs/old", Labels: map[string]string{marathon.LabelFleet: "prod", marathon.LabelGroup: "search", marathon.LabelCluster: "logs", marathon.LabelComponent: "kibana"}},
		"/search/by-hand":   {ID: "/search/by-hand"},
		"/elsewhere/app":    {ID: "/elsewhere/app"},
		"/search/logs/gate": {ID: "/search/logs/gate", Doc: marathon.Doc{"id": "/search/logs/gate"}},
	}}
	want2 := []*render.Desired{d}
	same := &Drift{ID: spec.ClusterID{Group: "search", Name: "quiet"}}
	return &Report{Clusters: []*Drift{Compare(d, s), same}, Orphans: Orphans("prod", want2, s), Foreign: ForeignUnder("prod", want2, s)}
}

func TestAReportReadsAsItsGoldenFiles(t *testing.T) {
	r := report(t)
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report.txt", b.String())
	j, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report.json", string(j)+"\n")
	for _, secret := range []string{"swordfish", "letmein", "hunter2", "\x1b"} {
		if strings.Contains(b.String(), secret) || strings.Contains(string(j), secret) {
			t.Errorf("the report shows %q", secret)
		}
	}
}

func TestEqualReportsGiveEqualBytes(t *testing.T) {
	var first string
	for range 20 {
		var b strings.Builder
		r := report(t)
		if err := r.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		j, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(j)
		if first == "" {
			first = b.String()
		}
		if b.String() != first {
			t.Fatalf("two reports of the same:\n%s\n%s", first, b.String())
		}
	}
}
