package esclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// Write makes one change. In the same pass, right before it, two nodes must prove to be of the cluster that t names, uuid
// included; the change goes to one of them. It is sent once and no redirect is followed. A nil error says that it has
// happened; otherwise see Kind, Unknown and Refused.
func (c *Client) Write(ctx context.Context, t esgate.Target, ch esgate.Change) error {
	r, err := c.request(t, ch)
	e := &Error{Op: r.op, Kind: KindNotSent}
	if err != nil {
		e.Err = err
		return e
	}
	if t.Name == "" || t.UUID == "" {
		e.Err = errors.New("the cluster's name and uuid must be known")
		return e
	}
	p, err := c.prove(ctx, t)
	if err != nil {
		e.Err = err
		return e
	}
	e.Endpoint = p.endpoints[0]
	if e.Kind, e.Status, e.Err = c.once(ctx, e.Endpoint, r); e.Err != nil {
		return e
	}
	return nil
}

// An answered is what the calls used here answer; those to the votes and to flush have no such word.
type answered struct {
	Acknowledged *bool `json:"acknowledged"`
}

func (c *Client) once(ctx context.Context, endpoint string, r request) (Kind, int, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	res, err := c.send(ctx, r.method, endpoint, r.path, r.query, r.body)
	if err != nil {
		return unsent(err), 0, err
	}
	defer res.Body.Close() //nolint:errcheck // read-only
	if r.fine != 0 && res.StatusCode == r.fine {
		return "", res.StatusCode, nil
	}
	if res.StatusCode != http.StatusOK {
		return kindOf(res.StatusCode), res.StatusCode, &refusal{status: res.StatusCode, text: excerpt(res.Body)}
	}
	return settled(res, r)
}

// settled reads a good answer: only a whole one says that it has happened.
func settled(res *http.Response, r request) (Kind, int, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, large))
	if err != nil {
		return KindUnknown, res.StatusCode, err
	}
	var a answered
	if len(body) == 0 && r.mute {
		return "", res.StatusCode, nil
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return KindUnknown, res.StatusCode, fmt.Errorf("the answer is no JSON: %w", err)
	}
	if a.Acknowledged == nil && !r.mute || a.Acknowledged != nil && !*a.Acknowledged {
		return KindUnknown, res.StatusCode, errors.New("not all nodes acknowledged it in time")
	}
	return "", res.StatusCode, nil
}

// unsent tells a connection that never came to be from one that broke.
func unsent(err error) Kind {
	var o *net.OpError
	if errors.As(err, &o) && o.Op == "dial" {
		return KindNotSent
	}
	return KindUnknown
}

// kindOf reads a status. A 5xx may come from a master that was lost half-way; 408 and 429 say nothing of what was done.
func kindOf(status int) Kind {
	if status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests {
		return KindRefused
	}
	return KindUnknown
}

// since says whether the cluster's version is at least Elasticsearch's major.minor. OpenSearch 1 and later is a fork of 7.10.
func since(t esgate.Target, major, minor int) bool {
	if t.Dist == spec.OpenSearchDist {
		return major < 7 || major == 7 && minor <= 10
	}
	return t.Version.AtLeast(major, minor)
}

// writeTime bounds a write: the elected master has half of it to be found and half to have all nodes know.
func (c *Client) writeTime() time.Duration { return slowly * c.timeout }
