package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	configFile = "haproxy.cfg"
	triedFile  = "haproxy.cfg.new"
)

// patience are the times that a proxy waits. They only bound what is broken.
type patience struct {
	check   time.Duration // for haproxy -c
	reload  time.Duration // for new workers after a start or a reload
	drain   time.Duration // for connections at the end
	backoff time.Duration // before the first restart; doubled each time
	calm    time.Duration // a run of this length makes earlier ends forgotten
	tries   int           // ends in a row before it is hopeless
}

var usualPatience = patience{check: 10 * time.Second, reload: 10 * time.Second, drain: 2 * time.Second,
	backoff: 500 * time.Millisecond, calm: time.Minute, tries: 6}

// A proxy is HAProxy in master-worker mode, in a folder of its own. Its master stays over all reloads; each reload gives
// the listening sockets from the old workers to the new ones, and the old ones end with their last connection.
type proxy struct {
	bin, dir string
	output   *os.File // of HAProxy itself
	log      *slog.Logger
	patience patience

	// reloading is held while HAProxy starts or reloads: a master that is just replacing itself must not be signalled.
	reloading sync.Mutex
	good      []byte // what configFile holds

	mu     sync.Mutex
	master *os.Process // nil while none runs
}

// errRefused marks a configuration that HAProxy does not take; the one before stays.
var errRefused = errors.New("HAProxy refuses the new configuration, the one before stays")

// install checks a configuration, and lets HAProxy take it over if it runs. After an error the old one is in force.
func (p *proxy) install(ctx context.Context, config []byte) (changed bool, err error) {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	if bytes.Equal(config, p.good) {
		return false, nil
	}
	if err := p.check(ctx, config); err != nil {
		return false, err
	}
	if err := p.place(); err != nil {
		return false, err
	}
	before := p.good
	p.good = config
	m := p.running()
	if m == nil {
		return true, nil // the next start takes it
	}
	if err = p.reload(ctx, m); err == nil {
		return true, nil
	}
	// A restart must not find what the running HAProxy would not take.
	p.good = before
	if again := os.WriteFile(filepath.Join(p.dir, triedFile), before, 0o644); again != nil {
		return false, errors.Join(err, again)
	}
	return false, errors.Join(err, p.place())
}

// place makes what was tried the configuration, in one step: HAProxy never reads half a file.
func (p *proxy) place() error {
	if err := os.Rename(filepath.Join(p.dir, triedFile), filepath.Join(p.dir, configFile)); err != nil {
		return fmt.Errorf("put HAProxy's configuration in place: %w", err)
	}
	return nil
}

// check writes config to triedFile and asks HAProxy.
func (p *proxy) check(ctx context.Context, config []byte) error {
	if err := os.WriteFile(filepath.Join(p.dir, triedFile), config, 0o644); err != nil {
		return fmt.Errorf("write HAProxy's configuration: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.patience.check)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.bin, "-c", "-f", triedFile)
	cmd.Dir = p.dir
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); ended && ctx.Err() == nil {
		return fmt.Errorf("%w: %s", errRefused, alerts(out))
	}
	if err != nil {
		return fmt.Errorf("check HAProxy's configuration with %s -c: %w", p.bin, errors.Join(err, ctx.Err()))
	}
	return nil
}

// knows says that HAProxy takes such a line.
func (p *proxy) knows(ctx context.Context, line string) bool {
	return p.check(ctx, []byte("defaults\n  mode http\n  timeout connect 2s\n  timeout client 1h\n  timeout server 1h\nfrontend probe\n  bind unix@probe.sock\n  "+line+"\n")) == nil
}

// alerts are the lines of HAProxy's output that say what is wrong, in one bounded line.
func alerts(out []byte) string {
	var kept []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "[ALERT]") {
			kept = append(kept, strings.Join(strings.Fields(line), " "))
		}
	}
	if kept == nil {
		kept = strings.Fields(string(out))
	}
	return fmt.Sprintf("%.600s", strings.Join(kept, "; "))
}

// reload makes the master m read its configuration again, and waits for its new worker.
func (p *proxy) reload(ctx context.Context, m *os.Process) error {
	before, err := p.workers(ctx)
	if err != nil {
		return fmt.Errorf("reload HAProxy: %w", err)
	}
	if err := m.Signal(syscall.SIGUSR2); err != nil {
		return fmt.Errorf("reload HAProxy: signal its master: %w", err)
	}
	if err := p.awaitWorker(ctx, m, before); err != nil {
		return fmt.Errorf("reload HAProxy: %w", err)
	}
	return nil
}

// awaitWorker waits until m has a worker that is not among before. Nothing announces it, so it asks again and again.
func (p *proxy) awaitWorker(ctx context.Context, m *os.Process, before listing) error {
	ctx, cancel := context.WithTimeout(ctx, p.patience.reload)
	defer cancel()
	ask := time.NewTicker(20 * time.Millisecond)
	defer ask.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no new worker: %w", errors.Join(ctx.Err(), last))
		case <-ask.C:
		}
		if p.running() != m {
			return errors.New("its master ended")
		}
		now, err := p.workers(ctx)
		switch last = err; {
		case err != nil:
		case now.failed:
			return errors.New("the old workers stay, for the new configuration cannot be loaded; HAProxy's own messages say why")
		case now.newSince(before):
			return nil
		}
	}
}

func (p *proxy) running() *os.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.master
}

func (p *proxy) setRunning(m *os.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.master = m
}
