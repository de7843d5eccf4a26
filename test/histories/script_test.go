package histories_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// A kind names what an event does.
type kind string

// An event is one thing that happens at a time. It is data, so that a script of them can be cut down and played again.
type event struct {
	kind kind
	at   time.Duration
	span time.Duration // for which it lasts, where it lasts
	n    int           // which node, which value
}

// String is the event in a few words.
func (e event) String() string {
	return fmt.Sprintf("%s %s n=%d for %s", e.at.Round(time.Millisecond), e.kind, e.n, e.span.Round(time.Millisecond))
}

// A script is all that a history is made of.
type script struct {
	seed    uint64
	version marathon.Version // of Marathon
	first   wish
	events  []event
	faults  []marathonsim.Fault
}

// String is what a person reads of a failing seed.
func (s script) String() string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "seed %d on Marathon %s, Elasticsearch %s, %d masters, %d data nodes\n", s.seed, s.version, s.first.releases[s.first.release], s.first.masters, s.first.data)
	if s.first.neighbour {
		b.WriteString("  beside another cluster\n")
	}
	for _, e := range s.events {
		fmt.Fprintf(b, "  %s\n", e)
	}
	for _, f := range s.faults {
		fmt.Fprintf(b, "  %s\n", f)
	}
	return b.String()
}

var marathons = []marathon.Version{{Major: 1, Minor: 11, Patch: 24}, {Major: 1, Minor: 11, Patch: 24}, {Major: 1, Minor: 10, Patch: 19},
	{Major: 1, Minor: 8, Patch: 222}, {Major: 1, Minor: 7, Patch: 236}, {Major: 1, Minor: 5, Patch: 15}}

var releases = [][]string{{"7.16.3", "7.17.28", "8.19.0"}, {"8.18.0", "8.19.0"}, {"6.8.22", "6.8.23"}, {"5.6.15", "5.6.16"}}

// length is for how long things happen; then they stop, and everything must become as git says.
const length = 8 * time.Minute

// draw makes the script of a seed.
func draw(seed uint64) script {
	rng := rand.New(rand.NewPCG(seed, 0x68697374))
	s := script{seed: seed, version: marathons[rng.IntN(len(marathons))]}
	s.first = wish{releases: releases[rng.IntN(len(releases))], data: 3 + rng.IntN(2), masters: 3 * rng.IntN(2), zone: "UTC", generation: 1}
	if s.first.masters == 0 {
		s.first.data = 3
	}
	if rng.IntN(3) == 0 {
		s.first.kibana = 20
	}
	kinds := slices.Collect(func(yield func(kind) bool) {
		for _, k := range order {
			if !yield(k) {
				return
			}
		}
	})
	for range 2 + rng.IntN(3) {
		s.events = append(s.events, event{commits[rng.IntN(len(commits))], within(rng, length), 0, rng.IntN(100)})
	}
	for range 2 + rng.IntN(5) {
		s.events = append(s.events, event{kinds[rng.IntN(len(kinds))], within(rng, length), within(rng, length/5), rng.IntN(100)})
	}
	slices.SortStableFunc(s.events, func(a, b event) int { return int(a.at - b.at) })
	agents := marathonsim.DefaultAgents(agents)
	s.faults = marathonsim.RandomFaults(seed, marathonsim.Weather{Requests: 800, Events: 400, Rate: 0.006, Length: length, World: rng.IntN(3), Late: 8 * time.Second,
		Agents: []string{agents[1].Hostname, agents[4].Hostname}, Apps: []string{"/g/c/discovery", "/g/c/es-master", "/g/c/es-datanode"}})
	s.first.neighbour = rng.IntN(4) == 0
	return s
}

// agents are so few that nodes must share them, and so many that one may be away.
const agents = 7

// within is a time in (0, most], to the nanosecond: two things never happen at the same instant.
func within(rng *rand.Rand, most time.Duration) time.Duration {
	return 1 + time.Duration(rng.Int64N(int64(most)))
}
