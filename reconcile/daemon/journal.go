package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/esfleet/esfleet/reconcile/oplog"
)

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
	return db.History(f)
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
