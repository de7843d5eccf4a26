package world

import (
	"context"
	"encoding/base64"
	"log/slog"
	"strings"
)

// canary is the password that Marathon wants; wherever else it shows up it was let out.
const canary = "canary-8f4e"

// encodedCanary is how the password stands in a header.
var encodedCanary = base64.StdEncoding.EncodeToString([]byte("esfleet:" + canary))

// told hears of all that a daemon writes down: logs, its journal, plans. w.mu is held.
func (l *Law) told(text string) {
	l.check("secrets-are-never-told")
	if strings.Contains(text, canary) || strings.Contains(text, encodedCanary) {
		l.once("the daemon tells a password: %s", text)
	}
}

// A listener reads every line of the log.
type listener struct{ w *World }

// Enabled: every level is listened to.
func (listener) Enabled(context.Context, slog.Level) bool { return true }

// Handle hears a line.
func (x listener) Handle(_ context.Context, r slog.Record) error {
	b := &strings.Builder{}
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(" " + a.Value.String())
		return true
	})
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	x.w.Law.told(b.String())
	return nil
}

// WithAttrs and WithGroup: names add nothing to what is told, and a step's attributes are in its plan.
func (x listener) WithAttrs([]slog.Attr) slog.Handler { return x }

// WithGroup keeps listening.
func (x listener) WithGroup(string) slog.Handler { return x }
