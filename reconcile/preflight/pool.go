// Package preflight says whether Mesos can place what is to be started, now.
//
// In: a Pool (what the Mesos master shows of its agents) and an Ask (the instances to place, with all that Marathon asks of
// an agent for them). Out: a Verdict: a placement that exists, or why there is none, agent by agent. It reads no clock,
// network, random source or map order.
//
// It says "no room" only where it is certain: an offer that somebody else holds at the moment counts as free, and what it
// cannot judge makes the answer Unknown.
package preflight

import (
	"cmp"
	"slices"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// An Amount is in thousandths, the precision that Mesos counts with: of a cpu, or of a MiB.
type Amount int64

// mostAmount is more of anything than there is, and keeps sums from running over.
const mostAmount Amount = 1e15

// AmountOf rounds to what Mesos would keep; below nothing is nothing.
func AmountOf(v float64) Amount {
	switch {
	case !(v > 0): // also what is no number
		return 0
	case v*1000 > float64(mostAmount):
		return mostAmount
	}
	return Amount(v*1000 + 0.5)
}

// Bytes is an Amount of MiB as a size.
func (a Amount) Bytes() spec.Bytes { return spec.Bytes(a) * spec.MiB / 1000 }

// CPUs is an Amount of cpus as a number.
func (a Amount) CPUs() float64 { return float64(a) / 1000 }

// A Pool is one reading of a Mesos master. The zero value is "not known".
type Pool struct {
	Known bool
	Why   string // if not known
	// Master is the address that answered. Marathons with the same master share its agents.
	Master string
	At     time.Time
	// Role is what the Marathon that is asked for takes resources for, and Agents all agents, by hostname.
	Role   string
	Agents []Agent
	// Returning counts agents that the master has not heard of since it was elected and expects back.
	Returning int
	// Headroom is what a role may still take before its limit, by role; a resource without a limit is not there.
	Headroom map[string]Headroom
}

// Headroom is what is left of a role's limits; nil is unbounded.
type Headroom struct{ CPUs, Mem, Disk *Amount }

// An Agent is a machine and what it has left.
type Agent struct {
	ID, Hostname string
	Attributes   map[string]string // as Marathon writes them
	Region, Zone string
	// Down says why it gets no tasks; "" if it does.
	Down string
	// Total is all it has, Free what nobody uses and no role has for itself, Reserved what is free for one role only.
	Total    Resources
	Free     Resources
	Reserved map[string]Resources
	// Held is what Marathon keeps for instances with volumes, whether or not they run.
	Held map[marathon.InstanceID]Resources
}

// Field is the value of a field that a constraint names.
func (a *Agent) Field(name string) (string, bool) {
	switch name {
	case "hostname", "@hostname":
		return a.Hostname, true
	case "@region":
		return a.Region, a.Region != ""
	case "@zone":
		return a.Zone, a.Zone != ""
	}
	v, ok := a.Attributes[name]
	return v, ok
}

// Resources of an agent. A mount disk is taken whole or not at all.
type Resources struct {
	CPUs, Mem, Disk Amount
	Ports           Ports
	Mounts          []Amount // sizes, sorted
}

// Plus is both together.
func (r Resources) Plus(o Resources) Resources {
	r.CPUs, r.Mem, r.Disk = min(mostAmount, r.CPUs+o.CPUs), min(mostAmount, r.Mem+o.Mem), min(mostAmount, r.Disk+o.Disk)
	r.Ports = r.Ports.with(o.Ports)
	r.Mounts = slices.Concat(r.Mounts, o.Mounts)
	slices.Sort(r.Mounts)
	return r
}

// Without is what is left of r when o is taken; never less than nothing.
func (r Resources) Without(o Resources) Resources {
	r.CPUs, r.Mem, r.Disk = max(0, r.CPUs-o.CPUs), max(0, r.Mem-o.Mem), max(0, r.Disk-o.Disk)
	for _, taken := range o.Ports {
		r.Ports = r.Ports.without(taken)
	}
	r.Mounts = slices.Clone(r.Mounts)
	for _, size := range o.Mounts {
		if i := slices.Index(r.Mounts, size); i >= 0 {
			r.Mounts = slices.Delete(r.Mounts, i, i+1)
		}
	}
	return r
}

// Ports are ranges that do not meet, in order.
type Ports []PortRange

// A PortRange includes both ends.
type PortRange struct{ First, Last int }

// NewPorts sorts ranges and puts together those that meet. What is no port is left out.
func NewPorts(ranges []PortRange) Ports {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b PortRange) int { return cmp.Compare(a.First, b.First) })
	var out Ports
	for _, r := range sorted {
		r.First, r.Last = max(1, r.First), min(65535, r.Last)
		if n := len(out); n > 0 && r.First <= out[n-1].Last+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
		} else if r.First <= r.Last {
			out = append(out, r)
		}
	}
	return out
}

// Count is how many ports there are.
func (p Ports) Count() int {
	n := 0
	for _, r := range p {
		n += r.Last - r.First + 1
	}
	return n
}

func (p Ports) has(port int) bool {
	return slices.ContainsFunc(p, func(r PortRange) bool { return r.First <= port && port <= r.Last })
}

func (p Ports) with(o Ports) Ports {
	if len(o) == 0 {
		return p
	}
	return NewPorts(slices.Concat(p, o))
}

// without is a new value: those who hold p keep theirs.
func (p Ports) without(taken PortRange) Ports {
	var out Ports
	for _, r := range p {
		if taken.Last < r.First || r.Last < taken.First {
			out = append(out, r)
			continue
		}
		if r.First < taken.First {
			out = append(out, PortRange{r.First, taken.First - 1})
		}
		if taken.Last < r.Last {
			out = append(out, PortRange{taken.Last + 1, r.Last})
		}
	}
	return out
}
