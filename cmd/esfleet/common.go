package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/daemon"
	"github.com/esfleet/esfleet/spec"
)

// target are the flags of every command that reads a fleet.
type target struct {
	config string
	flags  daemon.Config
	output string
}

// add declares the flags; formats are what -o accepts, the first is the default.
func (t *target) add(cmd *cobra.Command, formats ...string) {
	f := cmd.Flags()
	f.StringVar(&t.flags.Fleet, "fleet", "", "the fleet repository: a directory or an http(s)/ssh URL (default \".\")")
	f.StringVar(&t.flags.Branch, "branch", "", "the branch to follow (default \"main\")")
	f.StringVar(&t.flags.Marathon, "marathon", "", "use this Marathon in place of the ones the fleet declares")
	f.StringVar(&t.flags.MarathonCredential, "marathon-credential", "", "env:NAME or file:/path with user:password or a bearer token")
	f.StringVar(&t.flags.Mesos, "mesos", "", "addresses of Mesos masters, with commas (default: the one that Marathon names)")
	f.StringVar(&t.flags.MesosCredential, "mesos-credential", "", "env:NAME or file:/path with user:password for --mesos")
	f.StringVar(&t.flags.GitCredential, "git-credential", "", "env:NAME or file:/path with a token or an ssh key")
	f.StringVar(&t.flags.AllowRewriteTo, "allow-rewrite-to", "", "full commit id of a rewritten branch that you accept")
	f.StringVar(&t.flags.KnownHosts, "known-hosts", "", "file of accepted ssh host keys")
	f.StringVar(&t.flags.ElasticsearchProxy, "elasticsearch-proxy", "", "HTTP proxy through which nodes are asked")
	f.StringVar(&t.flags.State, "state", "", "folder for the mirror and the operation log")
	f.StringVar(&t.config, "config", "", "config file (YAML)")
	if len(formats) > 0 {
		addOutput(cmd, &t.output, formats...)
	}
}

// addOutput declares -o; formats are what it accepts, the first is the default.
func addOutput(cmd *cobra.Command, output *string, formats ...string) {
	cmd.Flags().StringVarP(output, "output", "o", formats[0], "one of "+strings.Join(formats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(formats, *output) {
			return usage("--output %q: write one of %s", *output, strings.Join(formats, ", "))
		}
		return nil
	}
}

// resolve puts file, environment and flags together.
func (t *target) resolve() (daemon.Config, error) {
	c, err := daemon.Load(t.config, os.Getenv)
	if err != nil {
		return c, exit{exitUsage, err}
	}
	for _, v := range []struct{ flag, into *string }{
		{&t.flags.Fleet, &c.Fleet}, {&t.flags.Branch, &c.Branch}, {&t.flags.Marathon, &c.Marathon},
		{&t.flags.MarathonCredential, &c.MarathonCredential}, {&t.flags.GitCredential, &c.GitCredential},
		{&t.flags.Mesos, &c.Mesos}, {&t.flags.MesosCredential, &c.MesosCredential},
		{&t.flags.KnownHosts, &c.KnownHosts}, {&t.flags.AllowRewriteTo, &c.AllowRewriteTo}, {&t.flags.ElasticsearchProxy, &c.ElasticsearchProxy}, {&t.flags.State, &c.State},
	} {
		if *v.flag != "" {
			*v.into = *v.flag
		}
	}
	if c.Fleet == "" {
		c.Fleet = "."
	}
	if err := c.Check(); err != nil {
		return c, exit{exitUsage, err}
	}
	if !strings.Contains(c.Fleet, ":") && !c.IsDir() {
		return c, usage("there is no directory %s: name the fleet repository with --fleet DIR or --fleet URL", c.Fleet)
	}
	if c.IsDir() {
		if _, err := os.Stat(filepath.Join(c.Fleet, "fleet.yaml")); err != nil {
			return c, exit{exitUsage, fmt.Errorf("%s has no fleet.yaml: name the fleet repository with --fleet DIR or --fleet URL", c.Fleet)}
		}
	}
	return c, nil
}

// open makes a Session and loads the newest commit. Problems are told on stderr, with exit code 1.
func (t *target) open(cmd *cobra.Command) (*daemon.Session, reconcile.Input, error) {
	c, err := t.resolve()
	if err != nil {
		return nil, reconcile.Input{}, err
	}
	s, err := daemon.Open(cmd.Context(), c, daemon.Parts{})
	if err != nil {
		return nil, reconcile.Input{}, err
	}
	in, problems, err := s.Load(cmd.Context())
	if err != nil {
		printProblems(cmd.ErrOrStderr(), problems)
		_ = s.Close() // the fault of the fleet is what matters
		return nil, in, err
	}
	return s, in, nil
}

func printProblems(w io.Writer, problems []spec.Problem) {
	for _, p := range problems {
		_, _ = fmt.Fprintln(w, p)
	}
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// parseID reads GROUP/CLUSTER.
func parseID(s string) (spec.ClusterID, error) {
	g, c, ok := strings.Cut(s, "/")
	if !ok || g == "" || c == "" || strings.Contains(c, "/") {
		return spec.ClusterID{}, usage("%q is not a cluster: write GROUP/CLUSTER", s)
	}
	return spec.ClusterID{Group: spec.GroupName(g), Name: spec.ClusterName(c)}, nil
}

// only keeps the named clusters of a view; no names keep all. An unknown name is a wrong use.
func only(v *reconcile.View, names []string) error {
	if len(names) == 0 {
		return nil
	}
	var kept []reconcile.ClusterView
	for _, n := range names {
		id, err := parseID(n)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(v.Clusters, func(c reconcile.ClusterView) bool { return c.ID == id })
		if i < 0 {
			return usage("git has no cluster %s", n)
		}
		kept = append(kept, v.Clusters[i])
	}
	v.Clusters = kept
	return nil
}

// A markTarget is the cluster that suspend and resume are about.
type markTarget struct {
	in reconcile.Input
	id spec.ClusterID
}

// mark opens the fleet, does f for the named cluster, and says so.
func (t *target) mark(cmd *cobra.Command, name string, f func(*daemon.Session, markTarget) error, done string) error {
	id, err := parseID(name)
	if err != nil {
		return err
	}
	s, in, err := t.open(cmd)
	if err != nil {
		return err
	}
	if err := errors.Join(f(s, markTarget{in, id}), s.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), id, done)
	return err
}
