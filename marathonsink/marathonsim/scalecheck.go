package marathonsim

import (
	"slices"
	"time"
)

// backOff delays the next launch of an app whose task ended by itself.
func (s *Sim) backOff(a *app) {
	spec := &a.def.spec
	longest := time.Duration(spec.MaxLaunchDelay * float64(time.Second))
	if a.backoff == 0 {
		a.backoff = time.Duration(spec.BackoffSeconds * float64(time.Second))
	} else {
		a.backoff = time.Duration(float64(a.backoff) * spec.BackoffFactor)
	}
	a.backoff = min(a.backoff, longest)
	a.backoffUntil = time.Now().Add(a.backoff)
}

// periodicScaleCheck is what notices, every ScaleCheck, that an app has too few or too many instances.
func (s *Sim) periodicScaleCheck() {
	s.after(s.opt.ScaleCheck, s.periodicScaleCheck)
	if s.leaderless {
		return
	}
	for _, a := range s.sortedApps() {
		if len(s.actionsOf(a.id)) > 0 || a.lockStuck {
			continue
		}
		missing := a.def.spec.Instances - s.countActive(a)
		if missing > 0 {
			s.schedule(a, missing)
		}
		for _, in := range s.victims(a, -missing, nil) {
			s.kill(in, goalStopped)
			a.lockStuck = s.ver.keepsRunSpec // from 1.8 the lock of such a kill is never given back
		}
	}
}

// victims chooses n instances to stop: those named, then what does not run, then by killSelection.
func (s *Sim) victims(a *app, n int, named []*instance) []*instance {
	if n <= 0 {
		return nil
	}
	var active []*instance
	for _, in := range a.instances {
		if in.active() {
			active = append(active, in)
		}
	}
	oldestFirst := a.def.spec.KillSelection == "OLDEST_FIRST"
	slices.SortStableFunc(active, func(x, y *instance) int {
		if c := s.weight(x, named) - s.weight(y, named); c != 0 {
			return c
		}
		c := x.staged.Compare(y.staged)
		if !oldestFirst {
			c = -c
		}
		return c
	})
	return active[:min(n, len(active))]
}

// weight is the order in which a scale-down takes instances. Up to 1.7 what waits for an offer is no instance yet, and
// is the first to go; from 1.8 it comes last, so that a running task may die while the broken one stays.
func (s *Sim) weight(in *instance, named []*instance) int {
	if slices.Contains(named, in) {
		return 0
	}
	switch in.state {
	case condScheduled:
		if !s.ver.keepsRunSpec {
			return 0
		}
	case condUnreachable:
		return 1
	case condProvisioned:
		return 2
	case condStarting:
		return 3
	case condRunning:
		return 4
	}
	return 5
}
