package spec

import (
	"math"
	"strconv"
	"strings"
)

// Demand is what the cluster asks of the pool with all its tasks. A retired cluster still holds its reservations, those of
// its nodes with volumes; whatever else it had is gone.
func (c *Cluster) Demand() Quota {
	var q Quota
	add := func(n int, cpus float64, memory, disk Bytes) {
		q.CPUs += float64(n) * cpus
		q.Memory = plus(q.Memory, Bytes(n)*memory)
		q.Disk = plus(q.Disk, Bytes(n)*disk)
	}
	for _, comp := range nodeComponents {
		if n := c.Nodes[comp]; n != nil && (c.State != Retired || comp.Stateful()) {
			add(n.Replicas, n.CPUs, n.Memory, n.Disk)
		}
	}
	if c.State == Retired {
		return q
	}
	if c.Discovery.Mode != Static {
		add(c.Discovery.Replicas, c.Discovery.CPUs, c.Discovery.Memory, 0)
	}
	if e := c.Exporter; e != nil {
		add(1, e.CPUs, e.Memory, 0)
	}
	if k := c.Kibana; k != nil {
		add(k.Replicas, k.CPUs, k.Memory, 0)
	}
	return q
}

// plus stays at the largest size instead of turning negative, below every quota.
func plus(a, b Bytes) Bytes {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxInt64
}

// String is the size in the largest unit that leaves at most three decimals: "1.5GiB".
func (b Bytes) String() string {
	for _, u := range []struct {
		size Bytes
		name string
	}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if b >= u.size && b*1000%u.size == 0 {
			return trimFloat(float64(b)/float64(u.size)) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// trimFloat rounds to three decimals, as sums of decimal fractions need, and drops zeros.
func trimFloat(f float64) string {
	s := strconv.FormatFloat(f, 'f', 3, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}
