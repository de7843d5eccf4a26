package marathon

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// slowDoc is what encoding/json makes of the same.
func slowDoc(raw []byte) (Doc, error) {
	if !json.Valid(raw) {
		return nil, errors.New("not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var doc Doc
	err := dec.Decode(&doc)
	for _, k := range volatile {
		delete(doc, k)
	}
	return doc, err
}

var docs = []string{
	`{}`, " { } ", `{"a":1}`, `{"a":-0.5e+3 , "b" : [ 1,2 , {"c":null}],"d":{},"e":[]}`, `{"a":true,"b":false,"c":null}`,
	`{"q":"\\\"","r":"\\\\","s":"\u00e9\ud83d\ude00\ud800","t":"é"}`, "{\"bad\":\"\xff\"}", `{"\u0069d":1,"id":2,"a":{"x":1,"x":[2]}}`,
	`{"tasks":[{"id":"}]\\\"","n":[1,{"a":true}]}],"cmd":"x","tasksRunning":7,"version":"v","deployments":[],"taskStats":{}}`,
	"{\n\t\"tasks\" : 1 ,\r\n \"a\" : 1.50 }", `{"tasks":"a,b","lastTaskFailure":null}`,
}

// slowLive is what encoding/json makes of the typed members of the same.
func slowLive(raw []byte) (l live, err error) {
	var members map[string]json.RawMessage // names as they are written: json.Unmarshal alone would take "ID" for "id"
	if err := json.Unmarshal(raw, &members); err != nil {
		return l, err
	}
	for key := range members {
		if !slices.Contains(liveKeys, key) {
			delete(members, key)
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal(b, &l)
}

// sameAsEncodingJSON reads raw both ways and compares what comes out, faults included.
func sameAsEncodingJSON(t *testing.T, raw []byte) {
	t.Helper()
	want, err := slowDoc(raw)
	if err == nil && want == nil {
		return // null, which is no object
	}
	got, typed, gotErr := (&builder{in: raw}).doc(volatile, liveKeys)
	var l live
	if gotErr == nil {
		gotErr = json.Unmarshal(typed, &l)
	}
	if wantLive, liveErr := slowLive(raw); err == nil && liveErr == nil {
		if d := cmp.Diff(wantLive, l, cmp.AllowUnexported(live{})); gotErr == nil && d != "" {
			t.Errorf("%s: %s", raw, d)
		}
	} else if err == nil {
		err = liveErr
	}
	if (err == nil) != (gotErr == nil) {
		t.Fatalf("%s: encoding/json says %v, we say %v", raw, err, gotErr)
	}
	if d := cmp.Diff(want, got); err == nil && d != "" {
		t.Errorf("%s: %s", raw, d)
	}
}

func TestADocIsWhatEncodingJSONMakesOfIt(t *testing.T) {
	for _, raw := range append(docs, string(read(t, "app-1.11-suspended.json"))) {
		sameAsEncodingJSON(t, []byte(raw))
	}
}

func TestWhatEncodingJSONRefusesIsRefused(t *testing.T) {
	good := `{"id":"/a","a":[1,-2.5e-3,true,null,{"b":"c\u0041"}],"tasks":[{"id":"x"}]}`
	for i := range good {
		sameAsEncodingJSON(t, []byte(good[:i]))
		for _, other := range []byte("\"\\{}[],:0-.ex \n\x00") {
			changed := []byte(good)
			changed[i] = other
			sameAsEncodingJSON(t, changed)
		}
	}
	for _, raw := range []string{
		`{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":+1}`, `{"a":1e}`, `{"a":-}`, `{"a":1,}`, `{,}`, `{"a":[1,]}`, `{"a":tru}`, `{"a":"\x"}`, `{"a":"\ud8"}`, "{\"a\":\"\n\"}",
		`{"tasks":[}]}`, `{"taskStats":[}]}`, `{"tasks":[{]}}`, `{"tasks":}`, `{"tasks":[1 2]}`, `{"readinessCheckResults":[1`, `{} {}`, `{}x`, `{"a"}`, `{a:1}`, `{"a":1 "b":2}`,
		`{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
	} {
		sameAsEncodingJSON(t, []byte(raw))
	}
}

// FuzzDoc: of any bytes both make the same.
func FuzzDoc(f *testing.F) {
	for _, d := range docs {
		f.Add([]byte(d))
	}
	f.Add(read(f, "app-1.11-suspended.json"))
	f.Fuzz(sameAsEncodingJSON)
}
