package spec

import (
	"encoding/json"
	"strings"
)

// A pool gives equal values one memory while one Parse makes its clusters: most of what ten thousand clusters say, they say
// alike. What it hands out is shared, and nobody may change it. It is let go with the Parse. The zero value is ready.
type pool struct {
	texts    map[string]string
	env      map[string]map[string]string
	settings map[string]map[string]any
	paths    map[string][]string
	spots    map[string][]spot
}

// shared finds the value of a key, or makes it.
func shared[V any](known *map[string]V, key string, make func() V) V {
	if v, ok := (*known)[key]; ok {
		return v
	}
	if *known == nil {
		*known = map[string]V{}
	}
	v := make()
	(*known)[key] = v
	return v
}

// text lets go of the file that s may be a part of.
func (p *pool) text(s string) string {
	if known, ok := p.texts[s]; ok {
		return known
	}
	s = strings.Clone(s)
	return shared(&p.texts, s, func() string { return s })
}

func (p *pool) variables(env map[string]string) map[string]string {
	return shareMap(&p.env, env, p.text)
}

func (p *pool) flat(settings map[string]any) map[string]any {
	return shareMap(&p.settings, settings, p.value)
}

// shareMap finds the equal map, or keeps m with its texts shared.
func shareMap[V any](known *map[string]map[string]V, m map[string]V, value func(V) V) map[string]V {
	if m == nil {
		return nil
	}
	key, err := json.Marshal(m) // sorts its keys, and tells text from numbers
	if err != nil {
		return m // as good as any, only not shared
	}
	return shared(known, string(key), func() map[string]V {
		for k, v := range m {
			m[k] = value(v)
		}
		return m
	})
}

func (p *pool) value(v any) any {
	switch v := v.(type) {
	case string:
		return p.text(v)
	case json.Number:
		return json.Number(p.text(string(v)))
	case []any:
		for i := range v {
			v[i] = p.value(v[i])
		}
	}
	return v
}
