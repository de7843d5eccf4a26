// Package plan orders a cluster's drift into steps, and says why it will not take one.
//
// In: what git wants, how live differs, and Facts. Out: a Cluster plan: Steps in order, Holds and Waits, each with its
// reason. It reads no clock, network, random source or map order: all it may know is in its arguments.
package plan

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// A Verb is a kind of step.
type Verb string

// The verbs. Each is one call to Marathon; RecordUUID changes a label of the gate, which runs nothing.
const (
	CreateApp  Verb = "create"
	ScaleOut   Verb = "scale-out"
	ScaleIn    Verb = "scale-in" // stateless components only
	UpdateApp  Verb = "update"   // stateless components and the gate only
	RecordUUID Verb = "record-uuid"
	StopApp    Verb = "stop"   // scale to 0; volumes are kept
	CancelOwn  Verb = "cancel" // force-cancel a deployment that this very daemon started
)

// A Step is one effect. It is data: it can be compared, printed, journalled.
type Step struct {
	Cluster   spec.ClusterID          `json:"-"`
	Verb      Verb                    `json:"verb"`
	App       marathon.AppID          `json:"app"`
	Component spec.Component          `json:"component"`
	Doc       marathon.Doc            `json:"-"` // complete definition for CreateApp, UpdateApp and RecordUUID
	Instances int                     `json:"instances"`
	From      int                     `json:"from"` // instances now
	Seen      time.Time               `json:"-"`    // version of the live app that was judged; zero for CreateApp
	Cancel    []marathon.DeploymentID `json:"cancel,omitempty"`
	// After says what must happen first; "" means that the step is due now.
	After string   `json:"after,omitempty"`
	Pos   spec.Pos `json:"at,omitzero"`
	Why   string   `json:"why"`
}

// Key names what the step asks of Marathon: equal keys ask for the same.
func (s *Step) Key() string {
	b, err := json.Marshal(s.Doc)
	if err != nil {
		panic(err) // rendered documents hold only JSON values
	}
	return fmt.Sprintf("%s %s %d %x", s.Verb, s.App, s.Instances, sha256.Sum256(b))
}

// A Hold is a step the plan wants but won't take. Why is written for the person on call, WayOut says what to do.
type Hold struct {
	App       marathon.AppID `json:"app,omitempty"`
	Component spec.Component `json:"component,omitempty"`
	Rule      string         `json:"rule"`
	Why       string         `json:"why"`
	WayOut    string         `json:"wayOut,omitempty"`
	Pos       spec.Pos       `json:"at,omitzero"`
}

// A Wait is something under way, or not known yet, that must end before a step.
type Wait struct {
	App       marathon.AppID `json:"app,omitempty"`
	Component spec.Component `json:"component,omitempty"`
	Rule      string         `json:"rule"`
	Why       string         `json:"why"`
}

// A Phase is a cluster's state in one word.
type Phase string

// Phases.
const (
	Converged   Phase = "converged"
	Converging  Phase = "converging" // a step is due now
	Waiting     Phase = "waiting"    // for something under way
	Held        Phase = "held"       // nothing more is done without a person
	IsSuspended Phase = "suspended"
	IsRetired   Phase = "retired" // stopped as git says, volumes kept
	Unknown     Phase = "unknown" // a fact is missing; nothing is done
)

// A Cluster is one cluster's plan.
type Cluster struct {
	ID    spec.ClusterID
	Phase Phase
	Steps []Step // in order; Next is the one due now
	Holds []Hold
	Waits []Wait
	// Progress is what runs of what is wanted, by component in creation order.
	Progress []Progress
}

// Progress is how many tasks of a component run, healthy and with the current definition, of how many wanted.
type Progress struct {
	Component spec.Component `json:"component"`
	App       marathon.AppID `json:"app"`
	Ready     int            `json:"ready"`
	Want      int            `json:"want"`
	Exists    bool           `json:"exists"`
}

// Next is the step due now; nil if none is.
func (c *Cluster) Next() *Step {
	if c.Phase != Converging {
		return nil
	}
	for i := range c.Steps {
		if c.Steps[i].After == "" {
			return &c.Steps[i]
		}
	}
	return nil
}

// Facts are what plan may know beside git and the drift.
type Facts struct {
	Now      time.Time
	Marathon *marathon.State
	// Elasticsearch is what the cluster itself answered; the zero value is "not asked". Where the plan needs an answer it
	// Waits with RuleAskElasticsearch; ask then, and make the plan again.
	Elasticsearch Elasticsearch
	// OwnDeployments are those this very process started. After a restart nobody can tell whose one is: it is foreign.
	OwnDeployments map[marathon.DeploymentID]bool
	// Settling, if not empty, says why live state cannot be trusted yet (an answer was lost, the leader changed).
	Settling string
	// Refused are steps (by Key) that Marathon has refused for their content, with its words: they would be refused again.
	Refused map[string]string
	// Guard, if not nil, is the fleet's blast radius guard: nothing is changed in clusters that already exist.
	Guard *Hold
}

// Elasticsearch is one bounded answer from the cluster, or why there is none.
type Elasticsearch struct {
	Asked bool
	// Known is false if the answer was late, cut, or from another cluster; Why says which.
	Known            bool
	Why              string
	Name, UUID       string
	Status           string // green, yellow or red
	Nodes, DataNodes int
}

// Rules name why something is held or waited for. Logs, status, metrics and documents use these names.
const (
	RuleAskElasticsearch     = "elasticsearch-not-asked"
	RuleElasticsearchUnknown = "elasticsearch-unknown"
	RuleForeignCluster       = "another-cluster-answers"
	RuleNotGreen             = "cluster-not-green"
	RuleNotReady             = "tasks-not-ready"
	RuleDeployment           = "deployment-open"
	RuleForeignDeployment    = "foreign-deployment"
	RuleSuspended            = "suspended"
	RuleSettling             = "state-not-settled"
	RuleNeedsRoll            = "restart-needs-elasticsearch"
	RuleImmutable            = "immutable-with-volumes"
	RuleScaleInDrain         = "scale-in-needs-drain"
	RuleQuorum               = "quorum-is-set-by-hand"
	RuleOneThing             = "config-and-instances-apart"
	RuleOldVersionRuns       = "old-definition-runs"
	RuleLeftOver             = "left-over-instances"
	RuleUnreachable          = "instance-unreachable"
	RuleMarathonVersion      = "marathon-version"
	RuleReportOnly           = "report-only"
	RuleBlastRadius          = "blast-radius"
	RuleVanished             = "vanished-from-git"
	RuleForeignApp           = "foreign-app"
	RuleRefused              = "marathon-refuses"
)
