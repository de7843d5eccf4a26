package marathonsink

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A Kind says what an error means for the caller. The zero Kind is KindUnknown: whoever forgets to set one has not
// claimed anything.
type Kind int

const (
	// KindUnknown: nobody knows. A write may have been applied, a read is no statement about Marathon. Look again
	// before the next write.
	KindUnknown Kind = iota
	// KindLocked: a deployment holds the app; Error.Deployments names it. Nothing was applied.
	KindLocked
	// KindConflict: what was to be created exists. Nothing was applied.
	KindConflict
	// KindInvalid: Marathon refuses the request for its content, now and later. Nothing was applied.
	KindInvalid
	// KindNotFound: the leader says that the thing does not exist.
	KindNotFound
	// KindNoLeader: a read found no leader; there will be one in seconds.
	KindNoLeader
	// KindUnauthorized: credentials are missing, wrong or not enough.
	KindUnauthorized
	// KindTooManyDeployments: Marathon runs as many deployments as it may. Nothing was applied.
	KindTooManyDeployments
	// KindTooLarge: refused here before sending, or an answer larger than is read.
	KindTooLarge
	// KindUnreachable: no connection was made. Nothing was sent.
	KindUnreachable
	// KindCanceled: the caller's context ended before anything was sent, or during a read.
	KindCanceled
)

var kindNames = [...]string{
	"unknown", "locked", "conflict", "invalid", "not found", "no leader", "unauthorized", "too many deployments",
	"too large", "unreachable", "canceled",
}

// String is a lower-case word or two, fit for a log or a metric's label.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return kindNames[k]
}

// KindOf is the Kind of the first *Error in err's chain, and KindUnknown for every other error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindUnknown
}

// An Error is what became of one call.
type Error struct {
	Op     string // verb and object: "replace /search/logs/es-data"
	Method string
	URL    string // without query and never with credentials; empty when nothing was to be sent
	Status int    // 0 without an answer
	Kind   Kind
	// Message is Marathon's or ours, in one bounded line without control characters.
	Message     string
	Details     []Detail                // what Marathon objects to, field by field
	Deployments []marathon.DeploymentID // that hold the lock
	Err         error                   // the cause, for errors.Is; nil for an answer
}

// A Detail is one field that Marathon objects to. Both texts are Marathon's, bounded and without control characters.
type Detail struct {
	Path   string
	Errors []string
}

// Error reads "replace /a/b: PUT http://m:8080/v2/apps/a/b: 409: locked by deployment 97c1…".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.URL != "" {
		fmt.Fprintf(&b, ": %s %s", e.Method, e.URL)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d", e.Status)
	}
	switch {
	case e.Kind == KindLocked:
		b.WriteString(": locked by deployment")
		for _, d := range e.Deployments {
			b.WriteString(" " + clean(string(d), 64))
		}
	case e.Message != "":
		b.WriteString(": " + e.Message)
	case e.Err != nil:
		b.WriteString(": " + clean(e.Err.Error(), maxMessage))
	default:
		b.WriteString(": " + e.Kind.String())
	}
	for _, d := range e.Details {
		fmt.Fprintf(&b, "; %s: %s", d.Path, strings.Join(d.Errors, ", "))
	}
	if e.Kind == KindUnknown && e.Method != "GET" && e.Method != "" {
		b.WriteString(" (it may have been applied: look before the next write)")
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

const (
	maxMessage = 500 // bytes of one text from Marathon that go into an error
	maxDetails = 20
)

// clean makes one bounded line of text that somebody else wrote: control characters would let an app's author forge
// lines in a log or drive the reader's terminal.
func clean(s string, limit int) string {
	if len(s) > 4*limit {
		s = s[:4*limit]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
