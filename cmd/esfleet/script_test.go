package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/daemon"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"esfleet": main})
}

// Each script begins with a fleet of one small cluster in fleet/, the example fleet in example/, and a state folder of
// its own. Its commands beside testscript's own:
//
//	marathon          start an empty simulated Marathon; its address is $MARATHON
//	converge          make it what fleet/ wants, faster than apply would
//	port NAME         set $NAME to a free loopback port
//	reachable URL     wait until somebody answers there
//	replace FILE A B  put B in place of A, which must be there
//	code N esfleet …  run and expect this exit code
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setUp,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"marathon": startMarathon, "converge": converge, "port": freePort, "reachable": reachable, "replace": replace, "code": code,
		},
	})
}

func setUp(env *testscript.Env) error {
	for _, name := range []string{"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"} {
		env.Setenv(name, "")
	}
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("ESFLEET_STATE", filepath.Join(env.WorkDir, "state"))
	if err := os.CopyFS(filepath.Join(env.WorkDir, "fleet"), os.DirFS("testdata/fleet")); err != nil {
		return err
	}
	for path, content := range examples.Files() {
		at := filepath.Join(env.WorkDir, "example", filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pools counts simulated Marathons: each gets loopback addresses of its own for its agents.
var pools atomic.Int32

func startMarathon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: marathon")
	}
	agents := marathonsim.DefaultAgents(3)
	net2, net3 := 64+os.Getpid()%128, int(pools.Add(1))
	for i := range agents {
		agents[i].Hostname = fmt.Sprintf("127.%d.%d.%d", net2, net3, 11+i)
		ts.Setenv(fmt.Sprintf("HOST%d", i+1), agents[i].Hostname)
	}
	nodes := &pretend.Fleet{Boot: 20 * time.Millisecond, Form: 20 * time.Millisecond, Join: 20 * time.Millisecond, Recover: 20 * time.Millisecond}
	sim := marathonsim.New(marathonsim.Options{Agents: agents, Programs: nodes.Program,
		ChecksWithin: 100 * time.Millisecond, LaunchDelay: 10 * time.Millisecond, StartDelay: 10 * time.Millisecond, KillDelay: 10 * time.Millisecond})
	nodes.Watch(sim)
	ctx, cancel := context.WithCancel(context.Background())
	bound, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() { ended <- sim.ListenAndServe(ctx, "127.0.0.1:0", func(a net.Addr) { bound <- a }) }()
	select {
	case a := <-bound:
		ts.Setenv("MARATHON", "http://"+a.String())
	case err := <-ended:
		cancel()
		ts.Fatalf("marathon: %v", err)
	}
	ts.Defer(func() {
		cancel()
		<-ended
		sim.Close()
	})
}

func converge(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: converge")
	}
	c := daemon.Defaults()
	c.Fleet, c.Marathon, c.State = ts.MkAbs("fleet"), ts.Getenv("MARATHON"), ts.Getenv("ESFLEET_STATE")
	s, err := daemon.Open(context.Background(), c, daemon.Parts{Pace: &reconcile.Pace{Busy: 50 * time.Millisecond, Soon: 10 * time.Millisecond}})
	ts.Check(err)
	in, problems, err := s.Load(context.Background())
	if err != nil {
		ts.Fatalf("%v %v", err, problems)
	}
	err = s.Apply(context.Background(), in, time.Minute, func(*reconcile.View, []reconcile.Done) {})
	ts.Check(errors.Join(err, s.Close()))
}

func freePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(errors.Join(err, l.Close()))
	ts.Setenv(args[0], port)
}

func reachable(ts *testscript.TestScript, _ bool, args []string) {
	var last error
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(args[0])
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
			err = errors.New(res.Status)
		}
		last = err
	}
	ts.Fatalf("%s: %v", args[0], last)
}

// replace FILE OLD NEW changes a piece of a file, which must be there.
func replace(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	after := strings.Replace(string(b), args[1], args[2], 1)
	if after == string(b) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(path, []byte(after), fs.FileMode(0o644)))
}

func code(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e := (interface{ ExitCode() int })(nil); errors.As(err, &e) {
		got = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code is %d, want %d", got, want)
	}
}
