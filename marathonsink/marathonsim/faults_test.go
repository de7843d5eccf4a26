package marathonsim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// faulty makes a way to the Sim on which the script happens.
func (l lab) faulty(script ...marathonsim.Fault) *marathonsim.Faulty {
	l.Helper()
	f, err := l.Faulty(script)
	if err != nil {
		l.Fatal(err)
	}
	return f
}

// through sends a request that gives up after 30 s, and says its status and body, or the error as the body.
func (l lab) through(f http.RoundTripper, method, path string, body any) (int, string) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 30*time.Second)
	defer cancel()
	b, err := json.Marshal(body)
	if err != nil {
		l.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://marathon.sim"+path, strings.NewReader(string(b)))
	if err != nil {
		l.Fatal(err)
	}
	res, err := f.RoundTrip(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	if b, err = io.ReadAll(res.Body); err != nil {
		return res.StatusCode, err.Error()
	}
	return res.StatusCode, string(b)
}

func TestAFaultOfAWriteDecidesWhetherItIsDoneAndWhetherItIsAnswered(t *testing.T) {
	for _, c := range []struct {
		fault  marathonsim.Fault
		status int
		says   string
		done   bool          // when the sender hears
		took   time.Duration // until then
		later  bool          // done a minute later
	}{
		{marathonsim.Fault{Kind: marathonsim.RequestLost}, 0, "connection reset", false, 0, false},
		{marathonsim.Fault{Kind: marathonsim.AnswerLost}, 0, "connection reset", true, 0, true},
		{marathonsim.Fault{Kind: marathonsim.RequestLate, For: 5 * time.Second}, 201, "deployments", true, 5 * time.Second, true},
		{marathonsim.Fault{Kind: marathonsim.RequestLate, For: 40 * time.Second}, 0, "deadline exceeded", false, 30 * time.Second, true},
		{marathonsim.Fault{Kind: marathonsim.AnswerLate, For: 5 * time.Second}, 201, "deployments", true, 5 * time.Second, true},
		{marathonsim.Fault{Kind: marathonsim.AnswerLate, For: 40 * time.Second}, 0, "deadline exceeded", true, 30 * time.Second, true},
		{marathonsim.Fault{Kind: marathonsim.AnswerCut}, 201, "unexpected end", true, 0, true},
		{marathonsim.Fault{Kind: marathonsim.ErrorBefore}, 503, "html", false, 0, false},
		{marathonsim.Fault{Kind: marathonsim.ErrorAfter}, 502, "html", true, 0, true},
		{marathonsim.Fault{Kind: marathonsim.LeaderDies}, 0, "connection reset", true, 0, true},
	} {
		c.fault.Nth, c.fault.Method = 1, "POST"
		t.Run(c.fault.String(), func(t *testing.T) {
			inVirtualTime(t, marathonsim.Options{}, func(l lab) {
				f := l.faulty(c.fault)
				l.through(f, "GET", "/v2/apps", nil) // does not fit the fault
				began := time.Now()
				status, says := l.through(f, "POST", "/v2/apps", resident("/es", 1, "1"))
				if status != c.status || !strings.Contains(says, c.says) {
					t.Errorf("answered %d %.200s", status, says)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
				if done := len(l.View().Apps) == 1; done != c.done {
					t.Errorf("done: %v, want %v", done, c.done)
				}
				time.Sleep(time.Minute)
				if done := len(l.View().Apps) == 1; done != c.later {
					t.Errorf("done later: %v, want %v", done, c.later)
				}
				if n := f.Happened()[c.fault.Kind]; n != 1 {
					t.Errorf("happened %d times", n)
				}
			})
		})
	}
}

func TestStaleReadsShowHowItWasSomeVersionsAgoAndThenEnd(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		f := l.faulty(marathonsim.Fault{Kind: marathonsim.StaleReads, Nth: 8, Back: 2, For: 10 * time.Second})
		labels := func() string {
			_, body := l.through(f, "GET", "/v2/apps?label=n", nil)
			var list struct {
				Apps []struct{ Labels map[string]string }
			}
			if err := json.Unmarshal([]byte(body), &list); err != nil {
				t.Fatal(err)
			}
			return list.Apps[0].Labels["n"]
		}
		for i := range 4 {
			l.through(f, "PUT", "/v2/apps/a", doc{"cmd": "run", "instances": 0, "labels": doc{"n": fmt.Sprint(i)}})
			if i < 3 {
				if got := labels(); got != fmt.Sprint(i) {
					t.Errorf("shows %s before the fault, want %d", got, i)
				}
			}
		}
		if got := labels(); got != "0" { // the eighth request opens the window; 2 was the newest that was ever read
			t.Errorf("shows %s, want 0", got)
		}
		time.Sleep(10 * time.Second)
		if got := labels(); got != "3" {
			t.Errorf("shows %s after the window, want 3", got)
		}
	})
}

func TestTheWorldsFaultsHappenWhenTheyShallAndEnd(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		f := l.faulty(
			marathonsim.Fault{Kind: marathonsim.TaskDies, At: 30 * time.Second, Count: 2},
			marathonsim.Fault{Kind: marathonsim.AgentVanishes, At: time.Minute, For: 10 * time.Second, Name: "127.0.0.11"},
			marathonsim.Fault{Kind: marathonsim.OffersStop, At: 2 * time.Minute, For: time.Minute},
			marathonsim.Fault{Kind: marathonsim.LaunchesFail, At: 4 * time.Minute, Count: 2},
			marathonsim.Fault{Kind: marathonsim.TasksCrash, At: 5 * time.Minute, For: time.Minute, Name: "/es"},
			marathonsim.Fault{Kind: marathonsim.LeaderChanges, At: 20 * time.Minute},
		)
		began := time.Now()
		until := func(d time.Duration) { time.Sleep(d - time.Since(began)) }
		l.must(201, "PUT", "/v2/apps/es", resident("/es", 5, "1"))
		expect := func(at time.Duration, what string, states ...string) {
			t.Helper()
			until(at)
			var got []string
			for _, task := range l.tasks("/es") {
				got = append(got, strings.TrimPrefix(task.State, "TASK_"))
			}
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, states) {
				t.Errorf("%s: %s: tasks are %v, want %v", at, what, got, states)
			}
		}
		expect(29*time.Second, "before", "RUNNING")
		before := l.tasks("/es")
		if len(before) != 5 {
			t.Fatalf("%d tasks", len(before))
		}
		expect(50*time.Second, "a task came back", "RUNNING")
		if after := l.tasks("/es"); before[1].ID == after[1].ID || before[0].ID != after[0].ID {
			t.Error("not the second task died")
		}
		expect(65*time.Second, "an agent is away", "RUNNING", "UNREACHABLE")
		expect(75*time.Second, "it is back", "RUNNING")
		until(125 * time.Second)
		l.must(200, "PUT", "/v2/apps/es?force=true", doc{"instances": 4})
		l.must(201, "PUT", "/v2/apps/late", doc{"cmd": "run", "instances": 1, "cpus": 0.1, "mem": 32})
		until(175 * time.Second)
		if n := len(l.tasks("/late")); n != 0 {
			t.Errorf("%d tasks without offers", n)
		}
		until(190 * time.Second)
		if n := len(l.tasks("/late")); n != 1 {
			t.Errorf("%d tasks once offers come again", n)
		}
		until(241 * time.Second)
		l.must(201, "PUT", "/v2/apps/failing", doc{"cmd": "run", "instances": 1, "cpus": 0.1, "mem": 32})
		until(290 * time.Second)
		if app := l.app("/failing"); app["lastTaskFailure"] == nil || app["tasksRunning"] != 1.0 {
			t.Errorf("failed and recovered: %v", app)
		}
		until(330 * time.Second)
		if n := running(l.tasks("/es")); n > 1 {
			t.Errorf("%d run while they crash", n)
		}
		until(19 * time.Minute)
		if n := running(l.tasks("/es")); n < 4 {
			t.Errorf("%d run after the crash loop", n)
		}
		until(20*time.Minute + time.Second)
		l.must(500, "GET", "/v2/info", nil)
		for _, k := range []marathonsim.FaultKind{marathonsim.TaskDies, marathonsim.AgentVanishes, marathonsim.OffersStop,
			marathonsim.LaunchesFail, marathonsim.TasksCrash, marathonsim.LeaderChanges} {
			if f.Happened()[k] != 1 {
				t.Errorf("%s happened %d times", k, f.Happened()[k])
			}
		}
	})
}

func TestCalmEndsWhatIsUnderWay(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		f := l.faulty(
			marathonsim.Fault{Kind: marathonsim.AgentVanishes, At: 20 * time.Second, For: time.Hour, Name: "127.0.0.11"},
			marathonsim.Fault{Kind: marathonsim.OffersStop, At: 20 * time.Second, For: time.Hour},
			marathonsim.Fault{Kind: marathonsim.TasksCrash, At: 20 * time.Second, For: time.Hour, Name: "/es"},
			marathonsim.Fault{Kind: marathonsim.LeaderChanges, At: time.Hour},
		)
		l.must(201, "PUT", "/v2/apps/es", resident("/es", 5, "1"))
		time.Sleep(time.Minute)
		if n := running(l.tasks("/es")); n != 0 {
			t.Errorf("%d run", n)
		}
		f.Calm()
		time.Sleep(2 * time.Hour)
		if n := running(l.tasks("/es")); n != 5 {
			t.Errorf("%d run after calm", n)
		}
		if n := f.Happened()[marathonsim.LeaderChanges]; n != 0 {
			t.Error("a fault happened after calm")
		}
	})
}

func TestEventsAreLostDoubledAndSwappedAndHeartbeatsPass(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{}, func(l lab) {
		f := l.faulty(
			marathonsim.Fault{Kind: marathonsim.EventLost, Nth: 2},
			marathonsim.Fault{Kind: marathonsim.EventDoubled, Nth: 4},
			marathonsim.Fault{Kind: marathonsim.EventSwapped, Nth: 5},
		)
		ctx, cancel := context.WithTimeout(l.Context(), 25*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "GET", "http://marathon.sim/v2/events?event_type=api_post_event", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := f.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 7 {
			l.must(201, "PUT", fmt.Sprintf("/v2/apps/a%d", i+1), doc{"cmd": "run", "instances": 0})
		}
		got, _ := io.ReadAll(res.Body) // ends with the context
		var order []string
		for _, frame := range strings.Split(string(got), "\r\n\r\n") {
			if _, rest, ok := strings.Cut(frame, `"uri":"/v2/apps/`); ok {
				order = append(order, rest[:2])
			}
		}
		if want := []string{"a1", "a3", "a4", "a4", "a6", "a5", "a7"}; !slices.Equal(order, want) {
			t.Errorf("events came as %v, want %v", order, want)
		}
		if !strings.HasSuffix(string(got), "}\r\n\r\n\r\n\r\n") {
			t.Errorf("the stream does not end with two heartbeats: %q", got[max(0, len(got)-40):])
		}
	})
}

func TestAFaultThatCannotHappenIsRefused(t *testing.T) {
	for _, f := range []marathonsim.Fault{
		{Kind: "flood", Nth: 1},
		{Kind: marathonsim.AnswerLost},
		{Kind: marathonsim.AnswerLate, Nth: 1},
		{Kind: marathonsim.LeaderChanges, Nth: 1},
		{Kind: marathonsim.AgentVanishes, For: time.Second},
		{Kind: marathonsim.TaskDies, At: -1},
	} {
		if err := f.Check(); err == nil {
			t.Errorf("%+v is taken for possible", f)
		}
	}
}

func TestASeedDrawsOneScriptAndEveryKind(t *testing.T) {
	w := marathonsim.Weather{Requests: 5000, Events: 500, Length: time.Hour, Rate: 0.1, World: 200, Agents: []string{"h1", "h2"},
		Apps: []string{"/a"}, Late: time.Minute}
	script := marathonsim.RandomFaults(7, w)
	if !reflect.DeepEqual(script, marathonsim.RandomFaults(7, w)) {
		t.Error("one seed gave two scripts")
	}
	if reflect.DeepEqual(script, marathonsim.RandomFaults(8, w)) {
		t.Error("two seeds gave one script")
	}
	drawn := map[marathonsim.FaultKind]bool{}
	for _, f := range script {
		drawn[f.Kind] = true
		if err := f.Check(); err != nil {
			t.Error(err)
		}
	}
	for _, k := range marathonsim.FaultKinds() {
		if !drawn[k] {
			t.Errorf("%s was never drawn", k)
		}
	}
	w.Without = []marathonsim.FaultKind{marathonsim.StaleReads}
	if slices.ContainsFunc(marathonsim.RandomFaults(7, w), func(f marathonsim.Fault) bool { return f.Kind == marathonsim.StaleReads }) {
		t.Error("drew what shall not happen")
	}
}
