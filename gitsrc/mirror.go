package gitsrc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// A Mirror follows one branch of a git repository.
type Mirror struct {
	origin    *origin
	branch    string
	ref       plumbing.ReferenceName
	opts      Options
	temporary string // removed by Close
	wake      chan struct{}

	refreshing sync.Mutex // one Refresh at a time; it is slow and holds no other lock while it is on the network

	mu      sync.Mutex // guards what follows, the store's files included
	store   *store
	listed  *snapshot.Snapshot // what the next listing may take over; nil: nothing
	seen    plumbing.Hash      // the last head whose objects were fetched whole, accepted or not
	damaged bool               // the mirror's objects must be fetched anew
	allowed string
	written record
	current Result
}

// OpenMirror opens or makes the mirror of o.URL or o.LocalRepo.
func OpenMirror(o Options) (_ *Mirror, err error) {
	o = o.withDefaults()
	m := &Mirror{branch: o.Branch, opts: o, wake: make(chan struct{}, 1)}
	if m.ref, err = branchRef(o.Branch); err != nil {
		return nil, err
	}
	if err := m.AllowRewrite(o.AllowRewriteTo); err != nil && o.AllowRewriteTo != "" {
		return nil, err
	}
	if m.origin, err = newOrigin(o); err != nil {
		return nil, err
	}
	dir := o.MirrorDir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "esfleet-mirror-"); err != nil {
			return nil, fmt.Errorf("make a temporary mirror: %w", err)
		}
		m.temporary = dir
	}
	if m.store, err = openStore(dir); err != nil {
		return nil, err
	}
	if err := m.recall(); err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

// recall takes up what an earlier process had accepted.
func (m *Mirror) recall() error {
	r, err := m.store.readRecord()
	if err != nil {
		return err
	}
	if r.Commit == "" {
		return nil
	}
	if r.Branch != m.branch {
		return fmt.Errorf("open mirror %s: it follows branch %s, not %s; give each branch a mirror directory of its own", m.store.dir, r.Branch, m.branch)
	}
	m.written, m.current.FetchedAt = r, r.ConfirmedAt
	m.seen = m.store.hash(refSeen)
	s, err := m.list(plumbing.NewHash(r.Commit))
	if err != nil {
		m.damaged = true // the next Refresh fetches everything; the record keeps its word
		return nil
	}
	m.listed, m.current.Snapshot = s, s
	return nil
}

// Current implements Source.
func (m *Mirror) Current() Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.current
	r.Changed = false
	return r
}

// Wake implements Source.
func (m *Mirror) Wake() <-chan struct{} { return m.wake }

// Poke implements Source.
func (m *Mirror) Poke() { poke(m.wake) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// AllowRewrite is a person's word that the branch may go on at this commit although it does not descend from the last
// accepted one. It takes effect at the next Refresh and is forgotten with the process.
func (m *Mirror) AllowRewrite(commit string) error {
	if !fullCommit.MatchString(commit) {
		return fmt.Errorf("accept a rewritten branch: %q is not a full commit id (40 lower-case hex digits)", commit)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.allowed = commit
	return nil
}

// Close implements Source. Snapshots cannot be read any more.
func (m *Mirror) Close() error {
	m.refreshing.Lock()
	defer m.refreshing.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.store == nil {
		return nil
	}
	err := m.store.close()
	m.store = nil
	if m.temporary != "" {
		err = errors.Join(err, os.RemoveAll(m.temporary))
	}
	return err
}

// Refresh implements Source.
func (m *Mirror) Refresh(ctx context.Context) Result {
	m.refreshing.Lock()
	defer m.refreshing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, m.opts.Timeout)
	defer cancel()
	before := m.Current()
	err := m.follow(ctx)
	if errors.Is(err, errDamaged) {
		// Damage on our disk is mended by fetching everything; damage at the origin shows again, and is refused.
		err = m.follow(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current.Refusal = m.explain(ctx, err)
	if err == nil {
		m.current.FetchedAt = m.opts.Now()
		if refusal := m.remember(); refusal != nil {
			m.current, m.listed = before, nil
			m.current.Refusal = m.place(refusal)
		}
	}
	r := m.current
	r.Changed = r.Snapshot != nil && (before.Snapshot == nil || r.Snapshot.Commit != before.Snapshot.Commit)
	return r
}

// follow fetches the branch's head and makes it the Snapshot if it may be.
func (m *Mirror) follow(ctx context.Context) error {
	m.mu.Lock()
	if m.store == nil {
		m.mu.Unlock()
		return errors.New("the mirror is closed")
	}
	damaged, dir := m.damaged, m.store.dir
	var haves []plumbing.Hash
	for _, h := range []plumbing.Hash{m.seen, plumbing.NewHash(m.written.Commit)} {
		if !damaged && !h.IsZero() && m.store.HasEncodedObject(h) == nil {
			haves = append(haves, h)
		}
	}
	m.mu.Unlock()

	s, err := readSecret(m.origin.credential)
	if err != nil {
		return err
	}
	have := func(h plumbing.Hash) bool { return len(haves) > 0 && (h == haves[0] || h == haves[len(haves)-1]) }
	f, err := m.origin.fetch(ctx, s, m.ref, dir, m.opts.Limits, have, haves)
	if f.pack != nil {
		defer discard(f.pack)
	}
	if err == nil && f.pack != nil {
		err = checkPack(f.pack, m.opts.Limits)
	}
	if err != nil {
		return redacted{err, s}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.keep(f); err != nil {
		return err
	}
	return m.judge(f.head)
}

// keep makes what was fetched part of the mirror.
func (m *Mirror) keep(f fetched) error {
	if f.pack == nil {
		return nil
	}
	if m.damaged {
		err := m.store.rebuild(f.pack, func(st objects) error {
			_, err := list(st, f.head, nil, nil, m.opts.Limits)
			return err
		})
		if err != nil {
			return err
		}
		m.listed, m.damaged = nil, false
	} else if err := m.store.adopt(f.pack); err != nil {
		return fmt.Errorf("%w: %w", errHalf, err)
	}
	return nil
}

// judge accepts head as the Snapshot, or says why not.
func (m *Mirror) judge(head plumbing.Hash) (err error) {
	defer func() { m.damaged = m.damaged || errors.Is(err, errDamaged) }()
	if s := m.current.Snapshot; s != nil && s.Commit == head.String() && !m.damaged && m.listed != nil {
		return nil // known already; after a rebuild it is listed anew, for sizes may have been read from damaged objects
	}
	s, err := m.list(head)
	if err != nil {
		return err
	}
	// Only now: a head whose objects are not all there must be fetched again.
	if m.seen != head {
		if err := m.store.SetReference(plumbing.NewHashReference(refSeen, head)); err != nil {
			return fmt.Errorf("note the fetched head: %w", err)
		}
		m.seen = head
	}
	if e, ok := s.Lookup(FleetFile); !ok || e.Kind != snapshot.File {
		r := refuse(Emptied, "restore the file, or follow another branch", "commit %s holds no %s", short(head.String()), FleetFile)
		r.Commit = head.String()
		return r
	}
	if err := m.mayFollow(head); err != nil {
		return err
	}
	m.listed, m.current.Snapshot = s, s
	return nil
}

func (m *Mirror) list(commit plumbing.Hash) (*snapshot.Snapshot, error) {
	return list(m.store, commit, m.listed, mirrorBlobs{m}, m.opts.Limits)
}

func (m *Mirror) mayFollow(head plumbing.Hash) error {
	last := m.written.Commit
	if last == "" || head.String() == m.allowed {
		return nil
	}
	ok, err := descends(m.store, head, plumbing.NewHash(last))
	if err != nil || ok {
		return err
	}
	r := refuse(ForcePushed, fmt.Sprintf("if that was meant, accept it once by its full id: --allow-rewrite-to %s", head),
		"its head is now %s, which does not descend from the last accepted commit %s", short(head.String()), short(last))
	r.Commit = head.String()
	return r
}

// remember writes the accepted commit down. What cannot be remembered is not acted on: after a restart a rewrite would
// pass unnoticed.
func (m *Mirror) remember() *Refusal {
	r := record{Branch: m.branch, Commit: m.current.Snapshot.Commit, ConfirmedAt: m.current.FetchedAt.UTC()}
	if r.Commit == m.written.Commit && r.ConfirmedAt.Sub(m.written.ConfirmedAt) < time.Minute {
		return nil // the time is kept to the minute, so that a quiet poll does not write
	}
	if err := m.store.writeRecord(r); err != nil {
		return refuse(Unreachable, "free some disk space or mend the mirror directory", "%v", err)
	}
	if r.Commit != m.written.Commit {
		// If this fails, a repack may drop objects that the next Refresh then fetches again: nothing is lost.
		_ = m.store.SetReference(plumbing.NewHashReference(refAccepted, plumbing.NewHash(r.Commit)))
	}
	m.written = r
	if m.store.packs >= repackAt {
		// Housekeeping: on failure the packs stay as they are, and it is tried again when as many more have come.
		if err := m.store.repack(); err != nil {
			m.store.packs = 0
		}
	}
	return nil
}

// mirrorBlobs reads files for the Snapshots of a Mirror.
type mirrorBlobs struct{ m *Mirror }

// Blob implements snapshot.Blobs.
func (b mirrorBlobs) Blob(id snapshot.BlobID) ([]byte, error) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	if b.m.store == nil {
		return nil, errors.New("the mirror is closed")
	}
	content, err := readObject(b.m.store, plumbing.BlobObject, plumbing.NewHash(string(id)), b.m.opts.Limits.FileBytes)
	if errors.Is(err, errDamaged) {
		b.m.damaged = true // the next Refresh mends it
	}
	return content, err
}

func short(commit string) string { return commit[:min(12, len(commit))] }

// redacted is an error whose text no longer holds the secret; it can still be told what kind it is.
type redacted struct {
	err error
	s   secret
}

func (r redacted) Error() string        { return r.s.redact(r.err.Error()) }
func (r redacted) Is(target error) bool { return errors.Is(r.err, target) }

// explain makes a Refusal of whatever stopped a Refresh.
func (m *Mirror) explain(ctx context.Context, err error) *Refusal {
	if err == nil {
		return nil
	}
	var r *Refusal
	switch {
	case errors.As(err, &r):
	case errors.Is(err, errBranchGone):
		r = refuse(Emptied, "restore the branch, or follow another one", "%v", err)
	case errors.Is(err, errTooLarge):
		r = refuse(TooLarge, "remove what does not belong into a fleet repository, or raise the limit", "%v", err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		r = refuse(Unreachable, "check the server and the way to it", "no complete answer within %s (%v)", m.opts.Timeout, err)
	case errors.Is(err, errHalf):
		r = refuse(HalfFetched, "it is asked again; if this stays, run git fsck on the server", "%v", err)
	case errors.Is(err, errDamaged):
		r = refuse(Corrupt, "run git fsck on the server", "%v", err)
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed), errors.Is(err, errKeyRefused):
		r = refuse(Unreachable, m.credentialHint(), "the server refused the credential (%v)", err)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		r = refuse(Unreachable, "check the address; "+m.credentialHint(), "the server knows no such repository, or hides it from this credential (%v)", err)
	default:
		r = refuse(Unreachable, "", "%v", err)
	}
	return m.place(r)
}

func (m *Mirror) credentialHint() string {
	if m.origin.credential == "" {
		return "no credential is configured"
	}
	return "check that the credential in " + m.origin.credential + " has not expired and may read the repository"
}

// place says where, and what stays current meanwhile.
func (m *Mirror) place(r *Refusal) *Refusal {
	c := *r
	c.Origin, c.Branch = m.origin.name, m.branch
	if s := m.current.Snapshot; s != nil {
		c.What += fmt.Sprintf("; commit %s, last confirmed at %s, stays current", short(s.Commit), m.current.FetchedAt.UTC().Format(time.RFC3339))
	}
	return &c
}
