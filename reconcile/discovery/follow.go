package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
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
	masters  *group
	clients  *group         // nil if there is no front for clients
	gate     marathon.AppID // whose label says who is out of that front
	proof    time.Duration
	resync   time.Duration
	place    Place
	template func() (string, error)
	ring     ring
	log      *slog.Logger
	status   *status

	detached map[marathon.InstanceID]bool
	toldGate string // that the gate cannot be read, once
	good     string // the last template that the ring took
	fault    string // the last error of a template or of the ring, told once
	refused  []byte // the last configuration that the ring did not take, so that it is not asked again and again,
	refusal  error  // and what it said
}

// groups are those there are, the masters first: without them no node finds the cluster.
func (f *follower) groups() []*group {
	if f.clients == nil {
		return []*group{f.masters}
	}
	return []*group{f.masters, f.clients}
}

// fronts are the servers of now.
func (f *follower) fronts() Fronts {
	out := Fronts{Masters: f.masters.backends.Servers, Detached: f.detached}
	if f.clients != nil {
		out.Clients = f.clients.backends.Servers
	}
	return out
}

// run follows until ctx ends. It decides nothing by an event but to look: events can be lost, doubled and forged.
func (f *follower) run(ctx context.Context) {
	types := []string{"status_update_event", "instance_changed_event"}
	if f.clients != nil {
		types = append(types, "api_post_event") // a changed label of the gate
	}
	events := f.marathon.Events(ctx, types...)
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
			if !e.Gap && !f.concerns(e.Data) {
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

// concerns says that an event names an app that is followed.
func (f *follower) concerns(event []byte) bool {
	for _, g := range f.groups() {
		if slices.ContainsFunc(g.apps, func(id marathon.AppID) bool { return bytes.Contains(event, []byte(id)) }) {
			return true
		}
	}
	return f.clients != nil && bytes.Contains(event, []byte(f.gate))
}

// look reads Marathon once, does what follows, and says when to look again if nothing happens before. What cannot be read
// stays as it was, and keeps nothing else from being followed.
func (f *follower) look(ctx context.Context) time.Duration {
	var faults []error
	missing := 0
	for _, g := range f.groups() {
		r, err := g.read(ctx, f.marathon)
		if ctx.Err() != nil {
			return f.resync
		}
		if err != nil {
			f.lost(g, err)
			faults = append(faults, err)
		} else {
			f.take(g, r)
		}
		missing += len(g.backends.Missing)
	}
	if f.clients != nil {
		faults = append(faults, f.readGate(ctx))
	}
	err := errors.Join(faults...)
	f.status.looked(time.Now(), missing, err)
	f.apply(ctx)
	if err != nil {
		return min(f.resync, 5*time.Second)
	}
	if missing > 0 {
		return min(f.resync, f.proof)
	}
	return f.resync
}

// readGate learns who is out of the clients' front.
func (f *follower) readGate(ctx context.Context) error {
	gate, err := f.marathon.App(ctx, f.gate)
	if ctx.Err() != nil {
		return nil // the follower ends
	}
	if err != nil {
		f.say(&f.toldGate, "lost", "Marathon does not tell of the gate, and who is out of the clients' front stays out", "error", err.Error())
		return err
	}
	f.toldGate = ""
	if now := detachedBy(gate); !maps.Equal(now, f.detached) {
		f.log.Info("clients are led away from others than before", "out", slices.Sorted(maps.Keys(now)), "before", slices.Sorted(maps.Keys(f.detached)))
		f.detached = now
	}
	return nil
}

// say logs what goes on for long only once: what has the key of the last thing told is the same thing.
func (f *follower) say(told *string, key, text string, args ...any) {
	if key != *told {
		*told = key
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
	config, err := Expand(template, f.place, f.fronts())
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
		f.status.installed(f.fronts())
		f.log.Info("configuration in force", "servers", len(f.masters.backends.Servers), "took_ms", time.Since(begun).Milliseconds())
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
