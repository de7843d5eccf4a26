package marathonsink

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// day is a moment of a day as Marathon writes versions.
func day(hour int) string { return fmt.Sprintf("2026-11-22T%02d:00:00.000Z", hour) }

// stateful is an app of ours whose definition came into force at an hour, with a task for each version that runs.
func stateful(inForce int, more string, runs ...int) string {
	var tasks []string
	for i, v := range runs {
		tasks = append(tasks, fmt.Sprintf(`{"id":"a.instance-%d._app.1","state":"TASK_RUNNING","version":%q,"localVolumes":[{"persistenceId":"v"}]}`, i, day(v)))
	}
	return fmt.Sprintf(`{"id":"/a","instances":%d,"env":{"X":"now"},"labels":{"esfleet.fleet":"f"},"version":%q,"versionInfo":{"lastConfigChangeAt":%q},"tasksRunning":%d,"tasks":[%s]%s}`,
		len(runs), day(23), day(inForce), len(runs), strings.Join(tasks, ","), more)
}

// was is the app in a version.
func was(version, configured int) func() *http.Response {
	return text(fmt.Sprintf(`{"id":"/a","instances":2,"env":{"X":"%d"},"version":%q,"versionInfo":{"lastConfigChangeAt":%q}}`, configured, day(version), day(configured)))
}

// versionsAsked are the hours of the versions that were asked for.
func versionsAsked(f *fake) (out []string) {
	for _, a := range f.asked() {
		if _, v, ok := strings.Cut(a.uri, "/v2/apps/a/versions/"); ok {
			out = append(out, v[11:13])
		}
	}
	return out
}

func TestOneRequestTellsWhatAllTasksOfOneOlderDefinitionRun(t *testing.T) {
	apps := stateful(12, "", 13, 9, 5, 8, 3, 9)
	f := paths(map[string]func() *http.Response{"/v2/apps": func() *http.Response { return text(list(apps))() }, "/v2/info": text(info),
		"/v2/apps/a/versions/" + day(9): was(9, 4), // the versions 4 to 9 were mere scalings
		"/v2/apps/a/versions/" + day(3): was(3, 3)})
	c := newClient(t, Options{Transport: f})
	s, err := c.State(background, nil)
	if err != nil {
		t.Fatal(err)
	}
	for hour, want := range map[int]string{9: "4", 8: "4", 5: "4", 3: "3"} {
		v, _ := time.Parse(time.RFC3339, day(hour))
		doc := s.Apps["/a"].FormerOf(v)
		if env, _ := doc["env"].(map[string]any); env["X"] != want {
			t.Errorf("version %d is %v, want the definition of %s", hour, doc, want)
		}
	}
	if got := fmt.Sprint(versionsAsked(f)); got != "[09 03]" {
		t.Errorf("asked for versions %s", got)
	}
	// A task more is news of the app, not of its versions; and an app that did not change is taken over.
	apps = stateful(12, "", 13, 9, 5, 8, 3, 9, 4)
	for range 2 {
		if s, err = c.State(background, s); err != nil || len(s.Apps["/a"].Former) != 2 {
			t.Fatalf("%v, %+v", err, s)
		}
	}
	if got := fmt.Sprint(versionsAsked(f)); got != "[09 03]" {
		t.Errorf("asked for versions %s, again", got)
	}
}

func TestOlderDefinitionsAreAskedForOnlyWhereTheyMatter(t *testing.T) {
	const failed = `,"lastTaskFailure":{"message":"exit 1","taskId":"a.instance-7._app.1","version":"2026-11-22T05:00:00.000Z"}`
	stopped := func(instance int) string {
		return strings.Replace(stateful(12, failed, 13), `"tasks":[`, fmt.Sprintf(`"tasks":[{"id":"a.instance-%d._app.1","localVolumes":[{}]},`, instance), 1)
	}
	for _, c := range []struct{ name, app, want string }{
		{"all run the definition in force", stateful(12, "", 12, 13, 14), "[]"},
		{"a failure of nobody who is down", stateful(12, failed, 13), "[]"},
		{"another instance is stopped", stopped(6), "[]"},
		{"the one that failed is stopped", stopped(7), "[05]"},
		{"tasks without a volume", strings.ReplaceAll(stateful(12, "", 3), `"localVolumes":[{"persistenceId":"v"}]`, `"localVolumes":[]`), "[]"},
		{"somebody else's app", strings.Replace(stateful(12, "", 3), "esfleet.fleet", "owner", 1), "[]"},
		{"not more than four definitions", stateful(20, "", 9, 8, 7, 6, 5, 4), "[09 08 07 06]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers := map[string]func() *http.Response{"/v2/apps": text(list(c.app)), "/v2/info": text(info), "/v2/queue": text(`{"queue":[]}`)}
			for h := 3; h < 10; h++ {
				answers["/v2/apps/a/versions/"+day(h)] = was(h, h)
			}
			f := paths(answers)
			if _, err := newClient(t, Options{Transport: f}).State(background, nil); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(versionsAsked(f)); got != c.want {
				t.Errorf("asked for versions %s, want %s", got, c.want)
			}
		})
	}
}

func TestAnOlderDefinitionIsKnownNotThereOrNoStateAtAll(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func() *http.Response
		fails  bool
	}{
		{"Marathon has it no more", func() *http.Response { return reply(404, `{"message":"App '/a' does not exist in version x"}`) }, false},
		{"it is another app's", text(`{"id":"/b","version":"2026-11-22T09:00:00.000Z"}`), false},
		{"it is another version", was(8, 8), false},
		{"it cannot be read", text(`{"id":`), false},
		{"Marathon fails", func() *http.Response { return reply(503, `{"message":"timed out"}`) }, true},
		{"another leader answers", func() *http.Response { r := was(9, 9)(); r.Header.Set("X-Marathon-Leader", "http://m2:8080"); return r }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := paths(map[string]func() *http.Response{"/v2/apps": text(list(stateful(12, "", 9))), "/v2/info": text(info), "/v2/apps/a/versions/" + day(9): c.answer})
			s, err := newClient(t, Options{Transport: f}).State(background, nil)
			if c.fails {
				wantKind(t, err, KindUnknown)
				return
			}
			v, _ := time.Parse(time.RFC3339, day(9))
			if err != nil || s.Apps["/a"].FormerOf(v) != nil {
				t.Errorf("%v, %+v", err, s)
			}
		})
	}
}

func TestWhatIsRememberedOfOlderDefinitionsIsBounded(t *testing.T) {
	var f former
	for i := range 100 {
		f.keep(marathon.AppID(fmt.Sprintf("/a%d", i)), marathon.Former{}, maxFormerBytes/10)
		if f.bytes > maxFormerBytes || len(f.byApp) > 10 {
			t.Fatalf("%d bytes of %d apps", f.bytes, len(f.byApp))
		}
	}
	if _, ok := f.find("/a99", time.Time{}); !ok {
		t.Error("the last one is forgotten")
	}
}
