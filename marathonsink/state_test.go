package marathonsink

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

const info = `{"version":"1.11.24","leader":"m1:8080","frameworkId":"f-1","marathon_config":{"mesos_role":"search"}}`

// appJSON is an app as 1.11 lists it. more are further members, each with its comma in front.
func appJSON(id string, ours bool, more string) string {
	labels := `{"team":"x"}`
	if ours {
		labels = `{"esfleet.fleet":"f"}`
	}
	return fmt.Sprintf(`{"id":%q,"cmd":"sleep \"}]\\","cpus":0.30000000000000004,"instances":0,"labels":%s,`+
		`"version":"2026-11-22T01:28:14.829Z","versionInfo":{"lastConfigChangeAt":"2026-11-22T01:28:14.829Z"},`+
		`"tasksRunning":0,"deployments":[],"tasks":[]%s}`, id, labels, more)
}

func list(apps ...string) string { return `{"apps":[` + strings.Join(apps, ",") + `]}` }

// paths answers by path; what is not named is 500.
func paths(answers map[string]func() *http.Response) *fake {
	return &fake{answer: func(r *http.Request) (*http.Response, error) {
		if a := answers[r.URL.Path]; a != nil {
			return a(), nil
		}
		return reply(500, `{"message":"URI not found"}`), nil
	}}
}

func text(body string, header ...string) func() *http.Response {
	return func() *http.Response { return reply(200, body, header...) }
}

func TestASteadyStateIsOneRequest(t *testing.T) {
	f := paths(map[string]func() *http.Response{"/v2/apps": text(list(appJSON("/a", true, ""))), "/v2/info": text(info)})
	c := newClient(t, Options{Transport: f})
	for range 3 {
		s, err := c.State(background, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Version.String() != "1.11.24" || s.Leader != "m1:8080" || len(s.Apps) != 1 || s.ReadAt.IsZero() {
			t.Errorf("state %+v", s)
		}
	}
	got := f.asked()
	if len(got) != 4 { // three lists, and the version once
		t.Fatalf("asked %+v", got)
	}
	if want := "/v2/apps?embed=apps.tasks&embed=apps.counts&embed=apps.deployments&embed=apps.lastTaskFailure"; got[0].uri != want {
		t.Errorf("asked %s, want %s", got[0].uri, want)
	}
}

func TestAStateHoldsOurAppsWholeAndForeignOnesLight(t *testing.T) {
	f := paths(map[string]func() *http.Response{
		"/v2/apps": text(list(
			appJSON("/ours", true, `,"lastTaskFailure":{"message":"exit 1"}`),
			appJSON("/foreign", false, ""),
			// names our label without having it
			appJSON("/mentions", false, `,"env":{"X":"\"esfleet.fleet\"","esfleet.fleet":"y"}`))),
		"/v2/info": text(info)})
	s, err := newClient(t, Options{Transport: f}).State(background, nil)
	if err != nil {
		t.Fatal(err)
	}
	ours := s.Apps["/ours"]
	if ours.LastTaskFailure != "exit 1" || fmt.Sprint(ours.Doc["cpus"]) != "0.30000000000000004" || ours.Doc["cmd"] != `sleep "}]\` {
		t.Errorf("ours is %+v", ours)
	}
	for _, key := range []string{"version", "versionInfo", "tasks", "tasksRunning", "deployments", "lastTaskFailure"} {
		if _, there := ours.Doc[key]; there {
			t.Errorf("volatile %s is in the doc", key)
		}
	}
	for _, id := range []marathon.AppID{"/foreign", "/mentions"} {
		if a := s.Apps[id]; a.Doc != nil || a.Tasks != nil || a.Labels["team"] != "x" {
			t.Errorf("%s is %+v", id, a)
		}
	}
}

func TestDeploymentsAndQueueAreReadOnlyWhenSomethingMoves(t *testing.T) {
	moving := appJSON("/a", true, `,"deployments":[{"id":"d-1"}],"instances":2`)
	f := paths(map[string]func() *http.Response{
		"/v2/apps":        text(list(moving)),
		"/v2/deployments": text(`[{"id":"d-1","affectedApps":["/a"],"currentStep":1,"totalSteps":2,"currentActions":[{"action":"ScaleApplication","app":"/a"}]}]`),
		"/v2/queue":       text(`{"queue":[{"app":{"id":"/a"},"count":2,"delay":{"timeLeftSeconds":3,"overdue":false}},{"pod":{"id":"/p"},"count":1}]}`),
		"/v2/info":        text(info)})
	s, err := newClient(t, Options{Transport: f}).State(background, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l := s.LockedBy("/a"); len(l) != 1 || l[0].ID != "d-1" || l[0].CurrentActions[0].Action != "ScaleApplication" {
		t.Errorf("locked by %+v", l)
	}
	if len(s.Queue) != 1 || s.Queue[0].BackoffSeconds != 3 {
		t.Errorf("queue %+v", s.Queue)
	}
}

func TestAppsWhoseBytesDidNotChangeAreNotDecodedAgain(t *testing.T) {
	second := appJSON("/b", true, "")
	f := paths(map[string]func() *http.Response{
		"/v2/apps": func() *http.Response { return reply(200, list(appJSON("/a", true, ""), second)) }, "/v2/info": text(info)})
	c := newClient(t, Options{Transport: f})
	one, err := c.State(background, nil)
	if err != nil {
		t.Fatal(err)
	}
	second = appJSON("/b", true, `,"tasksRunning":1`)
	two, err := c.State(background, one)
	if err != nil {
		t.Fatal(err)
	}
	if one.Apps["/a"] != two.Apps["/a"] {
		t.Error("/a was decoded again")
	}
	if one.Apps["/b"] == two.Apps["/b"] || two.Apps["/b"].TasksRunning != 1 {
		t.Error("/b is stale")
	}
	three, err := c.State(background, nil)
	if err != nil {
		t.Fatal(err)
	}
	if three.Apps["/a"] == two.Apps["/a"] {
		t.Error("without a previous state /a was not decoded")
	}
}

func TestWhatIsNotExactlyOneWholeAnswerIsNoState(t *testing.T) {
	good := list(appJSON("/a", true, ""), appJSON("/b", false, ""))
	bad := map[string]func() *http.Response{
		"HTML":                text(good, "Content-Type", "text/html"),
		"no content type":     text(good, "Content-Type", ""),
		"no leader":           text(good, "X-Marathon-Leader", ""),
		"empty":               text(""),
		"null":                text("null"),
		"other object":        text(`{"message":"ok"}`),
		"apps null":           text(`{"apps":null}`),
		"apps twice":          text(`{"apps":[],"apps":[]}`),
		"null element":        text(`{"apps":[null]}`),
		"no comma":            text(`{"apps":[` + appJSON("/a", true, "") + appJSON("/b", true, "") + `]}`),
		"trailing comma":      text(`{"apps":[` + appJSON("/a", true, "") + `,]}`),
		"an app twice":        text(list(appJSON("/a", true, ""), appJSON("/a", true, `,"x":1`))),
		"the same app twice":  text(list(appJSON("/a", true, ""), appJSON("/a", true, ""))),
		"app without id":      text(`{"apps":[{"labels":{}}]}`),
		"bad JSON in an app":  text(`{"apps":[{"id":"/a",}]}`),
		"bytes after the end": text(good + "x"),
		"second document":     text(good + good),
		"status 206":          func() *http.Response { return reply(304, "") },
		"connection lost":     func() *http.Response { r := reply(200, ""); r.Body = cutBody{strings.NewReader(good[:80])}; return r },
		"lost after the end":  func() *http.Response { r := reply(200, ""); r.Body = cutBody{strings.NewReader(good)}; return r },
	}
	for i := 1; i < len(good); i += 7 {
		bad[fmt.Sprintf("cut at %d", i)] = text(good[:i])
	}
	for name, answer := range bad {
		t.Run(name, func(t *testing.T) {
			f := paths(map[string]func() *http.Response{"/v2/apps": answer, "/v2/info": text(info)})
			s, err := newClient(t, Options{Transport: f}).State(background, nil)
			wantKind(t, err, KindUnknown)
			if s != nil {
				t.Errorf("and yet a state: %+v", s)
			}
		})
	}
}

func TestAListAboveTheLimitIsRefused(t *testing.T) {
	f := paths(map[string]func() *http.Response{"/v2/apps": text(list(appJSON("/a", true, ""))), "/v2/info": text(info)})
	_, err := newClient(t, Options{Transport: f, MaxBody: 100}).State(background, nil)
	wantKind(t, err, KindTooLarge)
}

func TestAChangeOfLeaderBetweenTwoReadsIsNoState(t *testing.T) {
	moving := list(appJSON("/a", true, `,"deployments":[{"id":"d-1"}],"instances":1`))
	for _, late := range []string{"/v2/deployments", "/v2/queue", "/v2/info"} {
		answers := map[string]string{"/v2/apps": moving, "/v2/deployments": `[]`, "/v2/queue": `{"queue":[]}`, "/v2/info": info}
		f := &fake{answer: func(r *http.Request) (*http.Response, error) {
			res := reply(200, answers[r.URL.Path])
			if r.URL.Path == late {
				res.Header.Set("X-Marathon-Leader", "http://m2:8080")
			}
			return res, nil
		}}
		_, err := newClient(t, Options{Transport: f}).State(background, nil)
		if e := wantKind(t, err, KindUnknown); !strings.Contains(e.Message, "m2:8080") {
			t.Errorf("%s: %v", late, e)
		}
	}
}

func TestAnyOtherFailureOfASecondReadIsNoState(t *testing.T) {
	moving := list(appJSON("/a", true, `,"deployments":[{"id":"d-1"}]`))
	f := paths(map[string]func() *http.Response{"/v2/apps": text(moving), "/v2/deployments": text(`[{"id":`), "/v2/info": text(info)})
	_, err := newClient(t, Options{Transport: f}).State(background, nil)
	wantKind(t, err, KindUnknown)
}

func TestAnUnchangedListOfAThousandAppsCostsNoAllocationPerApp(t *testing.T) {
	var apps []string
	for i := range 1000 {
		apps = append(apps, appJSON(fmt.Sprintf("/g/a%d", i), true, ""))
	}
	body := list(apps...)
	f := paths(map[string]func() *http.Response{"/v2/apps": text(body), "/v2/info": text(info)})
	c := newClient(t, Options{Transport: f})
	s, err := c.State(background, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := testing.AllocsPerRun(5, func() {
		if s, err = c.State(background, s); err != nil {
			t.Fatal(err)
		}
	})
	if got > 300 {
		t.Errorf("%.0f allocations for 1,000 unchanged apps", got)
	}
}

// repeated is a list of n apps that is never held as a whole.
type repeated struct {
	n, i int
	rest strings.Reader
}

func (r *repeated) Read(p []byte) (int, error) {
	for r.rest.Len() == 0 {
		switch {
		case r.i == 0:
			r.rest = *strings.NewReader(`{"apps":[`)
		case r.i <= r.n:
			comma := ","
			if r.i == 1 {
				comma = ""
			}
			r.rest = *strings.NewReader(comma + appJSON(fmt.Sprintf("/foreign/a%d", r.i), false, `,"env":{"X":"`+strings.Repeat("x", 32<<10)+`"}`))
		case r.i == r.n+1:
			r.rest = *strings.NewReader(`]}`)
		default:
			return 0, io.EOF
		}
		r.i++
	}
	return r.rest.Read(p)
}

func (r *repeated) Close() error { return nil }

func TestALargeListIsNeverHeld(t *testing.T) {
	const apps = 2000 // 66 MB
	f := paths(map[string]func() *http.Response{
		"/v2/apps": func() *http.Response { r := reply(200, ""); r.Body = &repeated{n: apps}; return r }, "/v2/info": text(info)})
	c := newClient(t, Options{Transport: f})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, err := c.State(background, nil)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(s.Apps) != apps {
		t.Errorf("%d apps", len(s.Apps))
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the state holds %d bytes of 66 MB of foreign apps", grown)
	}
	runtime.KeepAlive(s)
}

func TestAnAppThatIsNotThereIsToldFromAnAnswerThatIsNoAnswer(t *testing.T) {
	_, err := newClient(t, Options{Transport: always(404, `{"message":"App '/a' does not exist","details":[]}`)}).App(background, "/a")
	wantKind(t, err, KindNotFound)
	_, err = newClient(t, Options{Transport: always(404, `Not Found`, "X-Marathon-Leader", "")}).App(background, "/a")
	wantKind(t, err, KindUnknown)
	_, err = newClient(t, Options{Transport: always(200, `{"app":`+appJSON("/b", true, "")+`}`)}).App(background, "/a")
	wantKind(t, err, KindUnknown)
	for _, body := range []string{`{}`, `[]`, `{"app":null}`, `{"app":{"id":7}}`} {
		_, err = newClient(t, Options{Transport: always(200, body)}).App(background, "/a")
		wantKind(t, err, KindUnknown)
	}
	a, err := newClient(t, Options{Transport: always(200, `{"app":`+appJSON("/a", false, "")+`}`)}).App(background, "/a")
	if err != nil || a.Doc == nil {
		t.Errorf("a foreign app asked for by name: %+v, %v", a, err)
	}
}

func TestReadsGoOnToTheNextMemberAndStayThere(t *testing.T) {
	failures := map[string]func() (*http.Response, error){
		"no connection": func() (*http.Response, error) { return nil, errors.New("connection refused") },
		"empty 500":     func() (*http.Response, error) { return reply(500, "", "X-Marathon-Leader", ""), nil },
		"empty 502":     func() (*http.Response, error) { return reply(502, "", "X-Marathon-Leader", ""), nil },
		"old leader": func() (*http.Response, error) {
			return reply(500, `{"message":"not currently active (Actor[x])"}`), nil
		},
		"answer is cut":    func() (*http.Response, error) { return reply(200, info[:20]), nil },
		"a proxy's page":   func() (*http.Response, error) { return reply(200, "<html>", "Content-Type", "text/html"), nil },
		"too many at once": func() (*http.Response, error) { return reply(503, ""), nil },
	}
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			f := &fake{answer: func(r *http.Request) (*http.Response, error) {
				if r.URL.Host == "m1:8080" {
					return fail()
				}
				return reply(200, `{"queue":[]}`), nil
			}}
			c := newClient(t, Options{Transport: f, URLs: []string{"http://m1:8080", "http://m2:8080"}})
			for range 2 {
				if _, err := c.Queue(background); err != nil {
					t.Fatal(err)
				}
			}
			if got := f.asked(); len(got) != 3 || got[0].host != "m1:8080" || got[1].host != "m2:8080" || got[2].host != "m2:8080" {
				t.Errorf("asked %+v", got)
			}
		})
	}
}

func TestAReadAsksEachMemberOnceAndReportsTheMostTelling(t *testing.T) {
	f := &fake{answer: func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "m2:8080" {
			return reply(502, "", "X-Marathon-Leader", ""), nil
		}
		return nil, errors.New("no route to host")
	}}
	c := newClient(t, Options{Transport: f, URLs: []string{"http://m1:8080", "http://m2:8080", "http://m3:8080"}})
	_, err := c.Deployments(background)
	wantKind(t, err, KindUnknown)
	if n := len(f.asked()); n != 3 {
		t.Errorf("asked %d times", n)
	}
	f = always(502, "", "X-Marathon-Leader", "")
	_, err = newClient(t, Options{Transport: f}).Deployments(background)
	wantKind(t, err, KindNoLeader)
}

func TestAReadDoesNotGoOnWhereTheAnswerIsClear(t *testing.T) {
	f := always(401, "", "X-Marathon-Leader", "", "WWW-Authenticate", `basic realm="null"`)
	c := newClient(t, Options{Transport: f, URLs: []string{"http://m1:8080", "http://m2:8080"}})
	_, err := c.Info(background)
	wantKind(t, err, KindUnauthorized)
	if n := len(f.asked()); n != 1 {
		t.Errorf("asked %d times with credentials that are wrong", n)
	}
}
