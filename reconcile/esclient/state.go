package esclient

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/esfleet/esfleet/reconcile/esgate"
)

// A state is what is asked of the cluster state: one picture, from one moment, of members, copies and what is set.
type state struct {
	identity
	Nodes map[string]struct {
		Name      string `json:"name"`
		Ephemeral string `json:"ephemeral_id"`
	} `json:"nodes"`
	Routing struct {
		Indices map[string]struct {
			Shards map[string][]copyState `json:"shards"`
		} `json:"indices"`
	} `json:"routing_table"`
	Metadata struct {
		UUID         string                `json:"cluster_uuid"`
		Indices      map[string]indexState `json:"indices"`
		Coordination struct {
			Exclusions []struct {
				ID   string `json:"node_id"`
				Name string `json:"node_name"`
			} `json:"voting_config_exclusions"`
		} `json:"cluster_coordination"`
	} `json:"metadata"`
}

type copyState struct {
	State   esgate.ShardState `json:"state"`
	Primary bool              `json:"primary"`
	Node    string            `json:"node"`
	To      string            `json:"relocating_node"`
}

// An indexState holds settings as text; they are asked for flat, because an index template may have set them in either form.
type indexState struct {
	State    string            `json:"state"`
	Settings map[string]string `json:"settings"`
}

// The settings of an index that count.
const (
	settingShards   = "index.number_of_shards"
	settingReplicas = "index.number_of_replicas"
	settingPerNode  = "index.routing.allocation.total_shards_per_node"
	settingDelayed  = "index.unassigned.node_left.delayed_timeout"
)

var stateFilter = func() string {
	fields := []string{"cluster_name", "cluster_uuid", "version", "master_node", "nodes.*.name", "nodes.*.ephemeral_id",
		"metadata.cluster_uuid", "metadata.cluster_coordination.voting_config_exclusions", "metadata.indices.*.state"}
	for _, f := range []string{"state", "primary", "node", "relocating_node"} {
		fields = append(fields, "routing_table.indices.*.shards.*."+f)
	}
	for _, s := range []string{settingShards, settingReplicas, settingPerNode, settingDelayed} {
		// The name of a flat setting is one field to the filter, in which a dot would begin the next.
		fields = append(fields, "metadata.indices.*.settings."+strings.ReplaceAll(s, ".", "*"))
	}
	return strings.Join(fields, ",")
}()

func (c *Client) state(ctx context.Context, endpoint string) (*state, error) {
	s := &state{}
	err := c.ask(ctx, question{endpoint: endpoint, path: "/_cluster/state/version,master_node,nodes,routing_table,metadata",
		query: c.master("filter_path", stateFilter, "flat_settings", "true"), max: large}, s)
	s.identity.Metadata.UUID = s.Metadata.UUID
	return s, err
}

// name is a member's name by its id.
func (s *state) name(id string) (string, error) {
	n, ok := s.Nodes[id]
	if !ok || n.Name == "" {
		return "", fmt.Errorf("the cluster state names a node %s that it does not list", id)
	}
	return n.Name, nil
}

func (s *state) shards(bytes sizes) ([]esgate.Shard, error) {
	var out []esgate.Shard
	for index, i := range s.Routing.Indices {
		for number, copies := range i.Shards {
			n, err := strconv.Atoi(number)
			if err != nil {
				return nil, fmt.Errorf("index %s has a shard %q", index, number)
			}
			for _, c := range copies {
				shard, err := s.shard(c)
				if err != nil {
					return nil, fmt.Errorf("shard %d of %s: %w", n, index, err)
				}
				shard.Index, shard.Number = index, n
				shard.Bytes = bytes[sizeKey{index, n, c.Node}]
				out = append(out, shard)
			}
		}
	}
	slices.SortFunc(out, func(a, b esgate.Shard) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Number, b.Number), first(a.Primary, b.Primary),
			cmp.Compare(a.Node, b.Node), cmp.Compare(a.State, b.State))
	})
	return out, nil
}

func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func (s *state) shard(c copyState) (esgate.Shard, error) {
	out := esgate.Shard{Primary: c.Primary, State: c.State}
	var err error
	switch c.State {
	case esgate.Unassigned:
		return out, nil
	case esgate.Relocating:
		if out.To, err = s.name(c.To); err != nil {
			return out, err
		}
	case esgate.Started, esgate.Initializing:
	default:
		return out, fmt.Errorf("a copy is %q, which is not known here", c.State)
	}
	out.Node, err = s.name(c.Node)
	return out, err
}

func (s *state) indices() ([]esgate.Index, error) {
	out := make([]esgate.Index, 0, len(s.Metadata.Indices))
	for name, i := range s.Metadata.Indices {
		index := esgate.Index{Name: name, Closed: i.State == "close", DelayedTimeout: i.Settings[settingDelayed]}
		for _, f := range []struct {
			key  string
			into *int
			must bool
		}{{settingShards, &index.Shards, true}, {settingReplicas, &index.Replicas, true}, {settingPerNode, &index.PerNode, false}} {
			text, ok := i.Settings[f.key]
			n, err := strconv.Atoi(text)
			if err != nil && (ok || f.must) {
				return nil, fmt.Errorf("index %s has %s %q", name, f.key, text)
			}
			*f.into = max(n, 0) // -1 is Elasticsearch's word for unbounded
		}
		if i.State != "open" && i.State != "close" {
			return nil, fmt.Errorf("index %s is %q, which is not known here", name, i.State)
		}
		if _, ok := s.Routing.Indices[name]; !ok && !index.Closed {
			return nil, fmt.Errorf("index %s has no routing table", name)
		}
		out = append(out, index)
	}
	slices.SortFunc(out, func(a, b esgate.Index) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func (s *state) exclusions() []string {
	var out []string
	for _, e := range s.Metadata.Coordination.Exclusions {
		out = append(out, cmp.Or(e.Name, e.ID))
	}
	slices.Sort(out)
	return out
}
