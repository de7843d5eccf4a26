package render_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
	"github.com/google/go-cmp/cmp"
)

func TestEqualSpecsGiveEqualBytes(t *testing.T) {
	one, err := json.Marshal(desired(t, cluster(spec.Version{Major: 7, Minor: 17, Patch: 28}), target).Apps)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		two, err := json.Marshal(desired(t, cluster(spec.Version{Major: 7, Minor: 17, Patch: 28}), target).Apps)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(one), string(two)); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestAppsComeInTheOrderOfCreation(t *testing.T) {
	var ids []marathon.AppID
	for _, a := range desired(t, cluster(spec.Version{Major: 7, Minor: 17, Patch: 28}), target).Apps {
		ids = append(ids, a.ID)
	}
	want := []marathon.AppID{"/search/logs/gate", "/search/logs/discovery", "/search/logs/es-master", "/search/logs/es-datanode", "/search/logs/es2graphite", "/search/logs/kibana"}
	if !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
}
