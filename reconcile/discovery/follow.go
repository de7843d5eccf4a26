package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// marathons is the little of Marathon's client that is needed here.
type marathons interface {
	App(ctx context.Context, id marathon.AppID) (*marathon.App, error)
	Events(ctx context.Context, types ...string) <-chan marathonsink.Event
}

// A ring takes a configuration, or keeps the one it has and says why.
type ring interface {
	install(ctx context.Context, config []byte) (changed bool, err error)
}

// settle is how long further events may join the look that one has caused: a task that starts makes several.
const settle = 250 * time.Millisecond

// A follower turns Marathon's events into looks, looks into backends, and those into a configuration.
type follower struct {
	marathon marathons
	app      marathon.AppID
	port     int // the transport port's place in a task's ports
	proof    time.Duration
	resync   time.Duration
	place    Place
	template func() (string, error)
	ring     ring
	log      *slog.Logger
	status   *status

	backends Backends
	told     string // of the last thing that was kept or refused, so that it is said once
	good     string // the last template that the ring took
	fault    string // the last error of a template or of the ring, told once
	refused  []byte // the last configuration that the ring did not take, so that it is not asked again and again,
	refusal  error  // and what it said
}

// run follows until ctx ends. It decides nothing by an event but to look: events can be lost, doubled and forged.
func (f *follower) run(ctx context.Context) {
	events := f.marathon.Events(ctx, "status_update_event", "instance_changed_event")
	next := time.NewTimer(0)
	defer next.Stop()
	due := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case e, open := <-events:
			if !open {
				events = nil // ctx has ended
				continue
			}
			if !e.Gap && !bytes.Contains(e.Data, []byte(f.app)) {
				continue
			}
			if soon := time.Now().Add(settle); soon.Before(due) {
				due = soon
				next.Reset(settle)
			}
		case <-next.C:
			pause := f.look(ctx)
			due = time.Now().Add(pause)
			next.Reset(pause)
		}
	}
}

// look reads Marathon once, does what follows, and says when to look again if nothing happens before.
func (f *follower) look(ctx context.Context) time.Duration {
	var leader string
	app, err := f.marathon.App(withLeader(ctx, &leader), f.app)
	if ctx.Err() != nil {
		return f.resync
	}
	now := time.Now()
	if err != nil {
		f.status.lost(err)
		// Told once, however the error reads from try to try; the status page has the newest.
		f.say("lost", fmt.Sprintf("Marathon does not tell of the masters, their last %d stay", len(f.backends.Servers)), "error", err.Error())
	} else {
		f.take(ReadingOf(app, leader, f.port, now))
	}
	f.apply(ctx)
	if err != nil {
		return min(f.resync, 5*time.Second)
	}
	if len(f.backends.Missing) > 0 {
		return min(f.resync, f.proof)
	}
	return f.resync
}

// take lets a reading change the backends.
func (f *follower) take(r Reading) {
	next, c := Decide(f.backends, r, f.proof)
	f.backends = next
	f.status.read(r.At, next)
	for _, why := range r.Refused {
		f.log.Warn("a task of the masters' app cannot be a server", "why", why)
	}
	switch {
	case c.Any():
		f.told = ""
		f.log.Info("masters changed", "change", c.String(), "servers", len(next.Servers), "leader", r.Leader)
	case len(c.Kept) > 0:
		f.say("kept "+c.String(), "a master is not shown and stays", "change", c.String(), "leader", r.Leader)
	default:
		f.told = ""
	}
}

// say logs what goes on for long only once: what has the key of the last thing told is the same thing.
func (f *follower) say(key, text string, args ...any) {
	if key != f.told {
		f.told = key
		f.log.Warn(text, args...)
	}
}

// apply brings the ring to the backends and the template of now. A template that is not taken leaves the last good one
// in force, which goes on following the masters.
func (f *follower) apply(ctx context.Context) {
	template, err := f.template()
	if err == nil {
		err = f.put(ctx, template)
	}
	if err == nil {
		f.good, f.fault = template, ""
		f.status.accepted()
		return
	}
	if ctx.Err() != nil {
		return
	}
	f.status.rejected(err)
	if text := err.Error(); text != f.fault {
		f.fault = text
		f.log.Error("the last good configuration stays", "error", text)
	}
	if template == f.good {
		return
	}
	if err := f.put(ctx, f.good); err != nil && ctx.Err() == nil {
		f.log.Error("the last good template cannot follow the masters", "error", err.Error())
	}
}

// put brings the backends into force by a template.
func (f *follower) put(ctx context.Context, template string) error {
	config, err := Expand(template, f.place, f.backends.Servers)
	if err != nil {
		return err
	}
	if f.refusal != nil && bytes.Equal(config, f.refused) {
		return f.refusal
	}
	begun := time.Now()
	changed, err := f.ring.install(ctx, config)
	switch {
	case errors.Is(err, errRefused):
		f.refused, f.refusal = config, err
	case err == nil && changed:
		f.status.installed(len(f.backends.Servers))
		f.log.Info("configuration in force", "servers", len(f.backends.Servers), "took_ms", time.Since(begun).Milliseconds())
	}
	return err
}

// fileOr reads the template from path at each look, so that a replaced one needs no restart; "" is the built-in.
func fileOr(path, builtIn string) func() (string, error) {
	return func() (string, error) {
		if path == "" {
			return builtIn, nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("read the template: %w", err)
		}
		return string(b), nil
	}
}
