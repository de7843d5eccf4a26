package sinktest

import (
	"encoding/json"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// residentRefusalCases: what cannot change on an app with persistent volumes, also at no instances.
var residentRefusalCases = []testCase{
	immutable("cpus", marathon.Doc{"cpus": 0.5}, "/app(0)/cpus", "may not change resource requirements"),
	immutable("disk", marathon.Doc{"disk": 5}, "/app(0)/disk", "may not change resource requirements"),
	immutable("number of ports", marathon.Doc{"portDefinitions": []any{marathon.Doc{"port": 0}, marathon.Doc{"port": 0}}}, "/app(0)", "may not change host ports"),
	immutable("container path", volumeOf("other", 64), "/app(0)", "Persistent volumes can not be changed!"),
	immutable("list of volumes", marathon.Doc{"container": nil, "residency": nil}, "/app(0)", "Persistent volumes can not be changed!"),
	{name: "a resident cannot have surplus instances in a roll", source: "marathon-lab-roll E12 over", run: func(e *env) {
		a := e.raw("PUT", "/v2/apps"+string(e.id("a")), e.json(with(e.resident("a", 0),
			marathon.Doc{"upgradeStrategy": marathon.Doc{"minimumHealthCapacity": 1, "maximumOverCapacity": 0.5}})))
		e.wantAnswer(a, 422, "0.0")
	}},
	{name: "a resident cannot give up lost agents", source: "marathon-lab-roll E12 unreachableStrategy; marathon-lab-old §7", run: func(e *env) {
		a := e.raw("PUT", "/v2/apps"+string(e.id("a")), e.json(with(e.resident("a", 0),
			marathon.Doc{"unreachableStrategy": marathon.Doc{"inactiveAfterSeconds": 1, "expungeAfterSeconds": 2}})))
		e.wantAnswer(a, 422, "unreachableStrategy must be disabled for resident tasks")
	}},
	{name: "at no instances a resident takes other changes", source: "marathon-lab-roll E12 accepted", run: func(e *env) {
		e.create(e.resident("a", 0))
		e.settled("a")
		e.put(with(e.resident("a", 0), marathon.Doc{"cmd": "sleep 7", "user": "nobody", "labels": marathon.Doc{"x": "y"},
			"constraints": []any{[]any{"hostname", "UNIQUE"}}, "taskKillGracePeriodSeconds": 30, "backoffSeconds": 3}))
		if a := e.settled("a"); a.Doc["cmd"] != "sleep 7" || a.Doc["user"] != "nobody" {
			e.Errorf("%v", a.Doc)
		}
	}},
}

func volumeOf(path string, size int) marathon.Doc {
	return marathon.Doc{"container": marathon.Doc{"type": "MESOS", "volumes": []any{
		marathon.Doc{"containerPath": path, "mode": "RW", "persistent": marathon.Doc{"size": size}}}}}
}

// immutable is a case about a field of residents. Before 1.6 the texts and paths were poorer.
func immutable(what string, more marathon.Doc, path, text string) testCase {
	return testCase{name: "the " + what + " of a resident cannot change", source: "marathon-lab-roll E12; marathon-lab-old §7", run: func(e *env) {
		e.create(with(e.resident("a", 0), marathon.Doc{"portDefinitions": []any{marathon.Doc{"port": 0, "name": "http"}}}))
		before := e.settled("a")
		doc := with(with(e.resident("a", 0), marathon.Doc{"portDefinitions": []any{marathon.Doc{"port": 0, "name": "http"}}}), more)
		a := e.raw("PUT", "/v2/apps"+string(e.id("a"))+"?partialUpdate=false", e.json(doc))
		wantPath, wantText := path, text
		if !e.version.AtLeast(1, 6, 0) && strings.Contains(text, "may not change") {
			wantPath, wantText = "/app(0)", "Resident Tasks may not change resource requirements!"
		}
		e.wantAnswer(a, 422, `"`+wantPath+`"`, wantText)
		if after := e.get("a"); !after.Version.Equal(before.Version) {
			e.Error("it was changed")
		}
	}}
}

// malformedCases: requests that a client should not send, but whose answers it has to tell apart.
var malformedCases = []testCase{
	sent("a wrong type is named with its path", "marathon-lab-api §4 wrong type", "PUT", "/v2/apps{a}", `{"cmd":"sleep 1","instances":"2"}`, 422, "/instances", "error.expected"),
	sent("an unknown word is named with its path", "marathon-lab-api §4 enum", "PUT", "/v2/apps{a}", `{"cmd":"sleep 1","killSelection":"NONE"}`, 422, "/killSelection"),
	sent("an app needs something to run", "marathon-lab-api §8 bare PUT", "PUT", "/v2/apps{none}", `{"instances":0}`, 422, "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."),
	sent("an object where a list is due is refused", "marathon-lab-api §4 object instead of array", "PUT", "/v2/apps", `{"id":"/x"}`, 422, "error.expected.jsarray"),
	since(1, 9, sent("a member without an id is refused", "marathon-lab-api §4 member without id", "PUT", "/v2/apps", `[{"cmd":"sleep 1"}]`, 422, "App Update must have app id set")),
	since(1, 6, sent("an executor with too little memory is refused", "marathon-lab-api §4 range", "PUT", "/v2/apps{a}", `{"executorResources":{"cpus":0.1,"mem":31}}`, 422, "/executorResources/mem", "error.min")),
	before(1, 6, sent("up to 1.5 an executor may have as little memory as one likes", "marathon-lab-api §4 range", "PUT", "/v2/apps{a}", `{"executorResources":{"cpus":0.1,"mem":31}}`, 200, "deploymentId")),
	sent("secrets need a feature", "marathon-lab-api §1 secrets", "PUT", "/v2/apps{a}", `{"cmd":"sleep 1","secrets":{"s":{"source":"p"}}}`, 422, "Feature secrets is not enabled"),
	sent("uris and fetch together are refused", "marathon-lab-api §1 uris + fetch", "PUT", "/v2/apps{none}", `{"cmd":"sleep 1","uris":["http://x/a"],"fetch":[{"uri":"http://x/b"}]}`, 422, "/uris"),
	sent("uris and fetch together in an update are a server error", "marathon §9 uris and fetch", "PUT", "/v2/apps{a}", `{"uris":["http://x/a"],"fetch":[{"uri":"http://x/b"}]}`, 500, "cannot specify both uris and fetch fields"),
	sent("a command of one character is refused as empty", "marathon-lab-api §4 semantic errors", "PUT", "/v2/apps{a}", `{"cmd":"x"}`, 422, "must not be an empty string"),
	sent("more than one Mesos check is refused", "marathon-lab-api §4 two Mesos health checks", "PUT", "/v2/apps{a}",
		`{"cmd":"sleep 1","healthChecks":[{"protocol":"MESOS_HTTP","portIndex":0},{"protocol":"MESOS_TCP","portIndex":0}]}`, 422, "AppDefinition can contain at most one Mesos health check"),
	sent("two checks for readiness are refused", "marathon-lab-roll E12 checks", "PUT", "/v2/apps{a}",
		`{"cmd":"sleep 1","portDefinitions":[{"port":0,"name":"http"}],"readinessChecks":[{"portName":"http"},{"name":"b","portName":"http"}]}`, 422, "got 2, expected 1 or less"),
	sent("a check for readiness must not take longer than its interval", "marathon-lab-roll E12 checks", "PUT", "/v2/apps{a}",
		`{"cmd":"sleep 1","portDefinitions":[{"port":0,"name":"http"}],"readinessChecks":[{"portName":"http","intervalSeconds":2,"timeoutSeconds":2}]}`, 422, "got 2, expected less than 2"),
	sent("a check for readiness needs a port that has its name", "marathon-lab-roll E12 checks", "PUT", "/v2/apps{a}",
		`{"cmd":"sleep 1","readinessChecks":[{"portName":"zz"}]}`, 422, "zz"),
	sent("a command check without a command is a server error", "marathon-lab-api §4 health check COMMAND", "PUT", "/v2/apps{a}",
		`{"cmd":"sleep 1","healthChecks":[{"protocol":"COMMAND"}]}`, 500, "illegal protocol COMMAND"),
	sent("a missing app cannot be deleted", "marathon-lab-api §4 DELETE missing app", "DELETE", "/v2/apps{none}", ``, 404, "App '", "does not exist"),
	sent("a missing app cannot be restarted", "marathon-lab-api §4 restart missing app", "POST", "/v2/apps{none}/restart", ``, 404, "does not exist"),
	sent("a group that exists is not created again", "marathon-lab-api §4 POST existing group", "POST", "/v2/groups", `{"id":"{group}"}`, 409, "is already created. Use PUT to change this group."),
	sent("a broken selector is refused", "marathon-lab-api §4 label selector broken", "GET", "/v2/apps?label=a%20in%20(", ``, 422, "label selector"),
	sent("an unknown kind of embedding is ignored", "marathon-lab-api §4 embed=zzz", "GET", "/v2/apps{a}?embed=zzz", ``, 200, `"app"`),
	sent("DELETE of all apps is no method", "marathon-lab-api §4 405", "DELETE", "/v2/apps", ``, 405),
	sent("scale and wipe exclude each other", "marathon-lab-roll E22; marathon-lab-old §6", "DELETE", "/v2/apps{a}/tasks?scale=true&wipe=true", ``, 400,
		"You cannot use scale and wipe at the same time."),
	sent("a task id that is none is a bad request", "marathon-lab-api §4 POST /v2/tasks/delete", "POST", "/v2/tasks/delete", `{"ids":["zzz"]}`, 400, "Invalid task id 'zzz'"),
	sent("a task that is gone is not found", "marathon-lab-roll E22 stale id", "DELETE", "/v2/apps{a}/tasks/{task}", ``, 404, "does not exist"),
	sent("a task of an app without any cannot be scaled away", "marathon-lab-roll E22 stale id", "DELETE", "/v2/apps{a}/tasks/{task}?scale=true", ``, 404, "Path '{a}' does not exist"),
	{name: "what is not JSON by its own word is not taken, and nothing else is answered", source: "marathon-lab-api §4 Content-Type form, Accept text/html", run: func(e *env) {
		e.wantAnswer(e.raw("PUT", "/v2/apps"+string(e.id("a")), `{"cmd":"sleep 1"}`, "Content-Type", "application/x-www-form-urlencoded"), 415)
		e.wantAnswer(e.raw("GET", "/v2/apps", "", "Accept", "text/html"), 406)
		e.wantAnswer(e.raw("GET", "/v2/events", "", "Accept", "application/json"), 405)
	}},
	before(1, 6, sent("up to 1.5 an unknown address is not found", "marathon-lab-old §7 unknown URI", "GET", "/v2/nosuch", ``, 404, "URI not found")),
	before(1, 6, sent("the operator IS is not known", "marathon-lab-old §7 constraint IS", "PUT", "/v2/apps{a}", `{"cmd":"sleep 1","constraints":[["rack","IS","r1"]]}`, 422, "operator must be one of")),
	since(1, 6, sent("the operator IS is known", "marathon-lab-old §7 constraint IS", "PUT", "/v2/apps{a}", `{"cmd":"sleep 1","instances":0,"constraints":[["rack","IS","r1"]]}`, 200, "deploymentId")),
	since(1, 9, sent("a role of others is refused", "marathon-lab-roll E12 role", "PUT", "/v2/apps{a}", `{"cmd":"sleep 1","role":"other"}`, 422, "/role", "got other, expected one of")),
}

// sent is a case about one raw request beside an app a at 0 instances. {a}, {none} are paths of apps, {task} is an id.
func sent(name, source, method, path, body string, status int, texts ...string) testCase {
	return testCase{name: name, source: source, run: func(e *env) {
		e.create(e.app("a", 0, nil))
		e.settled("a")
		fill := strings.NewReplacer("{a}", string(e.id("a")), "{none}", string(e.id("none")), "{task}", string(e.staleTask()), "{group}", e.prefix)
		var want []string
		for _, text := range texts {
			want = append(want, fill.Replace(text))
		}
		e.wantAnswer(e.raw(method, fill.Replace(path), fill.Replace(body)), status, want...)
	}}
}

// staleTask is the id of a task that app a never had.
func (e *env) staleTask() marathon.TaskID {
	const uuid = "00000000-0000-4000-8000-000000000000"
	safe := strings.ReplaceAll(strings.TrimPrefix(string(e.id("a")), "/"), "/", "_")
	if e.version.AtLeast(1, 8, 0) {
		return marathon.TaskID(safe + ".instance-" + uuid + "._app.1")
	}
	return marathon.TaskID(safe + "." + uuid)
}

// wantAnswer checks a raw answer's status, and that its body contains every text.
func (e *env) wantAnswer(a rawAnswer, status int, texts ...string) {
	e.Helper()
	if a.status != status {
		e.Errorf("status %d, want %d: %.300s", a.status, status, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			e.Errorf("no %q in %.300s", text, a.body)
		}
	}
}

func (e *env) json(v any) string {
	e.Helper()
	b, err := json.Marshal(v)
	e.must(err)
	return string(b)
}
