// Command esfleet keeps Elasticsearch clusters on Mesos and Marathon equal to what is merged in git.
//
// In: arguments, environment, signals. Out: what was asked for on stdout, everything else on stderr, and an exit code.
// What the commands do is in the packages below; this one parses, calls and prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes beside 0. usage is what BSD's sysexits calls a wrong command line.
const (
	exitError = 1
	exitUsage = 64
)

// An exit carries the code a command ends with; err, if not nil, is told on stderr.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends at once
	root := newRoot()
	err := root.ExecuteContext(ctx)
	var e exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		if e.err != nil {
			fmt.Fprintln(os.Stderr, "esfleet:", e.err)
		}
		return e.code
	}
	fmt.Fprintln(os.Stderr, "esfleet:", err)
	return exitError
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "esfleet",
		Short: "GitOps for Elasticsearch fleets on Mesos/Marathon",
		Long: `esfleet keeps Elasticsearch clusters on Mesos and Marathon equal to what is merged in git,
and takes no step that could lose a document.

To see it work, without any server:  esfleet demo`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q%s", args[0], didYouMean(cmd, args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit{exitUsage, fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(newValidate(), newRender(), newDiff(), newPlan(), newApply(), newRun(), newStatus(), newCapacity(), newHistory(),
		newSuspend(), newResume(), newDiscovery(), newSchema(), newSim(), newDemo(), newVersion())
	wrapArgs(root)
	return root
}

// didYouMean names the commands that look like what was typed.
func didYouMean(root *cobra.Command, typed string) string {
	root.SuggestionsMinimumDistance = 2
	near := root.SuggestionsFor(typed)
	if len(near) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(near, " or ") + "?"
}

// wrapArgs makes a wrong number of arguments exit with the usage code, in every command.
func wrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return exit{exitUsage, fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}

// usage is a wrong use of a command.
func usage(format string, args ...any) error { return exit{exitUsage, fmt.Errorf(format, args...)} }
