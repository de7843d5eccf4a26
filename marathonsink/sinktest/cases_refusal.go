package sinktest

import (
	"strings"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

var refusalCases = []testCase{
	{name: "a value out of range is refused with its path", source: "marathon-lab-api §4 wrong type / enum / range", run: func(e *env) {
		_, err := e.c.Create(e.ctx, e.app("a", 0, marathon.Doc{"cpus": -1}))
		e.wantDetail(e.want(err, marathonsink.KindInvalid), "/cpus", "error.min")
	}},
	{name: "all faults are named at once", source: "marathon-lab-api §4 semantic errors", run: func(e *env) {
		_, err := e.c.Create(e.ctx, e.app("a", 0, marathon.Doc{
			"constraints":  []any{[]any{"hostname", "UNIQUE", "x"}},
			"healthChecks": []any{marathon.Doc{"protocol": "HTTP", "portIndex": 3}}}))
		x := e.want(err, marathonsink.KindInvalid)
		e.wantDetail(x, "/constraints", "UNIQUE does not accept a value")
		e.wantDetail(x, "/healthChecks(0)", "Health check port indices must address an element")
	}},
	{name: "an operator in lower case is refused, though as a server error", source: "marathon-lab-api §1 operator lower case", run: func(e *env) {
		_, err := e.c.Create(e.ctx, e.app("a", 0, marathon.Doc{"constraints": []any{[]any{"hostname", "unique"}}}))
		e.want(err, marathonsink.KindInvalid)
	}},
	{name: "an app cannot stand below an app", source: "marathon-lab-api §4 below an app", run: func(e *env) {
		e.create(e.app("a", 0, nil))
		e.settled("a")
		_, err := e.c.Create(e.ctx, e.app("a/b", 0, nil))
		e.want(err, marathonsink.KindInvalid)
	}},
	{name: "resources of a resident cannot change", source: "marathon-lab-api §4 resident changes; marathon-lab-old §7", run: func(e *env) {
		e.create(e.resident("a", 0))
		e.settled("a")
		doc := e.resident("a", 0)
		doc["mem"] = 64
		_, err := e.c.Replace(e.ctx, doc)
		x := e.want(err, marathonsink.KindInvalid)
		if e.version.AtLeast(1, 6, 0) {
			e.wantDetail(x, "/app(0)/mem", "may not change resource requirements")
		}
	}},
	{name: "volumes of a resident cannot change", source: "marathon-lab-api §4 resident changes", run: func(e *env) {
		e.create(e.resident("a", 0))
		e.settled("a")
		doc := e.resident("a", 0)
		doc["container"] = marathon.Doc{"type": "MESOS", "volumes": []any{
			marathon.Doc{"containerPath": "data", "mode": "RW", "persistent": marathon.Doc{"size": 65}}}}
		_, err := e.c.Replace(e.ctx, doc)
		e.wantDetail(e.want(err, marathonsink.KindInvalid), "/app(0)", "Persistent volumes can not be changed!")
	}},
	{name: "a partial update that names a version is refused", source: "marathon-lab-api §2 PUT of the raw GET body", run: func(e *env) {
		e.create(e.app("a", 0, nil))
		at := e.settled("a").Version.Format("2006-01-02T15:04:05.000Z")
		a := e.raw("PUT", "/v2/apps"+string(e.id("a")), `{"cmd":"sleep 1000","version":"`+at+`"}`)
		if a.status != 422 || !strings.Contains(a.body, "field may only be combined with the 'id' field") {
			e.Errorf("%+v", a)
		}
	}},
	{name: "the path wins over the id in the body", source: "marathon-lab-api §1 body id differs from path id", run: func(e *env) {
		a := e.raw("PUT", "/v2/apps"+string(e.id("a")), `{"id":"`+string(e.id("b"))+`","cmd":"sleep 1","instances":0}`)
		if a.status != 201 {
			e.Fatalf("%+v", a)
		}
		e.settled("a")
		_, err := e.c.App(e.ctx, e.id("b"))
		e.want(err, marathonsink.KindNotFound)
	}},
	{name: "JSON that ends in the middle is refused with a text", source: "marathon-lab-api §4 cut-off JSON", run: func(e *env) {
		a := e.raw("PUT", "/v2/apps"+string(e.id("a")), `{"cmd":"sleep 1",`)
		if _, text := a.json()["details"].(string); a.status != 400 || !text || a.json()["message"] != "Invalid JSON" {
			e.Errorf("%+v", a)
		}
	}},
	{name: "an empty body is refused", source: "marathon-lab-api §4 empty body", run: func(e *env) {
		a := e.raw("PUT", "/v2/apps"+string(e.id("a")), "")
		if a.status != 400 || !strings.Contains(a.body, "Please specify data in JSON format") {
			e.Errorf("%+v", a)
		}
	}},
	{name: "an app cannot be posted to its own path", source: "marathon-lab-api §4 405", run: func(e *env) {
		if a := e.raw("POST", "/v2/apps"+string(e.id("a")), `{"cmd":"sleep 1"}`); a.status != 405 {
			e.Errorf("%+v", a)
		}
	}},
	{name: "an unknown address is a server error", source: "marathon-lab-api §4 unknown URI; marathon-lab-old §7", since: version(1, 7, 0), run: func(e *env) {
		if a := e.raw("GET", "/v2/nosuch", ""); a.status != 500 || !strings.Contains(a.body, "URI not found") {
			e.Errorf("%+v", a)
		}
	}},
	{name: "what would be too large for Marathon is not sent", source: "marathon-lab-api §0.3", run: func(e *env) {
		_, err := e.c.Create(e.ctx, e.app("a", 0, marathon.Doc{"labels": marathon.Doc{"x": strings.Repeat("x", 900_000)}}))
		e.want(err, marathonsink.KindTooLarge)
		_, err = e.c.App(e.ctx, e.id("a"))
		e.want(err, marathonsink.KindNotFound)
	}},
	{name: "every answer names the leader", source: "marathon §9; marathon-lab-old §7", run: func(e *env) {
		for _, a := range []rawAnswer{e.raw("GET", "/v2/info", ""), e.raw("GET", "/v2/apps", ""), e.raw("GET", "/v2/apps"+string(e.id("none")), ""),
			e.raw("PUT", "/v2/apps"+string(e.id("a")), "")} {
			if a.header.Get("X-Marathon-Leader") == "" || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
				e.Errorf("%d: %v", a.status, a.header)
			}
		}
	}},
}
