package discovery

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// supervise runs HAProxy until ctx ends, and then lets it end its connections in the time for that. It starts it again
// when it ends by itself; if that happens too often in a row, it gives up with an error.
func (p *proxy) supervise(ctx context.Context) error {
	pause, failures := p.patience.backoff, 0
	for {
		begun := time.Now()
		err := p.runOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(begun) >= p.patience.calm {
			pause, failures = p.patience.backoff, 0
		}
		if failures++; failures >= p.patience.tries {
			return fmt.Errorf("HAProxy ended %d times in a row, the last time with: %w; its own messages are above", failures, err)
		}
		p.log.Error("HAProxy ended, and is started again", "error", err, "pause", pause.String(), "failures", failures)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// runOnce is one life of HAProxy's master. What it returns after ctx has ended means nothing.
func (p *proxy) runOnce(ctx context.Context) error {
	p.reloading.Lock()
	cmd := exec.Command(p.bin, "-W", "-db", "-f", configFile, "-S", "unix@"+masterSocket+",mode,600,level,admin") //nolint:noctx // it is ended by signals, in an order of its own
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, p.output, p.output
	// A group of its own: a terminal's interrupt is for us, and at the end nothing of it may be left.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.reloading.Unlock()
		return fmt.Errorf("start HAProxy: %w", err)
	}
	ended := make(chan error, 1)
	p.setRunning(cmd.Process)
	go func() {
		err := cmd.Wait()
		p.setRunning(nil)
		if err == nil {
			err = errors.New("exit status 0")
		}
		ended <- err
	}()
	err := p.awaitWorker(ctx, cmd.Process, listing{})
	p.reloading.Unlock()
	if err != nil && p.running() != nil && ctx.Err() == nil {
		p.log.Error("HAProxy has started, but does not tell of its worker", "error", err)
	}
	select {
	case err := <-ended:
		p.killGroup(cmd)
		return err
	case <-ctx.Done():
	}
	p.end(cmd, ended)
	return nil
}

// end stops listening at once (SIGUSR1), gives the open connections their time, then ends the rest.
func (p *proxy) end(cmd *exec.Cmd, ended <-chan error) {
	defer p.killGroup(cmd)
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGUSR1, p.patience.drain}, {syscall.SIGTERM, time.Second}} {
		if signalUntil(cmd, step.signal, step.wait, ended) {
			return
		}
	}
	p.killGroup(cmd)
	<-ended
}

// signalUntil repeats a signal: a master that just replaces itself, as it does at its start, loses one.
func signalUntil(cmd *exec.Cmd, signal syscall.Signal, wait time.Duration, ended <-chan error) bool {
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	late := time.After(wait)
	for {
		_ = cmd.Process.Signal(signal) // it may just have ended
		select {
		case <-ended:
			return true
		case <-late:
			return false
		case <-again.C:
		}
	}
}

// killGroup ends what a master has left behind. Nothing left is the usual case, and an error then.
func (p *proxy) killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
