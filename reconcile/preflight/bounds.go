package preflight

import (
	"fmt"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// beyondLimit says by how much everything together is above what the role may still take; nothing if it is not.
func (s *search) beyondLimit() shortfall {
	used := map[string]Resources{}
	for _, it := range s.items {
		role, n := it.role(s.pool.Role), Amount(it.Count)
		u := used[role]
		u.CPUs, u.Mem, u.Disk = u.CPUs+n*it.CPUs, u.Mem+n*it.Mem, u.Disk+n*it.Disk
		for _, m := range it.Mounts {
			u.Disk += n * m
		}
		used[role] = u
		limit, limited := s.pool.Headroom[role]
		if !limited {
			continue
		}
		for _, x := range []struct {
			left *Amount
			want Amount
			unit string
		}{{limit.CPUs, u.CPUs, "cpus"}, {limit.Mem, u.Mem, "memory"}, {limit.Disk, u.Disk, "disk"}} {
			if x.left != nil && x.want > *x.left {
				return shortfall{why: fmt.Sprintf("role %s may take %s more before its limit in Mesos, and this needs %s", role, quantity(x.unit, *x.left), quantity(x.unit, x.want))}
			}
		}
	}
	return shortfall{}
}

// lacking says what is short for an item, or one after it, if it had all that is left to itself; nothing if that would do.
func (s *search) lacking(from int) shortfall {
	for i := from; i < len(s.items); i++ {
		n := 0
		for h := range s.hosts {
			if n += s.most(i, h, s.hosts[h].room, s.items[i].Count); n >= s.items[i].Count {
				break
			}
		}
		if n < s.items[i].Count {
			return s.explain(i, s.items[i].Count)
		}
	}
	return shortfall{}
}

// most is how many more instances of an item a host with this room could take by itself, at most up to.
func (s *search) most(item, h int, r room, upTo int) int {
	it := s.items[item]
	if !s.fits[item][h] {
		return 0
	}
	if n, ok := it.perHost(); ok {
		upTo = min(upTo, n-s.hasOn(item, s.hosts[h].agent))
	}
	n := 0
	for n < upTo && !r.lacks(it, s.pool.Role) {
		r = r.take(it, s.pool.Role)
		n++
	}
	return n
}

// fitsInAnyOrder says of a search that has not begun that each item finds its places also where every instance of the
// others has come before, to the very hosts that would have done for it. Where a constraint compares other things than
// hosts, or a role has resources for itself, that is not known. A fixed port may still be drawn at random for another task.
func (s *search) fitsInAnyOrder() bool {
	role := s.items[0].role(s.pool.Role)
	for i, it := range s.items {
		if slices.ContainsFunc(it.Constraints, func(c marathon.Constraint) bool { return !c.Static() && !c.OfHost() }) {
			return false
		}
		n := 0
		for h := range s.hosts {
			if r := s.hosts[h].agent.Reserved[role]; r.CPUs+r.Mem+r.Disk > 0 && len(s.items) > 1 {
				return false
			}
			n += s.afterOthers(i, h)
		}
		if n < it.Count {
			return false
		}
	}
	return true
}

// afterOthers is how many instances of an item the host takes after as many of all others as each could bring there.
func (s *search) afterOthers(item, h int) int {
	r := s.hosts[h].room
	for j, other := range s.items {
		if j == item {
			continue
		}
		for range s.most(j, h, s.hosts[h].room, other.Count) {
			if r.lacks(other, s.pool.Role) {
				return 0 // not all of them at once: what the worst of them leave is not worked out
			}
			r = r.take(other, s.pool.Role)
		}
	}
	return s.most(item, h, r, s.items[item].Count)
}
