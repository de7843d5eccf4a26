package esclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/esfleet/esfleet/reconcile/plan"
)

// maxBody bounds an answer; the calls used here answer in a few hundred bytes.
const maxBody = 1 << 20

// Ask asks up to two nodes for the cluster's identity and the first that answers for its health. Two nodes must agree on
// the identity: one alone may sit in another cluster or on a minority side.
func (c *Client) Ask(ctx context.Context, endpoints []string) plan.Elasticsearch {
	out := plan.Elasticsearch{Asked: true}
	var answers []askedIdentity
	var health *askedHealth
	var errs []error
	for _, e := range endpoints {
		id, err := c.askIdentity(ctx, e)
		if err == nil && health == nil {
			health, err = c.askHealth(ctx, e)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if answers = append(answers, id); len(answers) == 2 {
			break
		}
	}
	switch {
	case len(endpoints) == 0:
		out.Why = "no node runs that could be asked"
	case len(answers) == 0:
		out.Why = fmt.Sprintf("none of %d nodes answers: %v", len(endpoints), errors.Join(errs...))
	case len(answers) == 2 && answers[0] != answers[1]:
		out.Why = fmt.Sprintf("two nodes name different clusters: %s and %s", answers[0], answers[1])
	case len(answers) == 1 && len(endpoints) > 1:
		out.Why = fmt.Sprintf("only one of %d nodes answers: %v", len(endpoints), errors.Join(errs...))
	default:
		out.Known, out.Name, out.UUID = true, answers[0].Name, answers[0].uuid()
		out.Status, out.Nodes, out.DataNodes = health.Status, health.Nodes, health.DataNodes
	}
	out.Why = strings.ReplaceAll(out.Why, "\n", "; ")
	return out
}

// askedIdentity is who a node says its cluster is.
type askedIdentity struct {
	Name     string `json:"cluster_name"`
	UUID     string `json:"cluster_uuid"`
	Metadata struct {
		UUID string `json:"cluster_uuid"`
	} `json:"metadata"`
}

func (i askedIdentity) uuid() string {
	if i.UUID != "" && i.UUID != "_na_" {
		return i.UUID
	}
	return i.Metadata.UUID
}

func (i askedIdentity) String() string { return fmt.Sprintf("%q (%s)", i.Name, i.uuid()) }

// askedIdentity reads it from the cluster state, which only a node with a master answers: GET / would also be answered by a
// node that has not joined anything, and is missing in some distributions (elasticsearch-lab §0).
func (c *Client) askIdentity(ctx context.Context, endpoint string) (askedIdentity, error) {
	var id askedIdentity
	err := c.get(ctx, endpoint+"/_cluster/state/metadata?filter_path=cluster_name,cluster_uuid,metadata.cluster_uuid&master_timeout=2s", &id, http.StatusOK)
	if err == nil && (id.Name == "" || id.uuid() == "" || id.uuid() == "_na_") {
		err = fmt.Errorf("%s: no cluster has formed yet", endpoint)
	}
	return id, err
}

type askedHealth struct {
	Status    string `json:"status"`
	TimedOut  bool   `json:"timed_out"`
	Nodes     int    `json:"number_of_nodes"`
	DataNodes int    `json:"number_of_data_nodes"`
}

func (c *Client) askHealth(ctx context.Context, endpoint string) (*askedHealth, error) {
	var h askedHealth
	// 408 is what a health call answers when what it waits for does not come in time; the body is good all the same.
	if err := c.get(ctx, endpoint+"/_cluster/health?timeout=1s&master_timeout=2s", &h, http.StatusOK, http.StatusRequestTimeout); err != nil {
		return nil, err
	}
	switch h.Status {
	case "green", "yellow", "red":
		return &h, nil
	}
	return nil, fmt.Errorf("%s: health is %q", endpoint, h.Status)
}

func (c *Client) get(ctx context.Context, url string, into any, good ...int) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask Elasticsearch: %w", err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask Elasticsearch: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read-only
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return fmt.Errorf("ask Elasticsearch: GET %s: %w", url, err)
	}
	if len(body) > maxBody {
		return fmt.Errorf("ask Elasticsearch: GET %s: more than %d bytes", url, maxBody)
	}
	for _, g := range good {
		if res.StatusCode == g {
			if err := json.Unmarshal(body, into); err != nil {
				return fmt.Errorf("ask Elasticsearch: GET %s: %w", url, err)
			}
			return nil
		}
	}
	return fmt.Errorf("ask Elasticsearch: GET %s: status %d", url, res.StatusCode)
}
