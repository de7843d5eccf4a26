package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/reconcile/demo"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/spec"
)

// maxAgents is how many loopback addresses the simulated pool takes.
const maxAgents = 200

func newDemo() *cobra.Command {
	var agents int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch the example fleet come up on a simulated Marathon; needs no server",
		Long: `Show the whole way on this machine: a temporary git repository with the example fleet, a simulated Marathon, the
real daemon. On a terminal it stays and tells which file to edit; else it ends with 0 once every cluster is healthy.`,
		Example: "  esfleet demo\n  esfleet demo | tee demo.log   # without a terminal: a line for each change, and an end",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if agents < 3 || agents > maxAgents { // no host takes two masters of a cluster
				return usage("--agents %d: between 3 and %d", agents, maxAgents)
			}
			tty := term.IsTerminal(int(os.Stdout.Fd())) && cmd.OutOrStdout() == os.Stdout
			return demo.Run(cmd.Context(), demo.Options{Out: cmd.OutOrStdout(), Interactive: tty, Colour: tty && os.Getenv("NO_COLOR") == "", Agents: agents})
		},
	}
	cmd.Flags().IntVar(&agents, "agents", 6, "machines of the simulated pool")
	return cmd
}

func newSim() *cobra.Command {
	var listen, agents, processes, version string
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "A Marathon to try changes on: simulated agents, tasks simulated or real local processes",
		Long: `Serve a simulated Marathon. Tasks are simulated nodes that answer on loopback addresses 127.0.0.11 and up, or,
with --processes, real local processes: then the same fleet runs real Elasticsearch nodes.`,
		Example: `  esfleet sim --listen 127.0.0.1:8080 &
  esfleet apply --fleet examples/fleet --marathon http://127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			nodes := &pretend.Fleet{}
			o := marathonsim.Options{Programs: nodes.Program, ChecksWithin: 2 * time.Second}
			var err error
			if o.Agents, err = parseAgents(agents); err != nil {
				return err
			}
			if o.Version, err = marathon.ParseVersion(version); err != nil {
				return usage("--version: %w", err)
			}
			if processes != "" {
				if o.Runner, err = marathonsim.Processes(processes); err != nil {
					return err
				}
				o.Programs, o.ChecksWithin = nil, 0
			}
			o.Logf = func(format string, args ...any) { _, _ = fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
			sim := marathonsim.New(o)
			defer sim.Close()
			nodes.Watch(sim)
			return sim.ListenAndServe(cmd.Context(), listen, func(at net.Addr) {
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "http://%s\n", at)
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "Marathon %s with %d agents; end it with Ctrl-C\n", o.Version, len(o.Agents))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8080", "address of the simulated Marathon")
	f.StringVar(&agents, "agents", "5", "how many agents, or a JSON file that describes them")
	f.StringVar(&processes, "processes", "", "run tasks as real local processes, with sandboxes and volumes in this folder")
	f.StringVar(&version, "version", "1.11.24", "Marathon's version to simulate")
	return cmd
}

func parseAgents(s string) ([]marathonsim.Agent, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 || n > maxAgents {
			return nil, usage("--agents %d: between 1 and %d", n, maxAgents)
		}
		return marathonsim.DefaultAgents(n), nil
	}
	b, err := os.ReadFile(s)
	if err != nil {
		return nil, usage("--agents: %w", err)
	}
	var file struct{ Agents []marathonsim.Agent }
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, usage("--agents %s: %w", s, err)
	}
	if len(file.Agents) == 0 {
		return nil, usage("--agents %s: names no agents", s)
	}
	return file.Agents, nil
}

// schema is one of the JSON Schemas that are esfleet's API.
func schema(name string) ([]byte, error) {
	switch name {
	case "fleet":
		return spec.Schema("Fleet")
	case "group":
		return spec.Schema("Group")
	case "cluster":
		return spec.Schema("Cluster")
	case "plan":
		return plan.Schema()
	}
	return nil, fmt.Errorf("no schema %q: write fleet, group, cluster or plan", name)
}
