package esclient

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
)

type recoveryEnd struct {
	Name string `json:"name"`
}

type recovery struct {
	ID     int         `json:"id"`
	Type   string      `json:"type"`
	Stage  string      `json:"stage"`
	Millis int64       `json:"total_time_in_millis"`
	Source recoveryEnd `json:"source"`
	Target recoveryEnd `json:"target"`
	Index  struct {
		Size struct {
			Total     int64 `json:"total_in_bytes"`
			Reused    int64 `json:"reused_in_bytes"`
			Recovered int64 `json:"recovered_in_bytes"`
		} `json:"size"`
		Files struct {
			Total  int `json:"total"`
			Reused int `json:"reused"`
		} `json:"files"`
	} `json:"index"`
}

func (c *Client) recoveries(ctx context.Context, endpoint string) ([]esgate.Recovery, error) {
	const fields = "*.shards.id,*.shards.type,*.shards.stage,*.shards.total_time_in_millis,*.shards.source.name," +
		"*.shards.target.name,*.shards.index.size,*.shards.index.files.total,*.shards.index.files.reused"
	var all map[string]struct {
		Shards []recovery `json:"shards"`
	}
	err := c.ask(ctx, question{endpoint: endpoint, path: "/_recovery", max: large,
		query: values("active_only", "true", "filter_path", fields)}, &all)
	if err != nil {
		return nil, err
	}
	var out []esgate.Recovery
	for index, i := range all {
		for n := range i.Shards {
			out = append(out, i.Shards[n].running(index))
		}
	}
	slices.SortFunc(out, func(a, b esgate.Recovery) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Number, b.Number), cmp.Compare(a.To, b.To))
	})
	return out, nil
}

func (r *recovery) running(index string) esgate.Recovery {
	out := esgate.Recovery{Index: index, Number: r.ID, To: r.Target.Name, Bytes: r.Index.Size.Total,
		Done: r.Index.Size.Reused + r.Index.Size.Recovered, Running: time.Duration(r.Millis) * time.Millisecond}
	// The other types are local: a store, a snapshot, shards of the same node. Before 5 there were two names for a peer.
	if r.Type == "PEER" || r.Type == "REPLICA" || r.Type == "RELOCATION" || r.Type == "PRIMARY_RELOCATION" {
		out.From = r.Source.Name
		// Until the file phase has begun nobody knows how many files are to be copied.
		out.OperationsOnly = r.Index.Files.Total == r.Index.Files.Reused && r.Stage != "INIT" && (r.Stage != "INDEX" || r.Index.Files.Total > 0)
	}
	return out
}
