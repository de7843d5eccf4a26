package preflight

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A shortfall is what keeps an app's instances away; the app is "" where it is all of them together.
type shortfall struct {
	app marathon.AppID
	why string
}

// An offender is an agent that does not take one more instance, and all that speaks against it.
type offender struct {
	host string
	why  []string
	// by is what it lacks at most of anything, as part of what is asked for.
	by float64
}

// explain says what left more instances of an item need, how many have it, and what the other agents lack, first the ones
// that lack the least: 'es-datanode needs 6 hosts with 4 cpus, 32GiB memory: 4 have it; host-7 lacks 3GiB memory'.
func (s *search) explain(item, left int) shortfall {
	it := s.items[item]
	n := 0
	var against []offender
	for h := range s.hosts {
		if x := s.hosts[h].new[item]; x > 0 {
			left, n = left+x, n+x
		}
		if k := s.most(item, h, s.hosts[h].room, it.Count); k > 0 && s.may(item, h) {
			n += k
		} else if s.hosts[h].new[item] == 0 {
			against = append(against, s.offence(item, h))
		}
	}
	for i := range s.pool.Agents {
		if g := &s.pool.Agents[i]; g.Down != "" {
			against = append(against, offender{host: g.Hostname, why: []string{"takes no tasks: " + g.Down}, by: 1e9})
		}
	}
	slices.SortStableFunc(against, func(a, b offender) int {
		return cmp.Or(cmp.Compare(len(a.why), len(b.why)), cmp.Compare(a.by, b.by), cmp.Compare(a.host, b.host))
	})
	more := ""
	if len(it.Placed) > 0 {
		more = "more "
	}
	what := "room for " + plural(left, more+"task")
	if most, ok := it.perHost(); ok && most == 1 {
		what = plural(left, more+"host")
	}
	beside := ""
	if s.depth > s.countOf(item) {
		beside = " beside what else is to come"
	}
	return shortfall{it.App, fmt.Sprintf("%s needs %s with %s: %d %s it%s%s", it.App.Name(), what, it.needs(), n, have(n), beside, listed(against))}
}

func (s *search) countOf(item int) int {
	n := 0
	for h := range s.hosts {
		n += s.hosts[h].new[item]
	}
	return n
}

func have(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// listed writes the offenders, those that lack the same together.
func listed(against []offender) string {
	const most = 6
	var order []string
	hosts := map[string][]string{}
	for _, o := range against {
		why := strings.Join(o.why, " and ")
		if hosts[why] == nil {
			order = append(order, why)
		}
		hosts[why] = append(hosts[why], o.host)
	}
	out := ""
	for i, why := range order {
		if i == most {
			rest := 0
			for _, w := range order[most:] {
				rest += len(hosts[w])
			}
			return out + "; " + plural(rest, "host") + " lack more"
		}
		names := hosts[why]
		if len(names) > most {
			names = append(slices.Clone(names[:most]), fmt.Sprintf("%d more", len(names)-most))
		}
		if len(names) > 1 {
			names[len(names)-1] += ":"
		}
		out += "; " + strings.Join(names, ", ") + " " + why
	}
	return out
}

// offence is all that speaks against one more instance on a host as everything stands.
func (s *search) offence(item, h int) offender {
	it, x := s.items[item], &s.hosts[h]
	o := offender{host: x.agent.Hostname, why: s.unfit(it, x.agent)}
	for _, c := range it.Constraints {
		if c.Static() || !c.Readable() || marathon.MeetsConstraint(c, x.agent, s.placed[item]) {
			continue
		}
		if n := s.hasOn(item, x.agent); c.OfHost() && n > 0 {
			o.why = append(o.why, fmt.Sprintf("holds %d already (%s)", n, written(c)))
		} else {
			o.why = append(o.why, "does not meet "+written(c))
		}
	}
	for _, l := range x.room.shortage(it, s.pool.Role) {
		switch {
		case l.by > 0:
			o.why = append(o.why, "lacks "+quantity(l.what, l.by))
			o.by = max(o.by, float64(l.by)/float64(max(1, it.of(l.what))))
		case l.what == "mount disk":
			o.why = append(o.why, fmt.Sprintf("has no free mount disk of %s", it.Mounts[len(it.Mounts)-1].Bytes()))
			o.by = 1e6
		default:
			o.why = append(o.why, "has no free "+l.what)
			o.by = 1e6
		}
	}
	return o
}

func (it *Item) of(unit string) Amount {
	switch unit {
	case "cpus":
		return it.CPUs
	case "memory":
		return it.Mem
	case "disk":
		return it.Disk
	}
	return 1000
}

// unfit lists the constraints that an agent breaks whoever else is there.
func (s *search) unfit(it *Item, g *Agent) []string {
	var out []string
	for _, c := range it.Constraints {
		if c.Static() && c.Readable() && !marathon.MeetsConstraint(c, g, nil) {
			out = append(out, "does not meet "+written(c))
		}
	}
	return out
}

// needs is what one instance takes: '4 cpus, 32GiB memory, 1TiB disk'.
func (it *Item) needs() string {
	out := []string{quantity("cpus", it.CPUs)}
	if it.Mem > 0 {
		out = append(out, quantity("memory", it.Mem))
	}
	if it.Disk > 0 {
		out = append(out, quantity("disk", it.Disk))
	}
	for _, m := range it.Mounts {
		out = append(out, "a mount disk of "+m.Bytes().String())
	}
	var fixed []string
	for _, p := range it.Ports {
		if p != 0 {
			fixed = append(fixed, strconv.Itoa(p))
		}
	}
	if len(fixed) > 0 {
		out = append(out, "port "+strings.Join(fixed, " and "))
	}
	return strings.Join(out, ", ")
}

func quantity(unit string, n Amount) string {
	switch unit {
	case "cpus", "ports":
		s := strconv.FormatFloat(n.CPUs(), 'f', -1, 64)
		if n == 1000 {
			unit = strings.TrimSuffix(unit, "s")
		}
		return s + " " + unit
	}
	return n.Bytes().String() + " " + unit
}

func plural(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

func written(c marathon.Constraint) string { return strings.Join(c, " ") }
