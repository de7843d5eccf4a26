// Package e2e_test tells the whole story with every real part at once: the example fleet in git, served over HTTP; the
// esfleet program as a process that is killed and started again; a Marathon (the simulator with local processes, and a
// real one where the lab is there); real Elasticsearch nodes, a real HAProxy, a listener in Graphite's place.
//
// Set ESFLEET_E2E=1 to run it, as `make test` does.
package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/sinktest"
)

// slots bounds how many runs of this package may share a machine; each has a folder and addresses of its own.
const slots = 8

// A workspace is the folder of one story. Unlike t.TempDir it may be entered by the user that the nodes run as, and it
// is found again by the next run, which ends what a killed one has left.
type workspace struct {
	t    *testing.T
	dir  string
	slot int
}

// newWorkspace skips where the story is not asked for or cannot be told.
func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	if e := os.Getenv(sinktest.EnvE2E); e != "1" && e != "all" {
		t.Skipf("skipped: this test runs whole clusters; set %s=1, as `make test` does", sinktest.EnvE2E)
	}
	for _, tool := range []string{"git", "java", "haproxy", "busybox", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("skipped: %s is not installed; run `make setup`", tool)
		}
	}
	parent := filepath.Join(os.TempDir(), fmt.Sprintf("esfleet-e2e-%d", os.Getuid()))
	must(t, os.MkdirAll(parent, 0o755))
	for slot := 1; slot <= slots; slot++ {
		dir := filepath.Join(parent, fmt.Sprint(slot))
		lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		must(t, err)
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			must(t, lock.Close())
			continue
		}
		t.Cleanup(func() { _ = lock.Close() }) // which unlocks
		w := &workspace{t: t, dir: dir, slot: slot}
		w.endLeftOvers()
		must(t, os.RemoveAll(dir))
		must(t, os.MkdirAll(dir, 0o755))
		t.Cleanup(func() {
			w.endLeftOvers()
			_ = os.RemoveAll(dir) // what stays is removed by the next run
		})
		return w
	}
	t.Fatalf("%d such tests run on this machine already", slots)
	return nil
}

func (w *workspace) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

func (w *workspace) write(name, content string, mode os.FileMode) string {
	w.t.Helper()
	p := w.path(name)
	must(w.t, os.MkdirAll(filepath.Dir(p), 0o755))
	must(w.t, os.WriteFile(p, []byte(content), mode))
	return p
}

// endLeftOvers ends the processes, tasks included, whose command line or working directory is this very folder's: after a
// restart of the machine a number in a pid file may be anybody's.
func (w *workspace) endLeftOvers() {
	for range 50 {
		var pids []int
		entries, err := filepath.Glob("/proc/[0-9]*")
		must(w.t, err)
		for _, p := range entries {
			command, _ := os.ReadFile(filepath.Join(p, "cmdline"))
			cwd, _ := os.Readlink(filepath.Join(p, "cwd"))
			var pid int
			if _, err := fmt.Sscan(filepath.Base(p), &pid); err != nil || pid == os.Getpid() {
				continue
			}
			if bytes.Contains(command, []byte(w.dir+"/")) || strings.HasPrefix(cwd, w.dir+"/") {
				pids = append(pids, pid)
			}
		}
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Fatalf("processes of an earlier run in %s do not end", w.dir)
}

// program builds esfleet, once for all tests of the package.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "esfleet-program")
	if err != nil {
		return "", err
	}
	builtIn = dir
	bin := filepath.Join(dir, "esfleet")
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin, "github.com/esfleet/esfleet/cmd/esfleet")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
})

var builtIn string

func TestMain(m *testing.M) {
	code := m.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

// A child is a process that the story starts, and may kill.
type child struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
	err  error // after done
}

// start runs argv in the background. Its stderr is appended to log in the workspace, its stdout goes to the same.
func (w *workspace) start(log string, env []string, argv ...string) *child {
	w.t.Helper()
	out, err := os.OpenFile(w.path(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(w.t, err)
	defer out.Close()
	c := &child{t: w.t, cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	c.cmd.Dir, c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = w.dir, env, out, out
	must(w.t, c.cmd.Start())
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	w.t.Cleanup(c.kill)
	return c
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// kill is kill -9, and waits. A second call does nothing.
func (c *child) kill() {
	if !c.ended() {
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// terminate is SIGTERM; the process must end by itself, with 0.
func (c *child) terminate(within time.Duration) {
	c.t.Helper()
	must(c.t, c.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-c.done:
	case <-time.After(within):
		c.kill()
		c.t.Fatalf("%s did not end within %s of SIGTERM", c.cmd.Args, within)
	}
	if c.err != nil {
		c.t.Fatalf("%s ended after SIGTERM with %v", c.cmd.Args, c.err)
	}
}

// An answer is what a command said and how it ended.
type answer struct {
	out, errs string
	code      int
}

// call runs a command to its end, within ten minutes.
func (w *workspace) call(env []string, argv ...string) answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, env, &out, &errs
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		w.t.Fatalf("%v: %v", argv, err)
	}
	return answer{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
