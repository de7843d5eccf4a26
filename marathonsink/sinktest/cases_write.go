package sinktest

import (
	"fmt"
	"strings"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

var writeCases = []testCase{
	{name: "a created app runs", source: "marathon-lab-api §5 create", run: func(e *env) {
		d := e.create(e.app("a", 2, nil))
		if d == "" {
			e.Error("no deployment id")
		}
		a := e.running("a", 2)
		if a.TasksRunning != 2 || a.Tasks[0].Host == "" || a.Tasks[0].AppID != a.ID {
			e.Errorf("%+v", a)
		}
	}},
	{name: "an app that exists is not created again", source: "marathon-lab-api §4 POST existing app", run: func(e *env) {
		e.create(e.app("a", 0, nil))
		before := e.settled("a")
		for _, doc := range []marathon.Doc{e.app("a", 0, nil), e.app("a", 1, nil)} {
			_, err := e.c.Create(e.ctx, doc)
			e.want(err, marathonsink.KindConflict)
		}
		if after := e.get("a"); !after.Version.Equal(before.Version) || after.Instances != 0 {
			e.Errorf("%+v", after)
		}
	}},
	{name: "replacing an app by itself changes nothing", source: "marathon-lab-api §2 E2", run: func(e *env) {
		doc := e.app("a", 1, marathon.Doc{"env": marathon.Doc{"A": "1"}})
		e.create(doc)
		before := e.running("a", 1)
		d, err := e.c.Replace(e.ctx, doc)
		e.must(err)
		if d == "" {
			e.Error("no deployment id")
		}
		after := e.settled("a")
		if !after.Version.Equal(before.Version) || after.Tasks[0].ID != before.Tasks[0].ID {
			e.Errorf("version %s became %s", before.Version, after.Version)
		}
	}},
	{name: "the document read back can be written back without change", source: "marathon-lab-api §2 GET minus read-only fields", run: func(e *env) {
		e.create(e.app("a", 0, marathon.Doc{"constraints": []any{[]any{"hostname", "UNIQUE"}},
			"healthChecks": []any{marathon.Doc{"protocol": "HTTP", "path": "/", "portIndex": 0}}}))
		before := e.settled("a")
		_, err := e.c.Replace(e.ctx, before.Doc)
		e.must(err)
		if after := e.settled("a"); !after.Version.Equal(before.Version) {
			e.Errorf("version %s became %s", before.Version, after.Version)
		}
	}},
	{name: "replace removes what the document leaves out", source: "marathon §6 partialUpdate=false; marathon-lab-api §2", run: func(e *env) {
		e.create(e.app("a", 0, marathon.Doc{"env": marathon.Doc{"A": "1"}, "user": "nobody"}))
		e.settled("a")
		_, err := e.c.Replace(e.ctx, e.app("a", 0, nil))
		e.must(err)
		a := e.settled("a")
		if _, there := a.Doc["user"]; there || fmt.Sprint(a.Doc["env"]) != "<nil>" && fmt.Sprint(a.Doc["env"]) != "map[]" {
			e.Errorf("user %v, env %v", a.Doc["user"], a.Doc["env"])
		}
	}},
	{name: "a partial update keeps what it does not name", source: "marathon §6 PUT is a partial merge by default", run: func(e *env) {
		e.create(e.app("a", 0, marathon.Doc{"env": marathon.Doc{"A": "1"}}))
		e.settled("a")
		if a := e.raw("PUT", "/v2/apps"+string(e.id("a")), `{"cmd":"sleep 2000"}`); a.status != 200 {
			e.Fatalf("%+v", a)
		}
		a := e.settled("a")
		if fmt.Sprint(a.Doc["env"]) != "map[A:1]" || a.Doc["cmd"] != "sleep 2000" {
			e.Errorf("%v", a.Doc)
		}
	}},
	{name: "several documents are one deployment", source: "marathon-lab-api §8 array PUT", run: func(e *env) {
		e.create(e.app("a", 0, nil))
		e.settled("a")
		_, err := e.c.Replace(e.ctx, e.app("a", 0, marathon.Doc{"cmd": "sleep 7"}), e.app("b", 0, nil))
		e.must(err)
		a, b := e.settled("a"), e.settled("b")
		if a.Doc["cmd"] != "sleep 7" || !a.Version.Equal(b.Version) {
			e.Errorf("%v of %s and %s", a.Doc["cmd"], a.Version, b.Version)
		}
	}},
	{name: "of several documents with one invalid none is applied", source: "marathon-lab-api §8 one invalid member", run: func(e *env) {
		_, err := e.c.Replace(e.ctx, e.app("a", 0, nil), e.app("b", 0, marathon.Doc{"cpus": -1}))
		e.want(err, marathonsink.KindInvalid)
		_, err = e.c.App(e.ctx, e.id("a"))
		e.want(err, marathonsink.KindNotFound)
	}},
	{name: "scaling is not a change of the configuration", source: "marathon-lab-api §2 table, instances", run: func(e *env) {
		e.create(e.app("a", 1, nil))
		before := e.running("a", 1)
		_, err := e.c.Scale(e.ctx, e.id("a"), 2, nil)
		e.must(err)
		after := e.running("a", 2)
		if !after.Version.After(before.Version) || !after.LastConfigChange.Equal(before.LastConfigChange) {
			e.Errorf("version %s to %s, configuration %s to %s", before.Version, after.Version, before.LastConfigChange, after.LastConfigChange)
		}
		kept := false
		for _, task := range after.Tasks {
			kept = kept || task.ID == before.Tasks[0].ID
		}
		if !kept {
			e.Error("the running task was replaced")
		}
	}},
	{name: "scaling to zero ends the tasks and keeps the app", source: "marathon-lab-api §2 table", run: func(e *env) {
		e.create(e.app("a", 1, nil))
		e.running("a", 1)
		_, err := e.c.Scale(e.ctx, e.id("a"), 0, nil)
		e.must(err)
		e.until("a", "without tasks", func(a *marathon.App) bool { return len(a.Tasks) == 0 && a.Instances == 0 })
	}},
	{name: "a change of the configuration replaces the tasks", source: "marathon-lab-api §2 table, env", run: func(e *env) {
		e.create(e.app("a", 1, nil))
		before := e.running("a", 1)
		_, err := e.c.Replace(e.ctx, e.app("a", 1, marathon.Doc{"env": marathon.Doc{"A": "1"}}))
		e.must(err)
		after := e.until("a", "rolled", func(a *marathon.App) bool {
			return len(a.Deployments) == 0 && len(a.Tasks) == 1 && a.Tasks[0].Running() && a.Tasks[0].ID != before.Tasks[0].ID
		})
		if !after.LastConfigChange.Equal(after.Version) {
			e.Errorf("version %s, configuration %s", after.Version, after.LastConfigChange)
		}
	}},
	{name: "unknown fields are taken silently and lost", source: "marathon-lab-api §1 unknown fields", run: func(e *env) {
		e.create(e.app("a", 0, marathon.Doc{"foo": "bar"}))
		if _, there := e.settled("a").Doc["foo"]; there {
			e.Error("foo is there")
		}
	}},
	{name: "labels keep any text", source: "marathon-lab-api §1 unicode, emoji", run: func(e *env) {
		odd := "ü 漢字 🙂 \" \\ <b> \t" + strings.Repeat("x", 10_000)
		e.create(e.app("a", 0, marathon.Doc{"labels": marathon.Doc{marathon.LabelFleet: "f", "odd": odd}}))
		if got := e.settled("a").Labels["odd"]; got != odd {
			e.Errorf("%d bytes, want %d", len(got), len(odd))
		}
	}},
	{name: "an app gets the defaults of its version", source: "marathon-lab-api §1; marathon-lab-old §7 maxLaunchDelaySeconds, role", run: func(e *env) {
		e.create(e.app("a", 0, nil))
		doc := e.settled("a").Doc
		delay, role := "3600", "<nil>"
		if e.version.AtLeast(1, 8, 0) {
			delay = "300"
		}
		if e.version.AtLeast(1, 9, 0) {
			role = "marathon"
		}
		want := map[string]string{"maxLaunchDelaySeconds": delay, "role": role, "backoffFactor": "1.15", "requirePorts": "false",
			"killSelection": "YOUNGEST_FIRST", "networks": "[map[mode:host]]", "executor": ""}
		for key, value := range want {
			if got := fmt.Sprint(doc[key]); got != value {
				e.Errorf("%s is %s, want %s", key, got, value)
			}
		}
	}},
}
