package marathonsim

import (
	"container/heap"
	"time"
)

// A due is something that happens at a time. One timer serves them all, and what is due at the same instant runs in
// the order in which it was asked for: separate timers would race.
type due struct {
	at    time.Time
	seq   uint64
	run   func()
	index int // in the heap, -1 once out of it
}

type dueHeap []*due

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *dueHeap) Push(x any) {
	d := x.(*due)
	d.index = len(*h)
	*h = append(*h, d)
}
func (h *dueHeap) Pop() any {
	old := *h
	d := old[len(old)-1]
	d.index = -1
	*h = old[:len(old)-1]
	return d
}

// after runs fn, with the Sim locked, d from now.
func (s *Sim) after(d time.Duration, fn func()) *due {
	s.dueSeq++
	x := &due{at: time.Now().Add(d), seq: s.dueSeq, run: fn}
	heap.Push(&s.dues, x)
	if x.index == 0 {
		s.arm()
	}
	return x
}

func (s *Sim) arm() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if len(s.dues) > 0 && !s.isClosed {
		s.timer = time.AfterFunc(time.Until(s.dues[0].at), s.fire)
	}
}

func (s *Sim) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed {
		return
	}
	for len(s.dues) > 0 && !s.dues[0].at.After(time.Now()) {
		heap.Pop(&s.dues).(*due).run()
		s.settle()
	}
	s.arm()
}

// jitter is up to 5 ms by the seed. It keeps apart, in virtual time, what would else happen at one instant in an
// order that only the Go scheduler knows.
func (s *Sim) jitter() time.Duration { return time.Duration(s.rng.Int64N(int64(5 * time.Millisecond))) }

// stamp is now as Marathon writes it, later than every stamp before: two changes never share a version.
func (s *Sim) stamp() string {
	t := time.Now().UTC().Truncate(time.Millisecond)
	if !t.After(s.lastStamp) {
		t = s.lastStamp.Add(time.Millisecond)
	}
	s.lastStamp = t
	return formatTime(t)
}

// justBefore is the stamp before a stamp.
func justBefore(stamp string) string {
	t, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return stamp
	}
	return formatTime(t.Add(-time.Millisecond))
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
