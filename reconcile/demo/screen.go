package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/spec"
)

// A screen draws what the daemon sees: in place on a terminal, else a line for each change.
type screen struct {
	Options
	repo    string
	started time.Time
	lines   int               // drawn last, to be overwritten
	told    map[string]string // what was last said of each cluster
	commit  string
	all     bool // everything has converged at least once
	err     error
}

func newScreen(o Options, repo string) *screen {
	return &screen{Options: o, repo: repo, started: time.Now(), told: map[string]string{}}
}

func (s *screen) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(s.Out, format, args...); err != nil && s.err == nil {
		s.err = err
	}
}

func (s *screen) intro() {
	s.printf("A simulated Marathon with %d agents, a git repository with the example fleet, and the esfleet daemon.\n\n", s.Agents)
}

// outro says what to do next, to those who had no terminal to be told on.
func (s *screen) outro() error {
	if s.all && !s.Interactive {
		s.printf("\nEvery cluster runs. In a terminal the demo stays, so that you can change the fleet and watch.\n")
	}
	return s.err
}

func (s *screen) draw(v *reconcile.View, res gitsrc.Result, problems []spec.Problem) {
	s.commit = v.Commit
	if v.Converged() {
		s.all = true
	}
	if s.Interactive {
		s.redraw(v, res, problems)
		return
	}
	for _, c := range v.Clusters {
		line := s.line(c.Plan)
		if s.told[c.ID.String()] != line {
			s.told[c.ID.String()] = line
			s.printf("%s\n", line)
		}
	}
}

// line is a cluster in one line, for logs: 'search/logs  converging  discovery 1/1  es-master 2/3'.
func (s *screen) line(c plan.Cluster) string {
	return fmt.Sprintf("%-16s %-11s %s", c.ID, c.Phase, c.Runs())
}

func (s *screen) redraw(v *reconcile.View, res gitsrc.Result, problems []spec.Problem) {
	b := &strings.Builder{}
	fmt.Fprintf(b, "commit %.8s, %s\n\n", v.Commit, time.Since(s.started).Round(time.Second))
	for _, c := range v.Clusters {
		s.cluster(b, c.Plan)
	}
	for _, p := range problems {
		fmt.Fprintf(b, "%s\n", s.paint(red, p.String()))
	}
	if res.Refusal != nil {
		fmt.Fprintf(b, "%s\n", s.paint(red, res.Refusal.Error()))
	}
	s.hint(b, v)
	text := b.String()
	if s.lines > 0 {
		s.printf("\x1b[%dA\x1b[J", s.lines)
	}
	s.lines = strings.Count(text, "\n")
	s.printf("\x1b[?7l%s\x1b[?7h", text) // a line that wraps would take more rows than are counted
}

// cluster is one cluster on a terminal: a head line, and a dot for each task of each component.
func (s *screen) cluster(b *strings.Builder, c plan.Cluster) {
	fmt.Fprintf(b, "%s  %s", s.paint(bold, fmt.Sprintf("%-16s", c.ID)), s.paint(colourOf(c.Phase), string(c.Phase)))
	if n := c.Next(); n != nil {
		fmt.Fprintf(b, "  %s %s: %s", n.Verb, n.App.Name(), n.Why)
	} else if r := c.Reasons(); len(r) > 0 {
		fmt.Fprintf(b, "  %s", clip(r[0], 90))
	}
	b.WriteString("\n ")
	for _, p := range c.Progress {
		dots := s.paint(green, strings.Repeat("●", min(p.Ready, p.Want))) + strings.Repeat("○", max(0, p.Want-p.Ready))
		name := p.App.Name()
		if !p.Exists {
			name, dots = s.paint(dim, name), s.paint(dim, strings.Repeat("·", p.Want))
		}
		fmt.Fprintf(b, "  %s %s", name, dots)
	}
	b.WriteString("\n\n")
}

// hint tells which file to edit, once there is something to watch.
func (s *screen) hint(b *strings.Builder, v *reconcile.View) {
	if !s.all {
		return
	}
	if v.Converged() {
		b.WriteString("Every cluster runs as git wants it. ")
	}
	b.WriteString("Now change the fleet and watch, from another terminal:\n\n")
	fmt.Fprintf(b, "  cd %s/groups/search/clusters/logs\n", s.repo)
	b.WriteString("  sed -i '/^data:/,/cpus/s/replicas: 3/replicas: 4/' cluster.yaml   # or edit it\n")
	b.WriteString("  git commit -am 'search/logs: a fourth data node'\n\n")
	b.WriteString("What would hurt is held, and says why: try data: memory: 2GiB, or take the plugin away.\n")
	b.WriteString("Ctrl-C ends the demo.\n")
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// ANSI colours; no meaning is in colour alone.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s *screen) paint(colour, text string) string {
	if !s.Colour || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func colourOf(p plan.Phase) string {
	switch p {
	case plan.Converged:
		return green
	case plan.Held, plan.Unknown:
		return red
	}
	return yellow
}
