package esclient

import (
	"context"
	"strconv"
)

// A sizeKey is one copy: where a shard lies, by the node's id.
type sizeKey struct {
	index string
	shard int
	node  string
}

type sizes map[sizeKey]int64

// sizes asks the data nodes how large their copies are; one that has just moved is not told.
func (c *Client) sizes(ctx context.Context, endpoint string) (sizes, error) {
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
	err := c.ask(ctx, question{endpoint: endpoint, path: "/_stats/store", max: large, query: values("level", "shards",
		"filter_path", "indices.*.shards.*.routing.node,indices.*.shards.*.store.size_in_bytes")}, &all)
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
