package marathonsink

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func elements(r io.Reader, key string) (out []string, err error) {
	err = eachElement(r, key, 1<<20, func(span []byte) error {
		out = append(out, string(span))
		return nil
	})
	return out, err
}

func TestElementsOfAnArrayAreFoundWhereverTheyStand(t *testing.T) {
	cases := []struct{ in, key, want string }{
		{`{"apps":[{"a":1},{"b":"}]{[\""}]}`, "apps", `{"a":1} {"b":"}]{[\""}`},
		{" {\n \"x\" : [1,{\"apps\":[{}]}] , \"n\":-1.5e3,\"t\":true,\"apps\" :\t[ ] }\r\n", "apps", ""},
		{`{"apps":[{"a":{"apps":[{}]}}],"s":"x"}`, "apps", `{"a":{"apps":[{}]}}`},
		{`[{},{"a":[]}]`, "", `{} {"a":[]}`},
		{`[]`, "", ""},
	}
	for _, k := range cases {
		for _, r := range []io.Reader{strings.NewReader(k.in), iotest.OneByteReader(strings.NewReader(k.in))} {
			got, err := elements(r, k.key)
			if err != nil || strings.Join(got, " ") != k.want {
				t.Errorf("%s: %q, %v", k.in, got, err)
			}
		}
	}
}

func TestAnElementLargerThanAnyAppEndsTheReading(t *testing.T) {
	in := io.MultiReader(strings.NewReader(`[{"a":"`), bytes.NewReader(make([]byte, maxItem)), strings.NewReader(`"}]`))
	err := eachElement(in, "", 1<<30, func([]byte) error { return nil })
	if err != errTooLarge {
		t.Errorf("%v", err)
	}
}

// FuzzElements: whatever encoding/json reads as such a list is read alike here, and nothing that is cut passes.
func FuzzElements(f *testing.F) {
	f.Add(`{"apps":[{"a":1},{"b":"}]{[\""}],"c":[1,"x"]}`, 3)
	f.Add(`{"x":{"apps":[{}]},"apps":[]}`, 9)
	f.Fuzz(func(t *testing.T, in string, cut int) {
		got, err := elements(strings.NewReader(in), "apps")
		if err == nil {
			for i := range got {
				if strings.TrimSpace(got[i]) != got[i] || !strings.HasPrefix(got[i], "{") {
					t.Errorf("element %q", got[i])
				}
			}
		}
		var doc map[string]json.RawMessage
		var want []json.RawMessage
		if json.Unmarshal([]byte(in), &doc) != nil || json.Unmarshal(doc["apps"], &want) != nil || want == nil {
			return
		}
		for _, w := range want {
			if !strings.HasPrefix(string(w), "{") {
				return
			}
		}
		if err != nil {
			// the same key twice, or spelled with escapes, is good JSON; no Marathon writes that
			if strings.Contains(err.Error(), "twice") || strings.Contains(in, `\`) {
				return
			}
			t.Fatalf("%q: %v", in, err)
		}
		if len(got) != len(want) && !strings.Contains(in, `\`) {
			t.Fatalf("%q: %d elements, want %d", in, len(got), len(want))
		}
		body := strings.TrimRight(in, " \n\r\t")
		if cut > 0 && cut < len(body) {
			if _, err := elements(strings.NewReader(body[:cut]), "apps"); err == nil {
				t.Errorf("%q passed for whole", body[:cut])
			}
		}
	})
}
