package marathonsim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Weather says how bad a random script of faults is.
type Weather struct {
	Requests int           // that may be hit, from the first on
	Events   int           // likewise
	Length   time.Duration // within which the world's faults happen and end
	Rate     float64       // the share of requests and events that are hit
	World    int           // how many faults of the world
	Agents   []string      // hosts that may vanish, one at a time
	Apps     []string      // that may crash again and again
	// Late bounds a request's delay. A client cannot defend itself against a write that arrives after it has looked
	// again: Marathon knows no preconditions.
	Late time.Duration
	// Without leaves kinds out.
	Without []FaultKind
}

// RandomFaults draws a script; equal seeds and weather give equal scripts.
func RandomFaults(seed uint64, w Weather) []Fault {
	d := drawer{rand.New(rand.NewPCG(seed, 0x6661756c7473)), w}
	var out []Fault
	for n := 1; n <= w.Requests; n++ {
		if d.Float64() < w.Rate {
			out = d.add(out, requestFaults, Fault{Nth: n})
		}
	}
	for n := 1; n <= w.Events; n++ {
		if d.Float64() < w.Rate {
			out = d.add(out, eventFaults, Fault{Nth: n})
		}
	}
	for range w.World {
		out = d.add(out, worldFaults, Fault{At: d.within(w.Length * 3 / 4)})
	}
	return out
}

type drawer struct {
	*rand.Rand
	w Weather
}

// within is a time in (0, most], to the nanosecond: two things never happen at the same instant in virtual time.
func (d drawer) within(most time.Duration) time.Duration {
	return 1 + time.Duration(d.Int64N(int64(max(1, most))))
}

func (d drawer) add(script []Fault, of []FaultKind, f Fault) []Fault {
	f.Kind = of[d.IntN(len(of))]
	switch f.Kind {
	case RequestLate:
		f.For = d.within(d.w.Late)
	case AnswerLate:
		f.For = d.within(2 * time.Minute)
	case StaleReads:
		f.For, f.Back = d.within(20*time.Second), 1+d.IntN(5)
	case AgentVanishes:
		f.For, f.Name = d.within(d.w.Length/4), d.pick(d.w.Agents)
	case OffersStop:
		f.For = d.within(d.w.Length / 4)
	case TasksCrash:
		f.For, f.Name = d.within(d.w.Length/4), d.pick(d.w.Apps)
	case LaunchesFail:
		f.Count = 1 + d.IntN(4)
	case TaskDies:
		f.Count = 1 + d.IntN(20)
	}
	if slices.Contains(d.w.Without, f.Kind) || f.Check() != nil { // for instance no agents to vanish
		return script
	}
	return append(script, f)
}

func (d drawer) pick(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[d.IntN(len(names))]
}
