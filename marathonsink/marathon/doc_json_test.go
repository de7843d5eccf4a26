package marathon

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// slowDoc is what encoding/json makes of the same.
func slowDoc(raw []byte) (Doc, error) {
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

func TestADocIsWhatEncodingJSONMakesOfIt(t *testing.T) {
	for _, raw := range append(docs, string(read(t, "app-1.11-suspended.json"))) {
		want, err := slowDoc([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, (&builder{in: []byte(raw)}).doc(volatile)); d != "" {
			t.Errorf("%s: %s", raw, d)
		}
	}
}

// FuzzDoc: of any JSON object both make the same.
func FuzzDoc(f *testing.F) {
	for _, d := range docs {
		f.Add([]byte(d))
	}
	f.Add(read(f, "app-1.11-suspended.json"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) || !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
			return
		}
		want, err := slowDoc(raw)
		if err != nil {
			return
		}
		if d := cmp.Diff(want, (&builder{in: raw}).doc(volatile)); d != "" {
			t.Fatal(d)
		}
	})
}
