package esgate

import "fmt"

// Judge says whether t may be done to the cluster that h shows.
func Judge(h *Health, t Touch) Verdict {
	switch {
	case !h.Asked || !h.Known:
		return Verdict{Rule: RuleUnknown, Why: h.Why}
	case h.Status != "green":
		return Verdict{Rule: RuleNotGreen, Why: fmt.Sprintf("the cluster is %s", h.Status)}
	}
	return Verdict{OK: true}
}

// Names of the rules, as logs, status, metrics and documents use them.
const (
	RuleUnknown  = "elasticsearch-unknown"
	RuleNotGreen = "cluster-not-green"
)
