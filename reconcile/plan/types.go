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
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/reconcile/preflight"
	"github.com/esfleet/esfleet/spec"
)

// A Verb is a kind of step.
type Verb string

// The verbs. Each is one call to Marathon or to Elasticsearch, but for Commit, whose three calls belong together.
const (
	CreateApp  Verb = "create"
	ScaleOut   Verb = "scale-out"
	ScaleIn    Verb = "scale-in"    // stateless components only
	UpdateApp  Verb = "update"      // stateless components, the gate, and masters that never formed a cluster
	RecordUUID Verb = "record-uuid" // changes a label of the gate, which runs nothing
	StopApp    Verb = "stop"        // scale to 0; volumes are kept
	DeleteApp  Verb = "delete"      // of an app that runs nothing; volumes are destroyed
	CancelOwn  Verb = "cancel"      // force-cancel a deployment that is certainly ours

	// Commit puts new definitions of apps with volumes in place without touching a task: one array PUT with the gate, whose
	// restart can never end, and at once the cancelling of that deployment (marathon-lab-roll §1, way C3).
	Commit    Verb = "commit"
	CloseGate Verb = "close-gate" // the gate back to 0 instances
	// StopNode and StartNode are a node's turn: it stops, and comes back on its volume with the committed definition. Up to
	// Marathon 1.7 the turn is one RestartNode (marathon-lab-old §3).
	StopNode    Verb = "stop-node"
	StartNode   Verb = "start-node"
	RestartNode Verb = "restart-node"
	// RestartTask is for stateless components only: Marathon starts another task in its place.
	RestartTask Verb = "restart-task"
	// DetachNode and AttachNode change a label of the gate: who is out of the front that leads clients to the nodes.
	DetachNode Verb = "detach"
	AttachNode Verb = "attach"
	// DrainNodes, RemoveNode and WipeNode are the way out of the cluster.
	DrainNodes Verb = "drain"
	RemoveNode Verb = "remove-node" // stops it for good, its volume is kept
	WipeNode   Verb = "wipe"        // destroys the volume of a removed node
	// ChangeCluster sets what git owns in Elasticsearch: settings, templates, quorum, votes.
	ChangeCluster Verb = "elasticsearch"
)

// A Step is one effect. It is data: it can be compared, printed, journalled.
type Step struct {
	Cluster   spec.ClusterID          `json:"-"`
	Verb      Verb                    `json:"verb"`
	App       marathon.AppID          `json:"app"`
	Component spec.Component          `json:"component"`
	Doc       marathon.Doc            `json:"-"` // complete definition for CreateApp and UpdateApp; the gate's for RecordUUID, Commit, DetachNode and AttachNode
	Docs      []marathon.Doc          `json:"-"` // complete definitions for Commit, without the gate's
	Instances int                     `json:"instances"`
	From      int                     `json:"from"` // instances now
	Seen      time.Time               `json:"-"`    // version of the live app that was judged; zero for CreateApp
	Also      []Seen                  `json:"-"`    // further apps that must still be as they were judged
	Cancel    []marathon.DeploymentID `json:"cancel,omitempty"`
	// Node is the Elasticsearch node of a node's step, Task the run of it that was judged.
	Node string          `json:"node,omitempty"`
	Task marathon.TaskID `json:"task,omitempty"`
	// Change is what is written to Elasticsearch, by DrainNodes and ChangeCluster.
	Change *esgate.Change `json:"change,omitempty"`
	// Touch, if not nil, is judged once more by a fresh reading right before the step.
	Touch *esgate.Touch `json:"-"`
	// Closing steps end what was begun: neither a guard nor drift: report keeps them from being taken.
	Closing bool `json:"-"`
	// After says what must happen first; "" means that the step is due now.
	After string   `json:"after,omitempty"`
	Pos   spec.Pos `json:"at,omitzero"`
	Why   string   `json:"why"`
}

// Seen is an app as it was judged.
type Seen struct {
	App       marathon.AppID
	Version   time.Time
	Instances int
}

// Key names what the step asks for: equal keys ask for the same.
func (s *Step) Key() string {
	b, err := json.Marshal([]any{s.Doc, s.Docs, s.Change})
	if err != nil {
		panic(err) // rendered documents hold only JSON values
	}
	return fmt.Sprintf("%s %s %d %s %x", s.Verb, s.App, s.Instances, s.Task, sha256.Sum256(b))
}

// A Hold is a step the plan wants but won't take. Why is written for the person on call, WayOut says what to do.
type Hold struct {
	App       marathon.AppID `json:"app,omitempty"`
	Component spec.Component `json:"component,omitempty"`
	Node      string         `json:"node,omitempty"` // that the step is for
	Rule      string         `json:"rule"`
	Why       string         `json:"why"`
	WayOut    string         `json:"wayOut,omitempty"`
	Pos       spec.Pos       `json:"at,omitzero"`
}

// A Wait is something under way, or not known yet, that must end before a step.
type Wait struct {
	App       marathon.AppID `json:"app,omitempty"`
	Component spec.Component `json:"component,omitempty"`
	Node      string         `json:"node,omitempty"` // that waits
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
	Notes []Note
	// Room is what is to be placed and has no place yet; nil where there is nothing.
	Room *Room
	// Progress is what runs of what is wanted, by component in creation order.
	Progress []Progress
	// Slots are the places of Elasticsearch nodes, by app and name, and Work is what is under way. Of a cluster that is as
	// git wants it neither is listed: every slot would be current.
	Slots []Slot
	Work  []Work
	// Fresh says that the cluster has never had its rules: it is being set up, and nobody relies on it yet.
	Fresh bool
	// Leaving are the names of nodes that are to go for good, sorted.
	Leaving []string
}

// Progress is how many tasks of a component run and are healthy, of how many wanted; of one without data only those with
// the current definition count. How far a change of nodes with data has come is told by Work.
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
	Elasticsearch esgate.Health
	// Pool is what the agents under the cluster's Marathon have left; nil: not asked. Where the plan needs it, it has a Room.
	Pool *preflight.Pool
	// Drained says since when each node that is to leave was empty in every reading (esgate.Empty), by name.
	Drained map[string]time.Time
	// AskElasticsearch demands an answer even where nothing else does.
	AskElasticsearch bool
	// OwnDeployments are those this very process started. After a restart nobody can tell whose one is: it is foreign.
	OwnDeployments map[marathon.DeploymentID]bool
	// Settling, if not empty, says why live state cannot be trusted yet (an answer was lost, the leader changed).
	Settling string
	// Refused are steps (by Key) that Marathon has refused for their content, with its words: they would be refused again.
	Refused map[string]string
	// Guard, if not nil, is the fleet's blast radius guard: nothing is changed in clusters that already exist.
	Guard *Hold
}

// Rules name why something is held or waited for. Logs, status, metrics and documents use these names.
const (
	RuleAskElasticsearch     = "elasticsearch-not-asked"
	RuleElasticsearchUnknown = esgate.RuleUnknown
	RuleForeignCluster       = "another-cluster-answers"
	RuleNotGreen             = esgate.RuleNotGreen
	RuleNotReady             = "tasks-not-ready"
	RuleDeployment           = "deployment-open"
	RuleForeignDeployment    = "foreign-deployment"
	RuleSuspended            = "suspended"
	RuleSettling             = "state-not-settled"
	RuleImmutable            = "immutable-with-volumes"
	RuleTurn                 = "one-node-at-a-time"
	RuleCanarySoaks          = "canary-soaks"
	RuleCanaryPaused         = "canary-paused"
	RuleCameBackWrong        = "node-came-back-wrong"
	RuleDrains               = "node-drains"
	RuleClientsDrain         = "client-connections-drain"
	RuleUndoWindow           = "undo-window"
	RuleUnplaced             = "node-without-a-place"
	RuleLeftOver             = "left-over-instances"
	RuleUnreachable          = "instance-unreachable"
	RuleNamesakes            = "two-nodes-of-one-name"
	RuleMarathonVersion      = "marathon-version"
	RuleReportOnly           = "report-only"
	RuleBlastRadius          = "blast-radius"
	RuleVanished             = "vanished-from-git"
	RuleForeignApp           = "foreign-app"
	RuleRefused              = "marathon-refuses"
	RuleNoRoom               = "no-room-in-the-pool"
	// RuleRoom and RuleRoomUnknown are notes: they keep nothing from being done.
	RuleRoom        = "room-in-the-pool"
	RuleRoomUnknown = "room-unknown"
)
