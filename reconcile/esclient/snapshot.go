package esclient

import (
	"context"
	"net/url"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// snapshotting asks whether a snapshot runs anywhere.
func (c *Client) snapshotting(ctx context.Context, endpoint string) (bool, error) {
	var s struct {
		Snapshots []struct{} `json:"snapshots"`
	}
	err := c.ask(ctx, question{endpoint: endpoint, path: "/_snapshot/_status", max: large,
		query: c.master("filter_path", "snapshots.state,snapshots.snapshot")}, &s)
	return len(s.Snapshots) > 0, err
}

type snapshotList struct {
	Snapshots []struct {
		State string `json:"state"`
		End   int64  `json:"end_time_in_millis"`
	} `json:"snapshots"`
	Responses []snapshotList `json:"responses"` // one for each repository, in some versions
}

func (l *snapshotList) newest() (t time.Time) {
	for _, s := range l.Snapshots {
		if end := time.UnixMilli(s.End).UTC(); s.State == "SUCCESS" && end.After(t) {
			t = end
		}
	}
	for i := range l.Responses {
		if r := l.Responses[i].newest(); r.After(t) {
			t = r
		}
	}
	return t
}

// lastSnapshot finds the newest successful snapshot of all repositories. A repository that cannot be read does not hide the
// others; what it may hold is just not known.
func (c *Client) lastSnapshot(ctx context.Context, t esgate.Target, endpoint string) (newest time.Time, err error) {
	var repositories map[string]struct{}
	if err := c.ask(ctx, question{endpoint: endpoint, path: "/_snapshot", query: c.master("filter_path", "*.type")}, &repositories); err != nil {
		return newest, err
	}
	query := c.master("ignore_unavailable", "true", "filter_path", "snapshots.state,snapshots.end_time_in_millis,"+
		"responses.snapshots.state,responses.snapshots.end_time_in_millis")
	if t.Dist == spec.ElasticsearchDist && t.Version.AtLeast(7, 14) {
		// The newest are enough where they can be asked for; failed ones may be among them.
		query.Set("sort", "start_time")
		query.Set("order", "desc")
		query.Set("size", "100")
	}
	for name := range repositories {
		var l snapshotList
		if err := c.ask(ctx, question{endpoint: endpoint, path: "/_snapshot/" + url.PathEscape(name) + "/_all", query: query,
			max: large, timeout: slowly * c.timeout}, &l); err != nil {
			continue
		}
		if n := l.newest(); n.After(newest) {
			newest = n
		}
	}
	return newest, ctx.Err()
}
