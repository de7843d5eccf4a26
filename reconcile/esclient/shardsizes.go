package esclient

import (
	"context"
	"strconv"

	"github.com/esfleet/esfleet/reconcile/esgate"
)

// A sizeKey is one copy: where a shard lies, by the node's id.
type sizeKey struct {
	index string
	shard int
	node  string
}

type sizes map[sizeKey]int64

// sizes asks the data nodes how large their copies are; one that has just moved is not told. Closed indices have copies from
// 7.2 on, and have to be asked for.
func (c *Client) sizes(ctx context.Context, t esgate.Target, endpoint string) (sizes, error) {
	query := values("level", "shards", "filter_path", "indices.*.shards.*.routing.node,indices.*.shards.*.store.size_in_bytes")
	if since(t, 7, 2) {
		query.Set("expand_wildcards", "all")
		query.Set("forbid_closed_indices", "false")
	}
	var all struct {
		Indices map[string]struct {
			Shards map[string][]struct {
				Routing struct {
					Node string `json:"node"`
				} `json:"routing"`
				Store struct {
					Bytes int64 `json:"size_in_bytes"`
				} `json:"store"`
			} `json:"shards"`
		} `json:"indices"`
	}
	err := c.ask(ctx, question{endpoint: endpoint, path: "/_stats/store", max: large, query: query}, &all)
	out := sizes{}
	for index, i := range all.Indices {
		for number, copies := range i.Shards {
			n, err := strconv.Atoi(number)
			if err != nil {
				continue // shards() says it
			}
			for _, c := range copies {
				out[sizeKey{index, n, c.Routing.Node}] = max(c.Store.Bytes, 0)
			}
		}
	}
	return out, err
}
