package drift

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// canonical copies a JSON value into one form for each meaning: null members of objects are left out, whole numbers are
// int64, others float64, and the typed maps and slices a Go program writes become what a JSON decoder would have made.
// The copy is ours to change; the original never is.
func canonical(v any) any {
	switch x := v.(type) {
	case map[string]any:
		return canonicalDoc(x, 0)
	case []any:
		return canonicalList(x)
	case map[string]string:
		m := make(map[string]any, len(x))
		for k, s := range x {
			m[k] = s
		}
		return m
	case nil, string, bool:
		return v
	case json.Number:
		return canonicalNumber(x)
	case int:
		return int64(x)
	case int64:
		return x
	case float64:
		return canonicalFloat(x)
	}
	return canonicalOther(v)
}

// canonicalDoc leaves room for so many members more.
func canonicalDoc(m map[string]any, room int) map[string]any {
	out := make(map[string]any, len(m)+room)
	for k, v := range m {
		if c := canonical(v); c != nil {
			out[k] = c
		}
	}
	return out
}

func canonicalList[T any](l []T) []any {
	out := make([]any, len(l))
	for i, v := range l {
		out[i] = canonical(v)
	}
	return out
}

// canonicalOther takes the long way through JSON for every other Go type; render may use any that marshals.
func canonicalOther(v any) any {
	switch x := v.(type) {
	case []string:
		return canonicalList(x)
	case [][]string:
		return canonicalList(x)
	case []map[string]any:
		return canonicalList(x)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		// A value that JSON cannot say can't be sent either; its text differs from anything live.
		return "unsendable value: " + err.Error()
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var generic any
	if err := d.Decode(&generic); err != nil {
		return "unsendable value: " + err.Error()
	}
	return canonical(generic)
}

// canonicalNumber keeps the text of a number that neither int64 nor float64 can hold: it still compares equal to itself.
func canonicalNumber(n json.Number) any {
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		return n
	}
	return canonicalFloat(f)
}

func canonicalFloat(f float64) any {
	const exact = 1 << 53 // beyond it a float64 no longer names one whole number
	if f == math.Trunc(f) && math.Abs(f) <= exact {
		return int64(f)
	}
	return f
}

// equal compares canonical values.
func equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			w, ok := y[k]
			if !ok || !equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, equal)
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

// clone copies a canonical value.
func clone(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, v := range x {
			out[k] = clone(v)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, v := range x {
			out[i] = clone(v)
		}
		return out
	}
	return v
}

// text is a canonical value as JSON, keys sorted: the order of sets, and what people see.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "unprintable value: " + err.Error()
	}
	return string(b)
}

func isEmpty(v any) bool {
	switch x := v.(type) {
	case map[string]any:
		return len(x) == 0
	case []any:
		return len(x) == 0
	}
	return false
}
