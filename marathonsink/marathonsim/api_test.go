package marathonsim_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

func TestWhatAChangeDoes(t *testing.T) {
	base := func() doc {
		return doc{"id": "/a", "cmd": "run", "instances": 1, "cpus": 0.1, "mem": 32, "labels": doc{"k": "1"}, "user": "nobody",
			"constraints": [][]string{{"hostname", "UNIQUE"}, {"rack", "LIKE", "r.*"}}}
	}
	for _, c := range []struct {
		name, path, action string
		body               any
		newConfig          bool
	}{
		{"the same does nothing", "/v2/apps/a", "", base(), false},
		{"an empty object does nothing", "/v2/apps/a", "", doc{}, false},
		{"a text does nothing", "/v2/apps/a", "", `"x"`, false},
		{"null is not given", "/v2/apps/a", "", doc{"user": nil}, false},
		{"the order of constraints means nothing", "/v2/apps/a", "", doc{"constraints": [][]string{{"rack", "LIKE", "r.*"}, {"hostname", "UNIQUE"}}}, false},
		{"unknown fields mean nothing", "/v2/apps/a", "", doc{"foo": 1}, false},
		{"executorResources are stored and deploy nothing", "/v2/apps/a", "", doc{"executorResources": doc{"cpus": 0.1}}, false},
		{"instances scale", "/v2/apps/a", "ScaleApplication", doc{"instances": 2}, false},
		{"a label restarts", "/v2/apps/a", "RestartApplication", doc{"labels": doc{"k": "2"}}, true},
		{"an upgradeStrategy restarts", "/v2/apps/a", "RestartApplication", doc{"upgradeStrategy": doc{"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0}}, true},
		{"a label and instances restart once", "/v2/apps/a", "RestartApplication", doc{"instances": 2, "labels": doc{"k": "2"}}, true},
		{"at 0 instances a change only scales", "/v2/apps/a", "ScaleApplication", doc{"instances": 0, "labels": doc{"k": "2"}}, true},
		{"a whole body forgets what it lacks", "/v2/apps/a?partialUpdate=false", "RestartApplication", doc{"cmd": "run", "cpus": 0.1, "mem": 32}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, marathonsim.Options{}, func(l lab) {
				l.must(201, "PUT", "/v2/apps/a", base())
				l.settle(time.Minute)
				before := l.app("/a")["versionInfo"].(doc)
				l.must(200, "PUT", c.path, c.body)
				action := ""
				if d := l.must(200, "GET", "/v2/deployments", nil).([]any); len(d) > 0 {
					action = d[0].(doc)["steps"].([]any)[0].(doc)["actions"].([]any)[0].(doc)["action"].(string)
				}
				after := l.app("/a")
				if action != c.action && (action != "" || c.body.(doc)["instances"] != 0) {
					t.Errorf("action %q, want %q", action, c.action)
				}
				if got := after["versionInfo"].(doc)["lastConfigChangeAt"] != before["lastConfigChangeAt"]; got != c.newConfig {
					t.Errorf("lastConfigChangeAt moved: %v, want %v", got, c.newConfig)
				}
				if c.name == "a whole body forgets what it lacks" && (after["user"] != nil || len(after["labels"].(doc)) > 0) {
					t.Errorf("still there: %v", after)
				}
			})
		})
	}
}

func TestAnArrayIsAppliedWholeOrNotAtAll(t *testing.T) {
	one := func(id string) doc { return doc{"id": id, "labels": doc{"x": "1"}} }
	for _, c := range []struct {
		name, method string
		body         []doc
		status       int
	}{
		{"PATCH with a sentinel that exists", "PATCH", []doc{{"id": "/f/epoch"}, one("/f/a")}, 200},
		{"PATCH with a sentinel that is gone", "PATCH", []doc{one("/f/a"), {"id": "/f/epoch-7"}}, 404},
		{"PUT with a sentinel that is gone", "PUT", []doc{{"id": "/f/epoch-7"}, one("/f/a")}, 422},
		{"one invalid member", "PATCH", []doc{one("/f/a"), {"id": "/f/b", "cpus": -1}}, 422},
		{"one locked member that changes", "PATCH", []doc{one("/f/a"), one("/f/hung")}, 409},
		{"one locked member that does not change", "PATCH", []doc{one("/f/a"), {"id": "/f/hung"}}, 200},
		{"no member", "PATCH", []doc{}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, marathonsim.Options{}, func(l lab) {
				for _, id := range []string{"epoch", "a", "b"} {
					l.must(201, "PUT", "/v2/apps/f/"+id, doc{"cmd": "run", "instances": 0})
				}
				l.must(201, "PUT", "/v2/apps/f/hung", doc{"cmd": "run", "constraints": [][]string{{"hostname", "LIKE", "nope"}}})
				l.must(c.status, c.method, "/v2/apps", c.body)
				want := c.status == 200 && len(c.body) > 0
				if got := l.app("/f/a")["labels"].(doc)["x"] == "1"; got != want {
					t.Errorf("/f/a changed: %v, want %v", got, want)
				}
			})
		})
	}
}

func TestARollbackOfADeploymentOn111CarriesAnOldTimestamp(t *testing.T) {
	for v, old := range map[string]bool{"1.7.236": false, "1.11.24": true} {
		t.Run(v, func(t *testing.T) {
			opt, open := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
				l.settle(time.Minute)
				first := l.app("/es")["version"]
				open.Store(false)
				res := l.must(200, "PUT", "/v2/apps/es", resident("/es", 3, "2")).(doc)
				time.Sleep(time.Minute)
				l.must(200, "DELETE", "/v2/deployments/"+res["deploymentId"].(string), nil)
				open.Store(true)
				l.settle(5 * time.Minute)
				app := l.app("/es")
				if app["env"].(doc)["V"] != "1" {
					t.Errorf("env %v, want V=1", app["env"])
				}
				if got := app["version"].(string) < first.(string); got != old {
					t.Errorf("version %v, first was %v", app["version"], first)
				}
				for _, task := range l.tasks("/es") {
					if task.Version != app["version"] {
						t.Errorf("%s was not restarted", task.ID)
					}
				}
				l.must(404, "DELETE", "/v2/deployments/"+res["deploymentId"].(string), nil)
			})
		})
	}
}

func TestOldVersionsAreKeptAndCanBePutBack(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/a", doc{"cmd": "one", "instances": 0})
		l.must(200, "PUT", "/v2/apps/a", doc{"cmd": "two"})
		versions := l.must(200, "GET", "/v2/apps/a/versions", nil).(doc)["versions"].([]any)
		if len(versions) != 2 {
			t.Fatalf("versions %v", versions)
		}
		if past := l.must(200, "GET", "/v2/apps/a/versions/"+versions[0].(string), nil).(doc); past["cmd"] != "one" {
			t.Errorf("the first version is %v", past)
		}
		l.must(200, "PUT", "/v2/apps/a", doc{"version": versions[0]})
		if app := l.app("/a"); app["cmd"] != "one" || app["version"] == versions[0] {
			t.Errorf("put back: %v at %v", app["cmd"], app["version"])
		}
	})
}

func TestASuspendedInstanceIsShownAsItsVersionDoes(t *testing.T) {
	for v, state := range map[string]string{"1.7.236": "TASK_STAGING", "1.11.24": "TASK_KILLED"} {
		t.Run(v, func(t *testing.T) {
			opt, _ := withGate(version(t, v))
			inVirtualTime(t, opt, func(l lab) {
				l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
				l.settle(time.Minute)
				l.must(200, "PUT", "/v2/apps/es", doc{"instances": 1})
				l.settle(time.Minute)
				suspended := 0
				for _, task := range l.tasks("/es") {
					if task.Suspended() {
						suspended++
						if task.State != state || task.StagedAt != "" || len(task.Ports) != 0 {
							t.Errorf("%+v, want state %s", task, state)
						}
					}
				}
				if suspended != 2 {
					t.Errorf("%d suspended, want 2", suspended)
				}
				app := l.app("/es")
				if app["tasksRunning"] != 1.0 || app["tasksHealthy"] != 3.0 { // the stopped ones' last word counts on
					t.Errorf("tasksRunning %v, tasksHealthy %v", app["tasksRunning"], app["tasksHealthy"])
				}
				if n := len(l.must(200, "GET", "/v2/tasks?status=running", nil).(doc)["tasks"].([]any)); n != 1 {
					t.Errorf("%d in /v2/tasks?status=running, want 1", n)
				}
			})
		})
	}
}

func TestGroupDependenciesOrderButRestartNothing(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		app := func(id, v string) doc { return doc{"id": id, "cmd": "run", "instances": 1, "env": doc{"V": v}} }
		l.must(200, "PUT", "/v2/apps", []doc{app("/t/gates/g", "1"), app("/t/es/a", "1")})
		l.settle(time.Minute)
		l.must(200, "PUT", "/v2/groups/t", doc{"id": "/t", "groups": []doc{{"id": "gates"}, {"id": "es", "dependencies": []string{"/t/gates"}}}})
		if n := l.deployments(); n != 0 {
			t.Fatalf("%d deployments after a change of dependencies", n)
		}
		l.must(200, "PUT", "/v2/apps", []doc{app("/t/gates/g", "2"), app("/t/es/a", "2")})
		steps := l.must(200, "GET", "/v2/deployments", nil).([]any)[0].(doc)["steps"].([]any)
		if len(steps) != 2 || steps[0].(doc)["actions"].([]any)[0].(doc)["app"] != "/t/gates/g" {
			t.Errorf("steps %v", steps)
		}
		l.must(422, "PUT", "/v2/groups/t", doc{"id": "/t", "groups": []doc{{"id": "es", "apps": []doc{app("/t/es/a", "3")}}}})
	})
}

func TestListsAreFilteredByIDAndLabel(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		for id, labels := range map[string]doc{"/x/one": {"team": "a", "tier": "1"}, "/x/two": {"team": "b"}, "/y/three": {}} {
			l.must(201, "PUT", "/v2/apps"+id, doc{"cmd": "run", "instances": 0, "labels": labels})
		}
		for query, want := range map[string]string{
			"": "/x/one /x/two /y/three", "?id=X/": "/x/one /x/two", "?label=team": "/x/one /x/two", "?label=team==a": "/x/one",
			"?label=team!=a": "/x/two", "?label=team%20in%20(a,b),tier": "/x/one", "?label=team%20notin%20(a)": "/x/two",
		} {
			var ids []string
			for _, a := range l.must(200, "GET", "/v2/apps"+query, nil).(doc)["apps"].([]any) {
				ids = append(ids, a.(doc)["id"].(string))
			}
			if got := strings.Join(ids, " "); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
	})
}

func TestAnAcceptHeaderOrABodyThatIsNoJSONIsRefused(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		send := func(method, key, value string) int {
			r, _ := http.NewRequest(method, "http://marathon.sim/v2/apps/a", strings.NewReader(`{"cmd":"run"}`))
			r.Header.Set(key, value)
			resp, err := l.Transport().RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			return resp.StatusCode
		}
		if s := send("GET", "Accept", "text/html"); s != 406 {
			t.Errorf("Accept: text/html gets %d", s)
		}
		if s := send("PUT", "Content-Type", "application/x-www-form-urlencoded"); s != 415 {
			t.Errorf("a form gets %d", s)
		}
	})
}

func TestADefinitionOverAMebibyteEndsTheLeaderWithoutAnAnswer(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/a", doc{"cmd": "run", "instances": 0})
		r, _ := http.NewRequest("PUT", "http://marathon.sim/v2/apps/a", strings.NewReader(`{"labels":{"k":"`+strings.Repeat("x", 1_049_000)+`"}}`))
		if resp, err := l.Transport().RoundTrip(r); err == nil {
			t.Errorf("answered with %d", resp.StatusCode)
		}
		if status, _ := l.call("GET", "/v2/apps", nil); status != 500 {
			t.Errorf("right after it: %d, want no leader", status)
		}
		time.Sleep(10 * time.Second)
		if v := l.app("/a")["labels"].(doc); len(v) != 0 {
			t.Errorf("stored: %v", v)
		}
	})
}

func TestScaleAndWipeDoNotGoTogetherAndAnUnknownTaskScalesNothing(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/es", resident("/es", 3, "1"))
		l.settle(time.Minute)
		ids := taskIDs(l.tasks("/es"))
		l.must(400, "DELETE", "/v2/apps/es/tasks/"+ids[0]+"?scale=true&wipe=true", nil)
		l.must(200, "DELETE", "/v2/apps/es/tasks/es.instance-00000000-0000-4000-8000-000000000000._app.1?scale=true", nil)
		l.must(404, "DELETE", "/v2/apps/es/tasks/es.instance-00000000-0000-4000-8000-000000000000._app.1", nil)
		if after := taskIDs(l.tasks("/es")); !slices.Equal(ids, after) || l.app("/es")["instances"] != 3.0 {
			t.Errorf("tasks %v became %v", ids, after)
		}
		l.must(200, "POST", "/v2/tasks/delete?scale=true", doc{"ids": ids[:2]})
		l.settle(time.Minute)
		if n := running(l.tasks("/es")); n != 1 || l.app("/es")["instances"] != 1.0 {
			t.Errorf("%d run, instances %v, want 1 of 1", n, l.app("/es")["instances"])
		}
	})
}
