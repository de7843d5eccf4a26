package pretend

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are flat keys to text, as Elasticsearch keeps them.
type settings map[string]string

// merge overwrites with o.
func (s settings) merge(o settings) {
	for k, v := range o {
		s[k] = v
	}
}

// flatten takes a JSON object, nested or not, apart; a nil removes a key, and with a * all that it covers.
func flatten(prefix string, v any, out map[string]*string) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if prefix != "" {
				k = prefix + "." + k
			}
			flatten(k, x, out)
		}
	case nil:
		out[prefix] = nil
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = text(x)
		}
		joined := strings.Join(parts, ",")
		out[prefix] = &joined
	default:
		t := text(v)
		out[prefix] = &t
	}
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// update applies a body of PUT _cluster/settings or _settings.
func (s settings) update(changes map[string]*string) {
	for k, v := range changes {
		if v != nil {
			s[k] = *v
			continue
		}
		for have := range s {
			if ok, _ := path.Match(k, have); ok {
				delete(s, have)
			}
		}
	}
}

// object is the settings as JSON: flat, or nested.
func (s settings) object(flat bool) map[string]any {
	out := map[string]any{}
	for k, v := range s {
		if flat {
			out[k] = v
			continue
		}
		nest(out, strings.Split(k, "."), v)
	}
	return out
}

func nest(into map[string]any, keys []string, v any) {
	for i, k := range keys[:len(keys)-1] {
		next, ok := into[k].(map[string]any)
		if !ok {
			if into[k] != nil { // a value is in the way: Elasticsearch keeps the rest flat
				into[strings.Join(keys[i:], ".")] = v
				return
			}
			next = map[string]any{}
			into[k] = next
		}
		into = next
	}
	into[keys[len(keys)-1]] = v
}

// setting is the value in force of a cluster setting: transient, persistent, the master's file.
func (c *cluster) setting(key, fallback string) string {
	for _, s := range []settings{c.meta.transient, c.meta.persistent} {
		if v, ok := s[key]; ok {
			return v
		}
	}
	if v, ok := c.master.settings[key]; ok {
		return v
	}
	return fallback
}

// duration reads 500ms, 5m, 1d, -1, 0.
func duration(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	if s == "0" || s == "-1" {
		return 0, true
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	s = strings.NewReplacer("micros", "us", "nanos", "ns").Replace(s)
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// words splits a comma list.
func words(s string) []string {
	var out []string
	for w := range strings.SplitSeq(s, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// matches says whether a name is in a list with wildcards.
func matches(list []string, name string) bool {
	return slices.ContainsFunc(list, func(p string) bool {
		if !strings.ContainsAny(p, `*?[\`) {
			return p == name
		}
		ok, _ := path.Match(p, name)
		return ok
	})
}

// fromTemplates are the settings of the templates that fit an index, the highest order last; a composable one replaces
// them all.
func (m *meta) fromTemplates(name string) settings {
	type fit struct {
		order float64
		name  string
		body  map[string]any
	}
	collect := func(all map[string]map[string]any, key string) []fit {
		var fits []fit
		for n, t := range all {
			patterns := []string{}
			switch p := t["index_patterns"].(type) {
			case []any:
				for _, x := range p {
					patterns = append(patterns, text(x))
				}
			case string:
				patterns = words(p)
			}
			if p, ok := t["template"].(string); ok { // before 6.0
				patterns = append(patterns, p)
			}
			if matches(patterns, name) {
				order, _ := t[key].(float64)
				fits = append(fits, fit{order, n, t})
			}
		}
		slices.SortFunc(fits, func(a, b fit) int {
			if a.order != b.order {
				return int(a.order - b.order)
			}
			return strings.Compare(a.name, b.name)
		})
		return fits
	}
	out := settings{}
	take := func(body any) {
		flat := map[string]*string{}
		flatten("", body, flat)
		for k, v := range flat {
			if v != nil {
				out[withIndex(k)] = *v
			}
		}
	}
	if fits := collect(m.composable, "priority"); len(fits) > 0 {
		inner, _ := fits[len(fits)-1].body["template"].(map[string]any)
		take(inner["settings"])
		delete(out, "index.")
		return out
	}
	for _, f := range collect(m.templates, "order") {
		take(f.body["settings"])
	}
	delete(out, "index.")
	return out
}

func withIndex(key string) string {
	if strings.HasPrefix(key, "index.") {
		return key
	}
	return "index." + key
}
