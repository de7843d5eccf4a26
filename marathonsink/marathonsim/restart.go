package marathonsim

import "slices"

// proceedRestart replaces every instance that is not of the target version: some at once (traits.killNow), then one
// for each new one that became healthy and ready. readiness and health gate the next kill, never the first.
func (s *Sim) proceedRestart(act *action) bool {
	a := s.apps[act.app]
	if a == nil {
		return true
	}
	if !act.begun {
		s.beginRestart(a, act)
	}
	surplus := 0
	for _, in := range slices.Clone(a.instances) {
		if act.old[in] && in.terminal() && in.goal != goalRunning {
			delete(act.old, in)
			if act.revived[in] {
				act.revivedGone++
			} else {
				surplus, act.crashed = act.crashed, 0
			}
		}
	}
	for in := range act.old {
		if !slices.Contains(a.instances, in) {
			delete(act.old, in)
		}
	}
	s.startMore(a, act)
	s.schedule(a, surplus)
	for _, in := range slices.Clone(a.instances) {
		if act.old[in] || in.def.version != act.target.version || act.completed[in] {
			continue
		}
		s.startReadiness(in)
		if !s.doneStarting(in, act.rerun) {
			continue
		}
		act.completed[in] = true
		for range max(1, in.readyStreams) {
			s.killNext(act)
		}
	}
	for in := range act.completed { // up to 1.7 one that died is replaced by another
		if !in.active() {
			delete(act.completed, in)
		}
	}
	if len(act.completed) >= act.n && len(act.old) > 0 {
		for len(act.toKill) > 0 {
			s.killNext(act)
		}
	}
	return len(act.completed) >= act.n && len(act.old) == 0
}

func (s *Sim) beginRestart(a *app, act *action) {
	act.begun = true
	act.n = act.target.spec.Instances
	act.old, act.revived, act.completed = map[*instance]bool{}, map[*instance]bool{}, map[*instance]bool{}
	act.reserved = map[*instance]bool{}
	running := 0
	for _, in := range a.instances {
		if !in.active() {
			continue
		}
		if !s.ver.healthyCount || consideredHealthy(in) {
			running++
		}
		if in.def.version == act.target.version {
			act.started++
			continue
		}
		act.old[in] = true
		act.toKill = append(act.toKill, in)
	}
	if s.ver.healthyCount {
		slices.SortStableFunc(act.toKill, func(x, y *instance) int { return boolInt(consideredHealthy(x)) - boolInt(consideredHealthy(y)) })
	}
	spec := &act.target.spec
	var kill int
	kill, act.maxCap = s.ver.killNow(act.n, running, len(a.instances), spec.Upgrade.MinHealth, spec.Upgrade.MaxOver, spec.resident())
	for range kill {
		s.killNext(act)
	}
}

// consideredHealthy: an app with any check has healthy instances only by a health check's word, so that one with a
// readiness check alone has none, ever (1.10 and later; such an app cannot be rolled with no surplus allowed).
func consideredHealthy(in *instance) bool {
	spec := &in.def.spec
	if len(spec.Health) > 0 || len(spec.Readiness) > 0 || spec.Check != nil {
		return in.state == condRunning && in.healthy
	}
	return in.state == condRunning
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// killNext stops the next instance on the list. From 1.10 that may be one that came back new meanwhile: its id stayed
// on the list, and it is stopped once more.
func (s *Sim) killNext(act *action) {
	for len(act.toKill) > 0 {
		in := act.toKill[0]
		act.toKill = act.toKill[1:]
		switch {
		case act.old[in] && in.goal == goalRunning:
		case s.ver.replacesDeadOld && in.goal == goalRunning && in.def.version == act.target.version:
			act.old[in] = true
			act.started--
			delete(act.completed, in)
		default:
			continue
		}
		s.kill(in, goalStopped)
		if in.state == condScheduled {
			s.abandon(in)
		}
		return
	}
}

// startMore fills the capacity that is free, as far as Marathon's books of it go: 1.8 and 1.9 count an old one that came
// back as started, and keep its place when it is gone; up to 1.7 one that had to make a reservation is not counted.
func (s *Sim) startMore(a *app, act *action) {
	act.started = 0
	for _, in := range a.instances {
		if in.active() && !act.old[in] && !act.reserved[in] && in.def.version == act.target.version {
			act.started++
		}
	}
	n := min(act.n-act.started-len(act.revived), act.maxCap-len(act.old)-act.started-act.revivedGone)
	if n > 0 {
		s.schedule(a, n)
	}
}
