package plan

import (
	"testing"
	"time"

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
