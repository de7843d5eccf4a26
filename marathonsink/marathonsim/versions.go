package marathonsim

import (
	"math"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// traits are all differences between Marathons that the Sim knows; nothing else looks at the version number.
type traits struct {
	v marathon.Version

	hasRole, hasCheck, hasLimits, hasIPProtocol bool
	derivedResidency                            bool // residency comes from the volumes; what is sent is ignored
	maxLaunchDelay                              int64
	unreachableZero                             bool // ephemeral default {0, 0}; before {300, 600}
	operatorIS, doubles                         bool

	// keepsRunSpec: a task that died comes back with the definition it had; before 1.8 with the current one.
	keepsRunSpec bool
	// purgesOnCancel: cancelling a deployment empties the launch queue of its apps (up to 1.7).
	purgesOnCancel bool
	// falseScaleUp: while a launcher is alive a stopped resident counts as started, so that scaling up "succeeds"
	// without starting anything (1.4 to 1.7).
	falseScaleUp bool
	// waitsForLost: a scale-down waits for the end of a task whose agent is lost (1.5).
	waitsForLost bool
	// forgetsKillOfLost: a kill of a task whose agent is lost is dropped, and the task runs on when the agent is back
	// (up to 1.7).
	forgetsKillOfLost bool
	// ignoresKillWhileLocked: a plain DELETE of a task of a locked app answers 200 and does nothing (up to 1.7).
	ignoresKillWhileLocked bool
	// healthyCount: a restart counts only healthy instances as running, and left-overs as surplus (1.10).
	healthyCount bool
	// replacesDeadOld: an old instance that dies during a restart comes back new, but stays on the kill list (1.10);
	// in 1.8 and 1.9 it comes back old and is never started again once the restart stopped it.
	replacesDeadOld bool
	// conflictOpensLock: a 409 opens the lock of the running deployment (1.10).
	conflictOpensLock  bool
	restartMovesConfig bool // POST restart moves lastConfigChangeAt (1.11)
	rollbackOldStamp   bool // a rollback carries an old timestamp (1.11; not 1.8.222)
	details404         bool // "details": [] in some 404 bodies (1.11; not 1.8.222)
	residentMessages   bool // the long messages about residents (1.6)
	cancelReason       bool // deployment_failed carries a reason (1.6)
	htmlRefusals       bool // who lacks the password gets a page for people (1.5)
	hasExecutor        bool // executorResources are a field (1.6); before they are dropped
	redirectsEvents    bool // a standby redirects who asks for events (1.6); before it hands them on
}

func traitsOf(v marathon.Version) traits {
	at := v.AtLeast
	t := traits{
		v: v, hasRole: at(1, 9, 0), hasCheck: at(1, 8, 0), hasLimits: at(1, 10, 0), hasIPProtocol: at(1, 6, 0),
		derivedResidency: at(1, 6, 0), maxLaunchDelay: 3600,
		unreachableZero: at(1, 5, 1) || (v.Minor == 4 && v.Patch >= 9), operatorIS: at(1, 6, 0), doubles: at(1, 8, 0),
		keepsRunSpec: at(1, 8, 0), purgesOnCancel: !at(1, 8, 0), falseScaleUp: !at(1, 8, 0), waitsForLost: !at(1, 6, 0), forgetsKillOfLost: !at(1, 8, 0),
		ignoresKillWhileLocked: !at(1, 8, 0), healthyCount: at(1, 10, 0), replacesDeadOld: at(1, 10, 0),
		conflictOpensLock: at(1, 10, 0), restartMovesConfig: at(1, 11, 0), rollbackOldStamp: at(1, 9, 0),
		details404: at(1, 9, 0), residentMessages: at(1, 6, 0), cancelReason: at(1, 6, 0), redirectsEvents: at(1, 6, 0), hasExecutor: at(1, 6, 0), htmlRefusals: !at(1, 6, 0),
	}
	if at(1, 8, 0) {
		t.maxLaunchDelay = 300
	}
	return t
}

// killNow says how many old tasks a restart kills at once, and how many tasks may exist meanwhile: n wanted, running
// counted at the start, all known instances, whatever their goal.
func (t traits) killNow(n, running, all int, minHealth, maxOver float64, resident bool) (kill, maxCap int) {
	minHealthy := int(math.Ceil(float64(n) * minHealth))
	maxCap = int(math.Trunc(float64(n) * (1 + maxOver)))
	kill = max(0, running-minHealthy)
	if minHealthy == maxCap && maxCap <= running {
		if resident {
			kill = running - minHealthy + 1
		} else {
			maxCap++
		}
	}
	if t.healthyCount && n < all {
		kill = max(kill, all-n)
	}
	return kill, maxCap
}

// condition is the word of the version for an instance's condition in events.
func (t traits) condition(c string) string {
	if t.keepsRunSpec {
		return c
	}
	switch c {
	case condScheduled:
		return "Reserved"
	case condProvisioned:
		return "Staging"
	}
	return c
}
