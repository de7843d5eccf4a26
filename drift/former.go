package drift

import (
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
)

// InForce tells of a version of the app whether it is the definition in force, but for the number of instances: it is not
// older, or it is older and says the same. That happens when a change is taken back: who never had it runs the right
// definition under an old version. An older definition that could not be read is not in force.
func InForce(app *marathon.App, v marathon.Version) func(version time.Time) bool {
	n := normaliserFor(v)
	var now map[string]any
	older := among(app, func(doc marathon.Doc) bool {
		if now == nil {
			now = n.definition(app.Doc)
		}
		return equal(now, n.definition(doc))
	})
	return func(version time.Time) bool { return !version.Before(app.LastConfigChange) || older(version) }
}

// Wanted tells of an older version of the app whether it is the definition that git wants, but for the number of instances.
func Wanted(d *render.Desired, a *render.App, app *marathon.App, v marathon.Version) func(version time.Time) bool {
	c := comparer{normaliser: normaliserFor(v), desired: d, drift: &Drift{ID: d.ID}}
	return among(app, func(doc marathon.Doc) bool {
		_, config := c.definitions(a, &marathon.App{ID: app.ID, Doc: doc})
		return config == nil
	})
}

// definition is a live document without what is no part of the definition.
func (n *normaliser) definition(doc marathon.Doc) map[string]any {
	out, _ := n.apply(doc, live)
	delete(out, "instances")
	return out
}

// among asks about each older definition once, and answers for their versions.
func among(app *marathon.App, is func(marathon.Doc) bool) func(time.Time) bool {
	var yes []marathon.Former
	for _, f := range app.Former {
		if f.Doc != nil && is(f.Doc) {
			yes = append(yes, f)
		}
	}
	return func(version time.Time) bool {
		at := marathon.App{Former: yes}
		return at.FormerOf(version) != nil
	}
}
