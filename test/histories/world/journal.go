package world

import (
	"errors"
	"net/http"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// A journal keeps entries in memory, over the deaths of daemons.
type journal struct {
	law    *Law
	daemon *daemon
	n      oplog.ID
	open   map[oplog.ID]oplog.Entry // of the daemon that lives
	opener *daemon
}

var errFull = errors.New("no space left on device")

// Begin refuses an entry of a daemon that is dead, and every entry while the journal is full.
func (j *journal) Begin(e oplog.Entry) (oplog.ID, error) {
	w := j.law.w
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case j.daemon.dead:
		return 0, errDead
	case w.JournalFull:
		return 0, errFull
	}
	if j.opener != j.daemon {
		j.open, j.opener = map[oplog.ID]oplog.Entry{}, j.daemon
	}
	j.law.check("one-effect-at-a-time")
	for _, o := range j.open {
		if o.Cluster == e.Cluster {
			j.law.breaks("%s %s begins while %s %s is under way", e.Verb, e.App, o.Verb, o.App)
		}
	}
	j.n++
	j.open[j.n] = e
	return j.n, nil
}

// End closes an entry.
func (j *journal) End(id oplog.ID, _ oplog.Outcome) error {
	w := j.law.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if j.daemon.dead {
		return errDead
	}
	delete(j.open, id)
	return nil
}

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
		return []plan.Verb{plan.RestartNode}
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
func (j *journal) entryOf(r *http.Request, kind callKind, group string, app marathon.AppID) (oplog.Entry, bool) {
	if j.opener != j.daemon {
		return oplog.Entry{}, false
	}
	for _, e := range j.open {
		fits := e.App == string(app) || kind == cancel || (kind == elasticsearch || kind == commit) && "/"+e.Cluster == group
		for _, v := range verbs(r, kind) {
			if fits && e.Verb == string(v) {
				return e, true
			}
		}
	}
	return oplog.Entry{}, false
}
