package plan

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table writes one line per cluster: phase, what runs of what is wanted, and the first reason it is not converged; then
// every other reason.
func Table(w io.Writer, plans []Cluster) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "CLUSTER\tPHASE\tRUNS\tWAITS FOR")
	for _, c := range plans {
		reasons := c.Reasons()
		first := ""
		if len(reasons) > 0 {
			first = reasons[0]
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.ID, c.Phase, c.Runs(), first)
		for _, r := range reasons[min(1, len(reasons)):] {
			_, _ = fmt.Fprintf(t, "\t\t\t%s\n", r)
		}
	}
	return t.Flush()
}

// Runs says what runs of what is wanted, component by component: 'discovery 1/1 es-master 3/3'.
func (c *Cluster) Runs() string {
	var parts []string
	for _, p := range c.Progress {
		have := "–"
		if p.Exists {
			have = fmt.Sprint(p.Ready)
		}
		parts = append(parts, fmt.Sprintf("%s %s/%d", p.App.Name(), have, p.Want))
	}
	return strings.Join(parts, "  ")
}

// Reasons are why the cluster is not converged: holds first, because they need a person.
func (c *Cluster) Reasons() []string {
	var out []string
	for _, h := range c.Holds {
		out = append(out, "holds: "+h.Rule+": "+h.Why)
	}
	for _, w := range c.Waits {
		out = append(out, w.Rule+": "+w.Why)
	}
	return out
}
