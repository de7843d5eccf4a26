package drift

import (
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// A Class says what kind of difference it is, and so what could put it right.
type Class string

// The classes of DESIGN §6.
const (
	Create  Class = "create"             // the app is not there
	Scale   Class = "scale"              // only instances differ
	Update  Class = "update"             // a field differs whose change restarts tasks
	Replace Class = "replace"            // a field differs that is immutable for apps with volumes
	Mixed   Class = "mixed"              // the definition is new, some tasks are old
	Foreign Class = "foreign-deployment" // a deployment that esfleet did not start holds the app
	Orphan  Class = "orphan"             // carries our labels, but git does not know it
)

// A Kind says how one field differs.
type Kind string

// Kinds of field differences, seen from git: Missing is wanted and not live, Extra is live and not wanted.
const (
	Changed Kind = "changed"
	Missing Kind = "missing"
	Extra   Kind = "extra"
)

// A Field is one differing value. Path is dotted, list items by index or key: healthChecks[0].path, env.ES_HEAP.
type Field struct {
	Path       string
	Kind       Kind
	Want, Have any
	Pos        spec.Pos // where git says so; zero for Extra
	// RestartsTasks is false only for instances and executorResources.
	RestartsTasks bool
	// Immutable: Marathon refuses the change for an app with persistent volumes.
	Immutable bool
}

// A File is one differing file of a bundle, with a unified diff from live to wanted (empty for binary files).
type File struct {
	Path string
	Kind Kind
	Diff string
}

// A Difference is everything about one app that differs in one class.
type Difference struct {
	App       marathon.AppID `json:"app"`
	Component spec.Component `json:"component"`
	Class     Class          `json:"class"`
	Fields    []Field        `json:"fields,omitempty"` // sorted by path
	Files     []File         `json:"files,omitempty"`  // sorted by path
	// Tasks are the ones concerned (Mixed), Deployments the ones concerned (Foreign).
	Tasks       []marathon.TaskID       `json:"tasks,omitempty"`
	Deployments []marathon.DeploymentID `json:"deployments,omitempty"`
	// Why is one line for a person.
	Why string `json:"why"`
}

// A Drift is one cluster's differences in a fixed order: by component in creation order, then class.
type Drift struct {
	ID          spec.ClusterID
	Differences []Difference
	// Hidden counts live values that Marathon filled in by itself and that therefore do not differ.
	Hidden int
}

// Empty says that live equals git.
func (d *Drift) Empty() bool { return len(d.Differences) == 0 }

// Of lists the differences of one app.
func (d *Drift) Of(id marathon.AppID) []Difference {
	var out []Difference
	for _, x := range d.Differences {
		if x.App == id {
			out = append(out, x)
		}
	}
	return out
}
