package marathon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
)

// volatile are the keys of an app that Marathon writes by itself and that change while the definition does not.
// taskStats is the name up to 1.8; storeUrls is gone since 1.5.
var volatile = []string{
	"version", "versionInfo", "deployments", "tasks", "lastTaskFailure", "readinessCheckResults",
	"tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy", "taskStats", "tasksStats",
}

// live is the part of an app that is read through types; everything else stays in the Doc.
type live struct {
	ID          AppID             `json:"id"`
	Instances   json.Number       `json:"instances"`
	Labels      map[string]string `json:"labels"`
	Version     string            `json:"version"`
	VersionInfo struct {
		LastConfigChangeAt string `json:"lastConfigChangeAt"`
	} `json:"versionInfo"`
	Deployments []struct {
		ID DeploymentID `json:"id"`
	} `json:"deployments"`
	Tasks           []Task `json:"tasks"`
	TasksRunning    int    `json:"tasksRunning"`
	LastTaskFailure struct {
		Message string `json:"message"`
		Version string `json:"version"`
		Task    TaskID `json:"taskId"`
	} `json:"lastTaskFailure"`
}

// liveKeys and headKeys are the names of their members.
var liveKeys, headKeys = keysOf[live](), keysOf[head]()

func keysOf[T any]() (keys []string) {
	for t, i := reflect.TypeFor[T](), 0; i < t.NumField(); i++ {
		keys = append(keys, t.Field(i).Tag.Get("json"))
	}
	return keys
}

// ParseApp reads one app as GET /v2/apps or /v2/apps/{id} shows it (without the "app" envelope of the latter).
// Fields that are absent or null are zero: 1.4 writes null where later versions write nothing.
func ParseApp(raw []byte) (*App, error) {
	// Numbers stay as they were written: 0.30000000000000004 must not become something else on the way.
	doc, typed, err := (&builder{in: raw}).doc(volatile, liveKeys)
	if err != nil {
		return nil, fmt.Errorf("read app: %w", err)
	}
	var l live
	if err := json.Unmarshal(typed, &l); err != nil {
		return nil, fmt.Errorf("read app: %w", err)
	}
	app, err := l.app()
	if err != nil {
		return nil, err
	}
	app.Doc = doc
	app.Tasks = l.Tasks
	app.TasksRunning = l.TasksRunning
	app.LastTaskFailure = l.LastTaskFailure.Message
	app.LastFailureTask = l.LastTaskFailure.Task
	app.LastFailureVersion, _ = time.Parse(time.RFC3339, l.LastTaskFailure.Version) // zero: not told
	return app, nil
}

// A Head is what can be known of an app without decoding it.
type Head struct {
	ID AppID
	// Quiet says that nothing is under way: no deployment, no task missing or stopped, all of the definition in force.
	Quiet bool
}

type head struct {
	ID          AppID       `json:"id"`
	Instances   json.Number `json:"instances"`
	VersionInfo struct {
		LastConfigChangeAt string `json:"lastConfigChangeAt"`
	} `json:"versionInfo"`
	Deployments  []json.RawMessage `json:"deployments"`
	TasksRunning int               `json:"tasksRunning"`
}

// ParseHead reads an app's Head. It does not say that ParseApp would take the app.
func ParseHead(raw []byte) (Head, error) {
	var versions []string
	typed, err := (&builder{in: raw}).pick(headKeys, func(v string) {
		if len(versions) == 0 || versions[len(versions)-1] != v {
			versions = append(versions, v)
		}
	})
	if err != nil {
		return Head{}, fmt.Errorf("read app: %w", err)
	}
	var h head
	if err := json.Unmarshal(typed, &h); err != nil {
		return Head{}, fmt.Errorf("read app: %w", err)
	}
	l := live{ID: h.ID, Instances: h.Instances}
	l.VersionInfo.LastConfigChangeAt = h.VersionInfo.LastConfigChangeAt
	a, err := l.app()
	if err != nil {
		return Head{}, err
	}
	quiet := len(h.Deployments) == 0 && h.TasksRunning >= a.Instances
	for _, v := range versions {
		at, err := time.Parse(time.RFC3339, v)
		quiet = quiet && err == nil && !at.Before(a.LastConfigChange)
	}
	return Head{ID: h.ID, Quiet: quiet}, nil
}

// ParseForeign reads of an app only what is shown of one that is not ours: id, labels, instances, versions and locks.
// Its Doc and Tasks are nil, so that a Marathon full of other people's apps costs little memory.
func ParseForeign(raw []byte) (*App, error) {
	var l struct {
		live
		Tasks           skipped `json:"tasks"` // hides the one in live
		LastTaskFailure skipped `json:"lastTaskFailure"`
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return nil, fmt.Errorf("read app: %w", err)
	}
	return l.app()
}

// skipped takes any JSON and keeps nothing.
type skipped struct{}

func (skipped) UnmarshalJSON([]byte) error { return nil }

func (l live) app() (*App, error) {
	if l.ID == "" || l.ID[0] != '/' {
		return nil, fmt.Errorf("read app: its id %q does not begin with a slash", l.ID)
	}
	a := &App{ID: l.ID, Labels: l.Labels}
	var err error
	if a.Instances, err = wholeNumber(l.Instances); err != nil {
		return nil, fmt.Errorf("read app %s: instances: %w", l.ID, err)
	}
	if a.Version, err = parseTime(l.Version); err != nil {
		return nil, fmt.Errorf("read app %s: version: %w", l.ID, err)
	}
	if a.LastConfigChange, err = parseTime(l.VersionInfo.LastConfigChangeAt); err != nil {
		return nil, fmt.Errorf("read app %s: versionInfo.lastConfigChangeAt: %w", l.ID, err)
	}
	for _, d := range l.Deployments {
		a.Deployments = append(a.Deployments, d.ID)
	}
	return a, nil
}

// ParseDeployment reads one entry of GET /v2/deployments.
func ParseDeployment(raw []byte) (Deployment, error) {
	var d Deployment
	if err := json.Unmarshal(raw, &d); err != nil {
		return Deployment{}, fmt.Errorf("read deployment: %w", err)
	}
	if d.ID == "" {
		return Deployment{}, errors.New("read deployment: it has no id")
	}
	return d, nil
}

// ParseQueueItem reads one entry of GET /v2/queue. An entry of a pod has an empty App.
func ParseQueueItem(raw []byte) (QueueItem, error) {
	var q struct {
		App struct {
			ID AppID `json:"id"`
		} `json:"app"`
		Count int `json:"count"`
		Delay struct {
			TimeLeftSeconds float64 `json:"timeLeftSeconds"`
			Overdue         bool    `json:"overdue"`
		} `json:"delay"`
		Offers struct {
			Processed  int `json:"processedOffersCount"`
			Rejections []struct {
				Reason   string `json:"reason"`
				Declined int    `json:"declined"`
			} `json:"rejectSummaryLastOffers"`
		} `json:"processedOffersSummary"`
	}
	if err := json.Unmarshal(raw, &q); err != nil {
		return QueueItem{}, fmt.Errorf("read queue entry: %w", err)
	}
	item := QueueItem{App: q.App.ID, Count: q.Count, Offers: q.Offers.Processed}
	if !q.Delay.Overdue && q.Delay.TimeLeftSeconds > 0 && q.Delay.TimeLeftSeconds < math.MaxInt32 {
		item.BackoffSeconds = int(math.Ceil(q.Delay.TimeLeftSeconds))
	}
	for _, r := range q.Offers.Rejections {
		if r.Declined > 0 { // all ten reasons are listed, most of them with 0
			if item.Rejections == nil {
				item.Rejections = make(map[string]int)
			}
			item.Rejections[r.Reason] += r.Declined
		}
	}
	return item, nil
}

// ParseInfo reads GET /v2/info.
func ParseInfo(raw []byte) (Info, error) {
	var i struct {
		Version     string `json:"version"`
		Leader      string `json:"leader"`
		FrameworkID string `json:"frameworkId"`
		Config      struct {
			Role string `json:"mesos_role"`
		} `json:"marathon_config"`
	}
	if err := json.Unmarshal(raw, &i); err != nil {
		return Info{}, fmt.Errorf("read /v2/info: %w", err)
	}
	v, err := ParseVersion(i.Version)
	if err != nil {
		return Info{}, fmt.Errorf("read /v2/info: %w", err)
	}
	return Info{Version: v, Leader: i.Leader, FrameworkID: i.FrameworkID, Role: i.Config.Role, Raw: bytes.Clone(raw)}, nil
}

// wholeNumber accepts 3 and 3.0, and reads an absent number as 0.
func wholeNumber(n json.Number) (int, error) {
	if n == "" {
		return 0, nil
	}
	if i, err := strconv.Atoi(n.String()); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return 0, fmt.Errorf("%s is not a whole number", n)
	}
	return int(f), nil
}

func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, s)
}
