package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/daemon"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// look opens the fleet and looks once. A Marathon that cannot be read is an error here: a person who asks must not take
// half an answer for a whole one.
func (t *target) look(cmd *cobra.Command, names []string) (*daemon.Session, *reconcile.View, error) {
	s, in, err := t.open(cmd)
	if err != nil {
		return nil, nil, err
	}
	v := s.Reconciler.LookWhole(cmd.Context(), in)
	if err := only(v, names); err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	for _, err := range v.Unknown {
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, v, nil
}

func newDiff() *cobra.Command {
	t := &target{}
	cmd := &cobra.Command{
		Use:   "diff [GROUP/CLUSTER...]",
		Short: "Show how live Marathon differs from git, field by field and file by file",
		Long: `Show how live Marathon differs from git. Values that Marathon fills in by itself are no difference.

Exit code: 0 same, 1 differs, 2 error.`,
		Example: "  esfleet diff --fleet examples/fleet --marathon http://marathon:8080",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, v, err := t.look(cmd, args)
			if err != nil {
				return asCode(err, 2)
			}
			defer s.Close() //nolint:errcheck // read-only
			for _, c := range v.Clusters {
				if c.Drift == nil {
					return exit{2, fmt.Errorf("%s: %s", c.ID, c.Plan.Waits[0].Why)}
				}
			}
			report := v.Report()
			if t.output == "json" {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.WriteText(cmd.OutOrStdout())
			}
			if err != nil {
				return exit{2, err}
			}
			if !report.Empty() {
				return exit{code: 1}
			}
			return nil
		},
	}
	t.add(cmd, "text", "json")
	return cmd
}

// asCode gives an error that has no exit code of its own (a wrong use keeps its) this one.
func asCode(err error, code int) error {
	var e exit
	if errors.As(err, &e) {
		return err
	}
	return exit{code, err}
}

func newPlan() *cobra.Command {
	t := &target{}
	var detailed bool
	cmd := &cobra.Command{
		Use:   "plan [GROUP/CLUSTER...]",
		Short: "Show what would be done, in which order, and what is held and why",
		Long: `Show what would be done to make live equal to git. Nothing is changed.

Exit code: 0; with --detailed-exitcode 0 nothing to do, 2 changes or holds, 1 error.`,
		Example: `  esfleet plan --fleet examples/fleet --marathon http://marathon:8080
  esfleet plan -o json | jq .summary`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, v, err := t.look(cmd, args)
			if err != nil {
				return err
			}
			defer s.Close() //nolint:errcheck // read-only
			if err := writePlan(cmd.OutOrStdout(), t.output, v); err != nil {
				return err
			}
			if detailed && !v.Converged() {
				return exit{code: 2}
			}
			return nil
		},
	}
	t.add(cmd, "text", "json", "markdown")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 if there is something to do")
	return cmd
}

func writePlan(w io.Writer, format string, v *reconcile.View) error {
	switch format {
	case "json":
		return printJSON(w, plan.NewDocument(v.Commit, v.Plans()))
	case "markdown":
		return plan.Markdown(w, v.Plans())
	}
	if err := plan.Text(w, v.Plans()); err != nil {
		return err
	}
	for _, h := range v.Vanished {
		if _, err := fmt.Fprintf(w, "held: %s: %s\n      way out: %s\n", h.Rule, h.Why, h.WayOut); err != nil {
			return err
		}
	}
	return nil
}

func newApply() *cobra.Command {
	t := &target{}
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Make live equal to git, one safe step at a time, and end",
		Long: `Make live equal to git: look, take one step per cluster, look again, until nothing is left to do.
Where the daemon runs it does this by itself; apply is for a fleet without one.

Exit code: 0 converged, 3 some clusters are held, 1 error.`,
		Example: "  esfleet apply --fleet examples/fleet --marathon http://127.0.0.1:8080",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, in, err := t.open(cmd)
			if err != nil {
				return err
			}
			defer s.Close() //nolint:errcheck // what matters has been said
			p := &progress{out: cmd.ErrOrStderr()}
			err = s.Apply(cmd.Context(), in, patience, p.seen)
			switch {
			case errors.Is(err, daemon.ErrHeld):
				p.holds(cmd.OutOrStdout())
				return exit{3, err}
			case err != nil:
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), plan.Summary(p.last.Plans()))
			return err
		},
	}
	t.add(cmd)
	cmd.Flags().DurationVar(&patience, "timeout", time.Hour, "give up after this long")
	return cmd
}

// numbers are what changes from look to look in a reason that stays the same: seconds to wait, shards to go.
var numbers = regexp.MustCompile(`[0-9]+`)

// progress tells what happens, a line for each change, on stderr.
type progress struct {
	out  io.Writer
	last *reconcile.View
	told map[string]string
}

func (p *progress) seen(v *reconcile.View, done []reconcile.Done) {
	if p.told == nil {
		p.told = map[string]string{}
	}
	p.last = v
	for _, d := range done {
		line := fmt.Sprintf("%s  %s %s: %s", d.Step.Cluster, d.Step.Verb, d.Step.App.Name(), d.Step.Why)
		if d.State != oplog.Done {
			line += fmt.Sprintf(" — %s: %s", d.State, d.Why)
		}
		_, _ = fmt.Fprintln(p.out, line)
	}
	for _, c := range v.Clusters {
		line := headline(c.Plan)
		if key := numbers.ReplaceAllString(line, "#"); p.told[c.ID.String()] != key { // a clock that runs down is no news
			p.told[c.ID.String()] = key
			_, _ = fmt.Fprintf(p.out, "%s  %s\n", c.ID, line)
		}
	}
	for _, err := range v.Unknown {
		_, _ = fmt.Fprintln(p.out, err)
	}
}

func headline(c plan.Cluster) string {
	line := string(c.Phase)
	if len(c.Waits) > 0 {
		line += ": " + c.Waits[0].Why
	}
	return line
}

func (p *progress) holds(w io.Writer) { _ = writePlan(w, "text", p.last) }
