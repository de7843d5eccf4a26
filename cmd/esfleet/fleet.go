package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/daemon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

func newValidate() *cobra.Command {
	t := &target{}
	cmd := &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check a fleet repository; says every problem with its place and what to write",
		Long: `Check a fleet repository without asking any server. Every problem is one line on stdout:
file:line:column: field: what is wrong; what to write.

Exit code: 0 no problems, 1 problems.`,
		Example: "  esfleet validate examples/fleet",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				t.flags.Fleet = args[0]
			}
			return validate(cmd, t)
		},
	}
	t.add(cmd, "text", "json")
	return cmd
}

func validate(cmd *cobra.Command, t *target) error {
	c, err := t.resolve()
	if err != nil {
		return err
	}
	s, err := daemon.Open(cmd.Context(), c, daemon.Parts{})
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // read-only
	in, problems, err := s.Load(cmd.Context())
	if err != nil && !errors.Is(err, daemon.ErrProblems) {
		return err
	}
	if in.Fleet != nil {
		_, errs := reconcile.Render(in, nil)
		problems = append(problems, renderProblems(in.Fleet, errs)...)
	}
	if t.output == "json" {
		if err := printJSON(cmd.OutOrStdout(), problemList(problems)); err != nil {
			return err
		}
	} else {
		printProblems(cmd.OutOrStdout(), problems)
	}
	if len(problems) > 0 {
		return exit{code: exitError}
	}
	if t.output == "text" {
		n := 0
		for _, g := range in.Fleet.Groups {
			n += len(g.Clusters)
		}
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%d groups, %d clusters: no problems\n", len(in.Fleet.Groups), n)
	}
	return nil
}

// renderProblems puts what only rendering finds (a bundle that is too large, say) beside spec's problems.
func renderProblems(f *spec.Fleet, errs map[spec.ClusterID]error) []spec.Problem {
	var out []spec.Problem
	for _, g := range f.Groups {
		for _, c := range g.Clusters {
			if err := errs[c.ID]; err != nil {
				out = append(out, spec.Problem{Pos: c.Pos, What: err.Error()})
			}
		}
	}
	return out
}

type problemJSON struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Field  string `json:"field,omitempty"`
	What   string `json:"what"`
	Fix    string `json:"fix,omitempty"`
}

func problemList(ps []spec.Problem) []problemJSON {
	out := []problemJSON{}
	for _, p := range ps {
		out = append(out, problemJSON{p.Pos.File, p.Pos.Line, p.Pos.Column, p.Field, p.What, p.Fix})
	}
	return out
}

func newRender() *cobra.Command {
	t := &target{}
	var explain bool
	cmd := &cobra.Command{
		Use:   "render [GROUP/CLUSTER...]",
		Short: "Print the Marathon apps that a fleet becomes",
		Example: `  esfleet render --fleet examples/fleet search/logs
  esfleet render --fleet examples/fleet --explain search/logs   # where each value comes from`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, in, err := t.open(cmd)
			if err != nil {
				return err
			}
			defer s.Close() //nolint:errcheck // read-only
			desired, errs := reconcile.Render(in, nil)
			printProblems(cmd.ErrOrStderr(), renderProblems(in.Fleet, errs))
			if len(errs) > 0 {
				return exit{code: exitError}
			}
			picked, err := pick(desired, args)
			if err != nil {
				return err
			}
			if explain {
				return printExplained(cmd.OutOrStdout(), picked)
			}
			docs := []any{}
			for _, d := range picked {
				for _, a := range d.Apps {
					docs = append(docs, a.Doc)
				}
			}
			return printJSON(cmd.OutOrStdout(), docs)
		},
	}
	t.add(cmd)
	cmd.Flags().BoolVar(&explain, "explain", false, "print every value of the cluster with the place it comes from")
	return cmd
}

func pick(all []*render.Desired, names []string) ([]*render.Desired, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []*render.Desired
	for _, n := range names {
		id, err := parseID(n)
		if err != nil {
			return nil, err
		}
		found := false
		for _, d := range all {
			if d.ID == id {
				out, found = append(out, d), true
			}
		}
		if !found {
			return nil, usage("git has no cluster %s", n)
		}
	}
	return out, nil
}

// printExplained writes every value of each cluster, path by path, with its place in git.
func printExplained(w io.Writer, ds []*render.Desired) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, d := range ds {
		_, _ = fmt.Fprintf(t, "%s\n", d.ID)
		for _, v := range d.Spec.Explain() {
			_, _ = fmt.Fprintf(t, "  %s\t%s\t%s\n", v.Path, v.Text, v.Origin())
		}
	}
	return t.Flush()
}

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:       "schema fleet|group|cluster|plan",
		Short:     "Print the JSON Schema of a file of the fleet repository, or of 'plan -o json'",
		Long:      "Print a JSON Schema (draft 2020-12). An editor uses it with a first line like\n  # yaml-language-server: $schema=cluster.schema.json",
		Example:   "  esfleet schema cluster > cluster.schema.json",
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"fleet", "group", "cluster", "plan"},
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := schema(args[0])
			if err != nil {
				return usage("%w", err)
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  esfleet version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "esfleet", buildVersion())
			return err
		},
	}
}

// buildVersion is what the Go toolchain stamped into the program.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && v == "(devel)" {
			v = s.Value[:12]
		}
	}
	return v + " " + info.GoVersion
}
