package world

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/spec"
)

// truth is an app as the Sim has it; nil if there is none.
func (l *Law) truth(id marathon.AppID) *marathonsim.AppView {
	view := l.view()
	i, ok := slices.BinarySearchFunc(view.Apps, id, func(a marathonsim.AppView, id marathon.AppID) int { return strings.Compare(string(a.ID), string(id)) })
	if !ok {
		if i = slices.IndexFunc(view.Apps, func(a marathonsim.AppView) bool { return a.ID == id }); i < 0 {
			return nil
		}
	}
	return &view.Apps[i]
}

func (l *Law) view() marathonsim.View { return l.w.Sim.View() }

// groupAt is the group whose task listens at an address; "" if none does.
func (l *Law) groupAt(hostport string) string {
	host, port, _ := strings.Cut(hostport, ":")
	for _, a := range l.view().Apps {
		for _, t := range a.Tasks {
			for _, p := range t.Ports {
				if t.Host == host && fmt.Sprint(p) == port {
					return a.ID.Group()
				}
			}
		}
	}
	return ""
}

// task finds a run by its id.
func (l *Law) task(app marathon.AppID, id marathon.TaskID) *marathonsim.Task {
	a := l.truth(app)
	if a == nil {
		return nil
	}
	for i := range a.Tasks {
		if a.Tasks[i].ID == id {
			return &a.Tasks[i]
		}
	}
	return nil
}

// deployment is what Marathon says of a deployment: which app each of its current actions is about.
func (l *Law) deployment(id marathon.DeploymentID) map[marathon.AppID]string {
	r, _ := http.NewRequest(http.MethodGet, "http://marathon.test/v2/deployments", nil)
	res, err := l.w.Sim.Transport().RoundTrip(r)
	if err != nil {
		return nil
	}
	body, err := hear(res)
	var list []struct {
		ID             marathon.DeploymentID `json:"id"`
		CurrentActions []struct {
			Action string         `json:"action"`
			App    marathon.AppID `json:"app"`
		} `json:"currentActions"`
	}
	if err != nil || json.Unmarshal(body, &list) != nil {
		return nil
	}
	for _, d := range list {
		if d.ID == id {
			out := map[marathon.AppID]string{}
			for _, a := range d.CurrentActions {
				out[a.App] = a.Action
			}
			return out
		}
	}
	return nil
}

// wanted is the cluster that git has at a Marathon group; nil if it has none.
func wanted(in reconcile.Input, group string) *spec.Cluster {
	for _, g := range in.Fleet.Groups {
		for _, c := range g.Clusters {
			if "/"+c.ID.String() == group {
				return c
			}
		}
	}
	return nil
}

// current says that a run has the definition that its app has now.
func (l *Law) current(t *marathonsim.Task) bool {
	env, _ := l.w.Sim.Definition(t.App)["env"].(map[string]any)
	for k, v := range env {
		if t.Env[k] != fmt.Sprint(v) {
			return false
		}
	}
	return len(env) == len(t.Env)
}

func docsIn(body []byte) ([]marathon.Doc, error) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil, nil
	case body[0] == '[':
		var docs []marathon.Doc
		return docs, json.Unmarshal(body, &docs)
	}
	var doc marathon.Doc
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	return []marathon.Doc{doc}, nil
}

// digestOf is of an app's definition, without what every change alters.
func (l *Law) digestOf(id marathon.AppID) string {
	doc := l.w.Sim.Definition(id)
	if doc == nil {
		return ""
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err) // it came as JSON
	}
	return digest(b)
}

var (
	passing = regexp.MustCompile(`"(` + regexp.QuoteMeta(marathon.LabelClusterUUID) + `|` + drift.GateEnv + `|version|lastScalingAt|lastConfigChangeAt)":"[^"]*"`)
	// instances are named by the moment of their making.
	instanceIDs = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

// digest names a body, whatever differs between two runs in time alone: a cluster's uuid, the word of a commit.
func digest(body []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(passing.ReplaceAll(body, nil)))[:8]
}

// describe names a write the same in every run: a task by its host.
func (l *Law) describe(r *http.Request, kind callKind, app marathon.AppID, body []byte) string {
	switch kind {
	case cancel:
		return "DELETE a deployment"
	case elasticsearch:
		return fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, body)
	case stopTask, restartTask, wipeTask:
		host := "?"
		_, id, _ := strings.Cut(r.URL.Path, "/tasks/")
		if t := l.task(app, marathon.TaskID(id)); t != nil {
			host = t.Host
		}
		return fmt.Sprintf("DELETE the task of %s on %s %s", app, host, r.URL.RawQuery)
	}
	return fmt.Sprintf("%s %s %s %s", r.Method, instanceIDs.ReplaceAllString(r.URL.RequestURI(), "…"), app, digest(instanceIDs.ReplaceAll(body, nil)))
}
