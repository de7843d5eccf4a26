package reconcile_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/spec"
)

// running is the tree of this package's tests, running in a Marathon where nothing happens by itself.
func running(t *testing.T) (*still, reconcile.Input) {
	t.Helper()
	m := &still{version: "1.11.24", leader: "m1:8080", apps: map[marathon.AppID]map[string]any{}}
	s := snapshot.FromMap("c", tree())
	f, problems := spec.Parse(s, nil)
	if f == nil {
		t.Fatal(problems)
	}
	in := reconcile.Input{Fleet: f, Blobs: s}
	m.run(t, in)
	return m, in
}

// A counted counts how often each app is opened.
type counted struct {
	*marathonsink.Client
	opens *opens
}

type opens struct {
	mu sync.Mutex
	of map[marathon.AppID]int
}

func (c counted) Anew(ctx context.Context) (*marathon.State, error) {
	s, err := c.Client.Anew(ctx)
	if err == nil {
		s.Shelf = countedShelf{s.Shelf, c.opens}
	}
	return s, err
}

type countedShelf struct {
	marathon.Shelf
	opens *opens
}

func (s countedShelf) Open(id marathon.AppID) (*marathon.App, error) {
	s.opens.mu.Lock()
	s.opens.of[id]++
	s.opens.mu.Unlock()
	return s.Shelf.Open(id)
}

func over(via http.RoundTripper, o *opens) *reconcile.Reconciler {
	return reconcile.New(reconcile.Options{Journal: &journal{}, Elasticsearch: dumb{}, Settle: 1,
		Connect: func(decl spec.Marathon) (reconcile.Marathon, error) {
			c, err := marathonsink.New(marathonsink.Options{URLs: decl.URLs, Transport: via})
			return counted{c, o}, err
		}})
}

func TestAFirstLookDecodesTheAppsOfAConvergedFleetOnceAndALaterOneNone(t *testing.T) {
	m, in := running(t)
	o := &opens{of: map[marathon.AppID]int{}}
	r := over(m, o)
	if v := r.Look(t.Context(), in); !v.Converged() {
		t.Fatalf("%+v", v.Plans())
	}
	for id := range m.apps {
		if o.of[id] != 1 {
			t.Errorf("%s was opened %d times", id, o.of[id])
		}
	}
	m.leader, m.version = "m2:8080", "1.8.222" // all is rendered and compared for another version
	r.Look(t.Context(), in)
	for id := range m.apps {
		if o.of[id] != 2 && o.of[id] != 3 { // once more where its cluster does not rest any longer
			t.Errorf("%s was opened %d times after Marathon had become another version", id, o.of[id])
		}
	}
	clear(o.of)
	if r.Look(t.Context(), in); len(o.of) > 0 {
		t.Errorf("nothing has changed, and %v were opened", o.of)
	}
}

// A spoiled answers as another does, with one piece of text made another.
type spoiled struct {
	http.RoundTripper
	from, to string
}

func (s *spoiled) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.RoundTripper.RoundTrip(r)
	if err != nil || r.URL.Path != "/v2/apps" {
		return res, err
	}
	b, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(bytes.Replace(b, []byte(s.from), []byte(s.to), 1)))
	return res, err
}

func TestAMarathonWithAnAppThatCannotBeDecodedIsUnknownUntilItCan(t *testing.T) {
	m, in := running(t)
	via := &spoiled{m, `"cpus":1,`, `"cpus":01,`}
	r := over(via, &opens{of: map[marathon.AppID]int{}})
	for range 2 {
		v := r.Look(t.Context(), in)
		if len(v.Unknown) != 2 || len(v.Read) != 0 { // both Marathons list such an app
			t.Fatalf("unknown: %v, read: %v", v.Unknown, v.Read)
		}
		for _, c := range v.Clusters {
			if c.Plan.Phase != plan.Unknown || len(c.Plan.Steps) > 0 {
				t.Errorf("%s: %+v", c.ID, c.Plan)
			}
		}
	}
	via.to = via.from
	if v := r.Look(t.Context(), in); !v.Converged() {
		t.Errorf("%v %+v", v.Unknown, v.Plans())
	}
}
