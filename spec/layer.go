package spec

import (
	"encoding/json"
	"maps"
	"strconv"
	"time"
)

// A placed node is a node together with the file it stands in.
type placed struct {
	file string
	node *node
}

func (p placed) pos() Pos { return p.node.pos(p.file) }

// A view is one place of a cluster's documents through all its layers, the nearest first: cluster.yaml, then the group's
// defaults, then the fleet's. Nothing is copied to merge them; a value is looked up where it is used.
type view []placed

// under is the view of a key. Mappings of several layers stay together; any other value hides what is behind it.
func (v view) under(key string) view {
	var out view
	for _, p := range v {
		c := p.node.child(key)
		if c == nil {
			continue
		}
		if c.kind != mapNode {
			if len(out) == 0 {
				return view{{p.file, c}}
			}
			return out
		}
		out = append(out, placed{p.file, c})
	}
	return out
}

// A section reads one object of a cluster through its layers, with the built-in defaults of its shape behind them.
type section struct {
	b     *builder
	shape *shape
	view  view
	path  string // as the user writes it: data
	key   string // as Cluster.Origins has it: nodes.data
	file  string // where to write what is missing
	blank bool   // the section was reported already: nothing in it is missing
}

// sub is an object within s.
func (s section) sub(name string) section {
	sub := section{b: s.b, shape: s.shape.field(name).shape, view: s.view.under(name), path: join(s.path, name), key: join(s.key, name), file: s.file}
	sub.blank = s.blank || len(sub.view) > 0 && sub.view[0].node.kind == badNode
	return sub
}

// get finds a field: its node, or the built-in default without a place. ok is false if there is neither, or if a Problem was
// reported for it already (blank).
func (s section) get(name string) (p placed, ok, blank bool) {
	if v := s.view.under(name); len(v) > 0 {
		if v[0].node.kind == badNode {
			return placed{}, false, true
		}
		s.b.origin(join(s.key, name), v[0].pos())
		return v[0], true, false
	}
	if def := s.shape.field(name).def; def != "" {
		return placed{node: &node{kind: stringNode, text: def}}, true, false
	}
	return placed{}, false, s.blank
}

// usable says that none of the fields was reported already, so that a rule about them says something new.
func (s section) usable(names ...string) bool {
	for _, n := range names {
		if _, _, blank := s.get(n); blank {
			return false
		}
	}
	return !s.blank
}

// missing says that a field has no value and that nothing was said about it yet.
func (s section) missing(name string) bool {
	_, ok, blank := s.get(name)
	return !ok && !blank
}

func (s section) text(name string) string {
	p, ok, _ := s.get(name)
	if !ok {
		return ""
	}
	return s.b.pool.text(p.node.text)
}

func (s section) whole(name string) int {
	n, _ := strconv.Atoi(s.text(name))
	return n
}

func (s section) number(name string) float64 {
	f, _ := strconv.ParseFloat(s.text(name), 64)
	return f
}

func (s section) size(name string) Bytes { return parseSize(s.text(name)) }

func (s section) duration(name string) time.Duration {
	d, _ := time.ParseDuration(s.text(name))
	return d
}

// enabled says that some layer has the section and none nearer switches it off.
func (s section) enabled() bool {
	return len(s.view) > 0 && !s.blank && s.text("enabled") == "true"
}

// pos is the nearest place of the section.
func (s section) pos() Pos {
	if len(s.view) == 0 {
		return Pos{File: s.file}
	}
	return s.view[0].pos()
}

// posOf is where a field was written, else the section, for messages about its value.
func (s section) posOf(name string) Pos {
	if v := s.view.under(name); len(v) > 0 {
		return v[0].pos()
	}
	return s.pos()
}

// env merges the layers' variables, the nearest winning.
func (s section) env() map[string]string {
	var out map[string]string
	v := s.view.under("env")
	for i := len(v) - 1; i >= 0; i-- {
		for _, e := range v[i].node.entries {
			if e.value.kind != stringNode {
				continue
			}
			if out == nil {
				out = map[string]string{}
			}
			out[e.key] = e.value.text
			s.b.origin(s.key+".env."+e.key, e.value.pos(v[i].file))
		}
	}
	return s.b.variables(out)
}

// settings merges the layers' settings by their dotted keys, the nearest winning.
func (s section) settings(name string) map[string]any {
	var out map[string]any
	v := s.view.under(name)
	for i := len(v) - 1; i >= 0; i-- {
		flat := s.b.flatten(v[i], join(s.key, name))
		if out == nil {
			out = flat
			continue
		}
		maps.Copy(out, flat)
	}
	return s.b.flat(out)
}

// list is a list's elements that are worth reading.
func (s section) list(name string) []placed {
	p, ok, _ := s.get(name)
	if !ok || p.node.kind != listNode {
		return nil
	}
	var out []placed
	for _, e := range p.node.entries {
		if e.value.kind != badNode {
			out = append(out, placed{p.file, e.value})
		}
	}
	return out
}

func parseSize(s string) Bytes {
	if len(s) < 4 {
		return 0
	}
	unit := map[string]Bytes{"KiB": KiB, "MiB": MiB, "GiB": GiB, "TiB": TiB}[s[len(s)-3:]]
	f, _ := strconv.ParseFloat(s[:len(s)-3], 64)
	return Bytes(f * float64(unit))
}

// value is a scalar or list as Cluster.Settings holds it.
func (n *node) value() any {
	switch n.kind {
	case stringNode:
		return n.text
	case boolNode:
		return n.text == "true"
	case intNode, floatNode:
		return json.Number(n.text)
	case listNode:
		out := make([]any, 0, len(n.entries))
		for _, e := range n.entries {
			out = append(out, e.value.value())
		}
		return out
	}
	return nil
}
