package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/esfleet/esfleet/reconcile/oplog"
)

// The operation logs in the state folder: one process writes a log at a time, and the daemon must never wait for a command
// nor a command for the daemon.
const (
	daemonLog  = "operations.db"
	commandLog = "commands.db"
)

func logName(daemon bool) string {
	if daemon {
		return daemonLog
	}
	return commandLog
}

// ReadHistory reads both logs of a state folder, oldest entry first. A log that another process writes is an error.
func ReadHistory(state string, f oplog.Filter) ([]oplog.Entry, error) {
	var all []oplog.Entry
	found := false
	for _, name := range []string{daemonLog, commandLog} {
		entries, err := readLog(filepath.Join(state, name), f)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		}
		found = true
		all = append(all, entries...)
	}
	if !found {
		return nil, fmt.Errorf("no operation log in %s: name its folder with --state, or the daemon with --server", state)
	}
	return newest(all, f.Limit), nil
}

func readLog(path string, f oplog.Filter) ([]oplog.Entry, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	log, err := oplog.Open(path, oplog.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // read-only
	return log.History(f)
}

// newest sorts entries of two logs by time and keeps the last ones; limit 0 keeps all.
func newest(entries []oplog.Entry, limit int) []oplog.Entry {
	slices.SortStableFunc(entries, func(a, b oplog.Entry) int { return a.Time.Compare(b.Time) })
	if limit > 0 && len(entries) > limit {
		entries = entries[len(entries)-limit:]
	}
	return entries
}

// A lazyJournal opens the operation log when it is first needed: commands that only look leave no file behind.
type lazyJournal struct {
	path   string
	log    *slog.Logger
	failed func() // told of every entry that could not be written; may be nil

	mu sync.Mutex
	db *oplog.Log
}

// open makes sure that the log can be written; the daemon calls it at its start.
func (j *lazyJournal) open() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.db != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(j.path), 0o750); err != nil {
		return fmt.Errorf("make the folder of the operation log: %w", err)
	}
	db, err := oplog.Open(j.path, oplog.Options{Log: j.log})
	if err != nil {
		return err
	}
	j.db = db
	return nil
}

// Begin writes down what is about to be done.
func (j *lazyJournal) Begin(e oplog.Entry) (oplog.ID, error) {
	if err := j.open(); err != nil {
		return 0, j.tell(err)
	}
	id, err := j.db.Begin(e)
	return id, j.tell(err)
}

// End writes down how it ended.
func (j *lazyJournal) End(id oplog.ID, o oplog.Outcome) error { return j.tell(j.db.End(id, o)) }

func (j *lazyJournal) tell(err error) error {
	if err != nil && j.failed != nil {
		j.failed()
	}
	return err
}

func (j *lazyJournal) history(f oplog.Filter) ([]oplog.Entry, error) {
	j.mu.Lock()
	db := j.db
	j.mu.Unlock()
	if db == nil {
		return nil, errors.New("the operation log is not open")
	}
	entries, err := db.History(f)
	if err != nil {
		return nil, err
	}
	// What commands wrote is shown beside it; while one writes, only its entries are missing.
	if others, err := readLog(filepath.Join(filepath.Dir(j.path), commandLog), f); err == nil {
		entries = newest(append(entries, others...), f.Limit)
	}
	return entries, nil
}

func (j *lazyJournal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.db == nil {
		return nil
	}
	err := j.db.Close()
	j.db = nil
	return err
}
