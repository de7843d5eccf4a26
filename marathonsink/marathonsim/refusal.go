package marathonsim

import (
	"fmt"
	"net/http"

	"github.com/esfleet/esfleet/marathonsink/marathonsim/jsontree"
)

// A refusal is an answer that is not a success.
type refusal struct {
	status int
	body   any // nil: empty
}

// A detail is one fault of a 422.
type detail struct {
	Path   string   `json:"path"`
	Errors []string `json:"errors"`
}

func fail(status int, message string) *refusal {
	return &refusal{status, map[string]any{"message": message}}
}

func invalid(d ...detail) *refusal {
	return &refusal{422, map[string]any{"message": "Object is not valid", "details": d}}
}

func badShape(d ...detail) *refusal {
	return &refusal{422, map[string]any{"message": "Invalid JSON", "details": d}}
}

// missing is a 404; reads carry an empty list of details from 1.8, writes never do.
func (s *Sim) missing(read bool, format string, args ...any) *refusal {
	b := map[string]any{"message": fmt.Sprintf(format, args...)}
	if read && s.ver.details404 {
		b["details"] = []any{}
	}
	return &refusal{404, b}
}

const lockedMessage = "App is locked by one or more deployments. Override with the option '?force=true'. " +
	"View details at '/v2/deployments/<DEPLOYMENT_ID>'."

func locked(by []*deployment) *refusal {
	ids := make([]any, 0, len(by))
	for _, d := range by {
		ids = append(ids, map[string]any{"id": d.id})
	}
	return &refusal{409, map[string]any{"message": lockedMessage, "deployments": ids}}
}

// A result is what a call answers.
type result struct {
	status     int
	body       any
	deployment string
	location   string
}

func (s *Sim) write(w http.ResponseWriter, res *result, bad *refusal) {
	h := w.Header()
	h.Set("X-Marathon-Leader", "http://"+s.leaderAddress())
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "0")
	status, body := 0, any(nil)
	if bad != nil {
		status, body = bad.status, bad.body
	} else {
		status, body = res.status, res.body
		if res.deployment != "" {
			h.Set("Marathon-Deployment-Id", res.deployment)
		}
		if res.location != "" {
			h.Set("Location", "http://"+s.leaderAddress()+res.location)
		}
	}
	if body == nil {
		w.WriteHeader(status)
		return
	}
	b, err := jsontree.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, plain := body.(string); plain {
		h.Set("Content-Type", "text/plain")
		b = []byte(body.(string))
	} else {
		h.Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that went away learns nothing more
}
