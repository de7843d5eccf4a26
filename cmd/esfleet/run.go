package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/esfleet/esfleet/reconcile/daemon"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/spec"
)

func newRun() *cobra.Command {
	t := &target{}
	var listen, logFormat string
	var poll, resync time.Duration
	cmd := &cobra.Command{
		Use:   "run",
		Short: "The daemon: follow git and Marathon, and converge",
		Long: `Follow the fleet repository's branch and every Marathon, and make live equal to what is merged.

Configuration comes from --config FILE, then ESFLEET_… variables, then flags; the later wins. Secrets are only named:
env:NAME or file:/path. SIGTERM ends it gracefully: a step that has begun is finished, no new one is begun.

On --listen: /healthz, /readyz, /metrics, /api/v1/status, /api/v1/history.`,
		Example: `  esfleet run --fleet https://gitlab.example/ops/fleet.git --git-credential file:/etc/esfleet/token --state /var/lib/esfleet`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.resolve()
			if err != nil {
				return err
			}
			if listen != "" {
				c.Listen = listen
			}
			if logFormat != "" {
				c.LogFormat = logFormat
			}
			if poll > 0 {
				c.Poll = daemon.Duration(poll)
			}
			if resync > 0 {
				c.Resync = daemon.Duration(resync)
			}
			if err := c.Check(); err != nil {
				return exit{exitUsage, err}
			}
			return daemon.Run(cmd.Context(), c, daemon.Parts{Log: logger(cmd.ErrOrStderr(), c.LogFormat)})
		},
	}
	t.add(cmd)
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "", "address for health, metrics and status (default \"127.0.0.1:9180\")")
	f.StringVar(&logFormat, "log-format", "", "json or text (default \"json\")")
	f.DurationVar(&poll, "poll", 0, "how often git is asked (default 30s)")
	f.DurationVar(&resync, "resync", 0, "how often Marathon is read when nothing happens (default 5m)")
	return cmd
}

func logger(w io.Writer, format string) *slog.Logger {
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}

func newStatus() *cobra.Command {
	t := &target{}
	cmd := &cobra.Command{
		Use:   "status [GROUP/CLUSTER...]",
		Short: "Show each cluster's phase, what runs of what is wanted, and what it waits for",
		Long: `Show each cluster's phase, what runs of what is wanted, and what it waits for. Of a cluster that is not as git wants
it, also what is under way, how far it is and when it will have ended, and every node that waits, with the rule that keeps
it waiting and why. The states of a node:

  old          runs, and has yet to be restarted with what git wants
  restarting   was stopped for its turn, and comes back
  starting     is on its way up
  draining     is to leave; its copies move to other nodes
  leaving      is to leave; it is empty, or not drained yet
  stopped      has left; its volume is kept for a while
  down         is not up, and esfleet did not stop it
  unreachable  its agent does not answer; it may well run
  current      runs what git wants`,
		Example: "  esfleet status --fleet examples/fleet --marathon http://marathon:8080",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, v, err := t.look(cmd, args)
			if err != nil {
				return err
			}
			defer s.Close() //nolint:errcheck // read-only
			if t.output == "json" {
				return printJSON(cmd.OutOrStdout(), plan.NewDocument(v.Commit, v.Plans()))
			}
			return plan.Table(cmd.OutOrStdout(), v.Plans())
		},
	}
	t.add(cmd, "text", "json")
	return cmd
}

func newHistory() *cobra.Command {
	var config, state, server, cluster, output string
	var limit int
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show what was done, when, why, and how it ended",
		Long: `Show the operation log. Where the daemon runs it is asked (--server); else the log's file is read.
A step whose end is not written is shown as unknown: esfleet stopped there, and looked again afterwards.`,
		Example: "  esfleet history --state /var/lib/esfleet --cluster search/logs",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := daemon.Load(config, os.Getenv)
			if err != nil {
				return exit{exitUsage, err}
			}
			if state == "" {
				state = c.State
			}
			var entries []oplog.Entry
			if server != "" {
				entries, err = askHistory(cmd, server, cluster, limit)
			} else {
				entries, err = daemon.ReadHistory(state, oplog.Filter{Cluster: cluster, Limit: limit})
			}
			if err != nil {
				return err
			}
			return oplog.Format(cmd.OutOrStdout(), entries, output)
		},
	}
	f := cmd.Flags()
	f.StringVar(&config, "config", "", "config file (YAML)")
	f.StringVar(&state, "state", "", "folder of the operation log")
	f.StringVar(&server, "server", "", "ask the daemon at this URL")
	f.StringVar(&cluster, "cluster", "", "only this cluster (GROUP/CLUSTER)")
	f.IntVar(&limit, "limit", 100, "at most this many, the newest")
	addOutput(cmd, &output, "text", "json")
	return cmd
}

func askHistory(cmd *cobra.Command, server, cluster string, limit int) ([]oplog.Entry, error) {
	url := fmt.Sprintf("%s/api/v1/history?cluster=%s&limit=%d", strings.TrimSuffix(server, "/"), cluster, limit)
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, usage("--server %q: %w", server, err)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon for its history: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read-only
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the daemon for its history: GET %s: %s", url, res.Status)
	}
	var entries []oplog.Entry
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(&entries); err != nil {
		return nil, fmt.Errorf("ask the daemon for its history: GET %s: %w", url, err)
	}
	return entries, nil
}

func newSuspend() *cobra.Command {
	t := &target{}
	var reason string
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "suspend GROUP/CLUSTER --reason TEXT",
		Short: "Stop all writes to a cluster until it is resumed or the time is over",
		Long: `Stop all writes to a cluster. The mark is a label of the cluster's gate in Marathon: it restarts nothing, everybody
sees it, and every esfleet obeys it. In git the same is written as suspend: {reason: …, until: …}.`,
		Example: `  esfleet suspend search/logs --reason "replacing disks on host-7" --for 2h`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("--reason is needed: whoever is on call at night must be able to read why")
			}
			if length < 0 {
				return usage("--for %s: write how long from now, like 2h", length)
			}
			sus := spec.Suspension{Reason: reason, By: whoami()}
			if length > 0 {
				sus.Until = time.Now().Add(length)
			}
			return t.mark(cmd, args[0], func(s *daemon.Session, m markTarget) error {
				return s.Suspend(cmd.Context(), m.in, m.id, sus)
			}, "suspended")
		},
	}
	t.add(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the person on call")
	cmd.Flags().DurationVar(&length, "for", 0, "resume by itself after this long (default: until resumed)")
	return cmd
}

func newResume() *cobra.Command {
	t := &target{}
	cmd := &cobra.Command{
		Use:     "resume GROUP/CLUSTER",
		Short:   "Lift a suspension",
		Example: "  esfleet resume search/logs",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.mark(cmd, args[0], func(s *daemon.Session, m markTarget) error {
				return s.Resume(cmd.Context(), m.in, m.id)
			}, "resumed")
		},
	}
	t.add(cmd)
	return cmd
}

func whoami() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
