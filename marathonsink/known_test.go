package marathonsink

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// Whatever happened before, also readings that broke off and apps that the caller took out or made smaller: a State read
// with the one before says the same as one that is decoded anew, and Changed names exactly what differs.
func TestAStateReadWithTheOneBeforeIsTheSameAsOneReadAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := map[marathon.AppID]int{} // what each app is like now
		cut := false
		f := &fake{answer: func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/v2/info" {
				return reply(200, info), nil
			}
			var apps []string
			for _, id := range slices.Sorted(maps.Keys(content)) {
				apps = append(apps, appJSON(string(id), true, fmt.Sprintf(`,"x":%d`, content[id])))
			}
			res := reply(200, list(apps...))
			if cut {
				res.Body = io.NopCloser(cutBody{strings.NewReader(list(apps...)[:len(list(apps...))/2])})
			}
			return res, nil
		}}
		c, err := New(Options{URLs: []string{leader}, Transport: f})
		if err != nil {
			t.Fatal(err)
		}
		id := rapid.Map(rapid.IntRange(0, 7), func(n int) marathon.AppID { return marathon.AppID(fmt.Sprintf("/a%d", n)) })
		small := map[marathon.AppID]*marathon.App{}
		var prev *marathon.State
		was := map[marathon.AppID]int{} // what each app of prev was like; one that was taken out is not there
		for range rapid.IntRange(1, 12).Draw(t, "rounds") {
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				switch id := id.Draw(t, "app"); rapid.IntRange(0, 3).Draw(t, "kind") {
				case 0:
					delete(content, id)
				case 1:
					content[id] = rapid.IntRange(0, 2).Draw(t, "content")
				case 2:
					if prev != nil && prev.Apps[id] != nil {
						delete(prev.Apps, id)
						delete(was, id)
					}
				case 3:
					if prev != nil && prev.Apps[id] != nil {
						small[id] = &marathon.App{ID: id}
						prev.Apps[id] = small[id]
					}
				}
			}
			if cut = rapid.IntRange(0, 4).Draw(t, "cut") == 0; cut {
				if s, err := c.State(background, prev); err == nil {
					t.Fatalf("half a list became %+v", s)
				}
				continue
			}
			before := map[marathon.AppID]*marathon.App{}
			if prev != nil {
				before = maps.Clone(prev.Apps)
			}
			s, err := c.State(background, prev)
			if err != nil {
				t.Fatal(err)
			}
			if s.Incremental != (prev != nil) {
				t.Fatalf("incremental: %v", s.Incremental)
			}
			checkState(t, s, content, was, before)
			prev, was = s, maps.Clone(content)
		}
	})
}

func checkState(t *rapid.T, s *marathon.State, content, was map[marathon.AppID]int, before map[marathon.AppID]*marathon.App) {
	if got, want := slices.Sorted(maps.Keys(s.Apps)), slices.Sorted(maps.Keys(content)); !slices.Equal(got, want) {
		t.Fatalf("apps %v, want %v", got, want)
	}
	var changed []marathon.AppID
	for id, x := range content {
		if y, ok := was[id]; ok && x == y {
			if s.Apps[id] != before[id] {
				t.Fatalf("%s did not change and is another App", id)
			}
			continue
		}
		changed = append(changed, id)
		want, err := marathon.ParseApp([]byte(appJSON(string(id), true, fmt.Sprintf(`,"x":%d`, x))))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, s.Apps[id]); d != "" {
			t.Fatalf("%s: %s", id, d)
		}
	}
	for id := range was {
		if _, ok := content[id]; !ok {
			changed = append(changed, id)
		}
	}
	slices.Sort(changed)
	got := slices.Sorted(slices.Values(s.Changed))
	if s.Incremental && !slices.Equal(got, changed) {
		t.Fatalf("changed %v, want %v", got, changed)
	}
}

func TestAnAppThatIsListedTwiceIsNoState(t *testing.T) {
	body := list(appJSON("/a", true, ""), appJSON("/b", true, ""))
	f := paths(map[string]func() *http.Response{"/v2/apps": func() *http.Response { return reply(200, body) }, "/v2/info": text(info)})
	c := newClient(t, Options{Transport: f})
	first, err := c.State(background, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, again := range []string{appJSON("/a", true, ""), appJSON("/a", true, `,"x":1`)} {
		body = list(appJSON("/a", true, ""), again)
		for _, prev := range []*marathon.State{first, nil} {
			if s, err := c.State(background, prev); err == nil || KindOf(err) != KindUnknown {
				t.Errorf("%+v, %v", s, err)
			}
		}
	}
}
