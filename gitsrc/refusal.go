package gitsrc

import (
	"fmt"
	"strings"
)

// A Kind says why an origin's state is not used.
type Kind string

// The kinds of refusal.
const (
	// Unreachable: the origin did not answer, or refused to. The last good Snapshot stays current.
	Unreachable Kind = "unreachable"
	// ForcePushed: the branch's head does not descend from the last accepted commit.
	ForcePushed Kind = "force-pushed"
	// Emptied: the branch is gone, or its commit holds no fleet.yaml.
	Emptied Kind = "emptied"
	// HalfFetched: the origin's answer ended early or was damaged; nothing of it was kept.
	HalfFetched Kind = "half-fetched"
	// Corrupt: objects are missing or damaged. The mirror is fetched anew by the next Refresh.
	Corrupt Kind = "corrupt"
	// TooLarge: a limit was passed; see Limits.
	TooLarge Kind = "too-large"
	// Changing: a directory changed while it was being read; the next Refresh reads it again.
	Changing Kind = "changing"
)

// A Refusal is a state of the origin that is not acted on. It is an error, but nothing that a retry by itself is sure to
// mend; no secret is in its text.
type Refusal struct {
	Kind Kind
	// Origin is the address, without credentials; Branch is empty for a directory.
	Origin, Branch string
	// Commit is the refused head, if it is known.
	Commit string
	// What is wrong, and WayOut what a person can do.
	What, WayOut string
}

// Error is one sentence, with the way out.
func (r *Refusal) Error() string {
	var b strings.Builder
	if r.Branch != "" {
		fmt.Fprintf(&b, "branch %s of ", r.Branch)
	}
	fmt.Fprintf(&b, "%s: %s: %s", r.Origin, r.Kind, r.What)
	if r.WayOut != "" {
		b.WriteString("; " + r.WayOut)
	}
	return b.String()
}

// refuse is a Refusal whose place is filled in by its Source.
func refuse(k Kind, wayOut, format string, args ...any) *Refusal {
	return &Refusal{Kind: k, What: fmt.Sprintf(format, args...), WayOut: wayOut}
}
