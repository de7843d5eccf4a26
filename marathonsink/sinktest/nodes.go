package sinktest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// Nodes is the switchboard of the suite's nodes: whether they pass a check is decided here, for simulated tasks and for
// real processes, which ask it over HTTP (testdata/node). The zero value lets every node pass.
type Nodes struct {
	mu     sync.Mutex
	failed map[nodePath]bool
}

// A nodePath is a path at one node of an app, or at all of them where it is "".
type nodePath struct {
	app  marathon.AppID
	node marathon.InstanceID
	path string
}

func (n *Nodes) set(app marathon.AppID, node marathon.InstanceID, path string, passes bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed == nil {
		n.failed = map[nodePath]bool{}
	}
	n.failed[nodePath{app, node, path}] = !passes
}

func (n *Nodes) status(app marathon.AppID, node marathon.InstanceID, path string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed[nodePath{app, "", path}] || n.failed[nodePath{app, node, path}] {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// ServeHTTP answers the processes.
func (n *Nodes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	w.WriteHeader(n.status(marathon.AppID(q.Get("app")), marathon.TaskID(q.Get("task")).Instance(), q.Get("path")))
}

// serve builds the node program and makes the switchboard reachable; it returns the command that begins a node.
func (n *Nodes) serve(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "node")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/node")
	build.Dir = filepath.Join(moduleRoot(t), "marathonsink", "sinktest")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the node program: %v\n%s", err, out)
	}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	return "exec " + program + " " + server.URL
}

// program is a simulated task that does what its command says, as far as the suite's commands go.
func (n *Nodes) program(t marathonsim.Task) marathonsim.Program { return simNode{n, t} }

type simNode struct {
	nodes *Nodes
	task  marathonsim.Task
}

// Run ends as "exit 3" and "sleep 2; exit 3" ask; everything else runs until it is killed.
func (s simNode) Run(ctx context.Context) error {
	var pause, code int
	if n, _ := fmt.Sscanf(s.task.Cmd, "sleep %d; exit %d", &pause, &code); n == 2 || strings.HasPrefix(s.task.Cmd, "exit ") {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(pause) * time.Second):
			//lint:ignore ST1005 Mesos' words
			return errors.New("Command exited with status 3")
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s simNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(s.nodes.status(s.task.App, s.task.Instance, r.URL.Path))
}
