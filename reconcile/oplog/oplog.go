// Package oplog is the operation log: what esfleet did to the outside world, when, why and how it ended.
//
// In: an Entry before each effect, its Outcome after. Out: History. Begin comes back only when the entry is on disk; an
// effect whose Begin fails must not be done. It is history and nothing else: no decision ever reads it.
//
// The log is a chain of events in one bbolt file: each event carries the hash of all before it, so a changed, missing or
// reordered event shows. A file that is damaged is set aside under another name, said so, and a new one begun.
package oplog

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// An ID names an entry; later entries have greater ones.
type ID uint64

// A State is how an effect ended.
type State string

// The states. An Entry without Outcome is still open: the daemon is at it, or stopped there.
const (
	Done    State = "done"
	Refused State = "refused"
	Unknown State = "unknown"
)

// An Entry is one effect.
type Entry struct {
	ID   ID        `json:"id"`
	Time time.Time `json:"time"`
	// Cluster is group/cluster; empty for what concerns none.
	Cluster string `json:"cluster,omitempty"`
	App     string `json:"app,omitempty"`
	// Node is the Elasticsearch node of a node's step.
	Node string `json:"node,omitempty"`
	Verb string `json:"verb"`
	Why  string `json:"why,omitempty"`
	// Commit is what git held then.
	Commit string `json:"commit,omitempty"`
	// Actor is the daemon or person.
	Actor string `json:"actor,omitempty"`
	// Request is a digest of what was sent.
	Request string `json:"request,omitempty"`
	// Outcome is nil while the entry is open. Begin ignores it, and ID.
	Outcome *Outcome `json:"outcome,omitempty"`
}

// An Outcome is the end of an Entry.
type Outcome struct {
	State      State  `json:"state"`
	Deployment string `json:"deployment,omitempty"`
	Error      string `json:"error,omitempty"`
	// Took is how long the effect took, in nanoseconds.
	Took time.Duration `json:"took,omitempty"`
}

// ErrBusy says that another process has the log open.
var ErrBusy = errors.New("another process has it open")

// interrupted is the Error of entries that were open when the log was opened.
const interrupted = "outcome unknown: the daemon stopped here"

// Options are for Open; the zero value is a writer.
type Options struct {
	// ReadOnly opens an existing log for History alone. It fails with ErrBusy while a writer has it open.
	ReadOnly bool
	// MaxEvents bounds the log: every effect is two events. Older ones are pruned. 20,000 if zero.
	MaxEvents int
	// MaxAge prunes entries that began longer before the newest; no bound if zero.
	MaxAge time.Duration
	// Log is told of a damaged file and of interrupted entries; nobody if nil.
	Log *slog.Logger
}

// A Log is safe for concurrent use.
type Log struct {
	db          *bolt.DB
	lock        *os.File
	opts        Options
	damaged     string
	interrupted []Entry
}

// Open opens or makes the log at path. A damaged file is renamed, never removed or written to: see Damaged. Entries that
// a killed process left open are ended as Unknown: see Interrupted.
func Open(path string, o Options) (*Log, error) {
	if o.MaxEvents <= 0 {
		o.MaxEvents = 20_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	lock, err := lockFile(path, o.ReadOnly)
	if err != nil {
		return nil, explain(path, err)
	}
	l := &Log{opts: o, lock: lock}
	if err := l.open(path); err != nil {
		_ = l.Close()
		return nil, explain(path, err)
	}
	return l, nil
}

func (l *Log) open(path string) (err error) {
	l.db, err = openFile(path, l.opts.ReadOnly)
	if l.opts.ReadOnly {
		return err
	}
	if isDamage(err) {
		if l.damaged, err = setAside(path, err); err != nil {
			return err
		}
		l.opts.Log.Error("the operation log was damaged; a new one is begun", "kept", l.damaged)
		l.db, err = openFile(path, false)
	}
	if err != nil {
		return err
	}
	return l.closeOpen()
}

func explain(path string, err error) error {
	switch {
	case errors.Is(err, ErrBusy):
		return fmt.Errorf("operation log %s: %w; ask that esfleet for its history, or stop it", path, err)
	case isDamage(err):
		return fmt.Errorf("operation log %s: %w; the daemon sets it aside when it starts", path, err)
	}
	return fmt.Errorf("operation log %s: %w", path, err)
}

// Damaged is the name under which a damaged file was kept when the log was opened; empty if there was none.
func (l *Log) Damaged() string { return l.damaged }

// Interrupted are the entries that were open when the log was opened: their effects may have happened or not.
func (l *Log) Interrupted() []Entry { return l.interrupted }

// Close releases the file. Entries still open stay so, for the next Open to report.
func (l *Log) Close() error {
	var err error
	if l.db != nil {
		err = l.db.Close()
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}

// Begin writes the entry durably and gives its ID. On error nothing may be done: it could not be accounted for.
func (l *Log) Begin(e Entry) (ID, error) {
	e.Outcome, e.ID = nil, 0
	err := l.update(func(c *chain) error {
		id, err := c.begin(e)
		if err != nil {
			return err
		}
		e.ID = id
		return c.prune(l.opts.MaxEvents, l.opts.MaxAge, e.Time)
	})
	if err != nil {
		return 0, fmt.Errorf("write %s %s to the operation log: %w", e.Verb, e.App, err)
	}
	return e.ID, nil
}

// End writes how the entry ended. An entry ends once.
func (l *Log) End(id ID, o Outcome) error {
	if err := l.update(func(c *chain) error { return c.end(id, o) }); err != nil {
		return fmt.Errorf("write the end of entry %d to the operation log: %w", id, err)
	}
	return nil
}

// update runs f in one durable transaction. A page that went bad under a running daemon makes bbolt panic: that is an
// error like any other, the daemon then does not act.
func (l *Log) update(f func(*chain) error) error {
	return guarded(func() error {
		return l.db.Update(func(tx *bolt.Tx) error {
			c, err := chainOf(tx)
			if err != nil {
				return err
			}
			return errors.Join(f(c), c.save())
		})
	})
}

func (l *Log) closeOpen() error {
	var left []Entry
	err := l.update(func(c *chain) error {
		left = nil
		ids := c.openIDs()
		for _, id := range ids {
			e, err := c.entry(id)
			if err != nil {
				return err
			}
			o := Outcome{State: Unknown, Error: interrupted}
			if err := c.end(id, o); err != nil {
				return err
			}
			e.Outcome = &o
			left = append(left, e)
		}
		if l.damaged == "" {
			return nil
		}
		// So that history itself tells where the older history is.
		id, err := c.begin(Entry{Time: time.Now().UTC(), Verb: "open-log", Why: "the file before was damaged and is kept as " + l.damaged})
		if err != nil {
			return err
		}
		return c.end(id, Outcome{State: Done})
	})
	for _, e := range left {
		l.opts.Log.Warn("an operation was interrupted; its outcome is unknown", "id", e.ID, "verb", e.Verb, "app", e.App, "began", e.Time)
	}
	l.interrupted = left
	return err
}

// A Filter picks entries; the zero value picks all.
type Filter struct {
	Cluster, App, Verb string
	// State picks entries that ended so.
	State State
	// Since picks entries that began at or after it.
	Since time.Time
	// Limit keeps only the newest so many.
	Limit int
}

func (f Filter) matches(e Entry) bool {
	return (f.Cluster == "" || e.Cluster == f.Cluster) && (f.App == "" || e.App == f.App) && (f.Verb == "" || e.Verb == f.Verb) &&
		(f.State == "" || e.Outcome != nil && e.Outcome.State == f.State) && (f.Since.IsZero() || !e.Time.Before(f.Since))
}

// History is the entries that f picks, oldest first.
func (l *Log) History(f Filter) ([]Entry, error) {
	var out []Entry
	err := guarded(func() error {
		return l.db.View(func(tx *bolt.Tx) error {
			all, err := fold(tx)
			for _, e := range all {
				if f.matches(e) {
					out = append(out, e)
				}
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the operation log: %w", err)
	}
	if f.Limit > 0 && len(out) > f.Limit {
		out = out[len(out)-f.Limit:]
	}
	return out, nil
}

// fold joins every beginning with its end. An end whose beginning was pruned is dropped.
func fold(tx *bolt.Tx) ([]Entry, error) {
	b := tx.Bucket(bucketEvents)
	if b == nil {
		return nil, nil
	}
	var all []Entry
	at := map[ID]int{}
	err := b.ForEach(func(k, v []byte) error {
		var ev event
		if err := json.Unmarshal(v, &ev); err != nil {
			return damage("event %d is not readable: %v", number(k), err)
		}
		if ev.Begin != nil {
			ev.Begin.ID = ID(number(k))
			at[ev.Begin.ID] = len(all)
			all = append(all, *ev.Begin)
		} else if i, ok := at[ev.Of]; ok {
			all[i].Outcome = ev.End
		}
		return nil
	})
	return all, err
}
