package esclient

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/reconcile/esgate"
)

// maxExplained bounds the calls of one reading; a cluster with more unassigned copies has another worry than their reasons.
const maxExplained = 60

type explanation struct {
	Index   string `json:"index"`
	Shard   int    `json:"shard"`
	Primary bool   `json:"primary"`
	Current string `json:"current_state"`
	Can     string `json:"can_allocate"`
	Nodes   []struct {
		Decision string `json:"node_decision"`
		Deciders []struct {
			Decider  string `json:"decider"`
			Decision string `json:"decision"`
		} `json:"deciders"`
	} `json:"node_allocation_decisions"`
}

// explain fills in why unassigned copies stay so, in the order of shards until the bound. Two unassigned replicas of one
// shard have one explanation. The API is there from version 5 on.
func (c *Client) explain(ctx context.Context, endpoint string, shards []esgate.Shard) error {
	type which struct {
		index   string
		number  int
		primary bool
	}
	var asked []which
	for i := range shards {
		w := which{shards[i].Index, shards[i].Number, shards[i].Primary}
		if shards[i].State == esgate.Unassigned && !slices.Contains(asked, w) && len(asked) < maxExplained {
			asked = append(asked, w)
		}
	}
	answers, failed := make([]string, len(asked)), make([]error, len(asked))
	parallel(len(asked), func(i int) {
		var e explanation
		w := asked[i]
		failed[i] = c.ask(ctx, question{endpoint: endpoint, path: "/_cluster/allocation/explain",
			body: map[string]any{"index": w.index, "shard": w.number, "primary": w.primary}}, &e)
		if failed[i] == nil && e.Index == w.index && e.Shard == w.number && e.Primary == w.primary {
			answers[i] = e.decider()
		}
	})
	for i := range shards {
		if n := slices.Index(asked, which{shards[i].Index, shards[i].Number, shards[i].Primary}); n >= 0 && shards[i].State == esgate.Unassigned {
			shards[i].Decider = answers[n]
		}
	}
	for _, err := range failed {
		// The copy may have found its place since (400), or its index be gone (404): then there is nothing to explain.
		if err != nil && !answeredWith(err, http.StatusBadRequest) && !answeredWith(err, http.StatusNotFound) {
			return err
		}
	}
	return nil
}

// decider is the one that keeps the copy from every node that does not hold one already. Where several do, the one that no
// upgrade explains is told; where they differ by node, there is none.
func (e *explanation) decider() string {
	if e.Current != "unassigned" || e.Can != "no" || len(e.Nodes) == 0 {
		return ""
	}
	const holder, upgrade = "same_shard", "node_version"
	var common []string
	elsewhere := false
	for _, n := range e.Nodes {
		var says []string
		for _, d := range n.Deciders {
			if d.Decision == "NO" {
				says = append(says, d.Decider)
			}
		}
		switch {
		case n.Decision != "no" || len(says) == 0:
			return ""
		case slices.Contains(says, holder):
			continue
		case !elsewhere:
			common, elsewhere = says, true
		default:
			common = slices.DeleteFunc(common, func(d string) bool { return !slices.Contains(says, d) })
		}
	}
	if !elsewhere {
		return holder
	}
	slices.SortFunc(common, func(a, b string) int {
		return 2*first(b == upgrade, a == upgrade) + strings.Compare(a, b)
	})
	if len(common) == 0 {
		return ""
	}
	return common[0]
}
