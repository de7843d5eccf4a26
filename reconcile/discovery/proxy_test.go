package discovery

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render/bootstrap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A log may be read while it is written.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

func needHAProxy(t testing.TB) string {
	t.Helper()
	bin, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("haproxy is not installed; `make setup` installs it")
	}
	return bin
}

// newProxy is a real HAProxy that is not started yet. Its folder has a path too long for a socket's.
func newProxy(t testing.TB, l *log) *proxy {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.Repeat("a-long-name-", 10))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	p := &proxy{bin: needHAProxy(t), dir: dir, output: out, log: l.logger(), patience: usualPatience}
	p.patience.reload, p.patience.drain, p.patience.backoff = time.Minute, 100*time.Millisecond, time.Millisecond
	return p
}

// start supervises p until the test ends or stop is called, which gives supervise's error.
func start(t testing.TB, p *proxy) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.supervise(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return stop
}

func mustInstall(t testing.TB, p *proxy, place Place, servers ...Server) {
	t.Helper()
	config, err := Expand(bootstrap.RingTemplate, place, Fronts{Masters: servers})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.install(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// freePort is one that was free a moment ago.
func freePort(t testing.TB, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// eventually polls; the limit only bounds a broken run.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

// An echo is a master: it says its name, and then gives back each line.
func echo(t testing.TB, name string) Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var open sync.Map
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, nil)
			wg.Go(func() {
				defer open.Delete(c)
				defer c.Close()
				if _, err := fmt.Fprintln(c, name); err == nil {
					_, _ = io.Copy(c, c)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		for c := range open.Range {
			c.(net.Conn).Close()
		}
		wg.Wait()
	})
	return Server{marathon.InstanceID(name), "127.0.0.1", l.Addr().(*net.TCPAddr).Port}
}

// A talk is one connection through the ring.
type talk struct {
	net.Conn
	in   *bufio.Reader
	name string // of the master at its other end
}

func dial(addr string) (*talk, error) {
	c, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	k := &talk{Conn: c, in: bufio.NewReader(c)}
	if k.name, err = k.in.ReadString('\n'); err != nil {
		c.Close()
		return nil, fmt.Errorf("greeting: %w", err)
	}
	k.name = strings.TrimSpace(k.name)
	return k, nil
}

func (k *talk) say(text string) error {
	if _, err := fmt.Fprintln(k, text); err != nil {
		return err
	}
	got, err := k.in.ReadString('\n')
	if err == nil && got != text+"\n" {
		return fmt.Errorf("%q came back as %q", text, got)
	}
	return err
}

func TestTwentyReloadsRefuseNoConnectionAndEndNone(t *testing.T) {
	var l log
	p := newProxy(t, &l)
	masters := []Server{echo(t, "a"), echo(t, "b"), echo(t, "c")}
	place := Place{Bind: "127.0.0.1", Port: freePort(t, "127.0.0.1"), Stats: freePort(t, "127.0.0.1")}
	addr := net.JoinHostPort(place.Bind, fmt.Sprint(place.Port))
	mustInstall(t, p, place, masters...)
	stop := start(t, p)
	eventually(t, "it leads to a master", func() bool {
		k, err := dial(addr)
		if err == nil {
			k.Close()
		}
		return err == nil
	})

	var long []*talk
	for range 50 {
		k, err := dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		long = append(long, k)
	}
	var short atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				k, err := dial(addr)
				if err != nil {
					t.Errorf("connect: %v", err)
					return
				}
				if err := k.say("hello"); err != nil {
					t.Errorf("short connection: %v", err)
				}
				k.Close()
				short.Add(1)
			}
		})
	}
	for i := range 20 {
		mustInstall(t, p, place, masters[:1+i%3]...)
		for n, k := range long {
			if err := k.say(fmt.Sprintf("%d of %d", n, i)); err != nil {
				t.Fatalf("established connection %d after reload %d: %v", n, i+1, err)
			}
		}
	}
	close(done)
	wg.Wait()
	if short.Load() < 100 {
		t.Errorf("only %d short connections were made", short.Load())
	}
	t.Logf("20 reloads, 50 long connections, %d short ones", short.Load())
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := dial(addr); err == nil {
		t.Error("something still listens after the end")
	}
}

func TestAConfigurationThatHAProxyRefusesLeavesTheOldOne(t *testing.T) {
	var l log
	p := newProxy(t, &l)
	place := Place{Bind: "127.0.0.1", Port: freePort(t, "127.0.0.1")}
	addr := net.JoinHostPort(place.Bind, fmt.Sprint(place.Port))
	mustInstall(t, p, place, echo(t, "a"))
	start(t, p)
	leads := func() bool { k, err := dial(addr); return err == nil && k.Close() == nil && k.name == "a" }
	eventually(t, "it leads to the master", leads)
	before := string(p.good)

	_, err := p.install(t.Context(), []byte("frontend ring\n  mode tcp\n  nosuchword\n"))
	if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "unknown keyword 'nosuchword'") {
		t.Errorf("%v", err)
	}
	// What -c cannot see: a port that somebody else has.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	config, err := Expand(bootstrap.RingTemplate, Place{Bind: "127.0.0.1", Port: taken.Addr().(*net.TCPAddr).Port}, Fronts{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.install(t.Context(), config); err == nil {
		t.Error("a taken port was not noticed")
	}
	if now, err := os.ReadFile(filepath.Join(p.dir, configFile)); err != nil || string(now) != before || string(p.good) != before {
		t.Errorf("%v: the file is now\n%s", err, now)
	}
	if !leads() {
		t.Error("the old configuration is not in force any more")
	}
	mustInstall(t, p, place, echo(t, "z"))
	eventually(t, "a later good one is taken", func() bool { k, err := dial(addr); return err == nil && k.Close() == nil && k.name == "z" })
}

func TestHAProxyIsStartedAgainWhenItDies(t *testing.T) {
	var l log
	p := newProxy(t, &l)
	place := Place{Bind: "127.0.0.1", Port: freePort(t, "127.0.0.1")}
	addr := net.JoinHostPort(place.Bind, fmt.Sprint(place.Port))
	mustInstall(t, p, place, echo(t, "a"))
	stop := start(t, p)
	leads := func() bool { k, err := dial(addr); return err == nil && k.Close() == nil }
	for range 3 {
		var m *os.Process
		eventually(t, "it leads to the master", func() bool { m = p.running(); return m != nil && leads() })
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another one runs", func() bool { n := p.running(); return n != nil && n != m })
	}
	eventually(t, "it leads to the master", leads)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(l.String(), "HAProxy ended, and is started again"); n != 3 {
		t.Errorf("told %d times:\n%s", n, l.String())
	}
}

func TestAHopelessHAProxyIsGivenUp(t *testing.T) {
	var l log
	p := newProxy(t, &l)
	p.bin = "/bin/false"
	err := p.supervise(t.Context())
	if err == nil || !strings.Contains(err.Error(), "HAProxy ended 6 times in a row, the last time with: exit status 1") {
		t.Error(err)
	}
	p.bin = "/no/such/program"
	if err := p.supervise(t.Context()); err == nil || !strings.Contains(err.Error(), "start HAProxy") {
		t.Error(err)
	}
}

func TestTheEndGivesOpenConnectionsTheirTimeAndNoMore(t *testing.T) {
	var l log
	p := newProxy(t, &l)
	p.patience.drain = time.Minute
	place := Place{Bind: "127.0.0.1", Port: freePort(t, "127.0.0.1")}
	addr := net.JoinHostPort(place.Bind, fmt.Sprint(place.Port))
	mustInstall(t, p, place, echo(t, "a"))
	stop := start(t, p)
	var k *talk
	eventually(t, "it leads to the master", func() (ok bool) { var err error; k, err = dial(addr); return err == nil })
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	eventually(t, "it takes no more connections", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	if err := k.say("still there"); err != nil {
		t.Error(err)
	}
	k.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestListingsOfEveryReleaseAreRead(t *testing.T) {
	for _, k := range []struct {
		name, answer string
		pid          int
		failed       bool
	}{
		{"1.9", "#<PID>          <type>          <relative PID>  <reloads>       <uptime>        <version>\n10 master 0 1 0d 1.9\n# workers\n12 worker 1 0 0d 1.9\n# old workers\n11 worker [was: 1] 1 0d 1.9\n# programs\n", 12, false},
		{"2.6", "#<PID>          <type>          <reloads>       <uptime>        <version>\n10              master          3 [failed: 0]   0d00h00m03s     2.6.12\n# workers\n12              worker          0               0d00h00m01s     2.6.12\n# old workers\n11 worker 1 0d 2.6\n\n", 12, false},
		{"2.6 in wait mode", "10 master 2 [failed: 2] 0d 2.6\n# workers\n12 worker 2 0d 2.6\n", 12, true},
	} {
		t.Run(k.name, func(t *testing.T) {
			l := parseListing(k.answer)
			if len(l.current) != 1 || !l.current[k.pid] || l.failed != k.failed {
				t.Errorf("%+v", l)
			}
		})
	}
}
