package marathonsim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// The conditions of an instance, by the words of 1.8 and later.
const (
	condScheduled   = "Scheduled"   // waits for an offer
	condProvisioned = "Provisioned" // an offer was taken
	condStarting    = "Starting"
	condRunning     = "Running"
	condUnreachable = "Unreachable"
	condKilled      = "Killed"
	condFailed      = "Failed"
	condFinished    = "Finished"
)

// What Marathon wants of an instance.
const (
	goalRunning = iota
	goalStopped // keep its volume
	goalDecommissioned
)

// An instance is a task over all its runs.
type instance struct {
	id    string // uuid
	app   *app
	def   *definition // what it runs, or will run
	goal  int
	state string // one of the cond constants
	run   int    // incarnation, 0 before the first launch

	agent   *agent
	ports   []int
	volumes []Volume
	task    Task
	process Process
	killing bool
	lastEnd string // the condition in which its last run ended

	staged, started time.Time
	healthy         bool // the last word of the health check
	everHealthy     bool // of this run; a deployment remembers it
	unhealthy       bool // failed a check since it was last healthy
	ready           bool
	readyRun        int // the run whose readiness is polled
	readyStreams    int // readiness checks polling at once, one more after each crash inside a deployment
	readiness       map[string]any
	health          []*healthState
	stopChecks      func()

	rejected map[string]bool // why the last offers did not fit
}

// Live says that the instance holds, or will hold at once, a process.
func (in *instance) live() bool {
	switch in.state {
	case condProvisioned, condStarting, condRunning, condUnreachable:
		return true
	}
	return false
}

func (in *instance) terminal() bool {
	switch in.state {
	case condKilled, condFailed, condFinished:
		return true
	}
	return false
}

// suspended says that only the reservation is left of it.
func (in *instance) suspended() bool {
	return in.goal == goalStopped && in.terminal() && len(in.volumes) > 0
}

// active says that Marathon counts it towards the wanted number of instances.
func (in *instance) active() bool { return in.goal == goalRunning }

func (s *Sim) instanceID(in *instance) string {
	word := "instance-"
	if !s.ver.keepsRunSpec {
		word = "marathon-"
	}
	return safeName(in.app.id) + "." + word + in.id
}

func (s *Sim) taskID(in *instance) marathon.TaskID {
	name := safeName(in.app.id)
	if s.ver.keepsRunSpec {
		return marathon.TaskID(fmt.Sprintf("%s.instance-%s._app.%d", name, in.id, max(1, in.run)))
	}
	if in.run == 0 || len(in.def.spec.volumes()) == 0 {
		return marathon.TaskID(name + "." + in.id)
	}
	return marathon.TaskID(fmt.Sprintf("%s.%s.%d", name, in.id, in.run))
}

func safeName(id marathon.AppID) string {
	return strings.ReplaceAll(strings.TrimPrefix(string(id), "/"), "/", "_")
}

// schedule asks for n more instances: stopped ones first, on their volumes, then new ones.
func (s *Sim) schedule(a *app, n int) []*instance {
	var out []*instance
	for _, in := range a.instances {
		if len(out) < n && in.suspended() {
			in.goal, in.def, in.state = goalRunning, a.def, condScheduled
			in.resetRun()
			out = append(out, in)
		}
	}
	for len(out) < n {
		in := &instance{id: s.uuid(), app: a, def: a.def, state: condScheduled}
		a.instances = append(a.instances, in)
		out = append(out, in)
	}
	a.launcher = a.launcher || n > 0
	if n > 0 {
		a.queue.since = time.Now()
	}
	for _, in := range out {
		s.instanceChanged(in, condScheduled)
	}
	return out
}

func (in *instance) resetRun() {
	in.killing, in.healthy, in.everHealthy, in.unhealthy, in.ready = false, false, false, false, false
	in.ports, in.rejected, in.readyStreams = nil, nil, 0
}

// kill ends an instance for good (goalDecommissioned) or keeps its volume (goalStopped); goalRunning lets it come back.
func (s *Sim) kill(in *instance, goal int) {
	if goal == goalStopped && len(in.def.spec.volumes()) == 0 {
		goal = goalDecommissioned
	}
	in.goal = goal
	switch {
	case in.state == condScheduled || in.terminal():
		s.abandon(in)
	case in.state == condUnreachable: // killed when its agent returns
	case !in.killing:
		if goal != goalRunning {
			s.instanceChanged(in, in.state)
		}
		in.killing = true
		if in.process != nil {
			in.process.Kill(in.grace())
		}
	}
}

func (in *instance) grace() time.Duration {
	if g := in.def.spec.KillGrace; g != nil {
		return time.Duration(*g) * time.Second
	}
	return 3 * time.Second
}

// abandon takes back an instance that has no process.
func (s *Sim) abandon(in *instance) {
	switch {
	case in.goal == goalRunning:
	case in.goal == goalStopped && len(in.volumes) > 0:
		if !in.terminal() {
			in.state = condKilled
		}
	default:
		s.expunge(in)
	}
}

// expunge forgets an instance, its reservation and its volumes.
func (s *Sim) expunge(in *instance) {
	s.release(in, true)
	in.goal = goalDecommissioned
	if !in.terminal() {
		in.state = condKilled
	}
	in.app.instances = slices.DeleteFunc(in.app.instances, func(x *instance) bool { return x == in })
}

// launch starts a process on an agent that fits.
func (s *Sim) launch(in *instance, ag *agent, ports []int) {
	in.agent, in.ports = ag, ports
	in.run++
	in.killing = false
	in.staged, in.started = time.Now(), time.Time{}
	if len(in.volumes) == 0 {
		s.newReservation(in)
		for _, v := range in.def.spec.volumes() {
			id := s.uuid()
			in.volumes = append(in.volumes, Volume{
				ContainerPath: v.ContainerPath, UUID: id, Size: v.Persistent.Size,
				PersistenceID: fmt.Sprintf("%s#%s#%s", safeName(in.app.id), v.ContainerPath, id),
			})
		}
	}
	in.state = condProvisioned
	in.task = s.describe(in)
	s.instanceChanged(in, condProvisioned)
	run := in.run
	s.after(10*time.Millisecond+s.jitter(), func() { s.begin(in, run) })
}

// newReservation is where, up to 1.7, a restart goes wrong: it takes the condition Reserved of a new instance for a
// failure, and starts another one.
func (s *Sim) newReservation(in *instance) {
	if s.ver.keepsRunSpec || len(in.def.spec.volumes()) == 0 {
		return
	}
	for _, act := range s.actionsOf(in.app.id) {
		if act.kind == actRestart && act.begun && !act.old[in] {
			act.reserved[in] = true
		}
	}
}

// begin is the agent's part: start the process, report STARTING and RUNNING.
func (s *Sim) begin(in *instance, run int) {
	if in.run != run || in.state != condProvisioned {
		return
	}
	if in.killing {
		s.ended(in, condKilled, "Killed before it started")
		return
	}
	if in.agent.lost {
		s.ended(in, condFailed, "The agent was lost before the task started")
		return
	}
	in.state = condStarting
	s.statusUpdate(in, "TASK_STARTING", "")
	s.instanceChanged(in, condStarting)
	if s.failLaunches > 0 {
		s.failLaunches--
		s.ended(in, condFailed, "Failed to launch container: simulated")
		return
	}
	p, err := s.opt.Runner.Start(in.task, func(e Exit) {
		s.do(func() {
			if in.run == run && in.live() {
				s.exited(in, e)
			}
		})
	})
	if err != nil {
		s.ended(in, condFailed, "Failed to launch container: "+err.Error())
		return
	}
	in.process = p
	s.after(50*time.Millisecond+s.jitter(), func() { s.running(in, run) })
}

func (s *Sim) running(in *instance, run int) {
	if in.run != run || in.state != condStarting {
		return
	}
	in.state, in.started = condRunning, time.Now()
	s.statusUpdate(in, "TASK_RUNNING", "")
	s.instanceChanged(in, condRunning)
	for _, p := range in.ports {
		s.listen(fmt.Sprintf("%s:%d", in.agent.Hostname, p), in)
	}
	s.startHealthChecks(in)
}

func (s *Sim) exited(in *instance, e Exit) {
	state := condFailed
	switch {
	case in.killing:
		state = condKilled
	case e.Code == 0 && !e.Signalled:
		state = condFinished
	}
	s.ended(in, state, e.Message)
}

// ended is a task's end: the event, and what Marathon does about it.
func (s *Sim) ended(in *instance, state, message string) {
	if in.stopChecks != nil {
		in.stopChecks()
		in.stopChecks = nil
	}
	for _, p := range in.ports {
		s.listen(fmt.Sprintf("%s:%d", in.agent.Hostname, p), nil)
	}
	in.process, in.state, in.lastEnd = nil, state, state
	s.statusUpdate(in, "TASK_"+strings.ToUpper(state), message)
	s.instanceChanged(in, state)
	if len(in.def.spec.Health) > 0 {
		s.healthEvent(in, nil)
	}
	in.healthy, in.everHealthy, in.unhealthy = false, false, false
	if state == condFailed {
		in.app.failure = s.lastFailure(in, state, message)
	}
	if state != condKilled || !in.killing {
		s.backOff(in.app)
	}
	in.killing = false
	s.release(in, false)
	s.afterEnd(in)
}

// afterEnd is where versions and running deployments differ about an instance that ended.
func (s *Sim) afterEnd(in *instance) {
	a := in.app
	missing := 0
	if a.lockOpen { // both the restart and the scale check will now add one
		missing = a.def.spec.Instances - s.countActive(a)
		if in.goal == goalRunning {
			missing++
		}
	}
	switch {
	case in.goal == goalDecommissioned:
		s.expunge(in)
	case in.goal == goalStopped:
	case !s.ver.keepsRunSpec:
		s.endOld(in)
	default:
		s.endNew(in)
	}
	if missing > 0 {
		s.settleOnce(a)
		a.lockOpen, a.lockStuck = false, true
		s.schedule(a, missing)
	}
}

// endNew, from 1.8: the instance comes back with its own definition, unless a restart wanted it gone anyway.
func (s *Sim) endNew(in *instance) {
	for _, act := range s.actionsOf(in.app.id) {
		if act.kind == actRestart && act.begun && !act.old[in] && !s.ver.replacesDeadOld {
			act.crashed++
		}
		if act.kind != actRestart || !act.old[in] {
			continue
		}
		if s.ver.replacesDeadOld {
			in.goal = goalStopped
			if len(in.volumes) == 0 {
				s.expunge(in)
			}
			return
		}
		act.revived[in] = true
	}
	in.state = condScheduled
	in.ready, in.rejected = false, nil
	in.app.queue.since = time.Now()
}

// endOld, up to 1.7: the instance is given up, and whoever counts instances starts one with the current definition.
func (s *Sim) endOld(in *instance) {
	in.goal = goalStopped
	if len(in.volumes) == 0 {
		s.expunge(in)
	}
	if len(s.actionsOf(in.app.id)) == 0 {
		s.schedule(in.app, min(1, in.app.def.spec.Instances-s.countActive(in.app)))
	}
}

func (s *Sim) countActive(a *app) int {
	n := 0
	for _, in := range a.instances {
		if in.active() {
			n++
		}
	}
	return n
}
