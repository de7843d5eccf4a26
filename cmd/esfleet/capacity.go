package main

import (
	"github.com/spf13/cobra"
)

func newCapacity() *cobra.Command {
	t := &target{}
	cmd := &cobra.Command{
		Use:   "capacity",
		Short: "Show what the pool has left, and for how many more nodes of each cluster there is room",
		Long: `Show what the agents under each Marathon have and use, as their Mesos master says, and for how many more nodes of each
app there is a place that meets all its constraints: each app taken by itself, as if nothing else came. Where there is none,
it says what each host lacks.

Mesos is asked where Marathon says it is, or at --mesos. Nothing is changed.`,
		Example: `  esfleet capacity --fleet examples/fleet --marathon http://marathon:8080
  esfleet capacity -o json | jq '.apps[] | select(.room == 0)'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, in, err := t.open(cmd)
			if err != nil {
				return err
			}
			defer s.Close() //nolint:errcheck // read-only
			report, err := s.Reconciler.Capacity(cmd.Context(), in)
			if err != nil {
				return err
			}
			if t.output == "json" {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return report.Text(cmd.OutOrStdout())
		},
	}
	t.add(cmd, "text", "json")
	return cmd
}
