package esclient_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/spec"
)

// lacking is small with replicas of which n have no place.
func lacking(t *testing.T, n int) situation {
	t.Helper()
	return small().edited(t, "state", `{"state":"STARTED","primary":false,"node":"B","relocating_node":null}`,
		`{"state":"STARTED","primary":false,"node":"B"}`+strings.Repeat(`,{"state":"UNASSIGNED","primary":false,"node":null}`, n)).
		edited(t, "health", `"unassigned_shards":0`, fmt.Sprintf(`"unassigned_shards":%d`, n)).edited(t, "health", "green", "yellow")
}

func TestTheDeciderThatKeepsACopyFromEveryNodeIsTold(t *testing.T) {
	for _, c := range []struct {
		name, can string
		nodes     [][]string // what each node's deciders are that say no
		want      string
	}{
		{"a node that is older than the primary's", "no", [][]string{{"same_shard"}, {"node_version"}}, "node_version"},
		{"all nodes hold a copy", "no", [][]string{{"same_shard"}, {"same_shard", "filter"}}, "same_shard"},
		{"two deciders everywhere: the one that no upgrade ends", "no", [][]string{{"node_version", "throttling"}, {"throttling", "node_version"}}, "throttling"},
		{"two deciders everywhere, in the alphabet's order", "no", [][]string{{"filter", "disk_threshold"}, {"disk_threshold", "filter"}}, "disk_threshold"},
		{"another one on each node", "no", [][]string{{"filter"}, {"node_version"}}, ""},
		{"a node that would take it", "no", [][]string{{"same_shard"}, {}}, ""},
		{"it waits for its node", "allocation_delayed", [][]string{{"same_shard"}, {"node_version"}}, ""},
		{"no node", "no", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var decisions []map[string]any
			for _, deciders := range c.nodes {
				no := []map[string]string{{"decider": "enable", "decision": "YES"}}
				for _, d := range deciders {
					no = append(no, map[string]string{"decider": d, "decision": "NO"})
				}
				decisions = append(decisions, map[string]any{"node_decision": "no", "deciders": no})
			}
			body, err := json.Marshal(map[string]any{"index": "i", "shard": 0, "primary": false, "current_state": "unassigned",
				"can_allocate": c.can, "node_allocation_decisions": decisions})
			must(t, err)
			target := target()
			target.Explain = true
			h := both(lacking(t, 1).with("explain", string(body))).Read(t.Context(), target)
			if !h.Known || h.Shards[1].Node != "" || h.Shards[1].Decider != c.want {
				t.Errorf("got %+v", h)
			}
			if h.Shards[0].Decider != "" || h.Shards[2].Decider != "" {
				t.Errorf("a copy that has its place is kept away: %+v", h.Shards)
			}
		})
	}
}

func TestAnExplanationIsAskedForOncePerShardAndNotBeforeVersion5(t *testing.T) {
	for name, c := range map[string]struct {
		explain bool
		version spec.Version
		asked   int32
	}{
		"two replicas of one shard": {true, spec.Version{Major: 5, Minor: 6}, 1},
		"it was not wanted":         {false, spec.Version{Major: 7, Minor: 17}, 0},
		"before 5":                  {true, spec.Version{Major: 2, Minor: 4}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			node := func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/explain") {
					asked.Add(1)
				}
				lacking(t, 2).node(w, r)
			}
			target := target()
			target.Explain, target.Version = c.explain, c.version
			// That the copy has its place by now is no failure.
			if h := esclient.New(nodes{"a:9200": node, "b:9200": node}, 0).Read(t.Context(), target); !h.Known || asked.Load() != c.asked {
				t.Errorf("asked %d times: %+v", asked.Load(), h)
			}
		})
	}
}

func TestAnExplanationThatFailsMakesTheReadingUnknown(t *testing.T) {
	target := target()
	target.Explain = true
	s := lacking(t, 1)
	node := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/explain") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		s.node(w, r)
	}
	unknown(t, esclient.New(nodes{"a:9200": node, "b:9200": node}, 0).Read(t.Context(), target), "/explain", "status 500")
}
