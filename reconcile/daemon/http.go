package daemon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// routes are the daemon's pages. All only read.
func (d *runner) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", d.healthz)
	mux.HandleFunc("GET /readyz", d.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /api/v1/status", d.status)
	mux.HandleFunc("GET /api/v1/history", d.history)
	return mux
}

// healthz fails when the loop has not looked for three resyncs: then a restart helps.
func (d *runner) healthz(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	last := d.started
	if d.view != nil {
		last = d.view.At
	}
	waiting := d.in == nil
	d.mu.Unlock()
	if age := time.Since(last); !waiting && age > 3*time.Duration(d.session.Config.Resync)+time.Minute {
		http.Error(w, fmt.Sprintf("the last look was %s ago", age.Round(time.Second)), http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// readyz is good once a fleet is loaded and every Marathon of it could be read.
func (d *runner) readyz(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.in == nil && d.result.Refusal != nil:
		http.Error(w, d.result.Refusal.Error(), http.StatusServiceUnavailable)
	case d.in == nil && len(d.problems) > 0:
		http.Error(w, fmt.Sprintf("the commit has %d problems, the first: %s", len(d.problems), d.problems[0]), http.StatusServiceUnavailable)
	case d.in == nil:
		http.Error(w, "no commit has been read yet", http.StatusServiceUnavailable)
	case d.view == nil:
		http.Error(w, "no look at Marathon yet", http.StatusServiceUnavailable)
	case len(d.view.Unknown) > 0:
		for name, err := range d.view.Unknown {
			http.Error(w, fmt.Sprintf("Marathon %q: %v", name, err), http.StatusServiceUnavailable)
			return
		}
	default:
		_, _ = fmt.Fprintln(w, "ready")
	}
}

// A Status is what /api/v1/status answers.
type Status struct {
	plan.Document
	LookedAt time.Time `json:"lookedAt"`
	Refusal  string    `json:"refusal,omitempty"`
	Problems []string  `json:"problems"`
	Unknown  []string  `json:"unknown"`
	Vanished []string  `json:"vanished"`
}

func (d *runner) status(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	v, res, problems := d.view, d.result, d.problems
	d.mu.Unlock()
	if v == nil {
		http.Error(w, "no look yet; see /readyz", http.StatusServiceUnavailable)
		return
	}
	s := Status{Document: plan.NewDocument(v.Commit, v.Plans()), LookedAt: v.At, Problems: []string{}, Unknown: []string{}, Vanished: []string{}}
	if res.Refusal != nil {
		s.Refusal = res.Refusal.Error()
	}
	for _, p := range problems {
		s.Problems = append(s.Problems, p.String())
	}
	for name, err := range v.Unknown {
		s.Unknown = append(s.Unknown, fmt.Sprintf("%s: %v", name, err))
	}
	for _, h := range v.Vanished {
		s.Vanished = append(s.Vanished, h.Why)
	}
	writeJSON(w, s)
}

func (d *runner) history(w http.ResponseWriter, r *http.Request) {
	f := oplog.Filter{Cluster: r.URL.Query().Get("cluster"), Limit: 100}
	if limit := r.URL.Query().Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > 10_000 {
			http.Error(w, fmt.Sprintf("limit %q: write a number between 1 and 10000", limit), http.StatusBadRequest)
			return
		}
		f.Limit = n
	}
	entries, err := d.session.journal.history(f)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if entries == nil {
		entries = []oplog.Entry{} // a list, never null
	}
	writeJSON(w, entries)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the client has gone; there is nobody to tell
}
