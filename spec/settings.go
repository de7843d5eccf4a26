package spec

import (
	"fmt"
	"regexp"
)

// Free settings are those of elasticsearch.yml, of settings and of overrides.
var settings = &shape{kind: settingsShape, refuse: managedSetting}

var settingSegment = regexp.MustCompile(`^[A-Za-z0-9_*+-]+([.:/][A-Za-z0-9_*+-]+)*$`)

// checkSettingsTree checks the free-form settings of elasticsearch.yml and of settings: keys that a node could read, values
// that every YAML reader takes alike, no key twice in two spellings, and none of those that esfleet manages.
func (d *document) checkSettingsTree(s *shape, n *node, path string) {
	seen := map[string]Pos{}
	d.walkSettings(s, n, "", path, seen)
}

func (d *document) walkSettings(s *shape, n *node, key, path string, seen map[string]Pos) {
	for _, e := range n.entries {
		p := e.pos("")
		full := join(key, e.key)
		switch {
		case !settingSegment.MatchString(e.key) || len(full) > 512:
			d.add(p, join(path, shortKey(e.key)), "is not a setting's name", "write letters, digits, _ and -, joined by dots")
			e.value.kind = badNode
			continue
		case e.value.kind == mapNode && len(e.value.entries) == 0:
			d.bad(e.value, join(path, full), "is an empty mapping", "write a value, or delete the key")
			continue
		case e.value.kind == listNode && s.scalars:
			d.bad(e.value, join(path, full), "is a list, and cluster settings are single texts", `write one text with commas: "a,b"`)
			continue
		case e.value.kind == mapNode:
			d.walkSettings(s, e.value, full, path, seen)
			continue
		}
		if first, twice := seen[full]; twice {
			d.add(p, join(path, full), fmt.Sprintf("is written twice, first in line %d", first.Line), "keep one of them")
		}
		seen[full] = p
		d.checkSettingValue(e.value, join(path, full), true)
		if why, fix := s.refuse(full); why != "" {
			d.add(p, join(path, full), why, fix)
		}
	}
}

func (d *document) checkSettingValue(n *node, path string, listAllowed bool) {
	switch n.kind {
	case nullNode:
		d.bad(n, path, "is empty", "write a value, or delete the key")
	case trapNode:
		d.bad(n, path, n.text+" "+n.trap, fmt.Sprintf("write %q in quotes, or true, false or a plain decimal number", n.text))
	case mapNode:
		d.bad(n, path, "is a mapping inside a list", "write dotted keys instead")
	case listNode:
		if !listAllowed {
			d.bad(n, path, "is a list inside a list", "write one list")
			return
		}
		for i, e := range n.entries {
			d.checkSettingValue(e.value, fmt.Sprintf("%s[%d]", path, i), false)
		}
	}
}

// flatten makes dotted keys of nested settings and notes where each was written.
func (b *builder) flatten(p placed, origin string) map[string]any {
	if p.node.kind != mapNode {
		return nil
	}
	out := map[string]any{}
	b.flattenInto(out, p, "", origin)
	return out
}

func (b *builder) flattenInto(out map[string]any, p placed, key, origin string) {
	for _, e := range p.node.entries {
		full := join(key, e.key)
		switch e.value.kind {
		case badNode, nullNode, trapNode:
		case mapNode:
			b.flattenInto(out, placed{p.file, e.value}, full, origin)
		default:
			out[full] = e.value.value()
			b.origin(join(origin, full), e.pos(p.file))
		}
	}
}
