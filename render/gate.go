package render

import "github.com/esfleet/esfleet/spec"

// gate renders the app that is never placed. It records facts about the cluster in its labels, and an array PUT that
// restarts it together with the Elasticsearch apps commits their new definition without ever reaching them
// (marathon-lab-roll §1 C3). Its health check is what keeps that step open when a new leader repeats it.
func (r *renderer) gate() *draft {
	check := map[string]any{
		"protocol": "COMMAND", "command": map[string]any{"value": "true"},
		"gracePeriodSeconds": 300, "intervalSeconds": 60, "timeoutSeconds": 20, "maxConsecutiveFailures": 3,
	}
	if r.t.Version.AtLeast(1, 5, 0) {
		check["delaySeconds"] = 15
	}
	return &draft{
		cmd: "sleep 1000", cpus: 0.01, mem: 32 * spec.MiB,
		env:         map[string]string{"ROLL": "0"},
		constraints: [][]string{{"hostname", "LIKE", "no-such-host"}},
		health:      []any{check},
		upgrade:     upgrade{1, 1},
	}
}
