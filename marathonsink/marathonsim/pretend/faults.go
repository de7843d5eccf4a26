package pretend

import (
	"errors"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// faults are what a test does to a whole cluster.
type faults struct {
	noMoves bool
	stall   bool
	slow    float64
	split   int // the side whose second master was noted
	answers []Answers
}

// Answers disturbs what nodes answer over HTTP. A zero field changes nothing.
type Answers struct {
	Task  marathon.TaskID // whose; "" is every node of the cluster
	Path  string          // begin of the paths that are meant; "" is all
	Until time.Time       // zero: until Undisturb

	Late   time.Duration // the answer waits
	Never  bool          // until the client gives up
	Status int           // 401, 429, 500 … instead of the answer
	Cut    bool          // the body breaks off in the middle
	Reset  bool          // the connection breaks before an answer
}

// An Impostor is what a node claims to be instead of itself: the cluster that really listens on its port.
type Impostor struct{ Cluster, UUID string }

// ErrNoSuchNode is a fault for a task that does not run.
var ErrNoSuchNode = errors.New("no node runs in that task")

// Freeze stops a process without ending it: connections stay open and nothing answers until Thaw.
func (f *Fleet) Freeze(task marathon.TaskID) error {
	return f.on(task, func(c *cluster, n *node) {
		if !n.frozen {
			n.frozen, n.cutAt = true, c.now
		}
	})
}

// Thaw undoes Freeze.
func (f *Fleet) Thaw(task marathon.TaskID) error {
	return f.on(task, func(c *cluster, n *node) {
		if n.frozen {
			n.frozen, n.cutAt, n.backAt = false, time.Time{}, c.now
		}
	})
}

// Partition cuts the nodes of these tasks off from the others of their cluster; among themselves they talk. Who asks
// over HTTP reaches both sides.
func (f *Fleet) Partition(group marathon.AppID, tasks ...marathon.TaskID) {
	f.in(group, func(c *cluster) {
		for _, n := range c.nodes {
			n.side = 1
			for _, t := range tasks {
				if n.task.ID == t {
					n.side = 2
				}
			}
			n.cutAt = c.now
		}
	})
}

// Heal undoes Partition.
func (f *Fleet) Heal(group marathon.AppID) {
	f.in(group, func(c *cluster) {
		c.faults.split = 0
		for _, n := range c.nodes {
			n.side, n.backAt = 0, c.now
			if !n.frozen {
				n.cutAt = time.Time{}
			}
		}
	})
}

// Disturb adds to what is wrong with a cluster's answers.
func (f *Fleet) Disturb(group marathon.AppID, a Answers) {
	f.in(group, func(c *cluster) { c.faults.answers = append(c.faults.answers, a) })
}

// Undisturb undoes every Disturb of a cluster.
func (f *Fleet) Undisturb(group marathon.AppID) {
	f.in(group, func(c *cluster) { c.faults.answers = nil })
}

// Pose lets a node's port answer for another cluster; nil: for itself again.
func (f *Fleet) Pose(task marathon.TaskID, as *Impostor) error {
	return f.on(task, func(_ *cluster, n *node) { n.impostor = as })
}

// Rename gives a running node another name, as if its settings had been changed by hand.
func (f *Fleet) Rename(task marathon.TaskID, name string) error {
	return f.on(task, func(_ *cluster, n *node) { n.name = name })
}

// FailCopy fails one started replica of an index, or its only copy, which then starts anew: health changes colour for
// the time of a recovery. It says whether there was one.
func (f *Fleet) FailCopy(group marathon.AppID, index string) (found bool) {
	f.in(group, func(c *cluster) {
		if c.meta == nil || c.meta.index(index) == nil {
			return
		}
		for _, primary := range []bool{false, true} {
			for _, s := range c.meta.index(index).shards {
				for _, r := range s.rows {
					if r.active() && r.primary == primary && !found {
						found = true
						s.fail(c, r, "ALLOCATION_FAILED", "failed shard on node: shard failure, reason [a test]")
					}
				}
			}
		}
	})
	return found
}

// SlowRecovery makes recoveries that begin from now on take so many times as long; 0 is as usual.
func (f *Fleet) SlowRecovery(group marathon.AppID, times float64) {
	f.in(group, func(c *cluster) { c.faults.slow = times })
}

// StallRecovery lets no recovery end, or lets them again.
func (f *Fleet) StallRecovery(group marathon.AppID, on bool) {
	f.in(group, func(c *cluster) { c.faults.stall = on })
}

// RefuseMoves lets no copy be moved: a drain makes no progress, and nothing says why.
func (f *Fleet) RefuseMoves(group marathon.AppID, on bool) {
	f.in(group, func(c *cluster) { c.faults.noMoves = on })
}

// FillDisk has others take a share (0 to 1) of the disks of nodes on a host.
func (f *Fleet) FillDisk(host string, share float64) {
	f.everywhere(func() { f.host(host).filler = share })
}

// SlowBoot makes nodes that start on a host from now on take longer to answer.
func (f *Fleet) SlowBoot(host string, longer time.Duration) {
	f.everywhere(func() { f.host(host).boot = longer })
}

// FailStart lets every node that starts on a host from now on end by itself after a while, as with a failing pre-run
// script; a nil why undoes it.
func (f *Fleet) FailStart(host string, after time.Duration, why error) {
	f.everywhere(func() {
		h := f.host(host)
		h.fail, h.why = after, why
		if why == nil {
			h.fail = -1
		}
	})
}

// Snapshot begins a snapshot that takes so long. It fails where there is no master.
func (f *Fleet) Snapshot(group marathon.AppID, repo, name string, takes time.Duration) error {
	err := errors.New("no master")
	f.in(group, func(c *cluster) {
		if c.master != nil {
			c.snapshot(repo, name, takes)
			err = nil
		}
	})
	return err
}

// in does something to a cluster.
func (f *Fleet) in(group marathon.AppID, do func(*cluster)) {
	c := f.cluster(group)
	f.enter(c, func() {
		do(c)
		c.touch()
	})
}

// on does something to the node of a task.
func (f *Fleet) on(task marathon.TaskID, do func(*cluster, *node)) error {
	for _, g := range f.groups() {
		found := false
		f.in(g, func(c *cluster) {
			for _, n := range c.nodes {
				if n.task.ID == task {
					found = true
					do(c, n)
				}
			}
		})
		if found {
			return nil
		}
	}
	return ErrNoSuchNode
}

// everywhere does something that every cluster may feel.
func (f *Fleet) everywhere(do func()) {
	f.mu.Lock()
	do()
	f.mu.Unlock()
	for _, g := range f.groups() {
		f.in(g, func(*cluster) {})
	}
}
