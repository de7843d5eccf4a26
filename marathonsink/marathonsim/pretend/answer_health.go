package pretend

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// health waits as asked, first for a master, then for the rest, and answers 408 if that did not come.
func (x *call) health() answer {
	local := x.flag("local", false)
	if !local && !x.awaitMaster() {
		return x.noMaster()
	}
	index := ""
	if len(x.parts) > 2 {
		index = x.parts[2]
	}
	good := func() bool { return x.satisfied(x.c.health(index)) && (local || x.member()) }
	fine := x.await(good, x.limit("timeout", 30*time.Second))
	var body obj
	gone := false
	x.fleet.enter(x.c, func() {
		// What it waited for may hold at the last moment, and a master may be gone by now.
		gone = !local && !x.member()
		body = x.healthDoc(index, !fine)
	})
	if gone {
		return x.noMaster()
	}
	a := ok(body)
	if !fine && x.version.atLeast(2, 0) {
		a.code = http.StatusRequestTimeout
	}
	return a
}

// satisfied says that everything the call waits for is so.
func (x *call) satisfied(h counts) bool {
	status := x.q.Get("wait_for_status")
	if status != "" && worse(status, h.status) != status {
		return false
	}
	if x.flag("wait_for_no_relocating_shards", false) && h.relocating > 0 || x.flag("wait_for_no_initializing_shards", false) && h.initializing > 0 {
		return false
	}
	if n, err := strconv.Atoi(x.q.Get("wait_for_relocating_shards")); err == nil && h.relocating > n {
		return false
	}
	if w := x.q.Get("wait_for_active_shards"); w == "all" && h.initializing+h.unassigned > 0 {
		return false
	} else if n, err := strconv.Atoi(w); err == nil && h.active < n {
		return false
	}
	return enoughNodes(x.q.Get("wait_for_nodes"), h.nodes)
}

// enoughNodes reads 3, >=3, ge(3) and so on.
func enoughNodes(want string, have int) bool {
	if want == "" {
		return true
	}
	number := strings.Trim(want, "<>=gelt()")
	n, err := strconv.Atoi(number)
	if err != nil {
		return true
	}
	switch strings.TrimSuffix(strings.Replace(want, number, "", 1), "()") {
	case ">=", "ge":
		return have >= n
	case "<=", "le":
		return have <= n
	case ">", "gt":
		return have > n
	case "<", "lt":
		return have < n
	}
	return have == n
}

func (h *counts) doc() obj {
	return obj{"status": h.status, "active_primary_shards": h.primaries, "active_shards": h.active,
		"relocating_shards": h.relocating, "initializing_shards": h.initializing, "unassigned_shards": h.unassigned}
}

func (x *call) healthDoc(index string, timedOut bool) obj {
	h := x.c.health(index)
	if !x.member() {
		h.status = "red"
		if peers := x.peers(); len(peers) < h.nodes || x.c.master == nil {
			h.nodes, h.data = len(peers), 0
			for _, n := range peers {
				if n.data {
					h.data++
				}
			}
		}
	}
	o := h.doc()
	o["cluster_name"], o["timed_out"] = x.cluster, timedOut
	o["number_of_nodes"], o["number_of_data_nodes"] = h.nodes, h.data
	o["number_of_pending_tasks"], o["number_of_in_flight_fetch"] = 0, 0
	if x.version.atLeast(1, 6) {
		o["delayed_unassigned_shards"] = h.delayed
	}
	if x.version.atLeast(2, 0) {
		o["task_max_waiting_in_queue_millis"], o["active_shards_percent_as_number"] = 0, h.percent()
	}
	if x.version.opensearch {
		o["discovered_master"] = x.member()
		if x.version.major >= 2 {
			o["discovered_cluster_manager"] = x.member()
		}
	}
	if level := x.q.Get("level"); x.c.meta != nil && (level == "indices" || level == "shards") {
		indices := obj{}
		for _, ix := range x.c.meta.indices {
			if index == "" || index == ix.name {
				indices[ix.name] = x.indexHealth(ix, level == "shards")
			}
		}
		o["indices"] = indices
	}
	return o
}

func (x *call) indexHealth(ix *index, shards bool) obj {
	h := counts{status: "green"}
	each := obj{}
	for _, s := range ix.shards {
		h.add(x.c, s)
		one := counts{status: "green"}
		one.add(x.c, s)
		d := one.doc()
		delete(d, "active_primary_shards")
		d["primary_active"] = one.primaries == 1
		each[strconv.Itoa(s.number)] = d
	}
	o := h.doc()
	o["number_of_shards"], o["number_of_replicas"] = len(ix.shards), ix.replicas()
	if shards {
		o["shards"] = each
	}
	return o
}

// state is /_cluster/state with its metrics.
func (x *call) state() answer {
	metrics := []string{"_all"}
	if len(x.parts) > 2 {
		metrics = words(x.parts[2])
	}
	wants := func(m string) bool { return slices.Contains(metrics, m) || slices.Contains(metrics, "_all") }
	c := x.c
	o := obj{"cluster_name": x.cluster}
	m := c.meta
	if m == nil || x.seen == nil {
		m = &meta{uuid: "_na_"}
	}
	if x.version.atLeast(6, 4) {
		o["cluster_uuid"] = m.uuid
	}
	if wants("version") {
		o["version"], o["state_uuid"] = m.version, name22(x.fleet.Seed, m.uuid, m.version)
	}
	if wants("master_node") {
		o["master_node"] = nil
		if x.member() || x.hangs() {
			o["master_node"] = c.master.id
		}
	}
	if wants("cluster_manager_node") && x.version.opensearch && x.member() {
		o["cluster_manager_node"] = c.master.id
	}
	if wants("blocks") || !x.member() && !x.hangs() {
		o["blocks"] = obj{}
		if !x.member() && !x.hangs() {
			o["blocks"] = obj{"global": obj{"2": obj{"description": "no master", "retryable": true, "levels": []string{"write", "metadata_write"}}}}
		}
	}
	if wants("nodes") {
		nodes := obj{}
		for _, n := range x.peers() {
			nodes[n.id] = x.stateNode(n)
		}
		o["nodes"] = nodes
	}
	if wants("metadata") {
		o["metadata"] = x.metadata(m)
	}
	if wants("routing_table") {
		o["routing_table"] = obj{"indices": x.routingTable(m)}
	}
	return ok(o)
}

func (x *call) stateNode(n *node) obj {
	o := obj{"name": n.name, "transport_address": n.address(n.transport), "attributes": n.attributesDoc()}
	if x.version.atLeast(5, 0) {
		o["ephemeral_id"] = n.ephemeral
	}
	if x.version.atLeast(7, 3) || x.version.opensearch {
		o["roles"] = n.listRoles()
	}
	if x.version.major >= 8 && !x.version.opensearch {
		o["external_id"], o["version"] = n.name, n.version.String()
	}
	return o
}

func (x *call) metadata(m *meta) obj {
	o := obj{"cluster_uuid": m.uuid, "templates": obj{}, "indices": obj{}}
	if x.version.atLeast(7, 0) {
		exclusions := []any{}
		for _, e := range m.exclusions {
			exclusions = append(exclusions, obj{"node_id": e.id, "node_name": e.name})
		}
		voting := append([]string{}, m.voting...)
		o["cluster_coordination"] = obj{"term": m.term, "last_committed_config": voting, "last_accepted_config": voting, "voting_config_exclusions": exclusions}
		o["cluster_uuid_committed"] = m.uuid != "_na_"
	}
	templates := obj{}
	for name, t := range m.templates {
		templates[name] = t
	}
	o["templates"] = templates
	indices := obj{}
	for _, ix := range m.indices {
		sync, terms := obj{}, obj{}
		for _, s := range ix.shards {
			sync[strconv.Itoa(s.number)] = append([]string{}, s.inSync...)
			terms[strconv.Itoa(s.number)] = 1
		}
		d := obj{"state": "open", "settings": x.settingsDoc(ix), "mappings": obj{}, "aliases": []any{}}
		if x.version.atLeast(5, 0) {
			d["in_sync_allocations"], d["primary_terms"] = sync, terms
		}
		indices[ix.name] = d
	}
	o["indices"] = indices
	return o
}

// settingsDoc are an index's settings as Elasticsearch shows them, those that it made itself included.
func (x *call) settingsDoc(ix *index) obj {
	all := settings{"index.uuid": ix.uuid, "index.creation_date": strconv.FormatInt(ix.created.UnixMilli(), 10), "index.provided_name": ix.name}
	all.merge(ix.settings)
	return all.object(x.flag("flat_settings", false))
}

func (x *call) routingTable(m *meta) obj {
	indices := obj{}
	for _, ix := range m.indices {
		shards := obj{}
		for _, s := range ix.shards {
			var rows []any
			for _, r := range s.rows {
				rows = append(rows, x.rowDoc(r))
			}
			shards[strconv.Itoa(s.number)] = rows
		}
		indices[ix.name] = obj{"shards": shards}
	}
	return indices
}

func (x *call) rowDoc(r *row) obj {
	o := obj{"state": string(r.state), "primary": r.primary, "node": nil, "relocating_node": nil, "shard": r.s.number, "index": r.s.ix.name}
	if r.on != nil {
		o["node"], o["allocation_id"] = r.on.id, obj{"id": r.alloc}
	}
	if r.to != nil {
		o["relocating_node"], o["allocation_id"] = r.to.id, obj{"id": r.alloc, "relocation_id": r.toAlloc}
	}
	if r.state == unassigned || r.state == initializing {
		if x.version.atLeast(5, 0) {
			o["recovery_source"] = obj{"type": r.source()}
		}
		o["unassigned_info"] = x.unassignedInfo(r, "allocation_status")
	}
	if x.version.major >= 8 && !x.version.opensearch {
		o["relocation_failure_info"] = obj{"failed_attempts": 0}
	}
	return o
}

// source is where the copy would come from.
func (r *row) source() string {
	switch {
	case r.kind != "" && r.state == initializing:
		return r.kind
	case !r.primary:
		return "PEER"
	case r.s.fresh:
		return "EMPTY_STORE"
	}
	return "EXISTING_STORE"
}

func (x *call) unassignedInfo(r *row, status string) obj {
	o := obj{"reason": r.reason, "at": r.at.UTC().Format("2006-01-02T15:04:05.000Z")}
	if status == "allocation_status" {
		o["delayed"] = r.waits.After(x.c.now)
	}
	if r.details != "" {
		o["details"] = r.details
	}
	if x.version.atLeast(5, 0) {
		o[status] = "no_attempt"
	}
	return o
}
