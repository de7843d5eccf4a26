package sinktest

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// inSimulator runs every case against a simulator of its own, in virtual time.
func inSimulator(t *testing.T, v marathon.Version, col *column) {
	col.ran = true
	for i, k := range allCases() {
		if !k.fits(v) || !chosen(k) {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			defer col.note(t, k)
			synctest.Test(t, func(t *testing.T) {
				nodes := &Nodes{}
				agents := marathonsim.DefaultAgents(suiteAgents)
				user := ""
				if k.how == guarded {
					user = guard
				}
				sim := marathonsim.New(marathonsim.Options{Version: v, Agents: agents, Programs: nodes.program, Credentials: user,
					LaunchDelay: 100 * time.Millisecond, ScaleCheck: 15 * time.Second, Seed: uint64(i)})
				t.Cleanup(sim.Close)
				target := Target{User: user, URLs: []string{"http://marathon.sim:8080"}, Transport: sim.Transport(), Nodes: nodes, NodeCmd: "node", Control: simControl{sim}}
				for _, a := range agents {
					target.Agents = append(target.Agents, a.Hostname)
				}
				k.run(newEnv(t, target, fmt.Sprintf("/sinktest/c%d", i)))
			})
		})
	}
}

// guard is the name and password of a Marathon that asks for them.
const guard = "esfleet:open-sesame"

// suiteAgents leaves room for the cases that run beside each other.
const suiteAgents = 8

type simControl struct{ *marathonsim.Sim }

func (s simControl) PauseOffers() error           { s.Sim.PauseOffers(); return nil }
func (s simControl) ResumeOffers() error          { s.Sim.ResumeOffers(); return nil }
func (s simControl) FailNextLaunches(n int) error { s.Sim.FailNextLaunches(n); return nil }
func (s simControl) ChangeLeader() error {
	s.Sim.LeaderChange()
	return s.AwaitLeader()
}

func (s simControl) AwaitLeader() error {
	time.Sleep(4 * time.Second) // longer than the gap between two leaders
	return nil
}

// A selection says which cases run against a real Marathon.
type selection func(testCase) bool

func everyCase(testCase) bool { return true }

// quickThemes are those whose cases need no more than some seconds each: all but what rolls, commits and breaks.
func quickThemes(k testCase) bool {
	return k.how == shared && among(k, slices.Concat(writeCases, definitionCases, refusalCases,
		malformedCases, residentRefusalCases, arrayCases, readCases, lockCases, deploymentCases, taskCases, suspendedCases, queueCases,
		groupCases, podCases))
}

// quickDifferences are those of them that are about some versions only.
func quickDifferences(k testCase) bool {
	return quickThemes(k) && (k.since != (marathon.Version{}) || k.until != (marathon.Version{}))
}

func among(k testCase, list []testCase) bool {
	return slices.ContainsFunc(list, func(x testCase) bool { return x.name == k.name })
}

// selected are the indices of the cases that inLab runs, by how.
func selected(v marathon.Version, pick selection) map[how][]int {
	byHow := map[how][]int{}
	for i, k := range allCases() {
		if k.fits(v) && chosen(k) && pick(k) {
			byHow[k.how] = append(byHow[k.how], i)
		}
	}
	return byHow
}

// inLab runs the selected cases against one real Marathon: many beside each other, because they mostly wait. On one that
// asks for a password it runs those about that alone.
func inLab(t *testing.T, v marathon.Version, target Target, col *column, pick selection) {
	all, byHow := allCases(), selected(v, pick)
	run := func(t *testing.T, i int, target Target) {
		k := all[i]
		t.Run(k.name, func(t *testing.T) {
			defer col.note(t, k)
			k.run(newEnv(t, target, fmt.Sprintf("/sinktest/c%d", i)))
		})
	}
	if target.User != "" {
		crowd(byHow[guarded], atOnce, func(i int) { run(t, i, target) })
		return
	}
	// The leader changes while little has happened. A Marathon up to 1.7 forgets old versions of the root group, also those
	// that an open deployment needs, and of the open deployments its successor then finds none: "Missing target or original".
	// One that hangs, as the end of an app whose tasks do not end, is enough for all.
	crowd(byHow[first], 1, func(i int) { run(t, i, target) })
	meeting := newMeeting(len(byHow[leaders]), target.Control.ChangeLeader)
	crowd(byHow[leaders], len(byHow[leaders]), func(i int) {
		seat := &seat{Control: target.Control, meeting: meeting}
		defer seat.leave()
		mine := target
		mine.Control = seat
		run(t, i, mine)
	})
	crowd(byHow[shared], atOnce, func(i int) { run(t, i, target) })
	crowd(byHow[alone], 1, func(i int) { run(t, i, target) })
}

// atOnce is how many cases share a real Marathon.
const atOnce = 10

// crowd calls do for every index, n at a time.
func crowd(indices []int, n int, do func(i int)) {
	var wg sync.WaitGroup
	seats := make(chan struct{}, max(1, n))
	for _, i := range indices {
		seats <- struct{}{}
		wg.Go(func() {
			defer func() { <-seats }()
			do(i)
		})
	}
	wg.Wait()
}

// chosen says whether -case asks for the case: unlike with -run, a meeting knows who will come.
func chosen(k testCase) bool {
	ok, err := regexp.MatchString(*onlyCases, k.name)
	return ok && err == nil
}

// A meeting ends the leader once, when everybody who needs that has come or has left.
type meeting struct {
	mu      sync.Mutex
	missing int
	end     func() error
	err     error
	held    chan struct{}
}

func newMeeting(n int, end func() error) *meeting {
	return &meeting{missing: n, end: end, held: make(chan struct{})}
}

func (m *meeting) arrive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missing--
	if m.missing == 0 {
		m.err = m.end()
		close(m.held)
	}
}

// A seat is one case's part in a meeting.
type seat struct {
	Control
	meeting *meeting
	once    sync.Once
}

func (s *seat) leave() { s.once.Do(s.meeting.arrive) }

func (s *seat) ChangeLeader() error {
	s.leave()
	<-s.meeting.held
	return s.meeting.err
}
