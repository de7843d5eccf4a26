package marathonsink

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// unshelved is a reading's apps, those on the shelf opened.
func unshelved(t *testing.T, s *marathon.State) map[marathon.AppID]*marathon.App {
	t.Helper()
	out := maps.Clone(s.Apps)
	for id := range s.Shelf.IDs() {
		app, err := s.Shelf.Open(id)
		if err != nil || app == nil || out[id] != nil {
			t.Fatalf("%s: %v, %v", id, app, err)
		}
		out[id] = app
	}
	return out
}

func TestAReadingAnewSaysWhatAStateSays(t *testing.T) {
	f := paths(map[string]func() *http.Response{
		"/v2/apps": text(list(
			appJSON("/ours", true, `,"lastTaskFailure":{"message":"exit 1"}`),
			appJSON("/lacks", true, `,"instances":2`),
			appJSON("/foreign", false, ""),
			appJSON("/mentions", false, `,"env":{"X":"\"esfleet.fleet\"","esfleet.fleet":"y"}`),
			appJSON("/mixed", true, `,"tasks":[{"id":"t","version":"2026-11-22T01:28:14.829Z"},{"id":"u","version":"2026-11-21T00:00:00.000Z"}]`),
			appJSON("/stopped", true, `,"tasks":[{"id":"t","localVolumes":[{}]}]`),
			appJSON("/moves", true, `,"deployments":[{"id":"d-1"}]`))),
		"/v2/deployments": text(`[{"id":"d-1","affectedApps":["/moves"],"currentActions":[]}]`),
		"/v2/queue":       text(`{"queue":[{"app":{"id":"/lacks"},"count":2}]}`),
		"/v2/info":        text(info)})
	c := newClient(t, Options{Transport: f})
	anew, err := c.Anew(background)
	if err != nil {
		t.Fatal(err)
	}
	defer anew.Shelf.Close()
	if got := slices.Sorted(anew.Shelf.IDs()); !slices.Equal(got, []marathon.AppID{"/mentions", "/ours"}) {
		t.Errorf("on the shelf: %v", got)
	}
	want, err := c.State(background, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Apps, unshelved(t, anew)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want.Deployments, anew.Deployments) + cmp.Diff(want.Queue, anew.Queue); d != "" || len(anew.Deployments) != 1 || len(anew.Queue) != 1 {
		t.Error(d)
	}
	two, err := anew.Opened([]marathon.AppID{"/ours", "/foreign", "/nobody"})
	if err != nil || len(two.Apps) != 2 || two.Apps["/ours"].LastTaskFailure != "exit 1" || two.Shelf != nil {
		t.Errorf("%+v, %v", two, err)
	}
}

func TestAStateIsReadWithOneThatWasReadAnew(t *testing.T) {
	body := list(appJSON("/a", true, ""), appJSON("/b", true, ""))
	f := paths(map[string]func() *http.Response{"/v2/apps": func() *http.Response { return reply(200, body) }, "/v2/info": text(info)})
	c := newClient(t, Options{Transport: f})
	first, err := c.Anew(background)
	if err != nil {
		t.Fatal(err)
	}
	first.Apps = unshelved(t, first)
	first.Shelf.Close()
	delete(first.Apps, "/b") // nobody opened it: it is new to the next reading
	second, err := c.State(background, first)
	if err != nil || !second.Incremental || !slices.Equal(second.Changed, []marathon.AppID{"/b"}) || second.Apps["/a"] != first.Apps["/a"] || second.Apps["/b"] == nil {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestAReadingAnewIsWholeOrNone(t *testing.T) {
	a := appJSON("/a", true, "")
	for name, body := range map[string]string{
		"twice":            list(a, a),
		"twice, otherwise": list(a, appJSON("/a", true, `,"x":1`)),
		"ours and foreign": list(a, appJSON("/a", false, "")),
		"cut":              list(a, a)[:len(a)+30],
		"without an id":    list(`{"labels":{"esfleet.fleet":"f"}}`),
		"no such number":   list(appJSON("/b", true, `,"instances":1.5`)),
	} {
		f := paths(map[string]func() *http.Response{"/v2/apps": func() *http.Response { return reply(200, body) }, "/v2/info": text(info)})
		if s, err := newClient(t, Options{Transport: f}).Anew(background); err == nil || KindOf(err) != KindUnknown {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func TestAnAppThatCannotBeDecodedShowsWhenItIsOpened(t *testing.T) {
	f := paths(map[string]func() *http.Response{"/v2/apps": text(list(appJSON("/a", true, ""), appJSON("/b", true, `,"x":{"y":01}`))), "/v2/info": text(info)})
	s, err := newClient(t, Options{Transport: f}).Anew(background)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shelf.Close()
	if app, err := s.Shelf.Open("/a"); err != nil || app == nil {
		t.Errorf("%+v, %v", app, err)
	}
	_, err = s.Shelf.Open("/b")
	wantKind(t, err, KindUnknown)
	if _, err := s.Opened([]marathon.AppID{"/a", "/b"}); err == nil {
		t.Error("half of what was asked for was given")
	}
}

// A shelf that has taken all that it holds in memory puts the rest into a file that nobody can open, and where that cannot
// be done keeps it in memory.
func TestAShelfGivesBackWhatWasPutOnIt(t *testing.T) {
	dir := t.TempDir()
	for _, where := range []string{dir, dir + "/nowhere", ""} {
		s := &shelf{dir: where, held: heldByShelf - 1, apps: map[marathon.AppID]place{}}
		for i := range 20 {
			id := marathon.AppID(fmt.Sprintf("/a%d", i))
			p := s.put([]byte(appJSON(string(id), true, fmt.Sprintf(`,"x":%d`, i))))
			p.id = id
			s.apps[id] = p
		}
		if (s.file != nil) != (where == dir) {
			t.Errorf("in %q: file %v", where, s.file)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("its folder shows %v, %v", left, err)
		}
		for i := range 20 {
			id := marathon.AppID(fmt.Sprintf("/a%d", i))
			if app, err := s.Open(id); err != nil || app.ID != id || fmt.Sprint(app.Doc["x"]) != fmt.Sprint(i) {
				t.Errorf("in %q: %s is %+v, %v", where, id, app, err)
			}
		}
		s.Close()
		if app, err := s.Open("/a1"); app != nil || err != nil {
			t.Errorf("closed, it has %v, %v", app, err)
		}
	}
}
