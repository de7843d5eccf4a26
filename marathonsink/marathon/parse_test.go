package marathon

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnAppOf111IsReadWithSuspendedAndRunningTasks(t *testing.T) {
	a, err := ParseApp(read(t, "app-1.11-suspended.json"))
	if err != nil {
		t.Fatal(err)
	}
	if a.ID != "/v4/es" || a.Instances != 2 || a.Labels["esfleet.fleet"] != "f" || a.TasksRunning != 2 || len(a.Tasks) != 3 {
		t.Errorf("%+v", a)
	}
	if want := time.Date(2026, 11, 22, 1, 25, 7, 787e6, time.UTC); !a.LastConfigChange.Equal(want) || !a.Version.After(want) {
		t.Errorf("changed %s, version %s", a.LastConfigChange, a.Version)
	}
	var states []string
	for _, task := range a.Tasks {
		switch {
		case task.Suspended() && !task.Active() && !task.Running():
			states = append(states, "suspended")
		case task.Running() && task.Active() && !task.Suspended():
			states = append(states, "running")
		}
		if len(task.LocalVolumes) != 1 || !strings.HasPrefix(task.LocalVolumes[0].PersistenceID, "v4_es#data#") {
			t.Errorf("volumes of %s: %+v", task.ID, task.LocalVolumes)
		}
	}
	if got := strings.Join(states, " "); got != "running running suspended" {
		t.Errorf("tasks are %s", got)
	}
}

func TestNullAndAbsentAreTheSame(t *testing.T) {
	// 1.4 writes every optional field as null.
	nulls := `{"id":"/a","instances":1,"labels":null,"cmd":null,"version":null,"versionInfo":null,"deployments":null,` +
		`"tasks":[{"id":"a.u","version":null,"ports":null,"localVolumes":null,"healthCheckResults":[null]}],"lastTaskFailure":null,"tasksRunning":null}`
	absent := `{"id":"/a","instances":1.0,"tasks":[{"id":"a.u","healthCheckResults":[{}]}]}`
	one, err := ParseApp([]byte(nulls))
	if err != nil {
		t.Fatal(err)
	}
	two, err := ParseApp([]byte(absent))
	if err != nil {
		t.Fatal(err)
	}
	one.Doc, two.Doc = nil, nil
	if d := cmp.Diff(two, one); d != "" {
		t.Error(d)
	}
}

func TestTheDocKeepsEverythingButWhatMarathonWritesByItself(t *testing.T) {
	raw := `{"id":"/a","cpus":1.0,"env":{"X":{"secret":"s"}},"unknown":[1e3],"storeUrls":[],"version":"2026-11-22T01:28:14.829Z","versionInfo":{},` +
		`"tasksStaged":0,"tasksRunning":0,"tasksHealthy":0,"tasksUnhealthy":0,"taskStats":{},"tasksStats":{},"deployments":[],"tasks":[],` +
		`"lastTaskFailure":{"message":"m"},"readinessCheckResults":[]}`
	a, err := ParseApp([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(a.Doc)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"cpus":1.0,"env":{"X":{"secret":"s"}},"id":"/a","storeUrls":[],"unknown":[1e3]}`; string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
}

func TestAForeignAppIsReadWithoutDocAndTasksWhateverTheyHold(t *testing.T) {
	a, err := ParseForeign([]byte(`{"id":"/a","instances":2,"labels":{"k":"v"},"tasks":[{"ports":"nonsense"}],"lastTaskFailure":7,"deployments":[{"id":"d"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&App{ID: "/a", Instances: 2, Labels: map[string]string{"k": "v"}, Deployments: []DeploymentID{"d"}}, a); d != "" {
		t.Error(d)
	}
}

func TestWhatIsNoAppIsAnError(t *testing.T) {
	for _, raw := range []string{``, `null`, `[]`, `{}`, `{"id":""}`, `{"id":"a"}`, `{"id":7}`, `{"id":"/a","instances":1.5}`, `{"id":"/a","instances":"x"}`,
		`{"id":"/a","version":"yesterday"}`, `{"id":"/a","versionInfo":{"lastConfigChangeAt":"x"}}`, `{"id":"/a","tasks":{}}`, `{"id":"/a"`} {
		if a, err := ParseApp([]byte(raw)); err == nil {
			t.Errorf("%s was read as %+v", raw, a)
		}
	}
}

func TestAQueueEntryTellsWhyOffersDidNotFit(t *testing.T) {
	q, err := ParseQueueItem([]byte(`{"app":{"id":"/a"},"count":2,"role":"marathon","delay":{"timeLeftSeconds":3.2,"overdue":false},` +
		`"processedOffersSummary":{"processedOffersCount":93,"rejectSummaryLastOffers":[{"reason":"UnfulfilledRole","declined":0,"processed":6},` +
		`{"reason":"UnfulfilledConstraint","declined":6,"processed":6}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := QueueItem{App: "/a", Count: 2, BackoffSeconds: 4, Offers: 93, Rejections: map[string]int{"UnfulfilledConstraint": 6}}
	if d := cmp.Diff(want, q); d != "" {
		t.Error(d)
	}
	if q, err = ParseQueueItem([]byte(`{"app":{"id":"/a"},"count":1,"delay":{"timeLeftSeconds":0,"overdue":true}}`)); err != nil || q.BackoffSeconds != 0 {
		t.Errorf("%+v, %v", q, err)
	}
}

func TestADeploymentNamesWhatItsOpenStepDoes(t *testing.T) {
	d, err := ParseDeployment([]byte(`{"id":"6eea","steps":[{"actions":[{"action":"StartApplication","app":"/q"}]}],"version":"2026-11-22T01:32:31.825Z",` +
		`"affectedApps":["/q"],"affectedPods":[],"currentActions":[{"action":"ScaleApplication","app":"/q","readinessCheckResults":[]}],"currentStep":2,"totalSteps":2}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Deployment{ID: "6eea", Version: "2026-11-22T01:32:31.825Z", AffectedApps: []AppID{"/q"}, CurrentStep: 2, TotalSteps: 2,
		CurrentActions: []Action{{"ScaleApplication", "/q"}}}
	if d := cmp.Diff(want, d); d != "" {
		t.Error(d)
	}
	if _, err := ParseDeployment([]byte(`{}`)); err == nil {
		t.Error("a deployment without id was read")
	}
}

func TestInfoNeedsAVersion(t *testing.T) {
	i, err := ParseInfo([]byte(`{"version":"1.5.0-96-gf84298d","leader":"m:1","frameworkId":"f","marathon_config":{"mesos_role":null}}`))
	if err != nil || i.Version != (Version{1, 5, 0}) || i.Leader != "m:1" || i.FrameworkID != "f" || i.Role != "" {
		t.Errorf("%+v, %v", i, err)
	}
	for _, raw := range []string{`{}`, `{"version":"x"}`, `[]`} {
		if _, err := ParseInfo([]byte(raw)); err == nil {
			t.Errorf("%s was read", raw)
		}
	}
}

func TestVersionsThatLoseVolumesAndUnknownOnesAreNotSupported(t *testing.T) {
	for s, want := range map[string]bool{"1.3.14": false, "1.4.1": false, "1.4.2-RC1": true, "1.4.2": true, "1.5.15": true, "1.11.24": true, "2.0.0": false, "0.15.3": false} {
		v, err := ParseVersion(s)
		if err != nil {
			t.Fatal(err)
		}
		if ok, why := v.Supported(); ok != want || ok == (why != "") {
			t.Errorf("%s: %v %q", s, ok, why)
		}
	}
	for _, s := range []string{"", "1", "1.2.3.4", "a.b", "1.-2", "1.x.2"} {
		if v, err := ParseVersion(s); err == nil {
			t.Errorf("%q was read as %s", s, v)
		}
	}
}

func TestTheInstanceIsFoundInTaskIdsOfEveryVersion(t *testing.T) {
	const uuid = "fd0005a6-e613-11f1-84e4-02fc00000001"
	for _, id := range []TaskID{"a_b." + uuid, "a_b." + uuid + ".7", "a_b.instance-" + uuid + "._app.2", "a_b.marathon-" + uuid} {
		if got := id.Instance(); got != uuid {
			t.Errorf("%s: %s", id, got)
		}
	}
	if got := TaskID("odd").Instance(); got != "odd" {
		t.Error(got)
	}
}

func TestAnAppsGroupAndName(t *testing.T) {
	for id, want := range map[AppID][2]string{"/search/logs/es-master": {"/search/logs", "es-master"}, "/a": {"/", "a"}} {
		if id.Group() != want[0] || id.Name() != want[1] {
			t.Errorf("%s: %s %s", id, id.Group(), id.Name())
		}
	}
}

// FuzzParse: no bytes make a reader panic, an app that is read has an absolute id, and what ParseApp reads, ParseForeign reads alike.
func FuzzParse(f *testing.F) {
	f.Add(read(f, "app-1.11-suspended.json"))
	f.Add([]byte(`{"id":"/a","instances":1.0,"labels":null}`))
	f.Add([]byte(`{"app":{"id":"/a"},"count":2,"delay":{"timeLeftSeconds":3.2}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = ParseDeployment(raw)
		_, _ = ParseQueueItem(raw)
		_, _ = ParseInfo(raw)
		a, err := ParseApp(raw)
		if err != nil {
			return
		}
		if a.ID[0] != '/' || a.Doc == nil {
			t.Fatalf("%+v", a)
		}
		light, err := ParseForeign(raw)
		if err != nil || light.ID != a.ID || light.Instances != a.Instances || !light.Version.Equal(a.Version) {
			t.Fatalf("%+v and %+v, %v", a, light, err)
		}
	})
}

func TestAHeadIsQuietOnlyWhereNothingIsUnderWay(t *testing.T) {
	const at, later, before = `"2026-11-22T01:00:00.000Z"`, `"2026-11-22T02:00:00.000Z"`, `"2026-11-21T01:00:00.000Z"`
	app := func(more string) string {
		return `{"id":"/a","instances":2,"versionInfo":{"lastConfigChangeAt":` + at + `},"deployments":[]` + more + `}`
	}
	for raw, quiet := range map[string]bool{
		app(`,"tasksRunning":2,"tasks":[{"version":` + at + `},{"localVolumes":[{"x":"]"}],"version":` + later + `}]`): true,
		app(`,"tasksRunning":2,"tasks":null`):                                                                            true,
		app(`,"tasksRunning":2,"tasks":[{"version":` + at + `},{"version":` + before + `}]`):                             false,
		app(`,"tasksRunning":2,"tasks":[{"version":` + at + `},{"id":"stopped"}]`):                                       false,
		app(`,"tasksRunning":2,"tasks":[{"version":"soon"}]`):                                                            false,
		app(`,"tasksRunning":1,"tasks":[]`):                                                                              false,
		`{"id":"/a","instances":0,"deployments":[{"id":"d"}]}`:                                                           false,
		`{"id":"/a","instances":0}`:                                                                                      true,
		app(`,"tasksRunning":2,"tasks":[{"version":` + at + `,"n":{"version":` + before + `}}],"x":{"tasks":[{"y":1}]}`): true,
	} {
		h, err := ParseHead([]byte(raw))
		if err != nil || h.ID != "/a" || h.Quiet != quiet {
			t.Errorf("%s: %+v, %v", raw, h, err)
		}
		if a, err := ParseApp([]byte(raw)); err != nil || h.Quiet && (len(a.OlderVersions()) > 0 || len(a.Deployments) > 0 || a.TasksRunning < a.Instances) {
			t.Errorf("%s: quiet is %+v, %v", raw, a, err)
		}
	}
	for _, raw := range []string{``, `{}`, `[]`, `{"id":"a"}`, `{"id":"/a"`, `{"id":"/a"}}`, `{"id":"/a","instances":1.5}`, `{"id":"/a","tasks":[1]}`} {
		if h, err := ParseHead([]byte(raw)); err == nil {
			t.Errorf("%s became %+v", raw, h)
		}
	}
}
