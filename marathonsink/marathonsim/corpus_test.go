package marathonsim_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// recordings is where what real Marathons answered is kept, beside the checkout.
func recordings(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../shared/reference/marathon-lab")
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err != nil {
		t.Skipf("the recordings of real Marathons are not here: %v", err)
	}
	return dir
}

// A recorded is one definition of the corpus with what a real Marathon made of it.
type recorded struct {
	name, path string
	body       any
	status     int
	answer     any
	app        doc // nil where it was refused
}

func readCorpus(t *testing.T, dir string) []recorded {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[0-9][0-9]-*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus in %s: %v", dir, err)
	}
	var out []recorded
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r := recorded{name: strings.TrimSuffix(filepath.Base(f), ".json")}
		var new struct {
			Put struct {
				Request struct {
					Path string
					Body any
				}
				Response struct {
					Status int
					Body   any
				}
			}
			Get struct {
				Response struct{ Body struct{ App doc } }
			}
		}
		var old struct {
			Put struct {
				Path string
				Body any
			}
			Status int
			Answer any
			Get    struct{ App doc }
		}
		if err := json.Unmarshal(b, &new); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		r.path, r.body, r.status, r.answer, r.app = new.Put.Request.Path, new.Put.Request.Body, new.Put.Response.Status, new.Put.Response.Body, new.Get.Response.Body.App
		if r.status == 0 {
			if err := json.Unmarshal(b, &old); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			r.path, r.body, r.status, r.answer, r.app = old.Put.Path, old.Put.Body, old.Status, old.Answer, old.Get.App
		}
		out = append(out, r)
	}
	return out
}

// comparableApp takes out what differs from run to run: versions, tasks, and the service ports Marathon chose.
func comparableApp(app doc) doc {
	for _, k := range []string{"version", "versionInfo", "tasks", "deployments", "tasksStaged", "tasksRunning", "tasksHealthy",
		"tasksUnhealthy", "lastTaskFailure"} {
		delete(app, k)
	}
	chosen := func(v any, key string) {
		l, _ := v.([]any)
		for _, p := range l {
			if p, ok := p.(doc); ok && p[key] != nil && p[key].(float64) >= 10000 && p[key].(float64) < 10400 {
				p[key] = "chosen by Marathon"
			}
		}
	}
	chosen(app["portDefinitions"], "port")
	if c, ok := app["container"].(doc); ok {
		chosen(c["portMappings"], "servicePort")
	}
	return app
}

func sortDetails(v any) any {
	if m, ok := v.(doc); ok {
		if l, ok := m["details"].([]any); ok {
			sort.SliceStable(l, func(i, j int) bool { return l[i].(doc)["path"].(string) < l[j].(doc)["path"].(string) })
		}
	}
	return v
}

func TestEveryDefinitionOfTheCorpusGetsTheRecordedAnswer(t *testing.T) {
	root := recordings(t)
	for v, dir := range map[string]string{"1.11.24": "corpus", "1.7.236": "old/corpus-1.7", "1.5.15": "old/corpus-1.5"} {
		t.Run(v, func(t *testing.T) {
			corpus := readCorpus(t, filepath.Join(root, dir))
			inVirtualTime(t, marathonsim.Options{Version: version(t, v)}, func(l lab) {
				for _, r := range corpus {
					id := strings.TrimPrefix(r.path, "/v2/apps/")
					status, answer := l.call("PUT", r.path, r.body)
					if status != r.status {
						t.Errorf("%s: status %d, want %d\n got %v\nwant %v", r.name, status, r.status, answer, r.answer)
						continue
					}
					if r.status >= 300 {
						if d := cmp.Diff(sortDetails(r.answer), sortDetails(answer)); d != "" {
							t.Errorf("%s: refusal differs (-real +sim):\n%s", r.name, d)
						}
						continue
					}
					if d := cmp.Diff(comparableApp(r.app), comparableApp(l.app(id))); d != "" {
						t.Errorf("%s: GET differs (-real +sim):\n%s", r.name, d)
					}
					before := l.app(id)["version"]
					l.must(200, "PUT", r.path, r.body)
					if after := l.app(id)["version"]; before != after {
						t.Errorf("%s: sent again, it changed the version", r.name)
					}
				}
			})
		})
	}
}
