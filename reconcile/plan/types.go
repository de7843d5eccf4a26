// Package plan orders a cluster's drift into steps, and says why it will not take one.
//
// In: what git wants, how live differs, and Facts. Out: a Plan: Steps in order, Holds and Waits, each with its reason.
// It reads no clock, network, random source or map order: all it may know is in its arguments.
package plan

import (
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// A Verb is a kind of step.
type Verb string

// The verbs. Each is one call to Marathon (RecordUUID and Suspend are label changes of the gate, which runs nothing).
const (
	CreateApp  Verb = "create"
	ScaleOut   Verb = "scale-out"
	UpdateApp  Verb = "update"
	RecordUUID Verb = "record-uuid"
	StopApp    Verb = "stop"     // scale to 0; volumes are kept
	CancelOwn  Verb = "cancel"   // force-cancel a deployment that esfleet itself left open
	ScaleInApp Verb = "scale-in" // stateless components only
)

// A Step is one effect. It is data: it can be compared, printed, journalled.
type Step struct {
	Cluster   spec.ClusterID
	Verb      Verb
	App       marathon.AppID
	Component spec.Component
	// Doc is the complete definition for CreateApp and UpdateApp.
	Doc marathon.Doc `json:",omitempty"`
	// Instances is the target for the scaling verbs; From the number now.
	Instances, FromInstances int
	// Deployment is the one to cancel.
	Deployment marathon.DeploymentID `json:",omitempty"`
	// UUID is the Elasticsearch cluster's, for RecordUUID.
	UUID string `json:",omitempty"`
	Pos  spec.Pos
	Why  string
}

// A Hold is a step the plan wants but won't take. Why is written for the person on call, WayOut says what to do.
type Hold struct {
	Cluster   spec.ClusterID
	App       marathon.AppID
	Component spec.Component
	Rule      string
	Why       string
	WayOut    string
	Pos       spec.Pos
}

// A Wait is something under way that must end before the next step.
type Wait struct {
	Cluster   spec.ClusterID
	App       marathon.AppID
	Component spec.Component
	Rule      string
	Why       string
}

// A Phase is a cluster's state in one word.
type Phase string

// Phases.
const (
	Converged   Phase = "converged"
	Converging  Phase = "converging" // a step is due
	Waiting     Phase = "waiting"    // for something under way
	Held        Phase = "held"       // nothing more can be done without a person
	IsSuspended Phase = "suspended"
	Unknown     Phase = "unknown" // a fact is missing; nothing is done
)

// A Cluster is one cluster's plan. The first Step is due now if Waits is empty; the others follow in order, each after
// a fresh look.
type Cluster struct {
	ID    spec.ClusterID
	Phase Phase
	Steps []Step
	Holds []Hold
	Waits []Wait
}

// Next is the step due now; nil if none is.
func (c *Cluster) Next() *Step {
	if len(c.Waits) > 0 || len(c.Steps) == 0 || c.Phase != Converging {
		return nil
	}
	return &c.Steps[0]
}

// Facts are what plan may know beside the drift.
type Facts struct {
	Now      time.Time
	Marathon *marathon.State
	// Elasticsearch is what the cluster itself answered; the zero value is "not asked".
	Elasticsearch Elasticsearch
	// Suspended is the reason if writes are suspended, by git or by the gate's label.
	Suspended string
	// Guard is non-empty if the commit's blast radius awaits a word in git; no step is taken.
	Guard string
}

// Elasticsearch is one bounded answer from the cluster, or why there is none.
type Elasticsearch struct {
	Asked bool
	// Known is false if the answer was late, cut, from another cluster or contradicted itself; Why says which.
	Known bool
	Why   string
	Name  string
	UUID  string
	// Status is green, yellow or red.
	Status           string
	Nodes, DataNodes int
}
