// Package gitsrc turns a branch, or a directory, into Snapshots, and says no when what it reads must not be acted on.
//
// In: where the fleet repository is. Out: a Result: the last good Snapshot, whether it is new, and beside it a Refusal if
// the origin's present state is not to be trusted (gone, rewritten, emptied, damaged). A refused state never becomes a
// Snapshot: an empty or half-read repository must not look like "delete everything".
//
// A Mirror follows one branch of a git repository in a bare mirror on disk; nothing is ever checked out, so neither
// hooks, filters, symbolic links nor path tricks of a commit can touch the machine. A Dir follows a plain directory, for
// trying things.
package gitsrc

import (
	"context"
	"errors"
	"time"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// A Source is one followed branch or directory. Its methods are safe for concurrent use.
//
// The caller's loop: wait for Wake or for its own poll interval, Refresh, act if Result.Changed, tell if Result.Refusal.
type Source interface {
	// Current is the last Result, with Changed false; it does no I/O. Right after Open it may already hold the Snapshot
	// that an earlier process accepted.
	Current() Result
	// Refresh asks the origin now. It always comes back within Options.Timeout plus the time to read what came.
	Refresh(ctx context.Context) Result
	// Wake has a value when there may be something new: a file event, or a call of Poke. Values are not queued up.
	Wake() <-chan struct{}
	// Poke makes Wake ready, for webhooks.
	Poke()
	// Close stops watching and releases the files.
	Close() error
}

// A Result is what a Source knows.
type Result struct {
	// Snapshot is the last good one; nil if there never was one. It stays readable until Close.
	Snapshot *snapshot.Snapshot
	// Changed says that Snapshot's commit is another than that of the Result before.
	Changed bool
	// Refusal is why the origin's present state is not (or cannot be) Snapshot; nil if it is.
	Refusal *Refusal
	// FetchedAt is when the origin last confirmed Snapshot: its age is how stale the fleet may be. It survives a restart.
	FetchedAt time.Time
}

// Options says what to follow. Exactly one of URL, Dir and LocalRepo is set.
type Options struct {
	// URL is an http(s) or ssh address, or the scp form user@host:path. Credentials in it are refused: see Credential.
	URL string
	// Dir is a local directory that is read as it is.
	Dir string
	// LocalRepo is a git repository on this machine, read in-process (no git binary). It must come from whoever started
	// the program, never from a fleet repository or from the network.
	LocalRepo string

	// Branch to follow; "main" if empty. Unused for Dir.
	Branch string
	// MirrorDir is where the bare mirror lives; it belongs to one process at a time and to one branch. If empty, a
	// temporary one is made and Close removes it (then a rewrite between two runs goes unnoticed).
	MirrorDir string
	// Credential is "env:NAME" or "file:/path". For http(s) it holds "user:token" or just a token (then the user is
	// "oauth2"); for ssh it is a private key in PEM form. It is read anew for every fetch, so it can be rotated.
	Credential string
	// KnownHosts is the file of accepted ssh host keys; required for ssh.
	KnownHosts string
	// CABundle is a PEM file of further certificate authorities for https.
	CABundle string
	// AllowRewriteTo is the full commit id of a rewritten branch that a person has accepted: the one head that may
	// follow although it does not descend from the last accepted commit.
	AllowRewriteTo string
	// Timeout bounds everything that one Refresh does on the network; 2 minutes if zero.
	Timeout time.Duration
	// PollEvery is how often a Dir is looked over in case its file system tells of no events (network mounts do not);
	// 5 seconds if zero. A Mirror does not poll: its caller does.
	PollEvery time.Duration
	// Limits bounds what is read; the zero value means DefaultLimits.
	Limits Limits
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Limits bounds a repository. Beyond them it is refused, before memory or disk suffer.
type Limits struct {
	// PackBytes bounds what one fetch may send, in bytes.
	PackBytes int64
	// ObjectBytes bounds any one object of the history, inflated.
	ObjectBytes int64
	// InflatedBytes bounds all objects of one fetch together, inflated.
	InflatedBytes int64
	// FileBytes bounds a file that is read from a Snapshot.
	FileBytes int64
	// TotalBytes bounds all files of a Snapshot together.
	TotalBytes int64
	// Entries bounds the files and folders of a Snapshot.
	Entries int
	// Depth bounds how deep folders nest.
	Depth int
}

// DefaultLimits leave room for fleets of ten thousand clusters.
func DefaultLimits() Limits {
	return Limits{
		PackBytes:     512 << 20,
		ObjectBytes:   64 << 20,
		InflatedBytes: 16 << 30,
		FileBytes:     16 << 20,
		TotalBytes:    1 << 30,
		Entries:       200_000,
		Depth:         32,
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ have, def *int64 }{
		{&l.PackBytes, &d.PackBytes}, {&l.ObjectBytes, &d.ObjectBytes}, {&l.InflatedBytes, &d.InflatedBytes},
		{&l.FileBytes, &d.FileBytes}, {&l.TotalBytes, &d.TotalBytes},
	} {
		if *f.have <= 0 {
			*f.have = *f.def
		}
	}
	if l.Entries <= 0 {
		l.Entries = d.Entries
	}
	if l.Depth <= 0 {
		l.Depth = d.Depth
	}
	return l
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.orDefault()
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.PollEvery <= 0 {
		o.PollEvery = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Branch == "" {
		o.Branch = "main"
	}
	return o
}

// ErrBusy says that another process uses the mirror.
var ErrBusy = errors.New("another process uses it")

// FleetFile is the path that every fleet repository has; a commit without it is taken for an accident.
const FleetFile = "fleet.yaml"

// Open makes the Source that o describes. It touches no network: an error is a mistake in o, or a mirror directory that
// cannot be used. The first Refresh asks the origin.
func Open(_ context.Context, o Options) (Source, error) {
	given := 0
	for _, s := range []string{o.URL, o.Dir, o.LocalRepo} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		return nil, errors.New("open fleet repository: give exactly one of a URL, a directory and a local repository")
	}
	if o.Dir != "" {
		return OpenDir(o)
	}
	return OpenMirror(o)
}
