package pretend

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A decision is what one decider says against a place for a copy.
type decision struct {
	decider, explanation string
	throttle             bool // only for now
}

// decide lists what speaks against a copy on a node; nothing: it may go there. The copy may be on another node now.
func (c *cluster) decide(r *row, n *node) []decision {
	var out []decision
	for _, d := range []func(*row, *node) *decision{
		c.sameShard, c.shardsLimit, c.filter, c.enabled, c.nodeVersion, c.diskThreshold, c.throttling,
	} {
		if no := d(r, n); no != nil {
			out = append(out, *no)
		}
	}
	return out
}

// remain lists what speaks against a copy where it is.
func (c *cluster) remain(r *row) []decision {
	var out []decision
	for _, d := range []func(*row, *node) *decision{c.shardsLimit, c.filter, c.diskHigh} {
		if no := d(r, r.on); no != nil {
			out = append(out, *no)
		}
	}
	return out
}

// sameShard: two copies of a shard are never on one node, and where it is set never on one host.
func (c *cluster) sameShard(r *row, n *node) *decision {
	for _, o := range r.s.rows {
		if o == r && o.on == nil {
			continue
		}
		for _, at := range []*node{o.on, o.to} {
			if at == n {
				return &decision{decider: "same_shard", explanation: "a copy of this shard is already allocated to this node " + o.describe()}
			}
			if at != nil && o != r && at.task.Host == n.task.Host && c.setting("cluster.routing.allocation.same_shard.host", "false") == "true" {
				return &decision{decider: "same_shard", explanation: fmt.Sprintf("a copy of this shard is already allocated to host address [%s], on node [%s], and [cluster.routing.allocation.same_shard.host] is [true] which forbids more than one node on each host from holding a copy of this shard", n.task.Host, at.id)}
			}
		}
	}
	return nil
}

func (r *row) describe() string {
	kind := "R"
	if r.primary {
		kind = "P"
	}
	return fmt.Sprintf("[[%s][%d], node[%s], [%s], s[%s], a[id=%s]]", r.s.ix.name, r.s.number, r.on.id, kind, r.state, r.alloc)
}

// shardsLimit is total_shards_per_node.
func (c *cluster) shardsLimit(r *row, n *node) *decision {
	const key = "index.routing.allocation.total_shards_per_node"
	limit, err := strconv.Atoi(r.s.ix.settings[key])
	if err != nil || limit <= 0 {
		return nil
	}
	have := c.count(n, r.s.ix)
	if r.on == n {
		have--
	}
	if have+1 <= limit {
		return nil
	}
	return &decision{decider: "shards_limit", explanation: fmt.Sprintf("too many shards [%d] allocated to this node for index [%s], index setting [%s=%d]", have, r.s.ix.name, key, limit)}
}

// count is the copies on a node, or on their way to it; of one index or of all.
func (c *cluster) count(n *node, ix *index) int {
	have := 0
	c.meta.rows(func(r *row) {
		if (r.on == n || r.to == n) && (ix == nil || r.s.ix == ix) {
			have++
		}
	})
	return have
}

// filter is cluster.routing.allocation.exclude, require and include, by name, ip, host or id.
func (c *cluster) filter(r *row, n *node) *decision {
	about := map[string]string{"_name": n.name, "_ip": n.task.Host, "_host": n.task.Host, "_id": n.id, "_host_ip": n.task.Host, "_publish_ip": n.task.Host}
	for k, v := range n.attributes {
		about[k] = v
	}
	for _, kind := range []string{"exclude", "require", "include"} {
		for _, key := range sorted(about) {
			list := words(c.setting("cluster.routing.allocation."+kind+"."+key, ""))
			if len(list) == 0 || matches(list, about[key]) != (kind == "exclude") {
				continue
			}
			verb := "matches"
			if kind != "exclude" {
				verb = "does not match"
			}
			return &decision{decider: "filter", explanation: fmt.Sprintf("node %s cluster setting [cluster.routing.allocation.%s] filters [%s:%q]", verb, kind, key, strings.Join(list, " OR "))}
		}
	}
	return nil
}

// enabled is cluster.routing.allocation.enable, or the index's own.
func (c *cluster) enabled(r *row, _ *node) *decision {
	key, word := "cluster setting [cluster.routing.allocation.enable", c.setting("cluster.routing.allocation.enable", "all")
	if own, ok := r.s.ix.settings["index.routing.allocation.enable"]; ok {
		key, word = "index setting [index.routing.allocation.enable", own
	}
	ok := true
	switch word {
	case "none":
		ok = false
	case "new_primaries":
		ok = r.primary && r.s.fresh
	case "primaries":
		ok = r.primary
	}
	if ok {
		return nil
	}
	return &decision{decider: "enable", explanation: fmt.Sprintf("no allocations are allowed due to %s=%s]", key, word)}
}

// nodeVersion: a replica, or a primary that moves, never goes to an older node than the one it comes from.
func (c *cluster) nodeVersion(r *row, n *node) *decision {
	p := r.s.primary()
	if r.primary {
		if r.on != nil && n.version.olderThan(r.on.version) {
			return &decision{decider: "node_version", explanation: fmt.Sprintf("cannot relocate primary shard from a node with version [%s] to a node with older version [%s]", r.on.version, n.version)}
		}
		return nil
	}
	if p.on != nil && n.version.olderThan(p.on.version) {
		return &decision{decider: "node_version", explanation: fmt.Sprintf("cannot allocate replica shard to a node with version [%s] since this is older than the primary version [%s]", n.version, p.on.version)}
	}
	return nil
}

// diskThreshold is the low watermark, for copies that would come.
func (c *cluster) diskThreshold(r *row, n *node) *decision {
	if r.s.fresh && r.primary {
		return nil
	}
	return c.watermark(n, "low", "85%", r.s.bytes())
}

// diskHigh is the high watermark, for those that are there.
func (c *cluster) diskHigh(_ *row, n *node) *decision { return c.watermark(n, "high", "90%", 0) }

func (c *cluster) watermark(n *node, which, fallback string, more int64) *decision {
	if c.setting("cluster.routing.allocation.disk.threshold_enabled", "true") != "true" || n.diskBytes == 0 {
		return nil
	}
	mark := c.setting("cluster.routing.allocation.disk.watermark."+which, fallback)
	percent, err := strconv.ParseFloat(strings.TrimSuffix(mark, "%"), 64)
	used := float64(c.used(n)+more) / float64(n.diskBytes) * 100
	if err != nil || used <= percent {
		return nil
	}
	return &decision{decider: "disk_threshold", explanation: fmt.Sprintf("the node is above the %s watermark cluster setting [cluster.routing.allocation.disk.watermark.%s=%s], using more disk space than the maximum allowed [%.1f%%], actual free: [%.1f%%]", which, which, mark, percent, max(0, 100-used))}
}

// used is the bytes of a node's disk that are taken, copies that are on their way included.
func (c *cluster) used(n *node) int64 {
	sum := int64(c.fleet.host(n.task.Host).filler * float64(n.diskBytes))
	if c.meta == nil {
		return sum
	}
	c.meta.rows(func(r *row) {
		if r.on == n || r.to == n {
			sum += r.s.bytes()
		}
	})
	return min(sum, n.diskBytes)
}

// throttling bounds the recoveries that a node takes part in.
func (c *cluster) throttling(r *row, n *node) *decision {
	in, out := 0, 0
	limit, err := strconv.Atoi(c.setting("cluster.routing.allocation.node_concurrent_recoveries", "2"))
	if err != nil {
		limit = 2
	}
	source := r.s.primary().on
	c.meta.rows(func(o *row) {
		to, from := o.recovering()
		if to == n && from != nil {
			in++
		}
		if from != nil && from == source {
			out++
		}
	})
	switch {
	case r.primary && r.on == nil:
		return nil // from its own disk, where others do not disturb it
	case in >= limit:
		return &decision{throttle: true, decider: "throttling", explanation: fmt.Sprintf("reached the limit of incoming shard recoveries [%d], cluster setting [cluster.routing.allocation.node_concurrent_incoming_recoveries=%d] (can also be set via [cluster.routing.allocation.node_concurrent_recoveries])", in, limit)}
	case out >= limit:
		return &decision{throttle: true, decider: "throttling", explanation: fmt.Sprintf("reached the limit of outgoing shard recoveries [%d] on the node [%s] which holds the primary, cluster setting [cluster.routing.allocation.node_concurrent_outgoing_recoveries=%d] (can also be set via [cluster.routing.allocation.node_concurrent_recoveries])", out, source.id, limit)}
	}
	return nil
}

// recovering is where a copy under way goes, and from whom it comes; nil, nil if none is.
func (r *row) recovering() (to, from *node) {
	switch {
	case r.state == relocating:
		to, from = r.to, r.on
		if p := r.s.primary(); !r.primary && p.on != nil {
			from = p.on
		}
	case r.state == initializing:
		to = r.on
		if r.kind == "PEER" {
			from = r.s.primary().on
		}
	}
	return to, from
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
