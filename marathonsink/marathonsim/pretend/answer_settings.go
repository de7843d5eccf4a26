package pretend

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

func (x *call) getSettings() answer {
	flat := x.flag("flat_settings", false)
	o := obj{"persistent": x.c.meta.persistent.object(flat), "transient": x.c.meta.transient.object(flat)}
	if x.flag("include_defaults", false) {
		all := settings{"cluster.routing.allocation.enable": "all", "cluster.routing.rebalance.enable": "all",
			"cluster.routing.allocation.disk.watermark.low": "85%", "cluster.routing.allocation.disk.watermark.high": "90%",
			"cluster.routing.allocation.node_concurrent_recoveries": "2", "indices.recovery.max_bytes_per_sec": "40mb"}
		all.merge(x.c.master.settings)
		o["defaults"] = all.object(flat)
	}
	return ok(o)
}

// known are the beginnings of cluster settings; others are refused from 5.0 on.
var known = []string{"cluster.", "indices.", "action.", "logger.", "search.", "script.", "ingest.", "xpack.", "plugins.", "snapshot.", "gateway.", "discovery."}

const minimumMasters = "discovery.zen.minimum_master_nodes"

func (x *call) putSettings() answer {
	done := obj{"acknowledged": true}
	changes := map[string]map[string]*string{}
	for _, scope := range []string{"persistent", "transient"} {
		flat := map[string]*string{}
		if body, ok := x.body[scope].(obj); ok {
			flatten("", body, flat)
		}
		for _, k := range sorted(flat) {
			if no := x.refuseSetting(scope, k, flat[k]); no != nil {
				return *no
			}
		}
		changes[scope] = flat
	}
	for _, scope := range []string{"persistent", "transient"} {
		into := x.c.meta.persistent
		if scope == "transient" {
			into = x.c.meta.transient
		}
		set := settings{}
		for k, v := range changes[scope] {
			if v == nil && !x.version.atLeast(5, 0) {
				delete(changes[scope], k) // before 5.0 a null changes nothing
			} else if v != nil {
				set[k] = *v
			}
		}
		into.update(changes[scope])
		done[scope] = set.object(x.flag("flat_settings", false))
	}
	return ok(done)
}

func (x *call) refuseSetting(scope, key string, value *string) *answer {
	bad := func(format string, args ...any) *answer {
		a := failure(http.StatusBadRequest, "illegal_argument_exception", fmt.Sprintf(format, args...))
		return &a
	}
	recognized := strings.HasSuffix(key, "*")
	for _, p := range known {
		recognized = recognized || strings.HasPrefix(key, p)
	}
	if key == minimumMasters && x.version.major >= 8 || key == minimumMasters && x.version.opensearch {
		recognized = false
	}
	switch {
	case !recognized && x.version.atLeast(5, 0) && value != nil:
		return bad("%s setting [%s], not recognized", scope, key)
	case value == nil:
		return nil
	case key == minimumMasters && x.version.zen1():
		have := 0
		for _, n := range x.c.members {
			if x.c.eligible(n) {
				have++
			}
		}
		if n, err := strconv.Atoi(*value); err != nil || n > have {
			return bad("cannot set %s to more than the current master nodes count [%d]", minimumMasters, have)
		}
	case strings.HasSuffix(key, "allocation.enable"):
		switch strings.ToLower(*value) {
		case "all", "primaries", "new_primaries", "none":
		default:
			return bad("Illegal allocation.enable value [%s]", strings.ToUpper(*value))
		}
	}
	return nil
}

// indicesOf are those that a path names; false: one of them is not there.
func (x *call) indicesOf(list string) ([]*index, bool) {
	if list == "" || list == "_all" || list == "*" {
		return x.c.meta.indices, true
	}
	var out []*index
	for _, w := range words(list) {
		found := false
		for _, ix := range x.c.meta.indices {
			if matches([]string{w}, ix.name) {
				out, found = append(out, ix), true
			}
		}
		if !found && !strings.Contains(w, "*") {
			return nil, false
		}
	}
	return out, true
}

func (x *call) noIndex(name string) answer {
	return failure(http.StatusNotFound, "index_not_found_exception", fmt.Sprintf("no such index [%s]", name))
}

func (x *call) getIndexSettings() answer {
	list := strings.TrimSuffix(strings.Join(x.parts[:len(x.parts)-1], "/"), "/")
	all, found := x.indicesOf(list)
	if !found {
		return x.noIndex(list)
	}
	out := obj{}
	for _, ix := range all {
		out[ix.name] = obj{"settings": x.settingsDoc(ix)}
	}
	return ok(out)
}

func (x *call) putIndexSettings() answer {
	list := ""
	if len(x.parts) == 2 {
		list = x.parts[0]
	}
	all, found := x.indicesOf(list)
	if !found {
		return x.noIndex(list)
	}
	body := x.body
	if inner, ok := body["settings"].(obj); ok {
		body = inner
	}
	flat, changes := map[string]*string{}, map[string]*string{}
	flatten("", body, flat)
	for k, v := range flat {
		changes[withIndex(k)] = v
	}
	if _, ok := changes["index.number_of_shards"]; ok {
		return failure(http.StatusBadRequest, "illegal_argument_exception", "Can't update non dynamic settings [[index.number_of_shards]] for open indices")
	}
	for _, ix := range all {
		ix.settings.update(changes)
		if v, ok := changes["index.number_of_replicas"]; ok && v == nil {
			ix.settings["index.number_of_replicas"] = "1"
		}
		ix.setReplicas(x.c.now)
		for _, s := range ix.shards {
			for _, r := range s.rows {
				r.wait(x.c)
			}
		}
	}
	return ok(obj{"acknowledged": true})
}

// wait counts the delay of a departed copy anew after its setting changed.
func (r *row) wait(c *cluster) {
	if r.state == unassigned && r.reason == "NODE_LEFT" && !r.primary {
		r.waits = r.at.Add(c.delayedTimeout(r.s.ix))
	}
}

func (x *call) templates() map[string]map[string]any {
	if x.parts[0] == "_index_template" {
		return x.c.meta.composable
	}
	return x.c.meta.templates
}

func (x *call) putTemplate() answer {
	if x.body == nil {
		return failure(http.StatusBadRequest, "parse_exception", "request body is required")
	}
	_, old := x.body["template"].(string)
	_, patterns := x.body["index_patterns"]
	if x.version.atLeast(6, 0) && !patterns || !x.version.atLeast(6, 0) && !old {
		return failure(http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: index patterns are missing;")
	}
	t := obj{}
	for k, v := range x.body {
		t[k] = v
	}
	if x.parts[0] == "_template" {
		normaliseTemplate(t)
	}
	x.templates()[x.parts[1]] = t
	return ok(obj{"acknowledged": true})
}

// normaliseTemplate writes a template as Elasticsearch gives it back: settings below "index" and as text, what was left
// out empty.
func normaliseTemplate(t obj) {
	flat, set := map[string]*string{}, settings{}
	flatten("", t["settings"], flat)
	for k, v := range flat {
		if v != nil {
			set[withIndex(k)] = *v
		}
	}
	delete(set, "index.")
	t["settings"] = set.object(false)
	for _, k := range []string{"mappings", "aliases"} {
		if t[k] == nil {
			t[k] = obj{}
		}
	}
	if t["order"] == nil {
		t["order"] = 0
	}
	if p, ok := t["index_patterns"].(string); ok {
		t["index_patterns"] = []any{p}
	}
}

func (x *call) getTemplate() answer {
	out, want := obj{}, []string{"*"}
	if len(x.parts) > 1 {
		want = words(x.parts[1])
	}
	for name, t := range x.c.meta.templates {
		if matches(want, name) {
			out[name] = t
			if set, nested := t["settings"].(obj); nested && x.flag("flat_settings", false) {
				out[name] = withFlatSettings(t, set)
			}
		}
	}
	a := ok(out)
	if len(out) == 0 && len(x.parts) > 1 && !strings.Contains(x.parts[1], "*") {
		a.code = http.StatusNotFound // with an empty object, as it is
	}
	return a
}

func withFlatSettings(t, set obj) obj {
	flat, out := map[string]*string{}, settings{}
	flatten("", set, flat)
	for k, v := range flat {
		if v != nil {
			out[k] = *v
		}
	}
	o := obj{}
	for k, v := range t {
		o[k] = v
	}
	o["settings"] = out
	return o
}

func (x *call) getComposable() answer {
	want := []string{"*"}
	if len(x.parts) > 1 {
		want = words(x.parts[1])
	}
	list := []any{}
	for _, name := range sorted(x.c.meta.composable) {
		if matches(want, name) {
			list = append(list, obj{"name": name, "index_template": x.c.meta.composable[name]})
		}
	}
	if len(list) == 0 && len(x.parts) > 1 && !strings.Contains(x.parts[1], "*") {
		return failure(http.StatusNotFound, "resource_not_found_exception", fmt.Sprintf("index template matching [%s] not found", x.parts[1]))
	}
	return ok(obj{"index_templates": list})
}

func (x *call) deleteTemplate() answer {
	all := x.templates()
	if all[x.parts[1]] == nil {
		return failure(http.StatusNotFound, "index_template_missing_exception", fmt.Sprintf("index_template [%s] missing", x.parts[1]))
	}
	delete(all, x.parts[1])
	return ok(obj{"acknowledged": true})
}
