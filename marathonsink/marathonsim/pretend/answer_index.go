package pretend

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

func (x *call) createIndex() answer {
	name := x.parts[0]
	if x.c.meta.index(name) != nil {
		kind := "resource_already_exists_exception"
		if !x.version.atLeast(5, 0) {
			kind = "index_already_exists_exception"
		}
		return failure(http.StatusBadRequest, kind, fmt.Sprintf("index [%s] already exists", name))
	}
	if name != strings.ToLower(name) {
		return failure(http.StatusBadRequest, "invalid_index_name_exception", fmt.Sprintf("Invalid index name [%s], must be lowercase", name))
	}
	flat, own := map[string]*string{}, settings{}
	flatten("", x.body["settings"], flat)
	for k, v := range flat {
		if v != nil && k != "" {
			own[withIndex(k)] = *v
		}
	}
	x.c.meta.insert(x.c.newIndex(name, own, 0))
	o := obj{"acknowledged": true}
	if x.version.atLeast(5, 0) {
		o["shards_acknowledged"], o["index"] = true, name
	}
	return ok(o)
}

func (x *call) getIndex() answer {
	all, found := x.indicesOf(x.parts[0])
	if !found {
		return x.noIndex(x.parts[0])
	}
	out := obj{}
	for _, ix := range all {
		out[ix.name] = obj{"aliases": obj{}, "mappings": obj{}, "settings": x.settingsDoc(ix)}
	}
	return ok(out)
}

func (x *call) deleteIndex() answer {
	all, found := x.indicesOf(x.parts[0])
	if !found {
		return x.noIndex(x.parts[0])
	}
	gone := slices.Clone(all)
	for _, ix := range gone {
		for _, s := range ix.shards {
			for _, d := range x.c.disks {
				delete(d.copies, s)
			}
		}
	}
	x.c.meta.indices = slices.DeleteFunc(x.c.meta.indices, func(ix *index) bool { return slices.Contains(gone, ix) })
	return ok(obj{"acknowledged": true})
}

// putDoc is a client's write to this very node.
func (x *call) putDoc() answer {
	if !x.member() {
		if x.version.opensearch && x.version.major >= 2 {
			return x.noMaster()
		}
		return failure(http.StatusServiceUnavailable, "cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE/2/no master];")
	}
	ix, err := x.c.writable(x.parts[0])
	if err != nil {
		return x.noIndex(x.parts[0])
	}
	id := fmt.Sprintf("%s-%d", ix.name, ix.writes)
	if len(x.parts) > 2 {
		id = x.parts[2]
	}
	_, again := ix.ids[id]
	if err := x.c.write(ix, id); err != nil {
		return failure(http.StatusServiceUnavailable, "unavailable_shards_exception", err.Error())
	}
	o := obj{"_index": ix.name, "_id": id, "_version": 1, "result": "created", "_shards": obj{"total": ix.replicas() + 1, "successful": 1, "failed": 0}}
	if again {
		o["result"] = "updated"
	}
	return answer{code: http.StatusCreated, body: o}
}

func (x *call) getDoc() answer {
	if x.c.meta == nil || x.c.meta.index(x.parts[0]) == nil {
		return x.noIndex(x.parts[0])
	}
	ix := x.c.meta.index(x.parts[0])
	w, found := ix.ids[x.parts[2]]
	if found {
		held := w.s.primary().held()
		if held == nil {
			return failure(http.StatusServiceUnavailable, "no_shard_available_action_exception", fmt.Sprintf("No shard available for [%s]", w.s))
		}
		found = held.docs.has(w.n)
	}
	a := ok(obj{"_index": ix.name, "_id": x.parts[2], "found": found})
	if !found {
		a.code = http.StatusNotFound
	}
	return a
}

func (x *call) count() answer {
	if x.c.meta == nil {
		return x.noIndex(x.parts[0])
	}
	all, found := x.indicesOf(x.parts[0])
	if !found {
		return x.noIndex(x.parts[0])
	}
	docs, shards, good := 0, 0, 0
	for _, ix := range all {
		for _, s := range ix.shards {
			shards++
			if held := s.primary().held(); held != nil {
				good++
				docs += held.docs.count()
			}
		}
	}
	return ok(obj{"count": docs, "_shards": obj{"total": shards, "successful": good, "skipped": 0, "failed": shards - good}})
}

// flush remembers what every serving copy holds: a copy that comes back unchanged has nothing to copy.
func (x *call) flush() answer {
	list := ""
	if !strings.HasPrefix(x.parts[0], "_") {
		list = x.parts[0]
	}
	all, found := x.indicesOf(list)
	if !found {
		return x.noIndex(list)
	}
	total, good := 0, 0
	for _, ix := range all {
		for _, s := range ix.shards {
			for _, r := range s.rows {
				total++
				if held := r.held(); held != nil && x.c.reaches(r.on, x.c.master) {
					held.flushed = s.written
					good++
				}
			}
		}
	}
	o := obj{"_shards": obj{"total": total, "successful": good, "failed": 0}}
	a := ok(o)
	if len(x.parts) > 1 && x.parts[len(x.parts)-1] == "synced" && good < total {
		o["_shards"] = obj{"total": total, "successful": good, "failed": total - good}
		a.code = http.StatusConflict
	}
	return a
}

// reroute tries copies again that failed too often.
func (x *call) reroute() answer {
	if x.flag("retry_failed", false) {
		x.c.meta.rows(func(r *row) { r.failures = 0 })
	}
	return ok(obj{"acknowledged": true})
}
