package jsontree_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathonsim/jsontree"
)

type named string

var values = map[string]any{
	"nothing":    nil,
	"text":       []any{"", "plain", "a \"quote\"", `back\slash`, "<b>&", "tab\t", "nul\x00", "ü", "bad \xff", "line\u2028", "del\x7f"},
	"numbers":    []any{0, -7, int64(1) << 60, 1.5, 1e21, json.Number("12.50"), uint8(3)},
	"bools":      []any{true, false},
	"objects":    map[string]any{"b": 1, "a": map[string]any{}, "ü<": []any{}},
	"of text":    map[string]string{"z": "1", "a": "2"},
	"lists":      []any{[]string{"x"}, []string{}, []int{1, 2}, []map[string]any{{"k": nil}}},
	"nil ones":   []any{[]any(nil), []string(nil), map[string]any(nil), map[string]string(nil), []map[string]any(nil)},
	"types":      []any{named("x"), map[named]int{"k": 1}, struct{ A int }{1}, json.RawMessage(`{"a":1}`), jsontree.Raw(`[1,{"a":2}]`)},
	"long":       make([]any, 100),
	"many names": map[string]any{"01": 1, "02": 1, "03": 1, "04": 1, "05": 1, "06": 1, "07": 1, "08": 1, "09": 1, "10": 1, "11": 1, "12": 1, "13": 1, "14": 1, "15": 1, "16": 1, "17": 1, "18": 1, "19": 1, "20": 1, "21": 1, "22": 1, "23": 1, "24": 1, "25": 1},
}

func TestTheBytesAreThoseOfEncodingJSON(t *testing.T) {
	for name, v := range values {
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := jsontree.Marshal(v)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
}

func TestWhatIsNoJSONIsAnError(t *testing.T) {
	for name, v := range map[string]any{"in a list": []any{math.NaN()}, "in an object": map[string]any{"a": math.Inf(1)}, "by itself": func() {}} {
		if b, err := jsontree.Marshal(v); err == nil {
			t.Errorf("%s: %s", name, b)
		}
	}
}
