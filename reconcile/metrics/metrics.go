// Package metrics tells Prometheus what the daemon sees and does.
//
// In: each cluster's plan and drift, every step's end, every request. Out: the series named in this package's
// constants, in a registry that is passed in. The names and labels are API: alerts and dashboards of others stand on
// them. Listeners can stop nothing: no method here fails or blocks.
//
// No label takes free text: clusters come from git, the rest from short lists in the code, and a bound catches whatever
// does not (it becomes "other"). A cluster that git no longer has loses its series.
package metrics

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/spec"
)

// The names.
const (
	// ClusterPhase {cluster, phase} is 1 for the phase a cluster is in; other phases have no series.
	ClusterPhase = "esfleet_cluster_phase"
	// Drift {cluster, class} counts the differences between git and live; absent means none, or not known: see the phase.
	Drift = "esfleet_drift"
	// Holds {cluster, rule} counts the steps that wait for a person; absent means none.
	Holds = "esfleet_holds"
	// Slots {cluster, state} counts the places of Elasticsearch nodes by how they stand, while a cluster is not as git wants
	// it; a state that no slot is in has no series, nor has a cluster that is converged.
	Slots = "esfleet_slots"
	// RolloutDone and RolloutTotal {cluster, work} are how many nodes are through with what is under way (restart, leave or
	// join), and of how many; absent while nothing is.
	RolloutDone  = "esfleet_rollout_done"
	RolloutTotal = "esfleet_rollout_total"
	// RolloutLeft {cluster, work} is how many seconds it will still take; absent where nobody can tell.
	RolloutLeft = "esfleet_rollout_left_seconds"
	// Suspended {cluster} is 1 while writes to the cluster are suspended, else 0.
	Suspended = "esfleet_suspended"
	// Steps {verb, outcome} counts the steps taken.
	Steps = "esfleet_steps_total"
	// Requests {op, kind} counts requests to Marathon; kind is ok or the kind of the error.
	Requests = "esfleet_marathon_requests_total"
	// RequestSeconds {op} is how long they took.
	RequestSeconds = "esfleet_marathon_request_seconds"
	// Fetches {outcome} counts fetches from git: ok or failed.
	Fetches = "esfleet_git_fetch_total"
	// CommitInfo {commit} is 1 for the commit in force.
	CommitInfo = "esfleet_git_commit_info"
	// FetchedAt is when git was last read, in seconds since 1970.
	FetchedAt = "esfleet_git_last_success_timestamp_seconds"
	// ResyncedAt {marathon} is when a Marathon was last read as a whole, in seconds since 1970.
	ResyncedAt = "esfleet_resync_timestamp_seconds"
	// LookedAt is when the daemon last looked at the fleet, in seconds since 1970.
	LookedAt = "esfleet_look_timestamp_seconds"
	// OplogErrors counts entries the operation log refused; what cannot be written down is not done.
	OplogErrors = "esfleet_oplog_errors_total"
	// BuildInfo {version, goversion} is 1.
	BuildInfo = "esfleet_build_info"
)

// Metrics are the daemon's series. All methods may be called at once from many goroutines.
type Metrics struct {
	phase, drift, holds, suspended *prometheus.GaugeVec
	slots, done, total, left       *prometheus.GaugeVec
	steps, requests, fetches       *prometheus.CounterVec
	requestSeconds                 *prometheus.HistogramVec
	commitInfo, resyncedAt         *prometheus.GaugeVec
	fetchedAt, lookedAt            prometheus.Gauge
	oplogErrors                    prometheus.Counter

	mu     sync.Mutex
	round  uint64
	last   map[spec.ClusterID]*observed
	commit string
	labels map[string]map[string]bool
}

// New makes the series and registers them; it panics if reg has them already.
func New(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		phase:          gauges(ClusterPhase, "1 for the phase a cluster is in.", "cluster", "phase"),
		drift:          gauges(Drift, "Differences between git and live, by class.", "cluster", "class"),
		holds:          gauges(Holds, "Steps that wait for a person, by the rule that holds them.", "cluster", "rule"),
		slots:          gauges(Slots, "Places of Elasticsearch nodes of clusters that are not as git wants them, by state.", "cluster", "state"),
		done:           gauges(RolloutDone, "Nodes that are through with what is under way.", "cluster", "work"),
		total:          gauges(RolloutTotal, "Nodes that what is under way concerns.", "cluster", "work"),
		left:           gauges(RolloutLeft, "How long what is under way will still take.", "cluster", "work"),
		suspended:      gauges(Suspended, "1 while writes to the cluster are suspended.", "cluster"),
		steps:          counters(Steps, "Steps taken.", "verb", "outcome"),
		requests:       counters(Requests, "Requests to Marathon; kind is ok or the kind of the error.", "op", "kind"),
		fetches:        counters(Fetches, "Fetches from git.", "outcome"),
		commitInfo:     gauges(CommitInfo, "1 for the commit in force.", "commit"),
		resyncedAt:     gauges(ResyncedAt, "When a Marathon was last read as a whole.", "marathon"),
		fetchedAt:      prometheus.NewGauge(prometheus.GaugeOpts{Name: FetchedAt, Help: "When git was last read."}),
		lookedAt:       prometheus.NewGauge(prometheus.GaugeOpts{Name: LookedAt, Help: "When the daemon last looked at the fleet."}),
		oplogErrors:    prometheus.NewCounter(prometheus.CounterOpts{Name: OplogErrors, Help: "Entries the operation log refused."}),
		requestSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: RequestSeconds, Help: "How long requests to Marathon took.", Buckets: []float64{.005, .02, .1, .5, 2, 10, 30}}, []string{"op"}),
		last:           map[spec.ClusterID]*observed{},
		labels:         map[string]map[string]bool{},
	}
	build := gauges(BuildInfo, "What is running.", "version", "goversion")
	build.WithLabelValues(version(), runtime.Version()).Set(1)
	reg.MustRegister(m.phase, m.drift, m.holds, m.suspended, m.slots, m.done, m.total, m.left, m.steps, m.requests, m.fetches, m.commitInfo, m.resyncedAt,
		m.fetchedAt, m.lookedAt, m.oplogErrors, m.requestSeconds, build)
	return m
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// version is the module's, as the Go toolchain stamps it into the binary.
func version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "unknown"
}

// observed is what a cluster's series say.
type observed struct {
	round        uint64
	phase        plan.Phase
	holds, drift map[string]int
	// These are nil of the many clusters where nothing is under way.
	slots, done, total, left map[string]int
}

// see takes in the slots and what is under way.
func (o *observed) see(c *plan.Cluster) {
	for state, n := range c.SlotCounts() {
		put(&o.slots, string(state), n)
	}
	for i := range c.Work {
		w := &c.Work[i]
		put(&o.done, string(w.What), w.Done)
		put(&o.total, string(w.What), w.Total)
		if left, ok := w.Left(); ok {
			put(&o.left, string(w.What), int(left.Seconds()))
		}
	}
}

func put(to *map[string]int, key string, n int) {
	if *to == nil {
		*to = map[string]int{}
	}
	(*to)[key] = n
}

// Observe takes in one cluster's plan and its drift; d is nil while live is not known. Only what has changed since the
// last time is touched, so a scrape in between never misses a cluster, and a quiet fleet costs little.
func (m *Metrics) Observe(c *plan.Cluster, d *drift.Drift) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := &observed{round: m.round, phase: c.Phase, holds: map[string]int{}, drift: map[string]int{}}
	for _, h := range c.Holds {
		now.holds[m.bounded("rule", h.Rule)]++
	}
	now.see(c)
	if d != nil {
		for _, x := range d.Differences {
			now.drift[string(x.Class)]++
		}
	}
	was := m.last[c.ID]
	if was == nil {
		was = &observed{}
	}
	m.last[c.ID] = now

	cluster := c.ID.String()
	m.phase.WithLabelValues(cluster, string(now.phase)).Set(1)
	if was.phase != now.phase {
		m.phase.DeleteLabelValues(cluster, string(was.phase))
	}
	suspended := 0.0
	if now.phase == plan.IsSuspended {
		suspended = 1
	}
	m.suspended.WithLabelValues(cluster).Set(suspended)
	replace(m.holds, cluster, was.holds, now.holds)
	replace(m.drift, cluster, was.drift, now.drift)
	m.replaceWork(cluster, was, now)
}

// replaceWork makes the series of what is under way in a cluster now's.
func (m *Metrics) replaceWork(cluster string, was, now *observed) {
	replace(m.slots, cluster, was.slots, now.slots)
	replace(m.done, cluster, was.done, now.done)
	replace(m.total, cluster, was.total, now.total)
	replace(m.left, cluster, was.left, now.left)
}

// replace makes a cluster's counts now's.
func replace(v *prometheus.GaugeVec, cluster string, was, now map[string]int) {
	for k, n := range now {
		v.WithLabelValues(cluster, k).Set(float64(n))
	}
	for k := range was {
		if _, still := now[k]; !still {
			v.DeleteLabelValues(cluster, k)
		}
	}
}

// Looked ends a round: the clusters that were not observed since the call before are gone, and so are their series.
func (m *Metrics) Looked(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, o := range m.last {
		if o.round != m.round {
			delete(m.last, id)
			m.phase.DeleteLabelValues(id.String(), string(o.phase))
			m.suspended.DeleteLabelValues(id.String())
			replace(m.holds, id.String(), o.holds, nil)
			replace(m.drift, id.String(), o.drift, nil)
			m.replaceWork(id.String(), o, &observed{})
		}
	}
	m.round++
	m.lookedAt.Set(seconds(at))
}

// Resynced says that a Marathon was read as a whole.
func (m *Metrics) Resynced(name spec.MarathonName, at time.Time) {
	m.resyncedAt.WithLabelValues(string(name)).Set(seconds(at))
}

// StepDone counts a step by how it ended: done, refused or unknown.
func (m *Metrics) StepDone(v plan.Verb, outcome string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steps.WithLabelValues(m.bounded("verb", string(v)), m.bounded("outcome", outcome)).Inc()
}

// Requested counts a request to Marathon. op names the call (apps, put, delete …), kind is ok or the kind of the error.
func (m *Metrics) Requested(op, kind string, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	op = m.bounded("op", op)
	m.requests.WithLabelValues(op, m.bounded("kind", kind)).Inc()
	m.requestSeconds.WithLabelValues(op).Observe(took.Seconds())
}

// Fetched counts a fetch from git. at is when git was last read well; it is left alone if the fetch failed.
func (m *Metrics) Fetched(ok bool, at time.Time) {
	if !ok {
		m.fetches.WithLabelValues("failed").Inc()
		return
	}
	m.fetches.WithLabelValues("ok").Inc()
	m.fetchedAt.Set(seconds(at))
}

// Commit says which commit is in force.
func (m *Metrics) Commit(commit string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.commit != "" {
		m.commitInfo.DeleteLabelValues(m.commit)
	}
	m.commit = commit
	m.commitInfo.WithLabelValues(commit).Set(1)
}

// OplogError counts an entry that the operation log refused.
func (m *Metrics) OplogError() { m.oplogErrors.Inc() }

// maxValues is more than any label's list in the code; it bounds what a mistake there can cost.
const maxValues = 64

// bounded lets the first values of a label through and makes "other" of the rest. m.mu is held.
func (m *Metrics) bounded(label, value string) string {
	values := m.labels[label]
	if values == nil {
		values = map[string]bool{}
		m.labels[label] = values
	}
	if values[value] {
		return value
	}
	if len(values) >= maxValues {
		return "other"
	}
	values[value] = true
	return value
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
