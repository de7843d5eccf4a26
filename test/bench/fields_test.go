package bench

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

type blobs = snapshot.Blobs

var asking sync.Mutex

// Blob implements snapshot.Blobs.
func (a *askedBlobs) Blob(id snapshot.BlobID) ([]byte, error) {
	asking.Lock()
	a.ids[string(id)]++
	asking.Unlock()
	return a.in.Blob(id)
}

// changeEveryField changes each value of each live app that git wants so, one at a time, and gives what was not found. The
// gate's instances and its variable are Marathon's side of the story (drift.Compare), and so is the port that stands where
// git wants any.
func changeEveryField(t testing.TB, d *render.Desired, w *world) (changed int, missed []string) {
	t.Helper()
	for i := range d.Apps {
		a := &d.Apps[i]
		span := w.spans[w.at[a.ID]]
		leaves("", a.Doc, func(path string, want any) {
			if want == json.Number("0") && strings.HasSuffix(path, "\x00port") {
				return
			}
			if a.Component == spec.Gate && (path == "\x00instances" || path == "\x00env\x00"+drift.GateEnv) || path == "\x00id" {
				return
			}
			var doc map[string]any
			dec := json.NewDecoder(strings.NewReader(string(span)))
			dec.UseNumber()
			if err := dec.Decode(&doc); err != nil {
				t.Fatal(err)
			}
			alter(doc, strings.Split(path, "\x00")[1:])
			b, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			app, err := marathon.ParseApp(b)
			if err != nil {
				t.Fatal(err)
			}
			changed++
			one := *d
			one.Apps = d.Apps[i : i+1]
			if drift.Compare(&one, &marathon.State{Version: version, Apps: map[marathon.AppID]*marathon.App{a.ID: app}}).Empty() {
				missed = append(missed, a.ID.Name()+strings.ReplaceAll(path, "\x00", "."))
			}
		})
	}
	return changed, missed
}

func alter(v any, path []string) {
	switch x := v.(type) {
	case map[string]any:
		if len(path) == 1 {
			x[path[0]] = another(x[path[0]])
			return
		}
		alter(x[path[0]], path[1:])
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= len(x) {
			return
		}
		if len(path) == 1 {
			x[i] = another(x[i])
			return
		}
		alter(x[i], path[1:])
	}
}
