package world

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// A journal is a daemon's operation log: in memory, or before that in the file of a World's LogFolder.
type journal struct {
	d    *daemon
	file *oplog.Log // nil without LogFolder
	n    oplog.ID
	open map[oplog.ID]oplog.Entry
	sent map[oplog.ID]int // writes to Marathon that belong to an open entry
}

var errFull = errors.New("no space left on device")

// openJournal opens the file, as a daemon does before anything else: what can't be written down isn't done.
func (w *World) openJournal(d *daemon) (*journal, error) {
	j := &journal{d: d, open: map[oplog.ID]oplog.Entry{}, sent: map[oplog.ID]int{}}
	if w.LogFolder == "" {
		return j, nil
	}
	file, err := oplog.Open(filepath.Join(w.LogFolder, "operations.db"), oplog.Options{})
	j.file = file
	return j, err
}

// Begin refuses an entry of a daemon that is dead, and every entry while the journal is full.
func (j *journal) Begin(e oplog.Entry) (oplog.ID, error) {
	w := j.d.w
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case j.d.dead:
		return 0, errDead
	case w.JournalFull:
		return 0, errFull
	}
	w.Law.check("one-effect-at-a-time")
	for _, o := range j.open {
		if o.Cluster == e.Cluster {
			w.Law.breaks("%s %s begins while %s %s is under way", e.Verb, e.App, o.Verb, o.App)
		}
	}
	w.Law.told(e.Why + " " + e.Actor)
	j.n++
	id := j.n
	if j.file != nil {
		var err error
		if id, err = j.file.Begin(e); err != nil {
			return 0, err
		}
	}
	j.open[id] = e
	return id, nil
}

// End closes an entry.
func (j *journal) End(id oplog.ID, o oplog.Outcome) error {
	w := j.d.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if j.d.dead {
		return errDead
	}
	w.Law.told(o.Error)
	delete(j.open, id)
	if j.file != nil {
		return j.file.End(id, o)
	}
	return nil
}

// close is what the end of a process does to its files.
func (j *journal) close() {
	if j != nil && j.file != nil {
		_ = j.file.Close() // nothing of it was in memory
	}
}

// LoseJournal lets the log's file vanish while no daemon has it open; TearJournal cuts its end off.
func (w *World) LoseJournal() { _ = os.Remove(w.journalFile()) }

// TearJournal cuts the last n bytes of the log off.
func (w *World) TearJournal(n int64) {
	if info, err := os.Stat(w.journalFile()); err == nil {
		_ = os.Truncate(w.journalFile(), max(0, info.Size()-n))
	}
}

func (w *World) journalFile() string { return filepath.Join(w.LogFolder, "operations.db") }

// verbs are those of the steps in which a call may be made, by what the call looks like.
func verbs(r *http.Request, kind callKind) []plan.Verb {
	switch kind {
	case create:
		return []plan.Verb{plan.CreateApp}
	case commit:
		return []plan.Verb{plan.Commit}
	case change:
		return []plan.Verb{plan.UpdateApp, plan.RecordUUID, plan.ScaleOut, plan.ScaleIn, plan.StopApp, plan.StartNode, plan.CloseGate}
	case cancel:
		return []plan.Verb{plan.CancelOwn, plan.Commit}
	case removeApp:
		return []plan.Verb{plan.DeleteApp}
	case stopTask:
		return []plan.Verb{plan.StopNode, plan.RemoveNode}
	case restartTask:
		return []plan.Verb{plan.RestartNode, plan.RestartTask}
	case wipeTask:
		return []plan.Verb{plan.WipeNode}
	case elasticsearch:
		if strings.HasPrefix(r.URL.Path, "/_flush") {
			return []plan.Verb{plan.StopNode, plan.RestartNode}
		}
		return []plan.Verb{plan.DrainNodes, plan.ChangeCluster}
	}
	return nil
}

// entryOf finds the open entry that a write belongs to; a cancel names a deployment and no app, a call to Elasticsearch a
// node of the cluster.
func (j *journal) entryOf(r *http.Request, kind callKind, group string, app marathon.AppID) (oplog.ID, oplog.Entry, bool) {
	for id, e := range j.open {
		fits := e.App == string(app) || kind == cancel || (kind == elasticsearch || kind == commit) && "/"+e.Cluster == group
		for _, v := range verbs(r, kind) {
			if fits && e.Verb == string(v) {
				return id, e, true
			}
		}
	}
	return 0, oplog.Entry{}, false
}
