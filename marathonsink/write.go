package marathonsink

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"

	gomarathon "github.com/gambol99/go-marathon"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// Create makes an app that does not exist; if it does, KindConflict and nothing changes, whoever made it. The returned
// deployment says that Marathon begins to start it, not that it runs.
func (c *Client) Create(ctx context.Context, doc marathon.Doc) (marathon.DeploymentID, error) {
	id, op, err := appOf("create", doc)
	if err != nil {
		return "", err
	}
	body, err := encode(op, doc)
	if err != nil {
		return "", err
	}
	a, err := c.through(ctx, bridge{op: op, body: body}, func(m gomarathon.Marathon) error {
		_, err := m.CreateApplication(&gomarathon.Application{ID: string(id)})
		return err
	})
	return deploymentOf(a, err)
}

// Replace makes each app exactly what its doc says: what a doc leaves out gets Marathon's default, it does not stay.
// Several docs become one deployment, all of them or none. A locked app refuses (KindLocked); look at State.LockedBy
// first, because a refused write is not harmless on 1.10 and later.
//
// Replace creates an app that is absent. A doc equal to the live app changes nothing and still gets a deployment id.
func (c *Client) Replace(ctx context.Context, docs ...marathon.Doc) (marathon.DeploymentID, error) {
	if len(docs) == 0 {
		return "", &Error{Op: "replace", Kind: KindInvalid, Message: "no apps were given"}
	}
	query := url.Values{"partialUpdate": {"false"}}
	first, op, err := appOf("replace", docs[0])
	if err != nil {
		return "", err
	}
	if len(docs) == 1 {
		body, err := encode(op, docs[0])
		if err != nil {
			return "", err
		}
		a, err := c.through(ctx, bridge{op: op, body: body, query: query}, func(m gomarathon.Marathon) error {
			_, err := m.UpdateApplication(&gomarathon.Application{ID: string(first)}, false)
			return err
		})
		return deploymentOf(a, err)
	}
	op = fmt.Sprintf("%s and %d more", op, len(docs)-1)
	for _, doc := range docs[1:] {
		if _, _, err := appOf("replace", doc); err != nil {
			return "", err
		}
	}
	body, err := encode(op, docs)
	if err != nil {
		return "", err
	}
	a, err := c.send(ctx, request{op: op, method: http.MethodPut, path: "/v2/apps", query: query, body: body})
	return deploymentOf(a, err)
}

// Scale sets the number of instances and nothing else. extra is what a partial update of this Marathon would otherwise
// clear: from 1.10 on pass the live app's resourceLimits if it has any, else every task restarts. nil for none.
func (c *Client) Scale(ctx context.Context, id marathon.AppID, instances int, extra marathon.Doc) (marathon.DeploymentID, error) {
	op := fmt.Sprintf("scale %s to %d", id, instances)
	if err := checkAppID(op, id); err != nil {
		return "", err
	}
	if instances < 0 {
		return "", &Error{Op: op, Kind: KindInvalid, Message: "instances cannot be negative"}
	}
	doc := marathon.Doc{}
	maps.Copy(doc, extra)
	doc["instances"] = instances
	body, err := encode(op, doc)
	if err != nil {
		return "", err
	}
	a, err := c.through(ctx, bridge{op: op, body: body}, func(m gomarathon.Marathon) error {
		_, err := m.ScaleApplicationInstances(string(id), instances, false)
		return err
	})
	return deploymentOf(a, err)
}

// Cancel stops a deployment where it stands, without rolling back: definitions stay as they are by now, and so do the
// tasks. It is for deployments of our own. KindNotFound: it is over, or a Marathon up to 1.7 does not show it yet.
func (c *Client) Cancel(ctx context.Context, id marathon.DeploymentID) error {
	op := "cancel deployment " + string(id)
	if err := checkToken(op, "deployment", string(id)); err != nil {
		return err
	}
	_, err := c.through(ctx, bridge{op: op}, func(m gomarathon.Marathon) error {
		_, err := m.DeleteDeployment(string(id), true)
		return err
	})
	return err
}

// KillTask stops one task. With scale the app then wants one instance less, by a deployment whose id is returned;
// without, Marathon starts the instance again and the id is "". An answer of 200 does not prove that the task is gone
// (up to 1.7 a kill during a deployment is ignored): look at the tasks.
//
// It is not go-marathon's KillTask: that guesses the app from the task's id, wrongly from 1.8 on.
func (c *Client) KillTask(ctx context.Context, app marathon.AppID, task marathon.TaskID, scale bool) (marathon.DeploymentID, error) {
	op := fmt.Sprintf("kill task %s of %s", task, app)
	if err := checkAppID(op, app); err != nil {
		return "", err
	}
	if err := checkToken(op, "task", string(task)); err != nil {
		return "", err
	}
	r := request{op: op, method: http.MethodDelete, path: fmt.Sprintf("/v2/apps%s/tasks/%s", app, task)}
	if scale {
		r.query = url.Values{"scale": {"true"}}
	}
	a, err := c.send(ctx, r)
	if err != nil || !scale {
		return "", err
	}
	return deploymentOf(a, nil)
}

// WipeTask destroys the volumes of one instance and what is reserved for it. It is for an instance that is stopped: one
// that runs would be killed and started blank on another agent. With its data goes all undo.
func (c *Client) WipeTask(ctx context.Context, app marathon.AppID, task marathon.TaskID) error {
	op := fmt.Sprintf("wipe task %s of %s", task, app)
	if err := checkAppID(op, app); err != nil {
		return err
	}
	if err := checkToken(op, "task", string(task)); err != nil {
		return err
	}
	_, err := c.send(ctx, request{op: op, method: http.MethodDelete, path: fmt.Sprintf("/v2/apps%s/tasks/%s", app, task),
		query: url.Values{"wipe": {"true"}}})
	return err
}

// Delete removes an app with all volumes its instances hold, stopped ones included. It never cancels a deployment: a
// locked app refuses (KindLocked). KindNotFound: it is gone.
func (c *Client) Delete(ctx context.Context, app marathon.AppID) (marathon.DeploymentID, error) {
	op := "delete " + string(app)
	if err := checkAppID(op, app); err != nil {
		return "", err
	}
	a, err := c.send(ctx, request{op: op, method: http.MethodDelete, path: "/v2/apps" + string(app), query: url.Values{"force": {"false"}}})
	return deploymentOf(a, err)
}

// appOf is the id that a doc names, checked.
func appOf(verb string, doc marathon.Doc) (marathon.AppID, string, error) {
	s, _ := doc["id"].(string)
	op := verb + " " + clean(s, 100)
	return marathon.AppID(s), op, checkAppID(op, marathon.AppID(s))
}

// encode writes JSON without escaping < and >, which would make scripts grow by half.
func encode(op string, v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, &Error{Op: op, Kind: KindInvalid, Err: err}
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(body) > maxRequestBody {
		return nil, &Error{Op: op, Kind: KindTooLarge, Message: tooLarge(len(body))}
	}
	return body, nil
}

func tooLarge(n int) string {
	return fmt.Sprintf("the request has %d bytes, more than the %d that are safe: a definition above 1 MiB ends Marathon's leader; make files smaller or fewer", n, maxRequestBody)
}

// deploymentOf finds the deployment's id: in a header, in {"deploymentId"}, or, for a created app, in its deployments.
func deploymentOf(a *answer, err error) (marathon.DeploymentID, error) {
	if err != nil {
		return "", err
	}
	if id := a.header.Get("Marathon-Deployment-Id"); id != "" {
		return marathon.DeploymentID(id), nil
	}
	var body struct {
		DeploymentID marathon.DeploymentID `json:"deploymentId"`
		Deployments  []struct {
			ID marathon.DeploymentID `json:"id"`
		} `json:"deployments"`
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		return "", a.errAtCall(KindUnknown, "the answer is not JSON", err)
	}
	if body.DeploymentID == "" && len(body.Deployments) > 0 {
		body.DeploymentID = body.Deployments[0].ID
	}
	if body.DeploymentID == "" {
		return "", a.errAtCall(KindUnknown, "the answer names no deployment", nil)
	}
	return body.DeploymentID, nil
}
