package drift

import (
	"maps"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// A definition that says the same in other words is the same: this is the comparison that all else is compared with.
func TestAnOlderDefinitionIsInForceIfItSaysTheSame(t *testing.T) {
	hour := func(h int) time.Time { return time.Date(2026, 11, 22, h, 0, 0, 0, time.UTC) }
	doc := func(changes marathon.Doc) marathon.Doc {
		d := residentDoc()
		maps.Copy(d, changes)
		return d
	}
	for _, c := range []struct {
		name  string
		older marathon.Doc
		want  bool
	}{
		{"it is the same", doc(nil), true},
		{"with other instances", doc(marathon.Doc{"instances": 7}), true},
		{"a default is written down", doc(marathon.Doc{"maxLaunchDelaySeconds": 300}), true},
		{"a number is written otherwise", doc(marathon.Doc{"cpus": 1.0}), true},
		{"another environment", doc(marathon.Doc{"env": marathon.Doc{"A": "2"}}), false},
		{"another label", doc(marathon.Doc{"labels": marathon.Doc{"x": "y"}}), false},
		{"it could not be read", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := &marathon.App{ID: "/g/c/app", Doc: residentDoc(), Version: hour(12), LastConfigChange: hour(11),
				Former: []marathon.Former{{From: hour(5), To: hour(7), Doc: c.older}}}
			a := render.App{ID: app.ID, Component: spec.Data, Doc: residentDoc()}
			wanted := Wanted(desired(a), &a, app, v111)
			current := InForce(app, v111)
			for h, is := range map[int]bool{4: false, 5: c.want, 6: c.want, 7: c.want, 8: false, 11: true, 12: true} {
				if got := current(hour(h)); got != is {
					t.Errorf("version %d is in force: %v", h, got)
				}
				if got := wanted(hour(h)); h < 11 && got != is {
					t.Errorf("version %d is what git wants: %v", h, got)
				}
			}
			app.Tasks = []marathon.Task{{ID: "x", State: "TASK_RUNNING", Version: hour(6).Format(time.RFC3339)}}
			if d := Compare(desired(a), state(app)); d.Empty() != c.want {
				t.Errorf("differences: %+v", d.Differences)
			}
		})
	}
}
