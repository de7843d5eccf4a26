package marathonsink

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	gomarathon "github.com/gambol99/go-marathon"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// infoLifetime is how long a State trusts what /v2/info said of the same leader. A leader that is upgraded in place
// keeps its name.
const infoLifetime = time.Minute

type knownInfo struct {
	marathon.Info
	answeredBy string
	at         time.Time
}

// Info asks for version, leader and role.
func (c *Client) Info(ctx context.Context) (marathon.Info, error) {
	k, err := c.readInfo(ctx)
	return k.Info, err
}

func (c *Client) readInfo(ctx context.Context) (knownInfo, error) {
	a, err := c.through(ctx, bridge{op: "read info"}, func(m gomarathon.Marathon) error {
		_, err := m.Info()
		return err
	})
	if err != nil {
		return knownInfo{}, err
	}
	info, err := marathon.ParseInfo(a.body)
	if err != nil {
		return knownInfo{}, a.errAtCall(KindUnknown, clean(err.Error(), maxMessage), err)
	}
	k := knownInfo{Info: info, answeredBy: a.leader, at: time.Now()}
	c.infoMu.Lock()
	c.info = k
	c.infoMu.Unlock()
	return k, nil
}

// infoOf is what is known of the leader, asked again if it is another one or long ago.
func (c *Client) infoOf(ctx context.Context, leader string) (knownInfo, error) {
	c.infoMu.Lock()
	k := c.info
	c.infoMu.Unlock()
	if k.answeredBy == leader && time.Since(k.at) < infoLifetime {
		return k, nil
	}
	return c.readInfo(ctx)
}

// App reads one app afresh, with tasks, ours or not. KindNotFound means that the leader says there is none.
func (c *Client) App(ctx context.Context, id marathon.AppID) (*marathon.App, error) {
	op := "read app " + clean(string(id), 100)
	if err := checkAppID(op, id); err != nil {
		return nil, err
	}
	a, err := c.getBody(ctx, request{op: op, path: "/v2/apps" + string(id)})
	if err != nil {
		return nil, err
	}
	var envelope struct {
		App json.RawMessage `json:"app"`
	}
	if err := json.Unmarshal(a.body, &envelope); err != nil {
		return nil, a.errAtCall(KindUnknown, "", err)
	}
	app, err := marathon.ParseApp(envelope.App)
	if err != nil {
		return nil, a.errAtCall(KindUnknown, clean(err.Error(), maxMessage), err)
	}
	if app.ID != id {
		return nil, a.errAtCall(KindUnknown, "the answer is about "+clean(string(app.ID), 100), nil)
	}
	return app, nil
}

// Deployments lists what Marathon carries out now. Up to 1.7 a deployment just confirmed may be missing, and for
// moments after a change of leader the list can be empty.
func (c *Client) Deployments(ctx context.Context) ([]marathon.Deployment, error) {
	list, _, err := c.deployments(ctx)
	return list, err
}

func (c *Client) deployments(ctx context.Context) (list []marathon.Deployment, leader string, err error) {
	leader, err = c.list(ctx, request{op: "list deployments", path: "/v2/deployments"}, "", func() func([]byte) error {
		list = nil
		return func(span []byte) error {
			d, err := marathon.ParseDeployment(span)
			list = append(list, d)
			return err
		}
	})
	return list, leader, err
}

// Queue lists the apps that wait for offers; pods are left out.
func (c *Client) Queue(ctx context.Context) ([]marathon.QueueItem, error) {
	list, _, err := c.queue(ctx)
	return list, err
}

func (c *Client) queue(ctx context.Context) (list []marathon.QueueItem, leader string, err error) {
	leader, err = c.list(ctx, request{op: "list queue", path: "/v2/queue"}, "queue", func() func([]byte) error {
		list = nil
		return func(span []byte) error {
			item, err := marathon.ParseQueueItem(span)
			if err == nil && item.App != "" {
				list = append(list, item)
			}
			return err
		}
	})
	return list, leader, err
}

// list streams the elements of an answer. begin is called at the start of each attempt.
func (c *Client) list(ctx context.Context, r request, key string, begin func() func([]byte) error) (leader string, err error) {
	err = c.get(ctx, r, func(ctx context.Context, res *http.Response, a *answer) error {
		leader = a.leader
		if err := eachElement(res.Body, key, c.maxBody, begin()); err != nil {
			return c.badBody(ctx, a, err)
		}
		return nil
	})
	return leader, err
}
