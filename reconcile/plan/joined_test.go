package plan

import (
	"testing"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

func TestANodeWhoseHealthIsThatOfAnEarlierRunIsBelievedOnlyByTheCluster(t *testing.T) {
	w := standard().all()
	w.facts.Marathon.Version = marathon.Version{Major: 1, Minor: 7, Patch: 236}
	w.app(spec.Data).Tasks[2].StagedAt = now.Format(time.RFC3339) // its results are older
	expect(t, w.plan(), "converged")
	w.es.Nodes = without(w.es.Nodes, "data-host-2")
	w.es.Status = "yellow"
	expect(t, w.plan(), "waiting | wait tasks-not-ready")
}

func TestANodeWithAResultOfItsOwnRunIsBelieved(t *testing.T) {
	w := standard().all()
	w.app(spec.Data).Tasks[2].StagedAt = now.Add(-time.Minute).Format(time.RFC3339)
	w.es = esgate.Health{Asked: true, Why: "nobody answers"}
	expect(t, w.plan(), "converged") // without asking
}

func without(nodes []esgate.Node, name string) []esgate.Node {
	var out []esgate.Node
	for _, n := range nodes {
		if n.Name != name {
			out = append(out, n)
		}
	}
	return out
}

// silence takes Marathon's verdicts on the health of a node's run, which began so long ago, and gives its process an age.
func (w *world) silence(c spec.Component, i int, ago, age time.Duration) {
	x, at := &w.app(c).Tasks[i], now.Add(-ago).Format(time.RFC3339)
	x.HealthCheckResults, x.StagedAt, x.StartedAt = nil, at, at
	w.es.ByInstance(string(x.ID.Instance())).Uptime = age
}

func TestANodeWhoseHealthMarathonHasMissedIsUpByTheClustersWordAlone(t *testing.T) {
	bad := marathon.HealthResult{LastFailure: now.Add(-time.Minute).Format(time.RFC3339)}
	for _, c := range []struct {
		name string
		bend func(*world)
		want string
	}{
		{"a member of this very run is up", func(*world) {}, "converged"},
		{"a run may just have begun to be checked", func(w *world) { w.silence(spec.Data, 2, firstVerdict, time.Second) }, "waiting | wait tasks-not-ready"},
		{"nobody is a member", func(w *world) { w.es.Nodes = without(w.es.Nodes, "data-host-2") }, "waiting | wait tasks-not-ready"},
		{"the member is another instance", func(w *world) { w.es.Node("data-host-2").Attributes[esgate.AttrInstance] = "data.9" }, "waiting | wait tasks-not-ready"},
		{"the member's process is older than the run", func(w *world) { w.silence(spec.Data, 2, time.Hour, 2*time.Hour) }, "waiting | wait tasks-not-ready"},
		{"the member's age is not known", func(w *world) { w.silence(spec.Data, 2, time.Hour, 0) }, "waiting | wait tasks-not-ready"},
		{"a verdict on an earlier run says nothing", func(w *world) {
			w.app(spec.Data).Tasks[2].HealthCheckResults = []marathon.HealthResult{{LastFailure: now.Add(-2 * time.Hour).Format(time.RFC3339)}}
		}, "converged"},
		{"a bad verdict on this run is no silence", func(w *world) { w.app(spec.Data).Tasks[2].HealthCheckResults = []marathon.HealthResult{bad} }, "waiting | wait tasks-not-ready"},
		{"nobody answers", func(w *world) { w.es = esgate.Health{Asked: true, Why: "nobody answers"} }, "waiting | wait elasticsearch-unknown | wait tasks-not-ready"},
		{"another cluster answers", func(w *world) { w.es.UUID = "u-2" }, "waiting | hold another-cluster-answers | wait tasks-not-ready"},
		{"the task does not run", func(w *world) { w.app(spec.Data).Tasks[2].State = "TASK_UNREACHABLE" }, "waiting | wait tasks-not-ready"},
		{"masters that have not formed a cluster yet are asked too", func(w *world) {
			delete(w.app(spec.Gate).Labels, marathon.LabelClusterUUID)
			w.app(spec.Data).Tasks[2] = task(spec.Data, 2)
			w.silence(spec.Master, 0, time.Hour, time.Hour-time.Minute)
		}, "converging | record-uuid gate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := standard().all()
			w.silence(spec.Data, 2, time.Hour, time.Hour-time.Minute)
			c.bend(w)
			expect(t, w.plan(), c.want)
		})
	}
}

func TestAClusterOfANodeThatMarathonHasMissedIsNeverAtRestUnasked(t *testing.T) {
	w := standard().all()
	w.silence(spec.Data, 2, time.Hour, time.Hour-time.Minute)
	f := w.facts
	f.Now = time.Time{} // as it is judged whether a cluster rests
	expect(t, Make(w.want, &drift.Drift{ID: w.want.ID}, f), "waiting | wait tasks-not-ready")
}

func TestAStartThatIsOpenIsWaitedForWhateverMarathonHasMissed(t *testing.T) {
	k := newWalk(t, standard().all())
	k.silence(spec.Data, 2, time.Hour, time.Hour-time.Minute)
	k.open(spec.Data, "ScaleApplication")
	expect(t, k.plan(), "waiting | wait deployment-open")
}
