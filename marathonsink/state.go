package marathonsink

import (
	"bytes"
	"context"
	"net/url"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// State reads everything that drift and plan may know, or fails: never half of it.
//
// It is one GET of the app list. Only if some app is in a deployment also one of the deployments, only if an app of ours
// lacks tasks also one of the queue (Queue is nil otherwise), and only for an app with older tasks one for each definition
// that they run and that is not known yet (App.Former). All are answers of the same leader; a change in between is an error
// of KindUnknown.
//
// Apps with the label esfleet.fleet are complete. Of others, which are foreign, only id, labels, instances, versions
// and deployments are there; Doc and Tasks are nil.
//
// prev is the State that this Client gave last, nil to decode everything anew: an app whose bytes did not change is taken
// over from prev as it stands there, so apps must not be modified. The caller may replace an app of prev by a smaller one
// that tells it enough, and may take one out to have it decoded again. If nothing changed, Apps is prev's very map. The
// body is never held: memory is that of the largest app and of what changed.
func (c *Client) State(ctx context.Context, prev *marathon.State) (*marathon.State, error) {
	return c.state(ctx, prev, nil)
}

// Anew is State with nothing known before, for whoever looks at one app after the other: those of ours in
// which nothing is under way are left on the State's Shelf, which the caller closes. The reading is whole and of one leader all the same, and its apps
// have ids, each once; that an app cannot be decoded shows when it is opened.
func (c *Client) Anew(ctx context.Context) (*marathon.State, error) {
	to := &shelf{dir: c.spool}
	s, err := c.state(ctx, nil, to)
	if err != nil {
		to.Close()
	}
	return s, err
}

func (c *Client) state(ctx context.Context, prev *marathon.State, to *shelf) (*marathon.State, error) {
	c.stateMu.Lock()
	defer c.stateMu.Unlock()
	s := &marathon.State{}
	r, err := c.readApps(ctx, prev, s, to)
	if err != nil {
		return nil, err
	}
	if inDeployment(s) {
		list, leader, err := c.deployments(ctx)
		if err := sameLeader(s.Leader, leader, err); err != nil {
			return nil, err
		}
		s.Deployments = list
	}
	if lacksTasks(s) {
		list, leader, err := c.queue(ctx)
		if err := sameLeader(s.Leader, leader, err); err != nil {
			return nil, err
		}
		s.Queue = list
	}
	for _, f := range r.fresh {
		if f.app == nil {
			continue // all its tasks have the definition in force
		}
		if err := c.readFormer(ctx, s.Leader, f.app); err != nil {
			return nil, err
		}
	}
	info, err := c.infoOf(ctx, s.Leader)
	if err := sameLeader(s.Leader, info.answeredBy, err); err != nil {
		return nil, err
	}
	s.Version = info.Version
	c.known.learn(r, s)
	return s, nil
}

func (c *Client) readApps(ctx context.Context, prev, s *marathon.State, to *shelf) (*reading, error) {
	query := url.Values{"embed": {"apps.tasks", "apps.counts", "apps.deployments", "apps.lastTaskFailure"}}
	var r *reading
	leader, err := c.list(ctx, request{op: "list apps", path: "/v2/apps", query: query}, "apps", func() func([]byte) error {
		if to != nil {
			to.Close() // an attempt before this one may have put something there
		}
		r = c.known.read(prev, to)
		s.ReadAt = time.Now() // what the answer says was true after this
		return r.app
	})
	if err == nil {
		err = r.finish(s)
	}
	s.Leader = leader
	return r, err
}

var fleetLabel = []byte(`"` + marathon.LabelFleet + `"`)

func parseSpan(span []byte) (*marathon.App, error) {
	if bytes.Contains(span, fleetLabel) {
		if app, err := marathon.ParseApp(span); err != nil || app.Labels[marathon.LabelFleet] != "" {
			return app, err
		}
	}
	return marathon.ParseForeign(span)
}

func inDeployment(s *marathon.State) bool {
	for _, app := range s.Apps {
		if len(app.Deployments) > 0 {
			return true
		}
	}
	return false
}

func lacksTasks(s *marathon.State) bool {
	for _, app := range s.Apps {
		if app.Doc != nil && app.TasksRunning < app.Instances {
			return true
		}
	}
	return false
}

func sameLeader(want, got string, err error) error {
	if err != nil || want == got {
		return err
	}
	return &Error{Op: "read state", Kind: KindUnknown,
		Message: "the leader changed from " + clean(want, 100) + " to " + clean(got, 100) + " between two reads; read again"}
}
