package pretend

import (
	"errors"
	"fmt"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// ErrNotAcknowledged is a write that no client may count on: it may be there, now or later, or not.
var ErrNotAcknowledged = errors.New("the write was not acknowledged")

// Write adds a document to an index of a group's cluster as a client would that knows a good node, and returns its id. A
// nil error is an acknowledgement: the document is on every copy that is in sync. Any other error wraps
// ErrNotAcknowledged and says why.
func (f *Fleet) Write(group marathon.AppID, index string) (id string, err error) {
	c := f.cluster(group)
	f.enter(c, func() {
		ix, e := c.writable(index)
		if e == nil {
			id = fmt.Sprintf("%s-%d", index, ix.writes)
			e = c.write(ix, id)
		}
		if e != nil {
			err = fmt.Errorf("write to %s of %s: %w: %w", index, group, ErrNotAcknowledged, e)
		}
	})
	return id, err
}

func (c *cluster) writable(name string) (*index, error) {
	if c.master == nil {
		return nil, errors.New("no master")
	}
	ix := c.meta.index(name)
	if ix == nil {
		return nil, errors.New("no such index")
	}
	return ix, nil
}

// write puts a document on the primary and on all copies beside it, in sync or on their way.
func (c *cluster) write(ix *index, id string) error {
	w, again := ix.ids[id]
	if !again {
		s := ix.shards[ix.writes%len(ix.shards)]
		w = write{s, s.written}
	}
	if err := c.accepts(w.s); err != nil {
		return err
	}
	if !again {
		ix.writes++
		w.s.written++
		ix.ids[id] = w
	}
	s := w.s
	s.primary().on.disk.copies[s].docs.add(w.n)
	for _, r := range slices.Clone(s.rows) {
		if err := c.replicate(r, w.n); err != nil {
			return err
		}
	}
	// Who did not get it is not in sync any more.
	s.inSync = slices.DeleteFunc(s.inSync, func(alloc string) bool {
		return !slices.ContainsFunc(s.rows, func(r *row) bool { return r.active() && r.alloc == alloc })
	})
	s.acked.add(w.n)
	return nil
}

// accepts says whether the shard takes writes now.
func (c *cluster) accepts(s *shard) error {
	p := s.primary()
	switch {
	case !p.active() || !p.on.alive():
		return fmt.Errorf("%s: primary shard is not active", s)
	case !c.reaches(p.on, c.master):
		return fmt.Errorf("%s: the primary on %s does not answer", s, p.on.name)
	}
	for _, r := range s.rows {
		if r.on != nil && c.watermark(r.on, "flood_stage", "95%", 0) != nil {
			return fmt.Errorf("%s: disk usage on %s exceeded the flood-stage watermark, index has read-only-allow-delete block", s, r.on.name)
		}
	}
	return nil
}

// replicate brings a write to a copy beside the primary. A copy whose process is gone is failed at once; one that does
// not answer keeps the client waiting. Copies that are being made get it with everything else at their end.
func (c *cluster) replicate(r *row, n int) error {
	switch {
	case r.primary || !r.active():
	case !r.on.alive():
		r.s.fail(c, r, "NODE_LEFT", fmt.Sprintf("node_left [%s]", r.on.id))
	case !c.reaches(r.on, c.master):
		return fmt.Errorf("%s: the replica on %s does not answer", r.s, r.on.name)
	default:
		r.on.disk.copies[r.s].docs.add(n)
	}
	return nil
}

// A loss is documents that were acknowledged and that no copy holds which could come back.
type loss struct {
	s    *shard
	docs []int
}

// lost looks at every shard that ever was acknowledged a document. exists says which volumes are there; nil: all.
func (c *cluster) lost(exists map[string]bool) []loss {
	var out []loss
	seen := map[*index]bool{}
	for _, m := range c.metas {
		for _, ix := range m.indices {
			if seen[ix] {
				continue
			}
			seen[ix] = true
			for _, s := range ix.shards {
				if l := c.lostOf(s, exists); len(l.docs) > 0 {
					out = append(out, l)
				}
			}
		}
	}
	return out
}

func (c *cluster) lostOf(s *shard, exists map[string]bool) loss {
	there := docset{}
	if p := s.primary(); p.active() && p.on.disk.copies[s] != nil && c.kept(p.on.disk, exists) {
		there = p.on.disk.copies[s].docs // copies beside it are made equal to it
	} else {
		for _, volume := range sorted(c.disks) {
			d := c.disks[volume]
			held := d.copies[s]
			if held == nil || held.alloc == "" || exists != nil && !exists[volume] || d.version.inSync() && !slices.Contains(s.inSync, held.alloc) {
				continue
			}
			for n := range s.written {
				if held.docs.has(n) {
					there.add(n)
				}
			}
		}
	}
	l := loss{s: s}
	if there.holds(s.acked) {
		return l
	}
	for n := range s.written {
		if s.acked.has(n) && !there.has(n) {
			l.docs = append(l.docs, n)
		}
	}
	return l
}

// kept says that a disk was not destroyed.
func (c *cluster) kept(d *disk, exists map[string]bool) bool {
	for volume, x := range c.disks {
		if x == d {
			return exists == nil || exists[volume]
		}
	}
	return true // of a task without a volume: it lives as long as the task
}
