package spec_test

import (
	"testing"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/spec"
)

func TestTheExampleFleetHasNoProblems(t *testing.T) {
	f, problems := spec.Parse(snapshot.FromMap("c1", examples.Files()), nil)
	for _, p := range problems {
		t.Error(p)
	}
	if f == nil {
		t.Fatal("no fleet")
	}
	if len(f.Groups) != 2 || len(f.Groups[1].Clusters) != 2 {
		t.Fatalf("groups: %+v", f.Groups)
	}
	logs := f.Groups[1].Clusters[1]
	if logs.ID.String() != "search/logs" || logs.Topology() != "dedicated-masters" || logs.Elasticsearch.Version.String() != "7.17.28" {
		t.Fatalf("logs: %+v", logs)
	}
}
