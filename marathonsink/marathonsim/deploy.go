package marathonsim

import (
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A deployment carries out a plan, step by step.
type deployment struct {
	id, version string
	steps       [][]*action
	step        int // that runs; len(steps) when done
	begun       bool
	before      root // the definitions it replaced, for a rollback; nil entries are apps it created
	after       root
}

// An action is what one step does to one app, and how far it is.
type action struct {
	kind   string
	app    marathon.AppID
	target *definition
	named  []*instance // to be stopped first (kill and scale)

	begun, done, rerun bool
	waiting            []*instance // scale up: those it started
	dying              []*instance // scale down: those it stops

	// A restart's books (restart.go).
	n, maxCap, started int
	toKill             []*instance
	old                map[*instance]bool // not yet gone
	revived            map[*instance]bool // 1.8, 1.9: died during the restart, came back old and counts as started
	revivedGone        int                // those of them that were stopped: their places stay empty
	crashed            int                // 1.8, 1.9: new ones that crashed; as many too many are started later
	reserved           map[*instance]bool // up to 1.7: new ones whose fresh reservation was taken for a failure
	completed          map[*instance]bool
}

func (d *deployment) apps() []marathon.AppID {
	var out []marathon.AppID
	for _, st := range d.steps {
		for _, a := range st {
			if !slices.Contains(out, a.app) {
				out = append(out, a.app)
			}
		}
	}
	slices.Sort(out)
	return out
}

// actionsOf are the actions that run for an app.
func (s *Sim) actionsOf(id marathon.AppID) []*action {
	var out []*action
	for _, d := range s.deployments {
		if slices.Contains(d.apps(), id) {
			for i, st := range d.steps {
				for _, a := range st {
					if a.app == id && (i >= d.step) {
						out = append(out, a)
					}
				}
			}
		}
	}
	return out
}

// lockedBy lists the deployments that touch an app.
func (s *Sim) lockedBy(id marathon.AppID) []*deployment {
	var out []*deployment
	for _, d := range s.deployments {
		if slices.Contains(d.apps(), id) {
			out = append(out, d)
		}
	}
	return out
}

// start makes to the root and begins the deployment that leads there.
func (s *Sim) start(d *deployment, to root) {
	for _, id := range d.apps() {
		if a := s.apps[id]; a != nil {
			a.lockOpen, a.lockStuck = false, false
		}
	}
	for _, id := range sortedIDs(to) {
		def := to[id]
		a := s.apps[id]
		if a == nil {
			a = &app{id: id}
			s.apps[id] = a
			s.makeGroups(id, def.version)
		}
		if a.def == nil || a.def.version != def.version {
			s.history[id] = append(s.history[id], def)
			a.backoff, a.backoffUntil = 0, a.backoffUntil.AddDate(-1, 0, 0)
		}
		a.def = def
	}
	s.deployments = append(s.deployments, d)
	s.settle()
}

func (s *Sim) makeGroups(id marathon.AppID, version string) {
	for g := marathon.AppID(id.Group()); s.groups[g] == nil; g = marathon.AppID(g.Group()) {
		s.groups[g] = &group{version: version}
	}
}

// advance lets a deployment go as far as it can; true if it moved.
func (s *Sim) advance(d *deployment) bool {
	if d.step >= len(d.steps) || s.leaderless {
		if d.step >= len(d.steps) && slices.Contains(s.deployments, d) {
			s.finish(d)
			return true
		}
		return false
	}
	moved := false
	if !d.begun {
		d.begun, moved = true, true
		s.deploymentEvent("deployment_info", d, true, "")
		for _, a := range d.steps[d.step] {
			s.healthCheckEvents(a)
		}
	}
	open := 0
	for _, a := range d.steps[d.step] {
		if a.done {
			continue
		}
		if s.proceed(a) {
			a.done, moved = true, true
			continue
		}
		open++
	}
	if open > 0 || !slices.Contains(s.deployments, d) {
		return moved
	}
	s.deploymentEvent("deployment_step_success", d, true, "")
	d.step++
	d.begun = false
	if d.step >= len(d.steps) {
		s.finish(d)
	}
	return true
}

func (s *Sim) finish(d *deployment) {
	s.deployments = slices.DeleteFunc(s.deployments, func(x *deployment) bool { return x == d })
	s.deploymentEvent("deployment_success", d, false, "")
}

// proceed works on an action until it has to wait; true when it is done.
func (s *Sim) proceed(a *action) bool {
	switch a.kind {
	case actStart:
		return true
	case actStop:
		return s.proceedStop(a)
	case actScale:
		return s.proceedScale(a)
	default:
		return s.proceedRestart(a)
	}
}

// proceedStop ends an app; the deployment does not wait for its tasks.
func (s *Sim) proceedStop(a *action) bool {
	if ap := s.apps[a.app]; ap != nil {
		for _, in := range slices.Clone(ap.instances) {
			s.kill(in, goalDecommissioned)
			if in.suspended() || in.terminal() {
				s.expunge(in)
			}
		}
		delete(s.apps, a.app)
	}
	s.event("app_terminated_event", map[string]any{"appId": a.app})
	return true
}

// cancelDeployment stops a deployment where it is: nothing is killed, the definitions stay.
func (s *Sim) cancelDeployment(d *deployment) {
	s.deployments = slices.DeleteFunc(s.deployments, func(x *deployment) bool { return x == d })
	s.deploymentEvent("deployment_failed", d, false, "The upgrade has been cancelled")
	if s.ver.purgesOnCancel {
		for _, id := range d.apps() {
			s.purge(s.apps[id])
		}
	}
}

// purge empties the launch queue of an app (up to 1.7): who waited for an offer waits for the next scale check.
func (s *Sim) purge(a *app) {
	if a == nil {
		return
	}
	a.launcher = false
	for _, in := range slices.Clone(a.instances) {
		if in.state == condScheduled && in.goal == goalRunning {
			s.kill(in, goalStopped)
		}
	}
}

// doneStarting says whether a deployment may count the instance: healthy (once is enough) and ready.
func (s *Sim) doneStarting(in *instance, rerun bool) bool {
	spec := &in.def.spec
	if in.goal != goalRunning {
		return false
	}
	healthy := in.everHealthy
	if len(spec.Health) == 0 {
		healthy = in.state == condRunning || rerun
	}
	return healthy && (len(spec.Readiness) == 0 || in.ready)
}
