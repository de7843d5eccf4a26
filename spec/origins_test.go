package spec_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/spec"
)

func TestOriginsGiveBackEveryPlaceTheyWereMadeOf(t *testing.T) {
	places := map[string]spec.Pos{
		"nodes.data.memory": {File: "groups/g/clusters/c/cluster.yaml", Line: 9, Column: 32},
		"nodes.data.cpus":   {File: "groups/g/group.yaml", Line: 1, Column: 1},
		"checks.interval":   {File: "fleet.yaml", Line: 70_000, Column: 300},
		"preRun":            {File: "groups/g/clusters/c/pre-run.sh", Line: 1, Column: 1},
	}
	o := spec.OriginsOf(places)
	if d := cmp.Diff(places, maps.Collect(o.All())); d != "" {
		t.Error(d)
	}
	for path, want := range places {
		if got, ok := o.At(path); !ok || got != want {
			t.Errorf("%s: %v, %v", path, got, ok)
		}
	}
	if p, ok := o.At("nodes.data"); ok {
		t.Errorf("a path that nobody wrote is at %s", p)
	}
	if _, ok := (spec.Origins{}).At("checks.interval"); ok {
		t.Error("no Origins know a place")
	}
	if o.Equal(spec.OriginsOf(map[string]spec.Pos{"preRun": places["preRun"]})) || !o.Equal(spec.OriginsOf(places)) {
		t.Error("Equal does not tell places")
	}
}
