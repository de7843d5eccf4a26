package marathon

import (
	"encoding/json"
	"iter"
	"time"
)

// A Doc is a JSON object as Marathon reads and writes it. Numbers of a live Doc are json.Number.
type Doc = map[string]any

// An App is one live app: the few fields that decisions need, and the whole raw document.
type App struct {
	ID        AppID
	Doc       Doc // as answered, volatile fields (tasks, counts, deployments, versionInfo …) taken out
	Instances int
	Labels    map[string]string
	// Version changes with every change of the app, LastConfigChange only with one that is not a mere scaling.
	Version, LastConfigChange time.Time
	Deployments               []DeploymentID // that have the app locked
	Tasks                     []Task         // nil where the answer did not embed them
	TasksRunning              int
	LastTaskFailure           string // message of the last failed task, "" if none; untrusted text
	// LastFailureVersion is the definition that the last failed task ran, LastFailureTask that task; zero if none failed.
	LastFailureVersion time.Time
	LastFailureTask    TaskID
	// Former are the definitions of OlderVersions. A State has them; App does not.
	Former []Former
}

// A Task is one instance as the task list shows it, suspended ones included.
type Task struct {
	ID           TaskID        `json:"id"`
	AppID        AppID         `json:"appId"`
	Host         string        `json:"host"`
	SlaveID      string        `json:"slaveId"`
	State        string        `json:"state"`
	Version      string        `json:"version"`
	StagedAt     string        `json:"stagedAt"`
	StartedAt    string        `json:"startedAt"`
	Ports        []int         `json:"ports"`
	LocalVolumes []LocalVolume `json:"localVolumes"`
	// HealthCheckResults of a resident hold one entry per version and run; read Healthy, not [0].
	HealthCheckResults []HealthResult `json:"healthCheckResults"`
}

// A LocalVolume is a persistent volume that belongs to an instance.
type LocalVolume struct {
	ContainerPath string `json:"containerPath"`
	PersistenceID string `json:"persistenceId"`
}

// A HealthResult is one health check's last word on a task.
type HealthResult struct {
	Alive               bool   `json:"alive"`
	ConsecutiveFailures int    `json:"consecutiveFailures"`
	FirstSuccess        string `json:"firstSuccess"`
	LastSuccess         string `json:"lastSuccess"`
	LastFailure         string `json:"lastFailure"`
	LastFailureCause    string `json:"lastFailureCause"`
	TaskID              string `json:"taskId"`
	InstanceID          string `json:"instanceId"`
}

// Suspended says that the instance is stopped and only holds its volume: it has volumes and no version
// (marathon-lab-roll E19, marathon-lab-old §6).
func (t Task) Suspended() bool { return t.Version == "" && len(t.LocalVolumes) > 0 }

// Running says that the instance's process runs.
func (t Task) Running() bool { return t.Version != "" && t.State == "TASK_RUNNING" }

// Active says that the instance runs or is on its way up.
func (t Task) Active() bool {
	if t.Version == "" {
		return false
	}
	switch t.State {
	case "TASK_RUNNING", "TASK_STAGING", "TASK_STARTING":
		return true
	}
	return false
}

// Unreachable says that the agent does not answer; the task may well run on.
func (t Task) Unreachable() bool {
	return t.State == "TASK_UNREACHABLE" || t.State == "TASK_LOST"
}

// A Deployment is a plan that Marathon carries out.
type Deployment struct {
	ID           DeploymentID `json:"id"`
	Version      string       `json:"version"`
	AffectedApps []AppID      `json:"affectedApps"`
	CurrentStep  int          `json:"currentStep"`
	TotalSteps   int          `json:"totalSteps"`
	// CurrentActions name what the open step does: StartApplication, ScaleApplication, RestartApplication, StopApplication.
	CurrentActions []Action `json:"currentActions"`
}

// An Action is a part of a deployment's step.
type Action struct {
	Action string `json:"action"`
	App    AppID  `json:"app"`
}

// A QueueItem is an app that waits for offers.
type QueueItem struct {
	App   AppID
	Count int
	// BackoffSeconds is how long the next launch is held back after failures; 0 if it is not.
	BackoffSeconds int
	// Rejections counts, of the last offers, why each did not fit: reason to number of offers.
	Rejections map[string]int
	Offers     int
}

// Info is /v2/info.
type Info struct {
	Version     Version
	Leader      string
	FrameworkID string
	Role        string // --mesos_role
	Raw         json.RawMessage
}

// A State is one consistent reading of a Marathon: everything that drift and plan may know of it.
type State struct {
	Version     Version
	Leader      string
	Apps        map[AppID]*App
	Deployments []Deployment
	Queue       []QueueItem
	ReadAt      time.Time
	// Incremental says that Changed lists the ids of all apps that are not as they were in the State before: new, with
	// other bytes, or gone. Otherwise nothing is known of what changed.
	Incremental bool
	Changed     []AppID
	// Shelf holds apps of this reading that are not in Apps because nobody has looked at them yet; nil: there are none.
	Shelf Shelf
}

// A Shelf holds apps as the bytes they came as. Decoded they take ten times as much, and of most apps all that matters is
// that they are as wanted, which is seen one cluster at a time. It is safe for concurrent use until it is closed.
type Shelf interface {
	// Open decodes an app, and does not keep it; nil if it is not on the shelf. An error means that the reading it came
	// with is not to be used: half of a list must not pass for a list.
	Open(id AppID) (*App, error)
	// IDs are those of all its apps.
	IDs() iter.Seq[AppID]
	// Close gives up its memory.
	Close()
}

// Opened is s with these apps alone, as far as they are there, decoded if need be.
func (s *State) Opened(ids []AppID) (*State, error) {
	some := *s
	some.Apps, some.Shelf = make(map[AppID]*App, len(ids)), nil
	for _, id := range ids {
		app := s.Apps[id]
		if app == nil && s.Shelf != nil {
			var err error
			if app, err = s.Shelf.Open(id); err != nil {
				return nil, err
			}
		}
		if app != nil {
			some.Apps[id] = app
		}
	}
	return &some, nil
}

// LockedBy lists the deployments that affect an app. Look here before a write; never use a 409 as the question
// (marathon-lab-roll E9: on 1.10 and 1.11 a refused write breaks the running deployment's lock).
func (s *State) LockedBy(id AppID) []Deployment {
	var out []Deployment
	for _, d := range s.Deployments {
		for _, a := range d.AffectedApps {
			if a == id {
				out = append(out, d)
				break
			}
		}
	}
	return out
}
