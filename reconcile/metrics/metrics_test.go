package metrics

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/spec"
)

var update = flag.Bool("u", false, "rewrite the golden file")

func scrape(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("scrape: %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

var (
	at    = time.UnixMilli(1_700_000_000_500)
	logs  = spec.ClusterID{Group: "search", Name: "logs"}
	shop  = spec.ClusterID{Group: "search", Name: "shop"}
	build = regexp.MustCompile(`(?m)^esfleet_build_info\{goversion="go[^"]*",version="[^"]+"\} 1$`)
)

func TestAScrapeReadsAsItsGoldenFile(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := New(reg)
	m.Fetched(true, at)
	m.Fetched(false, at.Add(time.Hour))
	m.Commit("1111111")
	m.Commit("2222222")
	m.Observe(&plan.Cluster{ID: logs, Phase: plan.Held, Holds: []plan.Hold{{Rule: "guard"}, {Rule: "guard"}, {Rule: "stateful-update"}}},
		&drift.Drift{ID: logs, Differences: []drift.Difference{{Class: drift.Update}, {Class: drift.Update}, {Class: drift.Scale}}})
	m.Observe(&plan.Cluster{ID: shop, Phase: plan.IsSuspended}, nil)
	left := int64(90)
	m.Observe(&plan.Cluster{ID: spec.ClusterID{Group: "search", Name: "orders"}, Phase: plan.Waiting,
		Slots: []plan.Slot{{State: plan.SlotOld}, {State: plan.SlotOld}, {State: plan.SlotStarting}},
		Work:  []plan.Work{{What: plan.WorkRestart, Total: 3, LeftSeconds: &left}, {What: plan.WorkJoin, Done: 3, Total: 4}}}, nil)
	m.Resynced("main", at)
	m.Looked(at)
	m.StepDone(plan.CreateApp, "done")
	m.StepDone(plan.CreateApp, "done")
	m.StepDone(plan.ScaleOut, "unknown")
	m.Requested("apps", "ok", 15*time.Millisecond)
	m.Requested("put", "locked", time.Second)
	m.OplogError()

	got := scrape(t, reg)
	if !build.MatchString(got) {
		t.Error("esfleet_build_info is missing")
	}
	got = build.ReplaceAllString(got, `esfleet_build_info{goversion="GO",version="VERSION"} 1`)
	if *update {
		if err := os.WriteFile("testdata/scrape.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/scrape.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("the names are API (-want +got):\n%s", d)
	}
}

func TestWhatIsNoLongerSoLosesItsSeries(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := New(reg)
	left := int64(90)
	slots, work := []plan.Slot{{State: plan.SlotOld}}, []plan.Work{{What: plan.WorkRestart, Total: 1, LeftSeconds: &left}}
	m.Observe(&plan.Cluster{ID: logs, Phase: plan.Held, Slots: slots, Work: work, Holds: []plan.Hold{{Rule: "guard"}}}, &drift.Drift{Differences: []drift.Difference{{Class: drift.Update}}})
	m.Observe(&plan.Cluster{ID: shop, Phase: plan.Held, Slots: slots, Work: work, Holds: []plan.Hold{{Rule: "guard"}}}, &drift.Drift{Differences: []drift.Difference{{Class: drift.Update}}})
	m.Looked(at)
	if got := scrape(t, reg); strings.Count(got, "search/shop") != 8 || strings.Count(got, "search/logs") != 8 {
		t.Fatalf("before:\n%s", got)
	}
	m.Observe(&plan.Cluster{ID: logs, Phase: plan.Converged}, &drift.Drift{})
	m.Looked(at)
	got := scrape(t, reg)
	if strings.Contains(got, "search/shop") {
		t.Error("a cluster that was not looked at any more still has series")
	}
	if !strings.Contains(got, `esfleet_cluster_phase{cluster="search/logs",phase="converged"} 1`) || strings.Contains(got, "held") ||
		strings.Contains(got, Slots+"{") || strings.Contains(got, RolloutDone+"{") || strings.Contains(got, RolloutTotal+"{") ||
		strings.Contains(got, RolloutLeft+"{") || strings.Contains(got, Drift+"{") || strings.Contains(got, Holds+"{") {
		t.Errorf("the converged cluster shows its past:\n%s", got)
	}
}

func TestAFlawedLabelCannotGrowWithoutBound(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := New(reg)
	for i := range 1000 {
		m.Requested(fmt.Sprintf("/v2/apps/%d", i), "ok", time.Millisecond)
	}
	got := scrape(t, reg)
	if n := strings.Count(got, Requests+"{"); n != maxValues+1 {
		t.Errorf("%d series, want %d", n, maxValues+1)
	}
	if !strings.Contains(got, `op="other"} 936`) {
		t.Error("the rest is not counted under other")
	}
}

func TestManyMayReportAtOnce(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := New(reg)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				m.Observe(&plan.Cluster{ID: spec.ClusterID{Group: "g", Name: spec.ClusterName(fmt.Sprint(i))}, Phase: plan.Converged}, nil)
				m.StepDone(plan.CreateApp, "done")
				m.Commit(fmt.Sprint(i))
				m.Looked(at)
			}
		})
	}
	wg.Wait()
	if got := scrape(t, reg); !strings.Contains(got, `esfleet_steps_total{outcome="done",verb="create"} 400`) || strings.Count(got, CommitInfo+"{") != 1 {
		t.Errorf("lost or doubled reports:\n%s", got)
	}
}
