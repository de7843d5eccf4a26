package plan

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Table writes one line per cluster: phase, what runs of what is wanted, and the first reason it is not converged; then,
// indented, every other reason, what is under way with its forecast, and every slot that waits, with what it waits for.
func Table(w io.Writer, plans []Cluster) error {
	head := &bytes.Buffer{}
	t := tabwriter.NewWriter(head, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "CLUSTER\tPHASE\tRUNS\tWAITS FOR")
	for i := range plans {
		c := &plans[i]
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.ID, c.Phase, c.Runs(), first(c.Reasons()))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	lines := strings.SplitAfter(head.String(), "\n")
	out := &strings.Builder{}
	out.WriteString(lines[0])
	for i := range plans {
		out.WriteString(lines[i+1])
		below(out, &plans[i])
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func first(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return oneLine(reasons[0])
}

// below writes what belongs to one cluster and did not fit into its line.
func below(out *strings.Builder, c *Cluster) {
	if reasons := c.Reasons(); len(reasons) > 1 {
		for _, r := range reasons[1:] {
			out.WriteString("  " + oneLine(r) + "\n")
		}
	}
	for i := range c.Work {
		out.WriteString("  " + c.Work[i].String() + "\n")
	}
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, s := range c.waiting() {
		_, _ = fmt.Fprintf(t, "    %s\t%s\t%s\n", s.Node, s.State, oneLine(s.reason()))
	}
	_ = t.Flush() // into memory
}

// String says how far the work is: 'restart: 4 of 9 done, about 6m0s left (8 turns so far took 1m10s each)'.
func (w *Work) String() string {
	when := "nobody can tell yet how long it will take"
	if left, ok := w.Left(); ok {
		when = "about " + left.Round(time.Second).String() + " left"
	}
	return fmt.Sprintf("%s: %d of %d done, %s (%s)", w.What, w.Done, w.Total, when, w.Basis)
}

// waiting are the slots that are not as git wants them. Of many that only wait for their turn the first few are named.
func (c *Cluster) waiting() []Slot {
	const most = 5
	var out []Slot
	turns := 0
	for _, s := range slices.SortedStableFunc(slices.Values(c.Slots), func(a, b Slot) int { return c.turn(a) - c.turn(b) }) {
		if s.State == SlotCurrent && s.Rule == "" {
			continue
		}
		if s.Rule == RuleTurn {
			if turns++; turns > most {
				continue
			}
		}
		out = append(out, s)
	}
	if turns > most {
		out = append(out, Slot{Node: fmt.Sprintf("and %d more", turns-most), State: SlotOld, Rule: RuleTurn, Why: "after those"})
	}
	return out
}

// turn is the place of the slot's step in the plan; those without one come first.
func (c *Cluster) turn(s Slot) int {
	return slices.IndexFunc(c.Steps, func(x Step) bool { return x.App == s.App && x.Node == s.Node })
}

func (s *Slot) reason() string {
	if s.Rule == "" {
		return s.Why
	}
	return s.Rule + ": " + s.Why
}

// oneLine keeps a cell in its place: what comes from Marathon or Elasticsearch may hold anything.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
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
