package esclient

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/esfleet/esfleet/reconcile/esgate"
)

// A health is the cluster's own summary. The numbers are pointers: one that is missing is not 0.
type health struct {
	Name         string `json:"cluster_name"`
	Status       string `json:"status"`
	Nodes        *int   `json:"number_of_nodes"`
	DataNodes    *int   `json:"number_of_data_nodes"`
	Active       *int   `json:"active_shards"`
	Initializing *int   `json:"initializing_shards"`
	Relocating   *int   `json:"relocating_shards"`
	Unassigned   *int   `json:"unassigned_shards"`
	Delayed      *int   `json:"delayed_unassigned_shards"`
	Pending      *int   `json:"number_of_pending_tasks"`
	InFlight     *int   `json:"number_of_in_flight_fetch"`
}

func (c *Client) health(ctx context.Context, endpoint string) (*health, error) {
	h := &health{}
	// 408 is what a health call answers when what it waits for does not come in time; the body is good all the same.
	if err := c.ask(ctx, question{endpoint: endpoint, path: "/_cluster/health", query: c.master()}, h, http.StatusRequestTimeout); err != nil {
		return nil, err
	}
	for _, n := range []*int{h.Nodes, h.DataNodes, h.Active, h.Initializing, h.Relocating, h.Unassigned, h.Delayed, h.Pending, h.InFlight} {
		if n == nil || *n < 0 {
			return nil, fmt.Errorf("GET %s/_cluster/health: a number is missing in the answer", endpoint)
		}
	}
	switch h.Status {
	case "green", "yellow", "red":
		return h, nil
	}
	return nil, fmt.Errorf("GET %s/_cluster/health: the status is %q", endpoint, h.Status)
}

// agrees says how the summary contradicts the copies and members that were read beside it; "" if it does not.
func (h *health) agrees(out *esgate.Health) string {
	count := map[esgate.ShardState]int{}
	for i := range out.Shards {
		count[out.Shards[i].State]++
	}
	var wrong []string
	for _, f := range []struct {
		what      string
		told, are int
	}{
		{"nodes", *h.Nodes, len(out.Nodes)},
		{"data nodes", *h.DataNodes, out.DataNodes()},
		{"active copies", *h.Active, count[esgate.Started] + count[esgate.Relocating]},
		{"initializing copies", *h.Initializing, count[esgate.Initializing]},
		{"relocating copies", *h.Relocating, count[esgate.Relocating]},
		{"unassigned copies", *h.Unassigned, count[esgate.Unassigned]},
	} {
		if f.told != f.are {
			wrong = append(wrong, fmt.Sprintf("%d %s, and lists %d", f.told, f.what, f.are))
		}
	}
	if missing := count[esgate.Initializing] + count[esgate.Unassigned]; h.Status == "green" && missing > 0 {
		wrong = append(wrong, fmt.Sprintf("all as there (green), and lists %d that are not", missing))
	}
	if h.Name != out.Name {
		wrong = append(wrong, fmt.Sprintf("the name %q", h.Name))
	}
	if len(wrong) == 0 {
		return ""
	}
	return "it counts " + strings.Join(wrong, "; ")
}
