package pretend

// counts are what health says, of a cluster or a part of it.
type counts struct {
	status                               string
	nodes, data                          int
	primaries, active                    int
	relocating, initializing, unassigned int
	delayed, shards                      int
}

func (h *counts) percent() float64 {
	if all := h.active + h.initializing + h.unassigned; all > 0 {
		return float64(h.active) / float64(all) * 100
	}
	return 100
}

// add counts a shard.
func (h *counts) add(c *cluster, s *shard) {
	h.shards++
	status := "green"
	for _, r := range s.rows {
		switch {
		case r.active():
			h.active++
			if r.primary {
				h.primaries++
			}
			if r.state == relocating {
				h.relocating++
			}
			continue
		case r.state == initializing:
			h.initializing++
		default:
			h.unassigned++
			if r.waits.After(c.now) {
				h.delayed++
			}
		}
		if r.primary {
			// A new index that is still being made is no alarm, as a copy that starts from its disk is one.
			status = "red"
			if s.fresh && r.state != unassigned {
				status = "yellow"
			}
		} else if status == "green" {
			status = "yellow"
		}
	}
	h.status = worse(h.status, status)
}

func worse(a, b string) string {
	rank := map[string]int{"": 0, "green": 1, "yellow": 2, "red": 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// health is of all indices, or of one.
func (c *cluster) health(name string) counts {
	h := counts{status: "green"}
	for _, n := range c.members {
		h.nodes++
		if n.data {
			h.data++
		}
	}
	if c.meta == nil {
		return h
	}
	for _, ix := range c.meta.indices {
		if name != "" && ix.name != name || ix.toy && h.data == 0 {
			continue
		}
		for _, s := range ix.shards {
			h.add(c, s)
		}
	}
	return h
}
