package marathon

import (
	"slices"
	"time"
)

// A Former is a definition that an app once had: every version from From to To, both included, is this definition with
// some number of instances.
type Former struct {
	From, To time.Time
	Doc      Doc // nil if Marathon no longer has it
}

// FormerOf is the definition of an older version of the app, as far as it was read; nil if it was not, or is no longer there.
func (a *App) FormerOf(version time.Time) Doc {
	for _, f := range a.Former {
		if !version.Before(f.From) && !version.After(f.To) {
			return f.Doc
		}
	}
	return nil
}

// OlderVersions are the versions before the definition in force that matter: those that tasks with a volume run, and the
// one that a stopped instance failed with last, by which it would be started again. A task without a volume is of no
// interest: Marathon itself replaces it. The newest comes first; a version may be there more than once.
func (a *App) OlderVersions() []time.Time {
	var out []time.Time
	add := func(v time.Time) {
		if !v.IsZero() && v.Before(a.LastConfigChange) {
			out = append(out, v)
		}
	}
	for i := range a.Tasks {
		t := &a.Tasks[i]
		switch {
		case len(t.LocalVolumes) == 0:
		case t.Suspended() && a.LastFailureTask.Instance() == t.ID.Instance():
			add(a.LastFailureVersion)
		default:
			if v, err := time.Parse(time.RFC3339, t.Version); err == nil {
				add(v)
			}
		}
	}
	slices.SortFunc(out, func(x, y time.Time) int { return y.Compare(x) })
	return out
}
