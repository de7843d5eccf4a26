package preflight

import (
	"fmt"
	"maps"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A room is what an agent has left for one role. It is a value: taking from it leaves the one before as it was.
type room struct{ open, own bin }

// A bin is a part of a room, and how many of its ports are taken without it being said which.
type bin struct {
	Resources
	any int
}

func (b *bin) spare() int { return b.Ports.Count() - b.any }

// roomOf is what the agent has for role once the named instances are gone from it. What they free goes back to everybody.
func roomOf(g *Agent, role string, freed []marathon.InstanceID) room {
	r := room{open: bin{Resources: g.Free}, own: bin{Resources: g.Reserved[role]}}
	for _, id := range freed {
		if held, ok := g.Held[id]; ok {
			r.open.Resources = r.open.Plus(held)
		}
	}
	return r
}

// left is the agent when the room is what is left of it.
func (r room) left(g Agent, role string) Agent {
	g.Free, g.Reserved = r.open.settled(), maps.Clone(g.Reserved)
	if _, ok := g.Reserved[role]; ok {
		g.Reserved[role] = r.own.settled()
	}
	return g
}

// settled takes the ports of which nobody knows yet which they are: the highest, as good as any.
func (b bin) settled() Resources {
	for ; b.any > 0 && len(b.Ports) > 0; b.any-- {
		last := b.Ports[len(b.Ports)-1].Last
		b.Ports = b.Ports.without(PortRange{last, last})
	}
	return b.Resources
}

// parts are the bins that the item may take from, first those that fewer may.
func (r *room) parts(it *Item, poolRole string) []*bin {
	var out []*bin
	if own := it.role(poolRole); own != "*" && it.accepts(own, poolRole) {
		out = append(out, &r.own)
	}
	if it.accepts("*", poolRole) {
		out = append(out, &r.open)
	}
	return out
}

// A lack is what an agent is short of for one instance.
type lack struct {
	what string
	by   Amount
}

// lacks says that one more instance does not fit.
func (r room) lacks(it *Item, poolRole string) bool { return len(r.shortage(it, poolRole)) > 0 }

// shortage lists all that keeps one more instance of the item away, but what other instances decide.
func (r room) shortage(it *Item, poolRole string) []lack {
	var has Resources
	var spare int
	parts := r.parts(it, poolRole)
	for _, b := range parts {
		has.CPUs, has.Mem, has.Disk = has.CPUs+b.CPUs, has.Mem+b.Mem, has.Disk+b.Disk
		spare += b.spare()
	}
	var out []lack
	short := func(unit string, want, have Amount) {
		if want > have {
			out = append(out, lack{unit, want - have})
		}
	}
	short("cpus", it.CPUs, has.CPUs)
	short("memory", it.Mem, has.Mem)
	short("disk", it.Disk, has.Disk)
	for _, p := range it.Ports {
		if p != 0 && !slices.ContainsFunc(parts, func(b *bin) bool { return b.Ports.has(p) }) {
			out = append(out, lack{what: fmt.Sprintf("port %d", p)})
		}
	}
	short("ports", Amount(len(it.Ports))*1000, Amount(spare)*1000)
	if _, ok := fitMounts(r.open.Mounts, it.Mounts); !ok {
		out = append(out, lack{what: "mount disk"})
	}
	return out
}

// fitMounts takes for each wanted size the smallest disk that will do, which leaves the most to others.
func fitMounts(disks, wanted []Amount) (left []Amount, ok bool) {
	left = disks
	for _, w := range wanted {
		i := slices.IndexFunc(left, func(d Amount) bool { return d >= w })
		if i < 0 {
			return disks, false
		}
		left = slices.Delete(slices.Clone(left), i, i+1)
	}
	return left, true
}

// take is the room when one instance of the item, which must fit, has come.
func (r room) take(it *Item, poolRole string) room {
	parts := r.parts(it, poolRole)
	from := func(want Amount, of func(*bin) *Amount) {
		for _, b := range parts {
			has := of(b)
			n := min(want, *has)
			*has, want = *has-n, want-n
		}
	}
	from(it.CPUs, func(b *bin) *Amount { return &b.CPUs })
	from(it.Mem, func(b *bin) *Amount { return &b.Mem })
	from(it.Disk, func(b *bin) *Amount { return &b.Disk })
	for _, p := range it.Ports {
		for _, b := range parts {
			if p != 0 && b.Ports.has(p) {
				b.Ports = b.Ports.without(PortRange{p, p})
				break
			}
			if p == 0 && b.spare() > 0 {
				b.any++
				break
			}
		}
	}
	r.open.Mounts, _ = fitMounts(r.open.Mounts, it.Mounts)
	return r
}
