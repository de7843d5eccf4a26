// Package jsontree writes JSON values that are made of maps, lists and scalars: the answers of a simulated Marathon and of
// the modelled clusters, of which a simulated hour has thousands.
//
// In: such a value. Out: the bytes that encoding/json would write, in a quarter of the time.
package jsontree

import (
	"encoding/json"
	"slices"
	"strconv"
	"sync"
)

// Raw is JSON that was written before: it is taken over as it is.
type Raw []byte

// MarshalJSON gives the bytes to encoding/json.
func (r Raw) MarshalJSON() ([]byte, error) { return r, nil }

// buffers are used again: most answers are as long as the last one.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1<<14); return &b }}

// Marshal gives the bytes of json.Marshal(v). Maps, lists and scalars of the types that answers are made of are written at
// once; any other type is left to encoding/json, with its errors.
func Marshal(v any) ([]byte, error) {
	buf := buffers.Get().(*[]byte)
	b, err := appendValue((*buf)[:0], v)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(b)
	*buf = b
	buffers.Put(buf)
	return out, nil
}

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return appendString(b, v), nil
	case Raw:
		return append(b, v...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case map[string]any:
		if v != nil {
			return appendObject(b, v, appendValue)
		}
	case []any:
		if v != nil {
			return appendList(b, v, appendValue)
		}
	case []map[string]any:
		if v != nil {
			return appendList(b, v, func(b []byte, x map[string]any) ([]byte, error) { return appendValue(b, x) })
		}
	case []string:
		if v != nil {
			return appendList(b, v, appendText)
		}
	case map[string]string:
		if v != nil {
			return appendObject(b, v, appendText)
		}
	}
	rest, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(b, rest...), nil
}

func appendText(b []byte, s string) ([]byte, error) { return appendString(b, s), nil }

func appendObject[T any](b []byte, m map[string]T, value func([]byte, T) ([]byte, error)) (_ []byte, err error) {
	var few [24]string // on the stack
	keys := few[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, k), ':')
		if b, err = value(b, m[k]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendList[T any](b []byte, list []T, value func([]byte, T) ([]byte, error)) (_ []byte, err error) {
	b = append(b, '[')
	for i, x := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = value(b, x); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// plain are the bytes that stand in a JSON string as they are, by the rules of encoding/json.
var plain = func() (ok [256]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		ok[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return ok
}()

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if !plain[s[i]] {
			quoted, _ := json.Marshal(s) // a string is never an error
			return append(b, quoted...)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}
