package marathonsink

import (
	"context"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

const (
	// maxFormer is how many definitions of one app are read. After a change all tasks run one older definition, after a
	// canary that git took back two; whoever runs yet another is far enough behind.
	maxFormer = 4
	// maxFormerBytes bounds what is remembered of them: several hundred apps with older tasks, or some with large bundles.
	maxFormerBytes = 8 << 20
)

// former remembers definitions that apps had. A version never changes, so what was read once need not be read again.
type former struct {
	byApp map[marathon.AppID][]marathon.Former
	bytes int // of the answers, and what they are kept in
}

func (f *former) find(id marathon.AppID, version time.Time) (marathon.Former, bool) {
	for _, x := range f.byApp[id] {
		if !version.Before(x.From) && !version.After(x.To) {
			return x, true
		}
	}
	return marathon.Former{}, false
}

func (f *former) keep(id marathon.AppID, x marathon.Former, size int) {
	size += 256 // what remembering itself takes
	if f.byApp == nil || f.bytes+size > maxFormerBytes {
		f.byApp, f.bytes = map[marathon.AppID][]marathon.Former{}, 0 // whatever is needed still is read again
	}
	f.byApp[id] = append(f.byApp[id], x)
	f.bytes += size
}

// readFormer fills in the definitions that older tasks of app run. One that Marathon does not have any more, or that
// cannot be understood, is none; if it cannot be asked, nobody knows, and that is an error.
func (c *Client) readFormer(ctx context.Context, leader string, app *marathon.App) error {
	if app.Doc == nil {
		return nil
	}
	for _, v := range app.OlderVersions() {
		if n := len(app.Former); n > 0 && !v.Before(app.Former[n-1].From) {
			continue // the same definition as one before: the newest versions come first
		}
		if len(app.Former) == maxFormer {
			return nil
		}
		x, ok := c.former.find(app.ID, v)
		if !ok {
			var size int
			var err error
			if x, size, err = c.readVersion(ctx, leader, app.ID, v); err != nil {
				return err
			}
			c.former.keep(app.ID, x, size)
		}
		app.Former = append(app.Former, x)
	}
	return nil
}

// readVersion reads an app as it was. Since it tells when its definition had changed last, it speaks for all versions
// from there on.
func (c *Client) readVersion(ctx context.Context, leader string, id marathon.AppID, v time.Time) (x marathon.Former, size int, err error) {
	x = marathon.Former{From: v, To: v}
	stamp := v.UTC().Format("2006-01-02T15:04:05.000Z")
	op := "read version " + stamp + " of " + clean(string(id), 100)
	if err := checkAppID(op, id); err != nil {
		return x, 0, err
	}
	a, err := c.getBody(ctx, request{op: op, path: "/v2/apps" + string(id) + "/versions/" + stamp})
	switch KindOf(err) {
	case KindNotFound, KindInvalid, KindTooLarge:
		return x, 0, nil
	}
	if err != nil {
		return x, 0, err
	}
	if err := sameLeader(leader, a.leader, nil); err != nil {
		return x, 0, err
	}
	was, err := marathon.ParseApp(a.body)
	if err != nil || was.ID != id || !was.Version.Equal(v) {
		return x, len(a.body), nil
	}
	if at := was.LastConfigChange; !at.IsZero() && at.Before(v) {
		x.From = at
	}
	x.Doc = was.Doc
	return x, len(a.body), nil
}
