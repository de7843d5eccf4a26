package pretend

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A table is what a _cat call answers: rows of columns, nil where there is nothing.
type table struct {
	columns []string // shown when h is not given
	rows    []map[string]any
}

func (x *call) table(t table) answer {
	columns := t.columns
	if h := words(x.q.Get("h")); len(h) > 0 {
		columns = h
	}
	if x.q.Get("format") == "json" {
		rows := []any{}
		for _, r := range t.rows {
			o := obj{}
			for _, c := range columns {
				if v, ok := r[c]; ok {
					o[c] = v
				}
			}
			rows = append(rows, o)
		}
		return ok(rows)
	}
	var sb strings.Builder
	if x.flag("v", false) {
		sb.WriteString(strings.Join(columns, " ") + "\n")
	}
	for _, r := range t.rows {
		for i, c := range columns {
			if i > 0 {
				sb.WriteByte(' ')
			}
			if v := r[c]; v != nil {
				fmt.Fprint(&sb, v)
			}
		}
		sb.WriteByte('\n')
	}
	return answer{code: 200, text: sb.String()}
}

func (x *call) catMaster() answer {
	m := x.c.master
	return x.table(table{[]string{"id", "host", "ip", "node"}, []map[string]any{{"id": m.id, "host": m.task.Host, "ip": m.task.Host, "node": m.name}}})
}

func (x *call) catNodes() answer {
	t := table{columns: []string{"ip", "heap.percent", "ram.percent", "cpu", "load_1m", "load_5m", "load_15m", "node.role", "master", "name"}}
	for _, n := range x.c.members {
		id, master := n.id, "-"
		if !x.flag("full_id", false) {
			id = id[:4]
		}
		if n == x.c.master {
			master = "*"
		}
		up := x.c.now.Sub(n.startedAt)
		t.rows = append(t.rows, map[string]any{"id": id, "name": n.name, "ip": n.task.Host, "port": strconv.Itoa(n.transport), "version": n.version.String(),
			"node.role": n.letters(), "master": master, "heap.percent": strconv.Itoa(percentOf(n.name, "heap")), "ram.percent": strconv.Itoa(percentOf(n.name, "ram")),
			"cpu": "1", "load_1m": "0.10", "load_5m": "0.10", "load_15m": "0.10", "uptime": elapsed(up), "http_address": n.address(n.http)})
	}
	return x.table(t)
}

// elapsed is a time as _cat writes it.
func elapsed(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.3gs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.3gm", d.Minutes())
	case d < 24*time.Hour:
		return fmt.Sprintf("%.3gh", d.Hours())
	}
	return fmt.Sprintf("%.3gd", d.Hours()/24)
}

// size is bytes as _cat writes them.
func (x *call) size(n int64) string {
	if x.q.Get("bytes") == "b" {
		return strconv.FormatInt(n, 10)
	}
	units := []string{"b", "kb", "mb", "gb", "tb"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return strconv.FormatFloat(float64(int64(v*10))/10, 'f', -1, 64) + units[i]
}

func (x *call) catShards() answer {
	t := table{columns: []string{"index", "shard", "prirep", "state", "docs", "store", "ip", "node"}}
	x.c.meta.rows(func(r *row) {
		if len(x.parts) > 2 && !matches(words(x.parts[2]), r.s.ix.name) {
			return
		}
		kind := "r"
		if r.primary {
			kind = "p"
		}
		o := map[string]any{"index": r.s.ix.name, "shard": strconv.Itoa(r.s.number), "prirep": kind, "state": string(r.state)}
		for _, k := range []string{"docs", "store", "ip", "node", "id", "unassigned.reason", "unassigned.at", "unassigned.for", "unassigned.details"} {
			o[k] = nil
		}
		if r.on != nil {
			o["ip"], o["node"], o["id"] = r.on.task.Host, r.on.name, r.on.id
		}
		if held := r.held(); held != nil {
			o["docs"], o["store"] = strconv.Itoa(held.docs.count()), x.size(r.s.bytes())
		}
		if r.to != nil {
			o["node"] = fmt.Sprintf("%s -> %s %s %s", r.on.name, r.to.task.Host, r.to.id, r.to.name)
		}
		if r.reason != "" {
			o["unassigned.reason"], o["unassigned.at"] = r.reason, r.at.UTC().Format("2006-01-02T15:04:05.000Z")
			o["unassigned.for"] = elapsed(x.c.now.Sub(r.at))
			if r.details != "" {
				o["unassigned.details"] = r.details
			}
		}
		t.rows = append(t.rows, o)
	})
	return x.table(t)
}

// held is the copy on the row's node, nil if it does not serve.
func (r *row) held() *replica {
	if !r.active() {
		return nil
	}
	return r.on.disk.copies[r.s]
}

func (x *call) catAllocation() answer {
	t := table{columns: []string{"shards", "disk.indices", "disk.used", "disk.avail", "disk.total", "disk.percent", "host", "ip", "node"}}
	for _, n := range x.c.dataNodes() {
		used := x.c.used(n)
		own := used - int64(x.fleet.host(n.task.Host).filler*float64(n.diskBytes))
		t.rows = append(t.rows, map[string]any{"shards": strconv.Itoa(x.c.count(n, nil)), "disk.indices": x.size(own), "disk.used": x.size(used),
			"disk.avail": x.size(n.diskBytes - used), "disk.total": x.size(n.diskBytes), "disk.percent": strconv.Itoa(int(float64(used) / float64(max(1, n.diskBytes)) * 100)),
			"host": n.task.Host, "ip": n.task.Host, "node": n.name})
	}
	without := 0
	x.c.meta.rows(func(r *row) {
		if r.state == unassigned {
			without++
		}
	})
	if without > 0 {
		t.rows = append(t.rows, map[string]any{"shards": strconv.Itoa(without), "disk.indices": nil, "disk.used": nil, "disk.avail": nil,
			"disk.total": nil, "disk.percent": nil, "host": nil, "ip": nil, "node": "UNASSIGNED"})
	}
	return x.table(t)
}

// A progress is one recovery under way.
type progress struct {
	r             *row
	to, from      *node
	stage         string
	running       time.Duration
	bytes, done   int64
	ops, replayed int
}

// recoveries under way, by index and number.
func (c *cluster) recoveries() []progress {
	var out []progress
	c.meta.rows(func(r *row) {
		to, from := r.recovering()
		if to == nil {
			return
		}
		p := progress{r: r, to: to, from: from, stage: "INDEX", running: c.now.Sub(r.began), bytes: r.s.bytes()}
		part := 0.0
		if whole := r.ends.Sub(r.began); whole > 0 {
			part = min(1, float64(p.running)/float64(whole))
		}
		if r.opsOnly {
			p.stage, p.bytes, p.ops = "TRANSLOG", 0, r.s.written
			p.replayed = int(part * float64(p.ops))
		}
		p.done = int64(part * float64(p.bytes))
		out = append(out, p)
	})
	return out
}

func (p progress) kind() string {
	if p.r.state == relocating {
		return "PEER"
	}
	return p.r.kind
}

func percent(done, all int64) string {
	if all == 0 {
		return "100.0%"
	}
	return fmt.Sprintf("%.1f%%", float64(done)/float64(all)*100)
}

func (x *call) catRecovery() answer {
	t := table{columns: []string{"index", "shard", "time", "type", "stage", "source_host", "source_node", "target_host", "target_node", "repository", "snapshot",
		"files", "files_recovered", "files_percent", "files_total", "bytes", "bytes_recovered", "bytes_percent", "bytes_total",
		"translog_ops", "translog_ops_recovered", "translog_ops_percent"}}
	for _, p := range x.c.recoveries() {
		o := map[string]any{"index": p.r.s.ix.name, "shard": strconv.Itoa(p.r.s.number), "time": elapsed(p.running), "type": strings.ToLower(p.kind()),
			"stage": strings.ToLower(p.stage), "source_host": "n/a", "source_node": "n/a", "target_host": p.to.task.Host, "target_node": p.to.name,
			"repository": "n/a", "snapshot": "n/a", "files": "1", "files_recovered": "0", "files_percent": "0.0%", "files_total": "1",
			"bytes": strconv.FormatInt(p.bytes, 10), "bytes_recovered": strconv.FormatInt(p.done, 10), "bytes_percent": percent(p.done, p.bytes), "bytes_total": strconv.FormatInt(p.bytes, 10),
			"translog_ops": strconv.Itoa(p.ops), "translog_ops_recovered": strconv.Itoa(p.replayed), "translog_ops_percent": percent(int64(p.replayed), int64(p.ops))}
		if p.from != nil {
			o["source_host"], o["source_node"] = p.from.task.Host, p.from.name
		}
		t.rows = append(t.rows, o)
	}
	return x.table(t)
}

// recovery is /_recovery, with what is under way and nothing of the past.
func (x *call) recovery() answer {
	out := obj{}
	end := func(n *node) obj {
		if n == nil {
			return obj{}
		}
		return obj{"id": n.id, "host": n.task.Host, "transport_address": n.address(n.transport), "ip": n.task.Host, "name": n.name}
	}
	for _, p := range x.c.recoveries() {
		size := obj{"total_in_bytes": p.bytes, "reused_in_bytes": 0, "recovered_in_bytes": p.done, "percent": percent(p.done, p.bytes)}
		if x.version.atLeast(7, 15) {
			size["recovered_from_snapshot_in_bytes"] = 0
		}
		d := obj{"id": p.r.s.number, "type": p.kind(), "stage": p.stage, "primary": p.r.primary, "start_time_in_millis": p.r.began.UnixMilli(),
			"total_time_in_millis": p.running.Milliseconds(), "source": end(p.from), "target": end(p.to),
			"index": obj{"size": size, "files": obj{"total": 1, "reused": 0, "recovered": 0, "percent": "0.0%"},
				"total_time_in_millis": p.running.Milliseconds(), "source_throttle_time_in_millis": 0, "target_throttle_time_in_millis": 0},
			"translog":     obj{"recovered": p.replayed, "total": p.ops, "percent": percent(int64(p.replayed), int64(p.ops)), "total_on_start": p.ops, "total_time_in_millis": 0},
			"verify_index": obj{"check_index_time_in_millis": 0, "total_time_in_millis": 0}}
		list, _ := out[p.r.s.ix.name].(obj)
		if list == nil {
			list = obj{"shards": []any{}}
			out[p.r.s.ix.name] = list
		}
		list["shards"] = append(list["shards"].([]any), d)
	}
	return ok(out)
}

// stats is /_stats: documents and bytes.
func (x *call) stats() answer {
	var names []string
	if i := slices.Index(x.parts, "_stats"); i == 1 {
		names = words(x.parts[0])
	}
	type sum struct {
		docs  int
		bytes int64
	}
	doc := func(s sum) obj {
		return obj{"docs": obj{"count": s.docs, "deleted": 0}, "store": obj{"size_in_bytes": s.bytes, "reserved_in_bytes": 0}}
	}
	var allP, allT sum
	copies, active := 0, 0
	indices := obj{}
	for _, ix := range x.c.meta.indices {
		if len(names) > 0 && names[0] != "_all" && !matches(names, ix.name) {
			continue
		}
		var p, t sum
		shards := obj{}
		for _, s := range ix.shards {
			rows := []any{}
			for _, r := range s.rows {
				copies++
				held := r.held()
				if held == nil {
					continue
				}
				active++
				one := sum{held.docs.count(), s.bytes()}
				if r.primary {
					p.docs, p.bytes = p.docs+one.docs, p.bytes+one.bytes
				}
				t.docs, t.bytes = t.docs+one.docs, t.bytes+one.bytes
				d := doc(one)
				var to any
				if r.to != nil {
					to = r.to.id
				}
				d["routing"] = obj{"state": string(r.state), "primary": r.primary, "node": r.on.id, "relocating_node": to}
				rows = append(rows, d)
			}
			shards[strconv.Itoa(s.number)] = rows
		}
		o := obj{"uuid": ix.uuid, "primaries": doc(p), "total": doc(t)}
		if x.q.Get("level") == "shards" {
			o["shards"] = shards
		}
		indices[ix.name] = o
		allP = sum{allP.docs + p.docs, allP.bytes + p.bytes}
		allT = sum{allT.docs + t.docs, allT.bytes + t.bytes}
	}
	return ok(obj{"_shards": obj{"total": copies, "successful": active, "failed": 0}, "_all": obj{"primaries": doc(allP), "total": doc(allT)}, "indices": indices})
}
