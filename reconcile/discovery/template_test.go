package discovery

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render/bootstrap"
)

func TestATemplateIsFilledIn(t *testing.T) {
	const text = "bind {{bind}}:{{front_port}}\n{{if stats}}\nstats {{stats_port}}\n  {{if health}}\nhealth {{health}}\n{{end}}\n{{end}}\nserver {{name}} {{address}} check\nend\n"
	a, b := Server{"a", "10.0.0.1", 1}, Server{"b", "fe80::1", 2}
	for _, k := range []struct {
		name    string
		place   Place
		servers []Server
		want    string
	}{
		{"with everything", Place{Bind: "*", Port: 9310, Stats: 9311, Health: "127.0.0.1:5"}, []Server{a, b}, "bind *:9310\nstats 9311\nhealth 127.0.0.1:5\nserver m-a 10.0.0.1:1 check\nserver m-b [fe80::1]:2 check\nend\n"},
		{"without servers", Place{Bind: "*", Port: 9310, Stats: 9311, Health: ""}, nil, "bind *:9310\nstats 9311\nend\n"},
		{"an inner condition does not hold without the outer", Place{Bind: "*", Port: 9310, Stats: 0, Health: "127.0.0.1:5"}, []Server{a}, "bind *:9310\nserver m-a 10.0.0.1:1 check\nend\n"},
	} {
		t.Run(k.name, func(t *testing.T) {
			got, err := Expand(text, k.place, Fronts{Masters: k.servers})
			if err != nil || string(got) != k.want {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}

func TestAWrongTemplateNamesItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb {{adress}}\n{{address}}": "line 2 of the template: {{adress}} is unknown here; known are bind, front_port, and name and address on a server's line",
		"{{name}}":                     "never names {{address}}",
		"{{address}} {{stats_port}}":   "line 1 of the template: {{stats_port}} is unknown",
		"{{if colour}}\n{{address}}":   "line 1 of the template: {{if colour}} is unknown; write {{if stats}}, {{if health}}, {{if clients}} or {{if idle_close}}",
		"{{if stats}}\n{{address}}":    "ends inside {{if}}",
		"{{address}}\n{{end}}":         "line 2 of the template: {{end}} without {{if}}",
		"{{address}}\n{{bind":          "line 2",
		"":                             "never names {{address}}",
	} {
		_, err := Expand(text, Place{Bind: "*", Port: 1}, Fronts{Masters: []Server{{"a", "h", 1}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTheBuiltInTemplateIsTakenByHAProxy(t *testing.T) {
	bin := needHAProxy(t)
	servers := []Server{{"a", "10.0.0.1", 9300}, {"b", "::1", 9300}, {"c", "no-such-host.example", 9300}}
	for _, place := range []Place{{Bind: "*", Port: 9310, Stats: 9311, Health: "127.0.0.1:5"}, {Bind: "127.0.0.1", Port: 9310, Stats: 9311}, {Bind: "*", Port: 9310, Health: "127.0.0.1:5"}, {Bind: "*", Port: 9310}, {Bind: "*", Port: 9310, Stats: 9311, Health: "127.0.0.1:5", Clients: 9200}} {
		text := bootstrap.RingTemplate
		if place.Clients != 0 {
			text += bootstrap.ClientTemplate
		}
		for n := range len(servers) + 1 {
			config, err := Expand(text, place, Fronts{Masters: servers[:n], Clients: servers[:n], Detached: map[marathon.InstanceID]bool{"b": true}})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "haproxy.cfg")
			if err := os.WriteFile(file, config, 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(bin, "-c", "-f", file)
			cmd.Dir = filepath.Dir(file)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%+v with %d servers: %v\n%s\n%s", place, n, err, out, config)
			}
		}
	}
}

func task(id, host string, ports ...int) marathon.Task {
	return marathon.Task{ID: marathon.TaskID(id), Host: host, State: "TASK_RUNNING", Version: "2026-01-01T00:00:00.000Z", Ports: ports}
}

func TestOnlyTheAddressOfAMachineBecomesAServer(t *testing.T) {
	for _, host := range []string{"10.0.0.1", "::1", "2001:db8::7", "es-1", "es_1.rack-2.example", "a.example.", "x1"} {
		r := ReadingOf(&marathon.App{Tasks: []marathon.Task{task("a", host, 1, 9300)}}, "l", 1, begin)
		if len(r.Running) != 1 || len(r.Refused) > 0 {
			t.Errorf("%q: %+v", host, r)
		}
	}
	for _, host := range []string{
		"", " ", "a b", "a\nserver evil 1.2.3.4:5", "a\r", "a\n", "a\\", "a\x00", "a#b", `"a"`, "'a'", "${HOME}", "a:80", "a/b", "unix@x", "[::1]",
		"0.0.0.0", "::", "224.0.0.1", "fe80::1%eth0", "1", "10.0.0.256", "-a", "a-", "a..b", ".", strings.Repeat("a", 64), strings.Repeat("a.", 200), "é.example", "{{name}}",
	} {
		r := ReadingOf(&marathon.App{Tasks: []marathon.Task{task("a", host, 1, 9300)}}, "l", 1, begin)
		if len(r.Running) != 0 || len(r.Refused) != 1 || len(r.Unsure) != 1 {
			t.Errorf("%q: %+v", host, r)
		}
		if strings.ContainsAny(strings.Join(r.Refused, ""), "\n\r\x00") {
			t.Errorf("the refusal of %q forges lines", host)
		}
	}
}

func TestAReadingLeavesOutWhatIsNoServer(t *testing.T) {
	suspended := task("s", "10.0.0.1", 1, 2)
	suspended.Version, suspended.LocalVolumes = "", []marathon.LocalVolume{{ContainerPath: "data"}}
	staging := task("t", "10.0.0.1", 1, 2)
	staging.State = "TASK_STAGING"
	lost := task("u", "10.0.0.1", 1, 2)
	lost.State = "TASK_UNREACHABLE"
	for _, k := range []struct {
		name           string
		app            marathon.App
		running        int
		unsure, refuse int
		half           bool
	}{
		{"a running one", marathon.App{TasksRunning: 1, Tasks: []marathon.Task{task("a", "h", 1, 2)}}, 1, 0, 0, false},
		{"a suspended and a staging one", marathon.App{Tasks: []marathon.Task{suspended, staging}}, 0, 0, 0, false},
		{"one whose agent does not answer", marathon.App{Tasks: []marathon.Task{lost}}, 0, 1, 0, false},
		{"one without the port", marathon.App{Tasks: []marathon.Task{task("a", "h", 1)}}, 0, 1, 1, false},
		{"a port of 0", marathon.App{Tasks: []marathon.Task{task("a", "h", 1, 0)}}, 0, 1, 1, false},
		{"a port of 65536", marathon.App{Tasks: []marathon.Task{task("a", "h", 1, 65536)}}, 0, 1, 1, false},
		{"a negative port", marathon.App{Tasks: []marathon.Task{task("a", "h", 1, -1)}}, 0, 1, 1, false},
		{"an id with a line break", marathon.App{Tasks: []marathon.Task{task("a\nb", "h", 1, 2)}}, 0, 0, 1, false},
		{"the same one twice", marathon.App{Tasks: []marathon.Task{task("a", "h", 1, 2), task("a", "h", 1, 3)}}, 1, 0, 1, false},
		{"fewer than are counted", marathon.App{TasksRunning: 2, Tasks: []marathon.Task{task("a", "h", 1, 2)}}, 1, 0, 0, true},
		{"no list of tasks", marathon.App{}, 0, 0, 0, true},
		{"an empty list of tasks", marathon.App{Tasks: []marathon.Task{}}, 0, 0, 0, false},
	} {
		t.Run(k.name, func(t *testing.T) {
			r := ReadingOf(&k.app, "l", 1, time.Time{})
			if len(r.Running) != k.running || len(r.Unsure) != k.unsure || len(r.Refused) != k.refuse || r.Half != k.half {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Whatever Marathon says, the configuration has the template's lines and one line more for each server.
func TestNothingThatMarathonSaysAddsALineOrAWord(t *testing.T) {
	const text = "top\nserver {{name}} {{address}} check\nbottom\n"
	rapid.Check(t, func(t *rapid.T) {
		var app marathon.App
		for range rapid.IntRange(0, 4).Draw(t, "tasks") {
			host := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9.:\n \\{}#"-]{1,12}`)).Draw(t, "host")
			id := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-e.\n {}]{1,3}`)).Draw(t, "id")
			app.Tasks = append(app.Tasks, task(id, host, 1, rapid.IntRange(-1, 70000).Draw(t, "port")))
		}
		r := ReadingOf(&app, "l", 1, begin)
		config, err := Expand(text, Place{Bind: "*", Port: 1}, Fronts{Masters: r.Running})
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(config), "\n"), "\n")
		if len(lines) != 2+len(r.Running) {
			t.Fatalf("%q", config)
		}
		for _, l := range lines[1 : len(lines)-1] {
			if f := strings.Fields(l); len(f) != 4 || !slices.Equal([]string{f[0], f[3]}, []string{"server", "check"}) || strings.ContainsAny(l, "\\\"'#{}$") {
				t.Fatalf("%q", l)
			}
		}
	})
}
