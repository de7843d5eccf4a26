// Package demo shows the whole way on one machine and without a server: a temporary git repository with the example
// fleet, a simulated Marathon with agents, the real daemon, and a terminal view of clusters coming up stage by stage.
//
// In: where to draw. Out: nil once every cluster runs (or, on a terminal, when the person ends it).
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"golang.org/x/sync/errgroup"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/daemon"
	"github.com/esfleet/esfleet/spec"
)

// Options are the demo's surroundings.
type Options struct {
	Out io.Writer
	// Interactive: Out is a terminal; the view is redrawn in place and stays until ctx ends.
	Interactive bool
	Colour      bool
	// Agents is how many machines the simulated pool has; 0 means 6.
	Agents int
	// Seed makes a run repeatable.
	Seed uint64
}

// Run shows the demo.
func Run(ctx context.Context, o Options) error {
	if o.Agents == 0 {
		o.Agents = 6
	}
	dir, err := os.MkdirTemp("", "esfleet-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	repo := filepath.Join(dir, "fleet")
	if err := makeRepo(repo); err != nil {
		return fmt.Errorf("demo: make the fleet repository: %w", err)
	}
	nodes := &pretend.Fleet{}
	sim := marathonsim.New(marathonsim.Options{Agents: marathonsim.DefaultAgents(o.Agents), Programs: nodes.Program, Seed: o.Seed,
		ChecksWithin: time.Second})
	defer sim.Close()
	nodes.Watch(sim)

	s := newScreen(o, repo)
	s.intro()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	c := daemon.Defaults()
	c.State, c.Listen, c.Poll = filepath.Join(dir, "state"), "127.0.0.1:0", daemon.Duration(500*time.Millisecond)
	g.Go(func() error {
		return daemon.Run(ctx, c, daemon.Parts{LocalRepo: repo, MarathonTransport: sim.Transport(), ElasticsearchTransport: sim.Transport(),
			Pace: &reconcile.Pace{Busy: time.Second, Soon: 100 * time.Millisecond},
			Seen: func(v *reconcile.View, res gitsrc.Result, problems []spec.Problem) {
				s.draw(v, res, problems)
				if v.Converged() && !o.Interactive {
					stop()
				}
			}})
	})
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, s.outro())
}

// makeRepo makes a git repository with a work tree that holds the example fleet, committed on main. It needs no git
// program; whoever edits it needs one.
func makeRepo(dir string) error {
	r, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.Main}})
	if err != nil {
		return err
	}
	for path, content := range examples.Files() {
		at := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
			return err
		}
	}
	tree, err := r.Worktree()
	if err != nil {
		return err
	}
	if err := tree.AddGlob("."); err != nil {
		return err
	}
	conf, err := r.Config()
	if err != nil {
		return err
	}
	conf.User.Name, conf.User.Email = "demo", "demo@example.invalid" // so that 'git commit' works right away
	if err := r.SetConfig(conf); err != nil {
		return err
	}
	_, err = tree.Commit("the example fleet", &git.CommitOptions{
		Author: &object.Signature{Name: conf.User.Name, Email: conf.User.Email, When: time.Now()}})
	return err
}
