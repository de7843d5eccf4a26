package drift

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

var v111 = at(1, 11, 24)

// resident is a definition as the data nodes have it.
func residentDoc() marathon.Doc {
	return marathon.Doc{
		"id": "/g/c/app", "cmd": "sleep 1", "cpus": 1, "mem": 1024, "instances": 3,
		"container":         marathon.Doc{"type": "MESOS", "volumes": []any{marathon.Doc{"containerPath": "data", "mode": "RW", "persistent": marathon.Doc{"size": 1024}}, marathon.Doc{"containerPath": "/etc/x", "hostPath": "/etc/x", "mode": "RO"}}},
		"portDefinitions":   []any{marathon.Doc{"port": 0, "name": "http"}, marathon.Doc{"port": 0, "name": "transport"}},
		"role":              "search",
		"env":               marathon.Doc{"A": "1"},
		"executorResources": marathon.Doc{"cpus": 0.1, "mem": 32},
	}
}

func classes(d *Drift) []Class {
	var out []Class
	for _, x := range d.Differences {
		out = append(out, x.Class)
	}
	return out
}

func TestTheClassTellsWhatCouldPutItRight(t *testing.T) {
	set := func(path string, v any) func(marathon.Doc) {
		return func(d marathon.Doc) {
			visit(d, steps(path), func(holder map[string]any, key string) { holder[key] = v })
		}
	}
	tests := []struct {
		name   string
		live   func(marathon.Doc)
		want   []Class
		fields []string // path, restarts tasks?, immutable?
	}{
		{"nothing differs", func(marathon.Doc) {}, nil, nil},
		{"only instances differ: scale", set("instances", 2), []Class{Scale}, []string{"instances false false"}},
		{"another field differs: update", set("env.A", "2"), []Class{Update}, []string{"env.A true false"}},
		{"both differ: two differences, for plan to decide", func(d marathon.Doc) { set("instances", 2)(d); set("cmd", "x")(d) }, []Class{Scale, Update}, []string{"instances false false", "cmd true false"}},
		{"a resident's memory is immutable", set("mem", 512), []Class{Replace}, []string{"mem true true"}},
		{"a resident's role is immutable", set("role", "shop"), []Class{Replace}, []string{"role true true"}},
		{"a resident's volume is immutable", set("container.volumes[].persistent.size", 2048), []Class{Replace}, []string{"container.volumes[0].persistent.size true true"}},
		{"a resident's other volumes are not", func(d marathon.Doc) {
			d["container"].(marathon.Doc)["volumes"].([]any)[1].(marathon.Doc)["mode"] = "RW"
		}, []Class{Update}, []string{"container.volumes[1].mode true false"}},
		{"the number of a resident's ports is immutable", func(d marathon.Doc) { d["portDefinitions"] = d["portDefinitions"].([]any)[:1] }, []Class{Replace}, []string{"portDefinitions[1] true true"}},
		{"a resident's port is immutable, required or not", func(d marathon.Doc) {
			d["portDefinitions"].([]any)[0].(marathon.Doc)["port"] = "none"
		}, []Class{Replace}, []string{"portDefinitions[0].port true true"}},
		{"whether a resident's ports are required is immutable", set("requirePorts", true), []Class{Replace}, []string{"requirePorts true true"}},
		{"a resident's disk and GPUs are immutable", func(d marathon.Doc) { set("disk", 1)(d); set("gpus", 1)(d) }, []Class{Replace}, []string{"disk true true", "gpus true true"}},
		{"the name of a resident's port is not", set("portDefinitions[].name", "x"), []Class{Update}, []string{"portDefinitions[0].name true false", "portDefinitions[1].name true false"}},
		{"an immutable field beside others: one replace, for no part of it can be written alone", func(d marathon.Doc) { set("cpus", 2)(d); set("cmd", "x")(d) }, []Class{Replace}, []string{"cmd true false", "cpus true true"}},
		{"executor resources are shown and restart nothing", set("executorResources.mem", 64), []Class{Update}, []string{"executorResources.mem false false"}},
		{"an app that lost its volumes can't get them back in place", func(d marathon.Doc) { delete(d, "container") }, []Class{Replace},
			[]string{"container true true", "unreachableStrategy true false", "upgradeStrategy.maximumOverCapacity true false", "upgradeStrategy.minimumHealthCapacity true false"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			live := residentDoc()
			tt.live(live)
			d := compareDocs(spec.Data, residentDoc(), live, v111)
			var fields []string
			for _, x := range d.Differences {
				for _, f := range x.Fields {
					fields = append(fields, fmt.Sprint(f.Path, " ", f.RestartsTasks, " ", f.Immutable))
				}
			}
			if diff := cmp.Diff(tt.want, classes(d)); diff != "" {
				t.Errorf("classes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.fields, fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

// steps compiles a path as the table's are.
func steps(path string) []step {
	var p []step
	for key := range strings.SplitSeq(path, ".") {
		k, list := strings.CutSuffix(key, "[]")
		p = append(p, step{k, list})
	}
	return p
}

func TestNothingOfAnAppWithoutVolumesIsImmutable(t *testing.T) {
	d := compareDocs(spec.Discovery, marathon.Doc{"id": "/g/c/app", "mem": 1, "cpus": 2}, marathon.Doc{"id": "/g/c/app"}, v111)
	if got := classes(d); !slices.Equal(got, []Class{Update}) {
		t.Errorf("classes %v", got)
	}
}

// state is a Marathon with some apps.
func state(apps ...*marathon.App) *marathon.State {
	s := &marathon.State{Version: v111, Apps: map[marathon.AppID]*marathon.App{}}
	for _, a := range apps {
		s.Apps[a.ID] = a
	}
	return s
}

func desired(apps ...render.App) *render.Desired {
	return &render.Desired{ID: spec.ClusterID{Group: "g", Name: "c"}, Spec: &spec.Cluster{}, Apps: apps}
}

func TestAnAppThatIsNotThereIsToBeCreatedInTheOrderOfCreation(t *testing.T) {
	d := Compare(desired(render.App{ID: "/g/c/z", Component: spec.Gate}, render.App{ID: "/g/c/a", Component: spec.Master}), state())
	if got := []marathon.AppID{d.Differences[0].App, d.Differences[1].App}; !slices.Equal(got, []marathon.AppID{"/g/c/z", "/g/c/a"}) {
		t.Errorf("order %v", got)
	}
	if got := classes(d); !slices.Equal(got, []Class{Create, Create}) {
		t.Errorf("classes %v", got)
	}
}

func TestOldTasksAreThoseStartedBeforeTheLastChangeOfConfiguration(t *testing.T) {
	const changed = "2026-11-22T01:12:17.069Z"
	at, err := time.Parse(time.RFC3339, changed)
	if err != nil {
		t.Fatal(err)
	}
	live := &marathon.App{ID: "/g/c/app", Doc: residentDoc(), LastConfigChange: at, Version: at.Add(time.Hour), Tasks: []marathon.Task{
		{ID: "current", Version: changed, State: "TASK_RUNNING"},
		{ID: "after-scaling", Version: "2026-11-22T01:30:00Z", State: "TASK_RUNNING"},
		{ID: "suspended", LocalVolumes: []marathon.LocalVolume{{}}},
	}}
	d := desired(render.App{ID: "/g/c/app", Component: spec.Data, Doc: residentDoc()})
	if x := Compare(d, state(live)); !x.Empty() {
		t.Errorf("a scaling alone makes %+v", x.Differences)
	}
	live.Tasks = append(live.Tasks, marathon.Task{ID: "old", Version: "2026-11-22T01:12:17.068Z", State: "TASK_RUNNING"}, marathon.Task{ID: "nonsense", Version: "yesterday"})
	x := Compare(d, state(live)).Differences
	if len(x) != 1 || x[0].Class != Mixed || !slices.Equal(x[0].Tasks, []marathon.TaskID{"nonsense", "old"}) {
		t.Errorf("mixed: %+v", x)
	}
}

func TestEveryDeploymentThatHoldsAnAppIsNamedOnce(t *testing.T) {
	s := state(&marathon.App{ID: "/g/c/app", Doc: residentDoc(), Deployments: []marathon.DeploymentID{"d2", "d1"}})
	s.Deployments = []marathon.Deployment{{ID: "d2", AffectedApps: []marathon.AppID{"/g/c/app"}}, {ID: "d3", AffectedApps: []marathon.AppID{"/x", "/g/c/app"}}, {ID: "d4", AffectedApps: []marathon.AppID{"/x"}}}
	x := Compare(desired(render.App{ID: "/g/c/app", Component: spec.Data, Doc: residentDoc()}), s).Differences
	if len(x) != 1 || x[0].Class != Foreign || !slices.Equal(x[0].Deployments, []marathon.DeploymentID{"d1", "d2", "d3"}) {
		t.Errorf("foreign: %+v", x)
	}
}

func TestWhatTheGateRecordsIsNoDriftOfTheGateAndDriftOfAnyOther(t *testing.T) {
	git := marathon.Doc{"id": "/g/c/app", "instances": 0, "labels": marathon.Doc{"k": "v"}, "env": marathon.Doc{GateEnv: "0", "B": "1"}}
	live := marathon.Doc{"id": "/g/c/app", "instances": 1, "labels": marathon.Doc{"k": "v", marathon.LabelClusterUUID: "u", marathon.LabelSuspended: "{}", marathon.LabelDetached: "i"}, "env": marathon.Doc{GateEnv: "7", "B": "1"}}
	if d := compareDocs(spec.Gate, git, live, v111); !d.Empty() {
		t.Errorf("the gate's own words differ: %+v", d.Differences)
	}
	d := compareDocs(spec.Data, git, live, v111)
	var paths []string
	for _, x := range d.Differences {
		for _, f := range x.Fields {
			paths = append(paths, f.Path)
		}
	}
	if want := []string{"instances", "env." + GateEnv, "labels." + marathon.LabelClusterUUID, "labels." + marathon.LabelDetached, "labels." + marathon.LabelSuspended}; !slices.Equal(paths, want) {
		t.Errorf("elsewhere: %v, want %v", paths, want)
	}
	for change, live := range map[string]marathon.Doc{
		"two instances":  {"id": "/g/c/app", "instances": 2, "labels": git["labels"], "env": git["env"]},
		"another label":  {"id": "/g/c/app", "instances": 0, "labels": marathon.Doc{"k": "w"}, "env": git["env"]},
		"another env":    {"id": "/g/c/app", "instances": 0, "labels": git["labels"], "env": marathon.Doc{"B": "2"}},
		"no labels left": {"id": "/g/c/app", "instances": 0, "env": git["env"]},
	} {
		if compareDocs(spec.Gate, git, live, v111).Empty() {
			t.Errorf("%s of the gate: no difference", change)
		}
	}
}

func TestADamagedLiveBundleIsSaidToBeDamaged(t *testing.T) {
	git := marathon.Doc{"id": "/g/c/app", "env": packed(t, file("a", "x\n"))}
	for damage, change := range map[string]func(map[string]any){
		"a digest that is not the archive's": func(e map[string]any) { e["ESFLEET_BUNDLE_SHA256"] = "beef" },
		"no base64":                          func(e map[string]any) { e["ESFLEET_BUNDLE_0"] = "%%%" },
		"a missing piece":                    func(e map[string]any) { delete(e, "ESFLEET_BUNDLE_0") },
	} {
		t.Run(damage, func(t *testing.T) {
			live := reread(git)
			change(live["env"].(map[string]any))
			x := compareDocs(spec.Data, git, live, v111).Differences
			if len(x) != 1 || x[0].Class != Update || len(x[0].Fields) != 1 || len(x[0].Files) != 0 ||
				!strings.HasPrefix(fmt.Sprint(x[0].Fields[0].Have), "damaged: ") {
				t.Errorf("%+v", x)
			}
		})
	}
}

func TestFilesDifferByContentAndByMode(t *testing.T) {
	script := func(mode int64, content string) bundle.File {
		return bundle.File{Path: "pre-run.sh", Mode: mode, Content: []byte(content)}
	}
	git := marathon.Doc{"id": "/g/c/app", "env": packed(t, script(0o755, "x\n"), file("new", "n\n"))}
	live := marathon.Doc{"id": "/g/c/app", "env": packed(t, script(0o644, "x\n"), file("old", "o\n"))}
	got := compareDocs(spec.Data, git, live, v111).Differences[0].Files
	want := []File{
		{Path: "new", Kind: Missing, Diff: "--- live/new\n+++ git/new\n@@ -0,0 +1 @@\n+n\n"},
		{Path: "old", Kind: Extra, Diff: "--- live/old\n+++ git/old\n@@ -1 +0,0 @@\n-o\n"},
		{Path: "pre-run.sh", Kind: Changed, Diff: "mode 644 -> 755\n"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
}

func TestDefaultsAreCountedButNotShown(t *testing.T) {
	live := marathon.Doc{"id": "/g/c/app", "cmd": "x"}
	quiet := compareDocs(spec.Data, marathon.Doc{"id": "/g/c/app", "cmd": "x"}, live, v111)
	if !quiet.Empty() || quiet.Hidden < 10 {
		t.Errorf("%d hidden, %+v", quiet.Hidden, quiet.Differences)
	}
	live["backoffSeconds"] = 7 // filled in by default on our side, and shown: no longer hidden
	if loud := compareDocs(spec.Data, marathon.Doc{"id": "/g/c/app", "cmd": "x"}, live, v111); loud.Hidden != quiet.Hidden-1 {
		t.Errorf("%d hidden with one shown, %d without", loud.Hidden, quiet.Hidden)
	}
}

func TestADiffOfLargeFilesIsBounded(t *testing.T) {
	long := func(s string, n int) string { return strings.Repeat(s, n) }
	for name, tt := range map[string]struct{ git, live, want string }{
		"many bytes":     {long("a", maxDiffInput+1), "b", "too large"},
		"many lines":     {long("a\n", maxDiffLines+1), "b\n", "too large"},
		"a huge diff":    {long(long("a", 99)+"\n", 1500), "", "more bytes of this diff are not shown"},
		"an escape code": {"a\n", "\x1b[2J\n", `\u001b`},
	} {
		t.Run(name, func(t *testing.T) {
			d := compareDocs(spec.Data, marathon.Doc{"id": "/g/c/app", "env": packed(t, file("f", tt.git))}, marathon.Doc{"id": "/g/c/app", "env": packed(t, file("f", tt.live))}, v111)
			f := d.Differences[0].Files[0]
			var b strings.Builder
			f.text(&b)
			if !strings.Contains(b.String(), tt.want) || len(f.Diff) > maxDiffOutput+200 {
				t.Errorf("%d bytes: %.300s", len(f.Diff), b.String())
			}
		})
	}
}

func TestOrphansAreOursAndUnknownToGitWhileForeignAppsOnlyStandInOurWay(t *testing.T) {
	ours := func(id, fleet string) *marathon.App {
		return &marathon.App{ID: marathon.AppID(id), Labels: map[string]string{marathon.LabelFleet: fleet}}
	}
	s := state(ours("/g/c/app", "prod"), ours("/g/c/gone", "prod"), ours("/far/away", "prod"), ours("/g/c/theirs", "test"), ours("/g/hand", ""), ours("/gg/hand", ""), ours("/g", ""))
	want := []*render.Desired{desired(render.App{ID: "/g/c/app"})}
	var orphans []marathon.AppID
	for _, x := range Orphans("prod", want, s) {
		orphans = append(orphans, x.App)
	}
	if !slices.Equal(orphans, []marathon.AppID{"/far/away", "/g/c/gone"}) {
		t.Errorf("orphans %v", orphans)
	}
	if got := ForeignUnder("prod", want, s); !slices.Equal(got, []marathon.AppID{"/g/c/theirs", "/g/hand"}) {
		t.Errorf("foreign %v", got)
	}
}

func TestCompareChangesNeitherArgument(t *testing.T) {
	git, live := residentDoc(), reread(corpus(t, "corpus-1.11.jsonl")[5].Live)
	before := text(git) + text(live)
	compareDocs(spec.Gate, git, live, v111)
	if after := text(git) + text(live); after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

func TestASecretIsRecognisedByItsName(t *testing.T) {
	for name, want := range map[string]bool{
		"ES_PASSWORD": true, "es.password": true, "API_TOKEN": true, "AWS_ACCESS_KEY": true, "MY_SECRET_THING": true, "BASIC_AUTH": true,
		"ES_HEAP": false, "MONKEY": false, "KEYSTORE_PATH": false, "AUTHOR": false, "PATH": false,
	} {
		if looksSecret(name) != want {
			t.Errorf("%s: secret is %v", name, !want)
		}
	}
	for in, want := range map[string]string{
		"exec es -Epassword=abc -Ename=x": "exec es -Epassword=(hidden) -Ename=x",
		"A_TOKEN='a b' run":               "A_TOKEN=(hidden) run",
		"https://u:p@h/x?a=b":             "https://(hidden)@h/x?a=b",
		"https://h/x":                     "https://h/x",
	} {
		if got := redactText(in); got != want {
			t.Errorf("%q reads %q, want %q", in, got, want)
		}
	}
}

// sized is a fleet of n apps of realistic size and the state that shows them.
func sized(tb testing.TB, n int) ([]*render.Desired, *marathon.State) {
	pairs := slices.DeleteFunc(corpus(tb, "corpus-1.11.jsonl"), func(p pair) bool { return p.Put["container"] == nil })
	s := &marathon.State{Version: v111, Apps: map[marathon.AppID]*marathon.App{}}
	var out []*render.Desired
	for len(out)*5 < n {
		d := desired()
		for i := range 5 {
			p := pairs[(len(out)*5+i)%len(pairs)]
			id := marathon.AppID(fmt.Sprintf("/g/c%d/app%d", len(out), i))
			git, live := reread(p.Put), reread(p.Live)
			for _, doc := range []marathon.Doc{git, live} {
				doc["id"] = string(id)
				env := map[string]any{}
				for j := range 20 {
					env[fmt.Sprint("NAME_", j)] = strings.Repeat("v", 40)
				}
				env["ESFLEET_BUNDLE_0"], env["ESFLEET_BUNDLE_SHA256"] = strings.Repeat("A", 8<<10), "x"
				doc["env"] = maps.Clone(env)
			}
			d.Apps = append(d.Apps, render.App{ID: id, Component: spec.Data, Doc: git})
			s.Apps[id] = &marathon.App{ID: id, Doc: live}
		}
		out = append(out, d)
	}
	return out, s
}

// BenchmarkCompare measures a full compare of 1,000 apps against a floor of its own run: reading their JSON once.
func BenchmarkCompare(b *testing.B) {
	want, s := sized(b, 1000)
	b.Run("1000 apps", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, d := range want {
				if !Compare(d, s).Empty() {
					b.Fatal("a quiet fleet differs")
				}
			}
		}
	})
	b.Run("floor: decode 1000 apps", func(b *testing.B) {
		var raw [][]byte
		for _, a := range s.Apps {
			j, err := json.Marshal(a.Doc)
			if err != nil {
				b.Fatal(err)
			}
			raw = append(raw, j)
		}
		b.ReportAllocs()
		for b.Loop() {
			for _, j := range raw {
				var doc marathon.Doc
				if err := json.Unmarshal(j, &doc); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
