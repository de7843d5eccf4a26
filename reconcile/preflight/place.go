package preflight

import (
	"cmp"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// An Answer says whether there is room. The zero value is no answer.
type Answer int

// The answers.
const (
	Unknown Answer = iota
	Fits
	NoRoom
)

// String is the answer in a word or two.
func (a Answer) String() string { return [...]string{"unknown", "fits", "no room"}[a] }

// A Verdict is the answer to an Ask.
type Verdict struct {
	Answer Answer
	// Placement is one that meets everything, where it fits: a line for each app, as asked, and agent.
	Placement []Assignment
	// AnyOrder says that it fits however Marathon places: it takes the first offer that will do, not the best.
	AnyOrder bool
	// Why says what is lacking and where, or why there is no answer, and App for which app, if for one.
	Why string
	App marathon.AppID
}

// An Assignment is how many new instances of an app an agent takes.
type Assignment struct {
	App      marathon.AppID
	AgentID  string
	Hostname string
	Count    int
}

// Place looks for a placement of everything that is asked for.
func Place(p *Pool, a Ask) Verdict {
	if !p.Known {
		return Verdict{Why: p.Why}
	}
	if a.Count() == 0 {
		return Verdict{Answer: Fits, AnyOrder: true}
	}
	s := newSearch(p, a)
	short := s.beyondLimit()
	if short.why == "" {
		short = s.lacking(0)
	}
	if short.why == "" {
		if s.place(0, s.items[0].Count, 0) {
			return s.found(newSearch(p, a).fitsInAnyOrder())
		}
		short = s.stuck
		if s.steps > mostSteps {
			return Verdict{Why: "too many ways to place them to try all: " + short.why}
		}
	}
	for i, it := range s.items {
		if s.lost[i] {
			return Verdict{Why: it.App.Name() + ": " + strayed}
		}
	}
	if p.Returning > 0 {
		return Verdict{Why: plural(p.Returning, "agent") + " not back yet since the Mesos master was elected; without them " + short.why}
	}
	return Verdict{Answer: NoRoom, App: short.app, Why: short.why}
}

const strayed = "the agent of one of its instances is not known to the Mesos master"

// found is the placement that stands in s, if it can be relied on.
func (s *search) found(anyOrder bool) Verdict {
	for i, it := range s.items {
		why := it.Unclear
		if c := it.unreadable(); c != nil {
			why = "the constraint " + written(c)
		} else if why == "" && s.lost[i] {
			return Verdict{Why: it.App.Name() + ": " + strayed}
		}
		if why != "" {
			return Verdict{Why: it.App.Name() + ": only Marathon can judge " + why}
		}
	}
	return Verdict{Answer: Fits, Placement: s.placement(), AnyOrder: anyOrder}
}

func (s *search) placement() []Assignment {
	var out []Assignment
	for i, it := range s.items {
		for h := range s.hosts {
			if n := s.hosts[h].new[i]; n > 0 {
				out = append(out, Assignment{App: it.App, AgentID: s.hosts[h].agent.ID, Hostname: s.hosts[h].agent.Hostname, Count: n})
			}
		}
	}
	asked := map[marathon.AppID]int{}
	for i := range s.ask.Items {
		asked[s.ask.Items[i].App] = i
	}
	slices.SortStableFunc(out, func(a, b Assignment) int {
		return cmp.Or(cmp.Compare(asked[a.App], asked[b.App]), cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.AgentID, b.AgentID))
	})
	return out
}

// Claim takes what a Verdict's placement uses out of the pool, for those who are asked for later.
func (p *Pool) Claim(a Ask, placed []Assignment) Pool {
	out := *p
	if len(placed) == 0 {
		return out
	}
	out.Agents = slices.Clone(p.Agents)
	for _, x := range placed {
		h := slices.IndexFunc(out.Agents, func(g Agent) bool { return g.ID == x.AgentID })
		i := slices.IndexFunc(a.Items, func(it Item) bool { return it.App == x.App })
		if h < 0 || i < 0 {
			continue
		}
		role := a.Items[i].role(p.Role)
		r := roomOf(&out.Agents[h], role, nil)
		for range x.Count {
			r = r.take(&a.Items[i], p.Role)
		}
		out.Agents[h] = r.left(out.Agents[h], role)
	}
	return out
}
