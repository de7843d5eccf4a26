package pretend

import (
	"fmt"
	"net/http"
	"time"
)

// explain says why a copy is where it is, or nowhere.
func (x *call) explain() answer {
	r, chosen, no := x.explained()
	if no != nil {
		return *no
	}
	o := obj{"index": r.s.ix.name, "shard": r.s.number, "primary": r.primary, "current_state": map[state]string{
		started: "started", relocating: "relocating", initializing: "initializing", unassigned: "unassigned"}[r.state]}
	if !chosen {
		o["note"] = "No shard was specified in the explain API request, so this response explains a randomly chosen unassigned shard. There may be other unassigned shards in this cluster which cannot be assigned for different reasons. It may not be possible to assign this shard until one of the other shards is assigned correctly. To explain the allocation of other shards (whether assigned or unassigned) you must specify the target shard in the request to this API."
	}
	if r.state == unassigned {
		x.explainUnassigned(r, o)
	} else {
		x.explainPlaced(r, o)
	}
	return ok(o)
}

// explained is the copy that is asked about.
func (x *call) explained() (r *row, chosen bool, no *answer) {
	name, chosen := x.body["index"].(string)
	if !chosen {
		x.c.meta.rows(func(o *row) {
			if r == nil && o.state == unassigned {
				r = o
			}
		})
		if r == nil {
			a := failure(http.StatusBadRequest, "illegal_argument_exception", "No shard was specified in the request which means the response should explain a randomly-chosen unassigned shard, but there are no unassigned shards in this cluster. To explain the allocation of an assigned shard you must specify the target shard in the request.")
			return nil, false, &a
		}
		return r, false, nil
	}
	ix := x.c.meta.index(name)
	number, _ := x.body["shard"].(float64)
	if ix == nil || int(number) >= len(ix.shards) {
		a := x.noIndex(name)
		return nil, true, &a
	}
	wantPrimary, _ := x.body["primary"].(bool)
	current, _ := x.body["current_node"].(string)
	for _, o := range ix.shards[int(number)].rows {
		if o.primary != wantPrimary || current != "" && (o.on == nil || o.on.name != current && o.on.id != current) {
			continue
		}
		// Without a node named, a copy that is nowhere is what one wants to know about.
		if r == nil || o.state == unassigned {
			r = o
		}
	}
	if r == nil {
		a := failure(http.StatusBadRequest, "illegal_argument_exception", "unable to find such a shard copy")
		return nil, true, &a
	}
	return r, true, nil
}

func (x *call) explainUnassigned(r *row, o obj) {
	c := x.c
	o["unassigned_info"] = x.unassignedInfo(r, "last_allocation_status")
	places, free := x.places(r)
	if r.primary && !r.s.fresh {
		o["can_allocate"] = "no_valid_shard_copy"
		o["allocate_explanation"] = "cannot allocate because all found copies of the shard are either stale or corrupt"
		o["node_allocation_decisions"] = []any{}
		return
	}
	o["node_allocation_decisions"] = places
	switch {
	case r.waits.After(c.now):
		left := r.waits.Sub(c.now)
		o["can_allocate"] = "allocation_delayed"
		o["configured_delay_in_millis"], o["remaining_delay_in_millis"] = c.delayedTimeout(r.s.ix).Milliseconds(), left.Milliseconds()
		o["allocate_explanation"] = fmt.Sprintf("cannot allocate because the cluster is still waiting %s for the departed node holding a replica to rejoin", elapsed(left.Round(100*time.Millisecond)))
	case free == "throttled":
		o["can_allocate"], o["allocate_explanation"] = "throttled", "allocation temporarily throttled"
	case free == "yes":
		o["can_allocate"], o["allocate_explanation"] = "yes", "can allocate the shard"
	default:
		o["can_allocate"], o["allocate_explanation"] = "no", "cannot allocate because allocation is not permitted to any of the nodes"
	}
}

func (x *call) explainPlaced(r *row, o obj) {
	o["current_node"] = obj{"id": r.on.id, "name": r.on.name, "transport_address": r.on.address(r.on.transport), "attributes": r.on.attributesDoc()}
	if r.state != started {
		o["explanation"] = "the shard is in the process of " + map[state]string{relocating: "relocating", initializing: "initializing"}[r.state]
		return
	}
	places, free := x.places(r)
	o["node_allocation_decisions"] = places
	against := x.c.remain(r)
	if len(against) > 0 {
		o["can_remain_on_current_node"], o["can_remain_decisions"] = "no", deciders(against)
		o["can_move_to_other_node"], o["move_explanation"] = free, "cannot move shard to another node, even though it is not allowed to remain on its current node"
		if free == "yes" {
			o["move_explanation"] = "shard cannot remain on this node and is force-moved to another node"
		}
		return
	}
	o["can_remain_on_current_node"], o["can_rebalance_cluster"], o["can_rebalance_to_other_node"] = "yes", "yes", "no"
	o["rebalance_explanation"] = "cannot rebalance as no target node exists that can both allocate this shard and improve the cluster balance"
}

func deciders(list []decision) []any {
	out := []any{}
	for _, d := range list {
		verdict := "NO"
		if d.throttle {
			verdict = "THROTTLE"
		}
		out = append(out, obj{"decider": d.decider, "decision": verdict, "explanation": d.explanation})
	}
	return out
}

// places asks every data node but the copy's own; free is yes if one takes it, throttled if one would later, else no.
func (x *call) places(r *row) (list []any, free string) {
	free, list = "no", []any{}
	for i, n := range x.c.dataNodes() {
		if n == r.on {
			continue
		}
		against := x.c.decide(r, n)
		o := obj{"node_id": n.id, "node_name": n.name, "transport_address": n.address(n.transport), "node_attributes": n.attributesDoc(), "node_decision": verdict(against)}
		if r.on != nil {
			o["weight_ranking"] = i + 1
		}
		if len(against) > 0 {
			o["deciders"] = deciders(against)
		}
		if v := verdict(against); v == "yes" || v == "throttled" && free == "no" {
			free = v
		}
		list = append(list, o)
	}
	return list, free
}

func verdict(against []decision) string {
	v := "yes"
	for _, d := range against {
		if !d.throttle {
			return "no"
		}
		v = "throttled"
	}
	return v
}
