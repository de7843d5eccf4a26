package plan

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Text writes plans for a terminal: per cluster the phase, steps in order, what is under way, what it waits for and what it
// holds, and why.
func Text(w io.Writer, plans []Cluster) error {
	b := &strings.Builder{}
	for _, c := range plans {
		fmt.Fprintf(b, "%s: %s\n", c.ID, c.headline())
		for i, s := range c.Steps {
			fmt.Fprintf(b, "  %d %-11s %-16s %s\n", i+1, s.Verb, s.App.Name(), s.line())
		}
		for i := range c.Work {
			fmt.Fprintf(b, "  %s\n", &c.Work[i])
		}
		for _, s := range c.beside() {
			fmt.Fprintf(b, "  node %s is %s: %s\n", s.Node, s.State, oneLine(s.reason()))
		}
		for _, x := range c.Waits {
			fmt.Fprintf(b, "  waits: %s: %s\n", x.Rule, x.Why)
		}
		for _, h := range c.Holds {
			fmt.Fprintf(b, "  holds: %s: %s\n", h.Rule, h.Why)
			if h.WayOut != "" {
				fmt.Fprintf(b, "         way out: %s\n", h.WayOut)
			}
			if h.Pos.File != "" {
				fmt.Fprintf(b, "         at %s\n", h.Pos)
			}
		}
		for _, x := range c.Notes {
			fmt.Fprintf(b, "  note: %s: %s\n", x.Rule, oneLine(x.Why))
		}
	}
	b.WriteString(Summary(plans) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// beside are the slots that wait for more than their turn, and of which no step, wait or hold speaks.
func (c *Cluster) beside() []Slot {
	told := map[string]bool{}
	for _, s := range c.Steps {
		told[s.Node] = true
	}
	for _, x := range c.Waits {
		told[x.Node] = true
	}
	for _, x := range c.Holds {
		told[x.Node] = true
	}
	return slices.DeleteFunc(c.waiting(), func(s Slot) bool { return told[s.Node] || s.State == SlotOld })
}

func (s Step) line() string {
	l := s.Why
	if s.Pos.File != "" && s.Verb != CreateApp { // of a creation the whole file is the place
		l += " (" + s.Pos.String() + ")"
	}
	if s.After != "" {
		l += ", after " + s.After
	}
	return l
}

func (c *Cluster) headline() string {
	switch {
	case c.Phase == Converged:
		return "no changes"
	case c.Phase == IsRetired:
		return "retired: stopped, volumes kept"
	case len(c.Steps) == 0:
		return string(c.Phase)
	}
	return fmt.Sprintf("%s, %d %s", c.Phase, len(c.Steps), plural(len(c.Steps), "step"))
}

// Summary is the last line: 'Plan: 12 steps in 2 clusters, 1 hold; 1 cluster unchanged.'
func Summary(plans []Cluster) string {
	steps, holds, waits, changed := 0, 0, 0, 0
	for _, c := range plans {
		steps += len(c.Steps)
		holds += len(c.Holds)
		waits += len(c.Waits)
		if len(c.Steps) > 0 {
			changed++
		}
	}
	if steps == 0 && holds == 0 && waits == 0 {
		return fmt.Sprintf("No changes: %d %s as git wants.", len(plans), plural(len(plans), "cluster"))
	}
	s := fmt.Sprintf("Plan: %d %s in %d %s", steps, plural(steps, "step"), changed, plural(changed, "cluster"))
	if holds > 0 {
		s += fmt.Sprintf(", %d %s", holds, plural(holds, "hold"))
	}
	if waits > 0 {
		s += fmt.Sprintf(", %d %s", waits, plural(waits, "wait"))
	}
	return s + fmt.Sprintf("; %d %s unchanged.", len(plans)-changed, plural(len(plans)-changed, "cluster"))
}

// Markdown writes plans for a merge request: verdict first, one folded section per cluster that changes or holds.
// Everything that comes from users or Marathon is put into code spans, where markup has no effect.
func Markdown(w io.Writer, plans []Cluster) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "**%s**\n", Summary(plans))
	for _, c := range plans {
		if len(c.Steps)+len(c.Holds)+len(c.Waits) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n<details><summary>%s: %s</summary>\n\n", c.ID, c.headline())
		for i, s := range c.Steps {
			fmt.Fprintf(b, "%d. **%s** %s %s\n", i+1, s.Verb, code(s.App.Name()), code(s.line()))
		}
		for i := range c.Work {
			fmt.Fprintf(b, "- %s\n", code(c.Work[i].String()))
		}
		for _, s := range c.beside() {
			fmt.Fprintf(b, "- node %s is %s: %s\n", code(s.Node), s.State, code(s.reason()))
		}
		for _, x := range c.Waits {
			fmt.Fprintf(b, "- waits: %s: %s\n", x.Rule, code(x.Why))
		}
		for _, h := range c.Holds {
			fmt.Fprintf(b, "- **holds**: %s: %s\n", h.Rule, code(h.Why))
			if h.WayOut != "" {
				fmt.Fprintf(b, "  way out: %s\n", code(h.WayOut))
			}
		}
		for _, x := range c.Notes {
			fmt.Fprintf(b, "- note: %s: %s\n", x.Rule, code(x.Why))
		}
		b.WriteString("\n</details>\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// code makes a code span that the text cannot leave, whatever backticks it holds.
func code(s string) string {
	longest, run := 0, 0
	for _, r := range s {
		if r == '`' {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	fence := strings.Repeat("`", longest+1)
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, s)
	if longest > 0 {
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}

// A Document is what 'plan -o json' prints; its schema is esfleet's API.
type Document struct {
	Version  string            `json:"version"` // of the document's form
	Commit   string            `json:"commit"`
	Summary  string            `json:"summary"`
	Clusters []DocumentCluster `json:"clusters"`
}

// A DocumentCluster is one cluster's plan in the document.
type DocumentCluster struct {
	Cluster  string     `json:"cluster"`
	Phase    Phase      `json:"phase"`
	Steps    []Step     `json:"steps"`
	Holds    []Hold     `json:"holds"`
	Waits    []Wait     `json:"waits"`
	Notes    []Note     `json:"notes"`
	Progress []Progress `json:"progress"`
	Slots    []Slot     `json:"slots"`
	Work     []Work     `json:"work"`
}

// NewDocument puts plans into the form that machines read; lists are never null.
func NewDocument(commit string, plans []Cluster) Document {
	d := Document{Version: "esfleet.plan/v1", Commit: commit, Summary: Summary(plans), Clusters: []DocumentCluster{}}
	for _, c := range plans {
		d.Clusters = append(d.Clusters, DocumentCluster{
			Cluster: c.ID.String(), Phase: c.Phase, Steps: orEmpty(c.Steps), Holds: orEmpty(c.Holds), Waits: orEmpty(c.Waits), Notes: orEmpty(c.Notes), Progress: orEmpty(c.Progress),
			Slots: orEmpty(c.Slots), Work: orEmpty(c.Work)})
	}
	return d
}

func orEmpty[T any](s []T) []T { return append([]T{}, s...) }
