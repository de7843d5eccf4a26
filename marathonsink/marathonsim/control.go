package marathonsim

import (
	"fmt"
	"slices"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// KillTask ends a running task as kill -9 would. It comes back after its backoff.
func (s *Sim) KillTask(id marathon.TaskID) error {
	err := fmt.Errorf("kill task %s: it does not run", id)
	s.do(func() {
		if in := s.instanceByTask(string(id)); in != nil && in.process != nil {
			p := in.process
			s.ended(in, condFailed, "Command terminated with signal Killed")
			p.Kill(0)
			err = nil
		}
	})
	return err
}

// LoseAgent cuts an agent off: its tasks become unreachable, but run on.
func (s *Sim) LoseAgent(hostname string) error {
	return s.withAgent(hostname, func(ag *agent) {
		ag.lost = true
		for _, in := range s.on(ag) {
			if in.state == condRunning || in.state == condStarting {
				in.state = condUnreachable
				s.statusUpdate(in, "TASK_UNREACHABLE", "Agent "+hostname+" is unreachable")
				s.instanceChanged(in, condUnreachable)
			}
		}
	})
}

// BackAgent reconnects a lost agent. Its tasks are what they were, but those stopped meanwhile are killed now.
func (s *Sim) BackAgent(hostname string) error {
	return s.withAgent(hostname, func(ag *agent) {
		ag.lost = false
		for _, in := range s.on(ag) {
			if in.state != condUnreachable {
				continue
			}
			if in.started.IsZero() { // it was lost while it started
				in.state = condStarting
				s.running(in, in.run)
			} else {
				in.state = condRunning
				s.statusUpdate(in, "TASK_RUNNING", "")
				s.instanceChanged(in, condRunning)
			}
			if in.goal == goalStopped && s.ver.forgetsKillOfLost {
				in.goal = goalRunning // a scale check will find one too many
			}
			if in.goal != goalRunning {
				s.kill(in, in.goal)
			}
		}
		s.resourcesChanged()
	})
}

func (s *Sim) withAgent(hostname string, fn func(*agent)) error {
	err := fmt.Errorf("no agent is called %s", hostname)
	s.do(func() {
		for _, ag := range s.agents {
			if ag.Hostname == hostname {
				err = nil
				fn(ag)
				return
			}
		}
	})
	return err
}

// on are the instances that hold something of an agent, also those whose app is gone.
func (s *Sim) on(ag *agent) []*instance { return slices.Clone(ag.taken) }

// AddAgent lets a new machine offer its resources.
func (s *Sim) AddAgent(a Agent) {
	s.do(func() {
		s.addAgent(a)
		s.resourcesChanged()
	})
}

// PauseOffers stops all launches until ResumeOffers.
func (s *Sim) PauseOffers() { s.do(func() { s.offersPaused = true }) }

// ResumeOffers lets tasks be launched again.
func (s *Sim) ResumeOffers() {
	s.do(func() {
		s.offersPaused = false
		s.resourcesChanged()
	})
}

// FailNextLaunches makes the next n launched tasks fail before they run.
func (s *Sim) FailNextLaunches(n int) { s.do(func() { s.failLaunches = n }) }

// LeaderChange lets the leader die: streams end, nobody answers for LeaderGap, then the other one leads and runs the
// open deployments again from their first step, with all that goes wrong then (marathon-lab-roll E25).
func (s *Sim) LeaderChange() { s.do(s.abdicate) }

func (s *Sim) abdicate() {
	if s.leaderless {
		return
	}
	for _, u := range s.subscribers {
		u.end()
	}
	s.subscribers, s.leaderless = nil, true
	s.after(s.opt.LeaderGap, s.elected)
}

func (s *Sim) elected() {
	s.leader.Add(1)
	s.leaderless = false
	if s.ver.keepsRunSpec { // before 1.8 the deployments are there at once
		s.hideDeploys = true
		s.after(500*time.Millisecond, func() { s.hideDeploys = false })
	}
	for _, a := range s.sortedApps() {
		a.launcher, a.lockOpen, a.lockStuck = false, false, false
		if s.ver.purgesOnCancel { // the launch queue was the old leader's memory
			s.purge(a)
		}
		for _, in := range a.instances {
			in.ready, in.readyRun, in.readyStreams = false, 0, 0
		}
		if len(s.lockedBy(a.id)) > 0 {
			s.missHealth(a)
		}
	}
	for _, d := range s.deployments {
		d.step, d.begun = 0, false
		for _, st := range d.steps {
			for i, act := range st {
				st[i] = &action{kind: act.kind, app: act.app, target: act.target, rerun: true}
			}
		}
	}
	s.resourcesChanged()
}

// A View is what a Sim holds at a moment, for a person to look at.
type View struct {
	Leader      string
	Agents      []AgentView
	Apps        []AppView
	Deployments []marathon.DeploymentID
}

// An AgentView is an agent with what runs there.
type AgentView struct {
	Agent
	Lost      bool
	FreeCPUs  float64
	FreeMem   float64
	Tasks     []Task
	Suspended int // instances that only hold their volumes
}

// An AppView is an app with its tasks.
type AppView struct {
	ID        marathon.AppID
	Version   string // of its definition
	Instances int    // wanted
	Waiting   int    // for an offer
	Labels    map[string]string
	Tasks     []Task
}

// View takes a picture, in a fixed order.
func (s *Sim) View() View {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := View{Leader: s.leaderAddress()}
	for _, ag := range s.agents {
		av := AgentView{Agent: ag.Agent, Lost: ag.lost}
		av.FreeCPUs, av.FreeMem, _, _ = ag.free(nil)
		for _, in := range s.on(ag) {
			if in.live() {
				av.Tasks = append(av.Tasks, s.describe(in))
			} else if in.suspended() {
				av.Suspended++
			}
		}
		v.Agents = append(v.Agents, av)
	}
	for _, a := range s.sortedApps() {
		app := AppView{ID: a.id, Version: a.def.version, Instances: a.def.spec.Instances, Waiting: s.waiting(a), Labels: a.def.spec.Labels}
		for _, in := range a.instances {
			if in.agent != nil {
				app.Tasks = append(app.Tasks, s.describe(in))
			}
		}
		v.Apps = append(v.Apps, app)
	}
	for _, d := range s.deployments {
		v.Deployments = append(v.Deployments, marathon.DeploymentID(d.id))
	}
	slices.Sort(v.Deployments)
	return v
}

// listen notes who answers at a host:port, nil for nobody.
func (s *Sim) listen(hostport string, in *instance) {
	if in == nil {
		delete(s.listeners, hostport)
	} else {
		s.listeners[hostport] = in
	}
	if s.onListen != nil {
		s.onListen(hostport, in != nil)
	}
}

// settleOnce lets the deployments of an app react before something else does.
func (s *Sim) settleOnce(a *app) {
	for _, d := range s.lockedBy(a.id) {
		s.advance(d)
	}
}
