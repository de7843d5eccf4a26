package sinktest

import (
	"fmt"
	"strings"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// topGroup is a group right below the root of this case's own. Its apps are x and y; they are ended with the case.
func (e *env) topGroup() (id string, write func(body string) rawAnswer) {
	id = "/" + strings.ReplaceAll(strings.Trim(e.prefix, "/"), "/", "-")
	e.after(func() { e.raw("DELETE", "/v2/groups"+id+"?force=true", "") })
	return id, func(body string) rawAnswer {
		e.Helper()
		return e.raw("PUT", "/v2/groups"+id, strings.ReplaceAll(body, "{group}", id))
	}
}

const (
	groupX = `{"id":"x","cmd":"sleep 1000","cpus":0.01,"mem":32,"instances":1}`
	groupY = `{"id":"y","cmd":"sleep 1000","cpus":0.01,"mem":32,"instances":0}`
)

// absent waits until an app is gone.
func (e *env) absent(id string) {
	e.Helper()
	e.eventually(func() string {
		if _, err := e.c.App(e.ctx, marathon.AppID(id)); marathonsink.KindOf(err) == marathonsink.KindNotFound {
			return ""
		}
		return id + " is there"
	})
}

// whole waits until an app of a group has n running tasks and no deployment, and reads it.
func (e *env) whole(id string, n int) *marathon.App {
	e.Helper()
	var a *marathon.App
	e.eventually(func() string {
		var err error
		if a, err = e.c.App(e.ctx, marathon.AppID(id)); err != nil {
			return err.Error()
		}
		if a.TasksRunning != n || len(a.Deployments) > 0 {
			return e.told(a)
		}
		return ""
	})
	return a
}

// groupCases: others may write whole groups; we never do.
var groupCases = []testCase{
	{name: "a group's list of apps is complete, and one without a list keeps them", source: "marathon-lab-api §7 top-level flat group", run: func(e *env) {
		id, write := e.topGroup()
		e.wantAnswer(write(`{"id":"{group}","apps":[`+groupX+`,`+groupY+`]}`), 200, "deploymentId")
		x, y := e.whole(id+"/x", 1), e.whole(id+"/y", 0)
		e.wantAnswer(write(`{"id":"{group}","dependencies":[]}`), 200, "deploymentId")
		if a := e.whole(id+"/y", 0); !a.Version.Equal(y.Version) {
			e.Errorf("y of %s became %s", y.Version, a.Version)
		}
		e.wantAnswer(write(`{"id":"{group}","apps":[`+groupX+`]}`), 200, "deploymentId")
		e.absent(id + "/y")
		if a := e.whole(id+"/x", 1); !a.Version.Equal(x.Version) || !untouched(x, a) {
			e.Error(e.told(a))
		}
		e.wantAnswer(write(`{"id":"{group}","apps":[]}`), 200, "deploymentId")
		e.absent(id + "/x")
	}},
	{name: "a group that is written replaces each app as a whole", source: "marathon-lab-api §7; marathon §6", run: func(e *env) {
		id, write := e.topGroup()
		write(`{"id":"{group}","apps":[` + strings.Replace(groupY, `"id"`, `"user":"nobody","id"`, 1) + `]}`)
		e.whole(id+"/y", 0)
		e.wantAnswer(write(`{"id":"{group}","apps":[`+groupY+`]}`), 200, "deploymentId")
		if a := e.whole(id+"/y", 0); a.Doc["user"] != nil {
			e.Errorf("user %v", a.Doc["user"])
		}
	}},
	{name: "a nested group cannot be written with its apps", source: "marathon-lab-api §0.5", since: version(1, 9, 0), run: func(e *env) {
		e.create(e.app("g/a", 0, nil))
		e.settled("g/a")
		a := e.raw("PUT", "/v2/groups"+e.prefix+"/g", fmt.Sprintf(`{"id":"%s/g","apps":[%s]}`, e.prefix, groupY))
		e.wantAnswer(a, 422, "enforceRole cannot be modified in a request that adds, removes or modifies services")
		e.get("g/a")
	}},
	{name: "up to 1.8 a nested group is written with its apps", source: "marathon-lab-old §2 no enforceRole", until: version(1, 9, 0), run: func(e *env) {
		e.create(e.app("g/a", 0, nil))
		e.settled("g/a")
		a := e.raw("PUT", "/v2/groups"+e.prefix+"/g", fmt.Sprintf(`{"id":"%s/g","apps":[%s]}`, e.prefix, groupY))
		e.wantAnswer(a, 200, "deploymentId")
		e.absent(string(e.id("g/a")))
		e.settled("g/y")
	}},
	{name: "a group shows its apps and those of the groups in it", source: "marathon-lab-api §7; marathon §6 groups", run: func(e *env) {
		e.create(e.app("g/a", 0, nil))
		e.create(e.app("g/h/b", 0, nil))
		e.settled("g/a")
		e.settled("g/h/b")
		doc := marathon.Doc(e.raw("GET", "/v2/groups"+e.prefix+"/g", "").json())
		if at(doc, "apps.0") == "" || !strings.Contains(at(doc, "apps"), string(e.id("g/a"))) || !strings.Contains(at(doc, "groups"), string(e.id("g/h/b"))) {
			e.Errorf("%v", doc)
		}
	}},
	{name: "a locked group is deleted only by force, and takes its apps with it", source: "marathon-lab-api §7 DELETE group; marathon-lab-roll E15", run: func(e *env) {
		e.create(e.unplaceable("g/a"))
		e.create(e.app("g/b", 0, nil))
		e.settled("g/b")
		e.wantAnswer(e.raw("DELETE", "/v2/groups"+e.prefix+"/g", ""), 409, "App is locked by one or more deployments.")
		e.get("g/b")
		e.wantAnswer(e.raw("DELETE", "/v2/groups"+e.prefix+"/g?force=true", ""), 200, "deploymentId")
		e.absent(string(e.id("g/a")))
		e.absent(string(e.id("g/b")))
	}},
}

// pod creates a pod beside the case's apps; it is ended with the case.
func (e *env) pod(name string, cpus float64) rawAnswer {
	e.Helper()
	e.after(func() { e.raw("DELETE", "/v2/pods"+string(e.id(name))+"?force=true", "") })
	a := e.raw("POST", "/v2/pods", fmt.Sprintf(`{"id":%q,"containers":[{"name":"c","exec":{"command":{"shell":"sleep 1000"}},
		"resources":{"cpus":%v,"mem":32}}],"networks":[{"mode":"host"}],"scaling":{"kind":"fixed","instances":1}}`, e.id(name), cpus))
	e.wantAnswer(a, 201, string(e.id(name)))
	return a
}

// podCases: pods are others'. They are in no list of ours, and neither disturbs the other.
var podCases = []testCase{
	{name: "a pod is in no list of apps and tasks", source: "marathon-lab-api §7 pods", run: func(e *env) {
		e.pod("pod", 0.01)
		e.up(e.app("a", 1, nil))
		_, err := e.c.App(e.ctx, e.id("pod"))
		e.want(err, marathonsink.KindNotFound)
		s, err := e.c.State(e.ctx, nil)
		e.must(err)
		if s.Apps[e.id("pod")] != nil || s.Apps[e.id("a")] == nil {
			e.Error("the state has the pod, or lacks the app")
		}
		for _, list := range []string{"/v2/apps", "/v2/tasks"} {
			if body := e.raw("GET", list, "").body; strings.Contains(body, string(e.id("pod"))) || !strings.Contains(body, string(e.id("a"))) {
				e.Errorf("%s has the pod, or lacks the app", list)
			}
		}
		doc := marathon.Doc(e.raw("GET", "/v2/groups"+e.prefix, "").json())
		if !strings.Contains(at(doc, "pods"), string(e.id("pod"))) {
			e.Errorf("%v", doc)
		}
	}},
	{name: "an app cannot have the id of a pod", source: "marathon-lab-api §4 app where a pod is", run: func(e *env) {
		e.pod("pod", 0.01)
		_, err := e.c.Create(e.ctx, e.app("pod", 0, nil))
		if x := e.want(err, marathonsink.KindInvalid); !strings.Contains(x.Error(), "Applications and Pods may not share the same id") {
			e.Error(x)
		}
	}},
	{name: "a deployment of a pod is listed and holds no app", source: "marathon-lab-api §7 affectedPods", run: func(e *env) {
		d := marathon.DeploymentID(e.pod("pod", 999).header.Get("Marathon-Deployment-Id"))
		e.create(e.app("a", 0, nil))
		e.settled("a")
		var podDeployment string
		e.eventually(func() string {
			for _, x := range e.deployments() {
				if x.ID == string(d) {
					podDeployment = strings.Join(x.AffectedPods, " ")
					return ""
				}
			}
			return "the deployment is not listed"
		})
		if podDeployment != string(e.id("pod")) {
			e.Errorf("it is about %q", podDeployment)
		}
		s, err := e.c.State(e.ctx, nil)
		e.must(err)
		if l := s.LockedBy(e.id("a")); len(l) > 0 {
			e.Errorf("the app is locked by %v", l)
		}
		e.put(e.app("a", 0, marathon.Doc{"cmd": "sleep 7"}))
		e.settled("a")
		e.cancel(d)
	}},
	{name: "a group that is written with its apps keeps its pods", source: "marathon-lab-api §7 pods survive", run: func(e *env) {
		id, write := e.topGroup()
		own := *e
		own.prefix = id
		own.pod("pod", 0.01)
		e.wantAnswer(write(`{"id":"{group}","apps":[`+groupY+`]}`), 200, "deploymentId")
		e.whole(id+"/y", 0)
		if a := e.raw("GET", "/v2/pods"+id+"/pod", ""); a.status != 200 {
			e.Errorf("%d %.200s", a.status, a.body)
		}
	}},
}

// deployments reads what Marathon lists, with what our client leaves out.
func (e *env) deployments() (list []struct {
	ID           string
	AffectedPods []string
}) {
	e.Helper()
	if err := unmarshal(e.raw("GET", "/v2/deployments", ""), &list); err != nil {
		e.Fatal(err)
	}
	return list
}
