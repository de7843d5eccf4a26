package drift

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// fields collects what differs between two canonical definitions.
type fields struct {
	normaliser        *normaliser
	origin            func(path string) spec.Pos
	instances, config []Field
}

func fieldsOf(n *normaliser, want, have map[string]any, origin func(string) spec.Pos) *fields {
	f := &fields{normaliser: n, origin: origin}
	f.object("", want, have)
	return f
}

// object compares member by member; an absent object of names and values (env, labels) is an empty one.
func (f *fields) object(path string, want, have map[string]any) {
	for k, w := range want {
		p := join(path, k)
		h, there := have[k]
		switch {
		case there:
			f.value(p, w, h)
		case isFreeform(p) && isObject(w):
			f.object(p, w.(map[string]any), nil)
		case !f.forgotten(p):
			f.add(p, Missing, w, nil)
		}
	}
	for k, h := range have {
		if _, there := want[k]; there {
			continue
		}
		if isFreeform(join(path, k)) && isObject(h) {
			f.object(join(path, k), nil, h.(map[string]any))
			continue
		}
		f.add(join(path, k), Extra, nil, h)
	}
}

func isFreeform(path string) bool { return path == "env" || path == "labels" }

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

func (f *fields) value(path string, want, have any) {
	if equal(want, have) {
		return
	}
	switch w := want.(type) {
	case map[string]any:
		if h, ok := have.(map[string]any); ok {
			f.object(path, w, h)
			return
		}
	case []any:
		if h, ok := have.([]any); ok {
			f.list(path, w, h)
			return
		}
	}
	f.add(path, Changed, want, have)
}

func (f *fields) list(path string, want, have []any) {
	if f.isSet(path) {
		f.set(path, want, have)
		return
	}
	both := min(len(want), len(have))
	for i := range both {
		f.value(index(path, i), want[i], have[i])
	}
	for i, w := range want[both:] {
		f.add(index(path, both+i), Missing, w, nil)
	}
	for i, h := range have[both:] {
		f.add(index(path, both+i), Extra, nil, h)
	}
}

// set compares two sorted sets: equal items cancel out, then objects that are left are compared with one another in
// their order, and everything else is missing or extra by its own name.
func (f *fields) set(path string, want, have []any) {
	lonely := slices.DeleteFunc(slices.Clone(want), func(w any) bool { return contains(have, w) })
	extra := slices.DeleteFunc(slices.Clone(have), func(h any) bool { return contains(want, h) })
	for i, w := range lonely {
		m, ok := w.(map[string]any)
		if !ok {
			f.add(named(path, w), Missing, w, nil)
			continue
		}
		p := index(path, slices.IndexFunc(want, func(x any) bool { return equal(x, w) }))
		if i < len(extra) {
			if h, ok := extra[i].(map[string]any); ok {
				f.object(p, m, h)
				continue
			}
		}
		f.add(p, Missing, w, nil)
	}
	for i, h := range extra {
		if !isObject(h) {
			f.add(named(path, h), Extra, nil, h)
		} else if i >= len(lonely) {
			f.add(index(path, len(want)+i-len(lonely)), Extra, nil, h)
		} else if !isObject(lonely[i]) {
			f.add(index(path, len(want)+i), Extra, nil, h)
		}
	}
}

func contains(l []any, v any) bool {
	return slices.ContainsFunc(l, func(x any) bool { return equal(x, v) })
}

// add keeps one differing value. instances has a list of its own: nothing restarts for it.
func (f *fields) add(path string, k Kind, want, have any) {
	x := Field{Path: path, Kind: k, Want: want, Have: have, RestartsTasks: restarts(path)}
	if k != Extra {
		x.Pos = f.origin(path)
	}
	if path == "instances" {
		f.instances = append(f.instances, x)
		return
	}
	f.config = append(f.config, x)
}

// restarts: executorResources are stored without a new version, every other field makes one (measured on 1.11.24).
func restarts(path string) bool {
	return path != "instances" && topLevel(path) != "executorResources"
}

// forgotten says that Marathon took a wanted field from us and keeps nothing of it, so its absence is no difference:
// names it does not know, and executorResources of an app created by PUT.
func (f *fields) forgotten(path string) bool {
	return path == "executorResources" || !strings.Contains(path, ".") && !known[path]
}

// known are the names of an app definition in any version; a version that ignores one has a Row that says so.
var known = func() map[string]bool {
	names := map[string]bool{"cmd": true, "user": true, "container": true, "taskKillGracePeriodSeconds": true,
		"acceptedResourceRoles": true, "tty": true, "executorResources": true, "resourceLimits": true, "check": true}
	for _, r := range rows {
		if r.Rule != Drop && r.Rule != Ignore {
			names[topLevel(r.Path)] = true
		}
	}
	return names
}()

// isSet looks a path up among the table's sets.
func (f *fields) isSet(path string) bool {
	for i := range f.normaliser.rows {
		if r := &f.normaliser.rows[i]; r.Rule == Set && r.Path == withoutIndices(path) {
			return true
		}
	}
	return false
}

// filledIn counts the differing fields that git does not name: they are shown, so they are not hidden.
func (f *fields) filledIn(sent marathon.Doc) (n int) {
	for _, x := range f.config {
		if x.Kind != Extra && !strings.ContainsAny(x.Path, ".[") {
			if _, named := sent[x.Path]; !named {
				n++
			}
		}
	}
	return n
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// named makes a path for an item that is its own name: constraints[hostname:UNIQUE].
func named(path string, item any) string {
	parts := []any{item}
	if l, ok := item.([]any); ok {
		parts = l
	}
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprint(&b, p)
	}
	return path + "[" + b.String() + "]"
}

func topLevel(path string) string {
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return path
}

// withoutIndices turns healthChecks[3].path into healthChecks[].path.
func withoutIndices(path string) string {
	var b strings.Builder
	inside := false
	for _, r := range path {
		if r == ']' {
			inside = false
		}
		if !inside {
			b.WriteRune(r)
		}
		if r == '[' {
			inside = true
		}
	}
	return b.String()
}
