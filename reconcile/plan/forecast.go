package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// A WorkKind is what is under way in a cluster.
type WorkKind string

// The kinds.
const (
	WorkRestart WorkKind = "restart" // nodes take another definition, one after the other
	WorkLeave   WorkKind = "leave"   // nodes are drained and stopped
	WorkJoin    WorkKind = "join"    // nodes are added
)

// A Work is something under way: how far it is, and when it will have ended, as far as can be told from live state.
//
// The forecasts, all from what Marathon and Elasticsearch show now:
//   - restart: from one node's start to the next one's is a turn; a turn takes the mean of those that have passed in this
//     component (else in another), without any three times as long as their median (somebody had paused) and without the
//     canaries' soak. What is left is a turn for each node to come, the rest of the turn that is under way, not less than
//     its recoveries need at their present speed, and the rest of the soak.
//   - leave: the bytes still on nodes that leave, by the speed at which copies leave them now. When all have stopped: the
//     rest of the time for which their volumes are kept.
//   - join: none; nodes start when Marathon has offers.
type Work struct {
	What  WorkKind `json:"what"`
	Done  int      `json:"done"` // nodes
	Total int      `json:"total"`
	// LeftSeconds is how long it will still take if nothing holds it; absent where nobody can tell yet.
	LeftSeconds *int64 `json:"leftSeconds,omitempty"`
	// Basis says what the forecast stands on, or why there is none.
	Basis string `json:"basis"`
}

// Left is the forecast; ok is false where there is none.
func (w *Work) Left() (left time.Duration, ok bool) {
	if w.LeftSeconds == nil {
		return 0, false
	}
	return time.Duration(*w.LeftSeconds) * time.Second, true
}

func (w *Work) left(d time.Duration, basis string) {
	s := int64(max(0, d).Round(time.Second) / time.Second)
	w.LeftSeconds, w.Basis = &s, basis
}

// work lists what is under way.
func (m *maker) work() []Work {
	var out []Work
	for _, w := range []Work{m.restarting(), m.goingAway(), m.joining()} {
		if w.Total > 0 && (w.Done < w.Total || w.What == WorkLeave) {
			out = append(out, w)
		}
	}
	return out
}

// rolls says that nodes of r have yet to take another definition, or are about to come back with it.
func (m *maker) rolls(r *role) bool {
	if r.want == nil {
		return false
	}
	return r.updates() || m.oldOnes(r) > 0 || slices.ContainsFunc(r.slots, func(s slot) bool {
		state := m.stateOf(r, &s)
		return state == SlotRestarting || state == SlotStarting && again(s.task.ID) && (m.locked(r.live) || !m.modern())
	})
}

// inRoll are the roles that take part in the change that is under way: those that roll, those that were changed by the same
// commit and are through, and in an upgrade all.
func (m *maker) inRoll() []*role {
	var out []*role
	for i := range m.roles {
		r := &m.roles[i]
		part := r.want != nil && slices.ContainsFunc(m.roles, func(o role) bool {
			return m.rolls(&o) && (o.live.ID == r.live.ID || o.live.LastConfigChange.Equal(r.live.LastConfigChange) || m.upgrading())
		})
		if part {
			out = append(out, r)
		}
	}
	return out
}

func (m *maker) restarting() Work {
	w := Work{What: WorkRestart}
	roles := m.inRoll()
	left := map[*role]int{} // nodes whose turn has not come
	for _, r := range roles {
		for i := range r.slots {
			s := &r.slots[i]
			if m.isLeaving(*s) {
				continue
			}
			w.Total++
			switch m.stateOf(r, s) {
			case SlotCurrent:
				w.Done++
			case SlotStarting:
			default:
				left[r]++
			}
		}
	}
	m.whenRestarted(&w, roles, left)
	return w
}

// whenRestarted reckons the end of a roll.
func (m *maker) whenRestarted(w *Work, roles []*role, left map[*role]int) {
	p := m.paceOf(roles)
	under, recovers := m.underWay(p.last)
	turn := p.any
	basis := fmt.Sprintf("a turn takes %s by the %d so far", turn.Round(time.Second), p.turns)
	switch {
	case p.turns > 0:
	case p.last.IsZero():
		w.Basis = "no node has had its turn yet"
		return
	case recovers && p.soaks == 0:
		turn, basis = under, "the first turn, and the speed of its recoveries"
	case m.betweenTurns():
		turn, basis = m.facts.Now.Sub(p.last), "the first turn"
	default:
		w.Basis = "the first turn has not ended yet"
		if p.soaks > 0 {
			w.Basis = fmt.Sprintf("no two turns have passed yet; the canaries soak for %s more", p.soaks.Round(time.Second))
		}
		return
	}
	rest := max(0, turn-m.facts.Now.Sub(p.last))
	if recovers {
		rest = max(rest, under-m.facts.Now.Sub(p.last))
	}
	total := max(rest, p.soaks) + p.toSoak
	for _, r := range roles {
		each := turn
		if own := p.of[r.component]; own > 0 {
			each = own
		}
		total += time.Duration(left[r]) * each
	}
	w.left(total, basis)
}

// A pace is what the turns so far tell.
type pace struct {
	of     map[spec.Component]time.Duration // mean turn of a component
	any    time.Duration                    // mean of all
	turns  int
	last   time.Time     // when the last node started
	soaks  time.Duration // what is left of the canaries' soak, if it has begun
	toSoak time.Duration // the canaries' soak, if it is still to come
}

// paceOf reads the turns from when each node with the definition in force was started.
func (m *maker) paceOf(roles []*role) pace {
	p := pace{of: map[spec.Component]time.Duration{}}
	var all []time.Duration
	for _, r := range roles {
		starts := m.starts(r)
		var turns []time.Duration
		for i, at := range starts {
			if at.After(p.last) {
				p.last = at
			}
			soaked := r.component == spec.Data && i == m.want.Spec.Rollout.Canary && i > 0
			if i > 0 && !soaked {
				turns = append(turns, at.Sub(starts[i-1]))
			}
		}
		if r.component == spec.Data && m.oldOnes(r) > 0 {
			p.soak(m.want.Spec.Rollout, starts, m.facts.Now)
		}
		if turns = typical(turns); len(turns) > 0 {
			p.of[r.component] = mean(turns)
			all = append(all, turns...)
		}
	}
	p.turns, p.any = len(all), mean(all)
	return p
}

// starts are the times at which nodes of r started with the definition in force, in order.
func (m *maker) starts(r *role) []time.Time {
	var out []time.Time
	for i := range r.slots {
		s := &r.slots[i]
		at, err := time.Parse(time.RFC3339, s.task.StartedAt)
		if err == nil && !s.old && !r.updates() && !m.isLeaving(*s) && !at.Before(r.live.LastConfigChange) {
			out = append(out, at)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// typical leaves out what took three times as long as the median: the roll had been held in between.
func typical(turns []time.Duration) []time.Duration {
	if len(turns) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(turns))
	most := 3 * sorted[(len(sorted)-1)/2]
	return slices.DeleteFunc(sorted, func(d time.Duration) bool { return d > most })
}

func mean(turns []time.Duration) time.Duration {
	if len(turns) == 0 {
		return 0
	}
	var sum time.Duration
	for _, d := range turns {
		sum += d
	}
	return sum / time.Duration(len(turns))
}

// soak works out how long the canaries have still to run alone.
func (p *pace) soak(c spec.Rollout, starts []time.Time, now time.Time) {
	switch n := c.Canary; {
	case n == 0 || len(starts) > n:
	case len(starts) < n:
		p.toSoak = c.Soak
	default:
		p.soaks = max(0, c.Soak-now.Sub(starts[n-1]))
	}
}

// betweenTurns says that the turn before is over and that the next node starts now.
func (m *maker) betweenTurns() bool {
	for i := range m.out.Steps {
		if s := &m.out.Steps[i]; s.After == "" && (s.Verb == RestartNode || s.Verb == StartNode) {
			return true
		}
	}
	return false
}

// underWay is how long the turn that began at last will have taken when its recoveries have ended; false if none runs, or
// if none tells its speed.
func (m *maker) underWay(last time.Time) (time.Duration, bool) {
	todo, speed := recoveries(&m.facts.Elasticsearch, func(esgate.Recovery) bool { return true })
	if speed == 0 {
		return 0, false
	}
	return m.facts.Now.Sub(last) + time.Duration(float64(todo)/speed*float64(time.Second)), true
}

// recoveries sums up the bytes that the chosen ones have still to copy, and their speed together, in bytes per second.
func recoveries(h *esgate.Health, chosen func(esgate.Recovery) bool) (todo int64, speed float64) {
	if !h.Known {
		return 0, 0
	}
	for _, r := range h.Recoveries {
		if r.OperationsOnly || !chosen(r) {
			continue
		}
		todo += max(0, r.Bytes-r.Done)
		if r.Running > 0 {
			speed += float64(r.Done) / r.Running.Seconds()
		}
	}
	return todo, speed
}

func (m *maker) goingAway() Work {
	w := Work{What: WorkLeave}
	h := &m.facts.Elasticsearch
	var bytes int64
	var kept time.Duration
	names := map[string]bool{}
	for _, l := range m.leavers() {
		w.Total++
		names[l.slot.node] = true
		if l.stopped() {
			w.Done++
			kept = max(kept, l.waits-m.facts.Now.Sub(l.role.live.Version))
			continue
		}
		_, n := copiesOn(h, l.slot.node)
		bytes += n
	}
	var copied int64
	for _, r := range h.Recoveries {
		if names[r.From] {
			copied += r.Done
		}
	}
	_, speed := recoveries(h, func(r esgate.Recovery) bool { return names[r.From] })
	switch {
	case w.Done == w.Total:
		w.left(kept, "all have stopped; their volumes are kept as long as git says")
	case !h.Known:
		w.Basis = "Elasticsearch does not tell what is left to move"
	case bytes > 0 && speed > 0:
		todo := max(0, bytes-copied)
		w.left(time.Duration(float64(todo)/speed*float64(time.Second)), fmt.Sprintf("%s to move at %s/s", size(todo), size(int64(speed))))
	case bytes > 0:
		w.Basis = size(bytes) + " to move, and nothing moves now"
	default:
		w.Basis = "they hold nothing any more and stop one by one"
	}
	return w
}

func (m *maker) joining() Work {
	w := Work{What: WorkJoin, Basis: "nodes start when Marathon has offers that fit"}
	for i := range m.roles {
		r := &m.roles[i]
		if r.want == nil {
			continue
		}
		fresh, up := 0, 0
		for j := range r.slots {
			switch s := &r.slots[j]; {
			case s.up:
				up++
			case !again(s.task.ID) && m.stateOf(r, s) == SlotStarting:
				fresh++
			}
		}
		missing := r.declared() - max(r.live.Instances, len(r.slots)) // places that are not there yet
		if missing > 0 || fresh > 0 {
			w.Done, w.Total = w.Done+up, w.Total+max(r.declared(), r.live.Instances)
		}
	}
	return w
}
