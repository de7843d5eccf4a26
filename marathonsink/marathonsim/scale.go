package marathonsim

import "slices"

// proceedScale brings an app to its number of instances. Going up it waits for those it started itself; instances
// that were already asked for count as there, so after a change of leader it ends at once, with nothing running.
func (s *Sim) proceedScale(act *action) bool {
	a := s.apps[act.app]
	if a == nil {
		return true
	}
	n := act.target.spec.Instances
	if !act.begun {
		act.begun = true
		missing := n - s.countActive(a)
		if s.ver.falseScaleUp && a.launcher && missing > 0 {
			for _, in := range a.instances {
				if in.suspended() {
					missing--
				}
			}
		}
		if missing > 0 {
			act.waiting = s.schedule(a, missing)
		}
		act.dying = s.victims(a, s.countActive(a)-n, act.named)
		for _, in := range act.dying {
			s.kill(in, goalStopped)
		}
	}
	for _, in := range act.dying {
		if in.live() && (in.state != condUnreachable || s.ver.waitsForLost) {
			return false
		}
	}
	for i, in := range act.waiting {
		if in.goal != goalRunning && !s.ver.keepsRunSpec {
			in = s.replacement(a, in)
			act.waiting[i] = in
		}
		if in.goal != goalRunning { // stopped by somebody else
			continue
		}
		s.startReadiness(in)
		if !s.doneStarting(in, false) {
			return false
		}
	}
	return true
}

// replacement is the instance that stands in for one that died while a deployment waited for it (up to 1.7).
func (s *Sim) replacement(a *app, dead *instance) *instance {
	if s.countActive(a) >= a.def.spec.Instances {
		return dead
	}
	if i := slices.Index(a.instances, dead); i >= 0 && dead.suspended() {
		dead.goal, dead.state, dead.def = goalRunning, condScheduled, a.def
		dead.resetRun()
		return dead
	}
	return s.schedule(a, 1)[0]
}
