package plan_test

import (
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/plan"
)

func TestATaskIsHealthyByTheNewestResultOfItsOwnRun(t *testing.T) {
	good := func(at string) marathon.HealthResult { return marathon.HealthResult{Alive: true, LastSuccess: at} }
	bad := func(at string) marathon.HealthResult { return marathon.HealthResult{LastFailure: at} }
	const staged, before, after, later = "2026-11-22T08:00:00.500Z", "2026-11-22T07:59:58.000Z", "2026-11-22T08:00:02.000Z", "2026-11-22T08:00:04.000Z"
	for _, c := range []struct {
		name    string
		results []marathon.HealthResult
		want    bool
	}{
		{"without a result", nil, false},
		{"good", []marathon.HealthResult{good(after)}, true},
		{"good in its last run", []marathon.HealthResult{good(before)}, false},
		{"good in its last run and in this one", []marathon.HealthResult{good(before), good(after)}, true},
		{"good, then bad, in any order", []marathon.HealthResult{bad(later), good(after)}, false},
		{"bad in its last run and good in this one", []marathon.HealthResult{good(after), bad(before)}, true},
	} {
		if got := plan.Healthy(marathon.Task{StagedAt: staged, HealthCheckResults: c.results}); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
