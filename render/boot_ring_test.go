package render_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

// A greeter is a TCP server that says its name, in place of a master's transport port.
func greeter(t testing.TB, host, name string) (port int, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, name)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port, func() { l.Close() }
}

// fact changes one of the bundle's facts, so that a test need not wait as long as a node may.
func (b *boot) fact(t testing.TB, name, value string) {
	t.Helper()
	old, err := bundle.FromEnv(b.env)
	if err != nil {
		t.Fatal(err)
	}
	files := old.Files
	for i, f := range files {
		if f.Path == "facts.sh" {
			files[i].Content = append(f.Content, []byte(name+"='"+value+"'\n")...)
		}
	}
	packed, err := bundle.Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	env, err := bundle.ToEnv(packed)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range env {
		b.env[k] = v
	}
}

// background starts the task; stop ends it by SIGTERM and gives its exit error.
func (b *boot) background(t testing.TB) (output *safeBuffer, stop func() error) {
	t.Helper()
	cmd := b.command(t.Context())
	output = &safeBuffer{}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceValue(func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		return cmd.Wait()
	})
	t.Cleanup(func() {
		_ = stop()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	})
	return output, stop
}

// A safeBuffer may be read while a process writes to it.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// eventually polls; the time limit only bounds a broken run.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

func greeting(addr string) string {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return ""
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	s, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

func ringTask(host string, transport int) map[string]any {
	task := task(1, host, "TASK_RUNNING")
	task["ports"] = []int{1, transport}
	return task
}

func TestTheRingFollowsTheMastersAndKeepsThemWhenMarathonFails(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("haproxy is not installed; `make setup` installs it")
	}
	eachShell(t, func(t *testing.T, path string) {
		front, stats := freePorts(t, "127.0.0.9")
		portA, stopA := greeter(t, "127.0.0.91", "a")
		portB, _ := greeter(t, "127.0.0.92", "b")
		m := newMarathon(t)
		const app = "/search/logs/es-master"
		m.app(app, 3, nil)

		c := localCluster(t)
		c.Discovery.Port, c.Discovery.StatsPort = front, stats
		b := newBoot(t, path+":/usr/sbin", c, spec.Discovery, m.URL)
		b.fact(t, "interval", "0.1")
		out, stop := b.background(t)
		addr := net.JoinHostPort("127.0.0.9", strconv.Itoa(front))
		health := func() bool {
			res, err := http.Get(fmt.Sprintf("http://127.0.0.9:%d/health", stats))
			if err != nil {
				return false
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			return res.StatusCode == http.StatusOK
		}
		eventually(t, "healthy before there is a master", health)

		m.app(app, 3, nil, ringTask("127.0.0.91", portA))
		eventually(t, "leads to the first master", func() bool { return greeting(addr) == "a" })

		for name, answer := range map[string]string{
			"half an answer": `{"app":{"id":"/search/logs/es-master","tasks":[{"id":"x","host":"127.0.0.99","state":"TASK_RUNNING","vers`,
			"no master":      `{"app":{"id":"/search/logs/es-master","tasks":[]}}`,
			"an error page":  `<html>`,
		} {
			m.raw(app, answer)
			n := m.count(app)
			eventually(t, "asked again", func() bool { return m.count(app) > n+1 })
			eventually(t, name+" changes nothing", func() bool { return greeting(addr) == "a" })
		}

		m.app(app, 3, nil, ringTask("127.0.0.91", portA), ringTask("127.0.0.92", portB))
		eventually(t, "leads to both", func() bool { return greeting(addr) == "b" })
		stopA()
		eventually(t, "leaves the dead one out", func() bool {
			for range 4 { // twice around
				if greeting(addr) != "b" {
					return false
				}
			}
			return true
		})
		if !strings.Contains(out.String(), fmt.Sprintf("masters: 127.0.0.91:%d,127.0.0.92:%d,", portA, portB)) {
			t.Error(out)
		}
		if err := stop(); err != nil {
			t.Errorf("SIGTERM ends it with %v:\n%s", err, out)
		}
		eventually(t, "nothing is left of it", func() bool { return greeting(addr) == "" })
	})
}

func (m *fakeMarathon) count(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked[id]
}
