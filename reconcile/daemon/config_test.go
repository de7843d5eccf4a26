package daemon

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTheEnvironmentWinsOverTheFileAndTheFileOverDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "esfleet.yaml")
	text := "fleet: https://git.example/fleet.git\nbranch: live\npoll: 1m\nresync: 10m\nparallel: 3\nlisten: 127.0.0.1:1\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"ESFLEET_BRANCH": "main2", "ESFLEET_POLL": "7s"}
	c, err := Load(path, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.Fleet, want.Branch, want.Poll, want.Resync = "https://git.example/fleet.git", "main2", Duration(7*time.Second), Duration(10*time.Minute)
	want.Parallel, want.Listen = 3, "127.0.0.1:1"
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestEveryFieldOfTheConfigCanBeSetInTheEnvironmentOrIsKnownNotTo(t *testing.T) {
	fileOnly := map[string]bool{"Parallel": true} // rare, and worth a file that can be reviewed
	names := map[string]bool{}
	_, err := Load("", func(name string) string { names[name] = true; return "" })
	if err != nil {
		t.Fatal(err)
	}
	typ := reflect.TypeFor[Config]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		b := &strings.Builder{}
		for j, r := range f.Name {
			if j > 0 && r >= 'A' && r <= 'Z' && f.Name != "CABundle" {
				b.WriteByte('_')
			}
			b.WriteRune(r)
		}
		name := "ESFLEET_" + strings.ToUpper(b.String())
		if f.Name == "CABundle" {
			name = "ESFLEET_CA_BUNDLE"
		}
		if names[name] == fileOnly[f.Name] {
			t.Errorf("%s: %s is read: %v", f.Name, name, names[name])
		}
	}
}

func TestAConfigFileIsReadStrictly(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown key", "flet: x\n", `unknown field "flet"`},
		{"a key of another case that strict reading would take", "fleet: a\nfleet: b\n", "already set"},
		{"a number for a duration", "poll: 30\n", `write "30s" or "5m"`},
		{"a duration that is none", "poll: soon\n", `"soon" is not a duration`},
		{"a negative duration", "poll: -5s\n", `"-5s" is not a duration`},
		{"a wrong type", "parallel: many\n", "parallel"},
		{"no YAML", "\t{", "yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "esfleet.yaml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path, os.Getenv)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want the file's path and %s", err, c.want)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "no.yaml"), os.Getenv); err == nil || !strings.Contains(err.Error(), "no.yaml") {
		t.Errorf("a file that is not there gives %v", err)
	}
	none := func(name string) string { return map[string]string{"ESFLEET_POLL": "often"}[name] }
	if _, err := Load("", none); err == nil || !strings.Contains(err.Error(), "ESFLEET_POLL") {
		t.Errorf("a wrong variable gives %v", err)
	}
}

func TestCheckNamesEveryFaultAtOnceAndNoSecret(t *testing.T) {
	const secret = "hunter2-canary"
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"nothing wrong", func(*Config) {}, nil},
		{"secrets by name", func(c *Config) { c.GitCredential, c.MarathonCredential = "env:TOKEN", "file:/etc/token" }, nil},
		{"no fleet", func(c *Config) { c.Fleet = "" }, []string{"fleet is not set", "--fleet", "ESFLEET_FLEET"}},
		{"a secret written out", func(c *Config) { c.GitCredential = secret }, []string{"gitCredential must name where the secret is"}},
		{"another one", func(c *Config) { c.MarathonCredential = "ops:" + secret }, []string{"marathonCredential must name where the secret is"}},
		{"a name of nothing", func(c *Config) { c.GitCredential, c.MarathonCredential = "env:", "file:" }, []string{"gitCredential", "marathonCredential"}},
		{"a log format", func(c *Config) { c.LogFormat = "xml" }, []string{`logFormat "xml"`}},
		{"no parallel", func(c *Config) { c.Parallel = 0 }, []string{"parallel"}},
		{"a Marathon that is no address", func(c *Config) { c.Marathon = "marathon:8080" }, []string{"marathon", "http://"}},
		{"a Marathon with a secret in it", func(c *Config) { c.Marathon = "http://ops:" + secret + "@marathon:8080" }, []string{"marathon", "marathonCredential"}},
		{"a proxy that is no address", func(c *Config) { c.ElasticsearchProxy = "proxy:3128" }, []string{"elasticsearchProxy"}},
		{"everything", func(c *Config) { *c = Config{GitCredential: secret} }, []string{"fleet", "gitCredential", "logFormat", "parallel"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := Defaults()
			config.Fleet = "https://git.example/fleet.git"
			c.change(&config)
			err := config.Check()
			if c.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("nothing is wrong with it")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("no %q in: %v", w, err)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the secret is told: %v", err)
			}
		})
	}
}
