package reconcile

import (
	"context"
	"math/rand/v2"
	"time"
)

// Pace is how often the loop looks.
type Pace struct {
	// Resync is the longest time between two looks; each wait is jittered by a tenth. 0 means 5 minutes.
	Resync time.Duration
	// Busy is the longest time between two looks while something is under way. 0 means 3 s.
	Busy time.Duration
	// Soon is the pause after an effect before the next look. 0 means 250 ms.
	Soon time.Duration
	// Watch is the longest time between two questions to a cluster that rests. 0 means 5 minutes.
	Watch time.Duration
	// Spread draws from [0, d), by which many daemons do not ask at the same moment; nil draws at random.
	Spread func(d time.Duration) time.Duration
}

func (p Pace) orDefault() Pace {
	if p.Resync == 0 {
		p.Resync = 5 * time.Minute
	}
	if p.Busy == 0 {
		p.Busy = 3 * time.Second
	}
	if p.Soon == 0 {
		p.Soon = 250 * time.Millisecond
	}
	if p.Watch == 0 {
		p.Watch = 5 * time.Minute
	}
	if p.Spread == nil {
		p.Spread = rand.N[time.Duration] //nolint:gosec // not a secret
	}
	return p
}

// Run looks and acts until ctx ends or stop says so. input is asked before each look for the newest commit's fleet (nil:
// none yet); wake ends a pause early, whatever woke it: it is a hint, the look decides. seen hears of every look.
func (r *Reconciler) Run(ctx context.Context, p Pace, input func() *Input, wake <-chan struct{}, seen func(*View, []Done) (stop bool)) error {
	p = p.orDefault()
	for {
		pause := p.Resync
		if in := input(); in != nil {
			v := r.Look(ctx, *in)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			done := r.Act(ctx, v)
			found, more := 0, false
			if len(done) == 0 {
				found, more = r.Watch(ctx, p.Watch)
			}
			if seen(v, done) && found == 0 && !more {
				return nil
			}
			switch {
			case len(done) > 0 || found > 0 || more:
				pause = p.Soon
			case !v.Settled():
				pause = p.Busy
			}
		}
		if err := sleep(ctx, p.jitter(pause), wake, p.Soon); err != nil {
			return err
		}
	}
}

// jitter moves a pause by up to a tenth, unless it is short.
func (p Pace) jitter(d time.Duration) time.Duration {
	if d < time.Second {
		return d
	}
	return d - d/10 + p.Spread(d/5)
}

// sleep waits for d or a wake. What comes within calm of a wake is taken together with it: a deployment makes dozens of
// events, and one look serves them all.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}, calm time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	case <-wake:
	}
	c := time.NewTimer(calm)
	defer c.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		case <-c.C:
			return nil
		}
	}
}
