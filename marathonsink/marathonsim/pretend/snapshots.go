package pretend

import "time"

// A snapshot is of all primaries at one moment.
type snapshot struct {
	repo, name, uuid string
	indices          []string
	shards           int
	state            string // IN_PROGRESS, SUCCESS, PARTIAL, FAILED
	began, ends      time.Time
}

func (c *cluster) snapshot(repo, name string, takes time.Duration) *snapshot {
	s := &snapshot{repo: repo, name: name, uuid: name22(c.fleet.Seed, repo, name), state: "IN_PROGRESS", began: c.now, ends: c.now.Add(takes)}
	for _, ix := range c.meta.indices {
		s.indices = append(s.indices, ix.name)
		s.shards += len(ix.shards)
	}
	c.meta.snapshots = append(c.meta.snapshots, s)
	c.touch()
	return s
}

func (c *cluster) finishSnapshots() {
	for _, s := range c.meta.snapshots {
		if s.state != "IN_PROGRESS" || s.ends.After(c.now) {
			continue
		}
		s.state = "SUCCESS"
		if c.health("").status == "red" {
			s.state = "PARTIAL"
		}
		c.touch()
	}
}

// snapshotting says that one runs.
func (m *meta) snapshotting() *snapshot {
	for _, s := range m.snapshots {
		if s.state == "IN_PROGRESS" {
			return s
		}
	}
	return nil
}

// snapshotted: a primary that is being copied into a snapshot does not move.
func (c *cluster) snapshotted(r *row) bool { return r.primary && c.meta.snapshotting() != nil }
