package sinktest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// wipe ends all processes of the lab's folder and forgets its state: its own, and those that an earlier run left behind
// because it was killed.
func (l *Lab) wipe() error {
	l.forgetStrangers()
	if out, err := exec.Command(l.script, "wipe", "--dir", l.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("end the lab in %s: %w\n%s", l.dir, err, out)
	}
	// A task's supervisor asks its Marathon what to do when it is told to end; without one it lives on, and its task.
	if err := within(20*time.Second, l.killRest); err != nil {
		return err
	}
	return os.RemoveAll(l.dir)
}

// forgetStrangers removes pid files that name processes of others: after a restart of the machine a number may be
// anybody's.
func (l *Lab) forgetStrangers() {
	files, _ := filepath.Glob(filepath.Join(l.dir, "*.pid")) // fails on a malformed pattern only
	for _, f := range files {
		pid, _ := os.ReadFile(f)
		command, _ := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), "cmdline"))
		if !bytes.Contains(command, []byte(l.dir)) {
			_ = os.Remove(f)
		}
	}
}

// killRest kills what lives on, and fails as long as something does.
func (l *Lab) killRest() error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	var alive []error
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !isAlive(pid) || !l.owns(e.Name()) {
			continue
		}
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may end by itself
		alive = append(alive, fmt.Errorf("process %d of %s does not end", pid, l.dir))
	}
	return errors.Join(alive...)
}

// owns says whether a process belongs to the lab's folder: Marathon, ZooKeeper, a supervisor by its command, and a task
// by where it stands, also when that folder is deleted.
func (l *Lab) owns(pid string) bool {
	if cwd, err := os.Readlink(filepath.Join("/proc", pid, "cwd")); err == nil && strings.HasPrefix(cwd, l.dir+"/sandboxes/") {
		return true
	}
	command, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
	if err != nil {
		return false
	}
	args := "\x00" + string(command)
	return strings.Contains(args, "\x00-Dlab.dir="+l.dir+"\x00") || strings.Contains(args, "\x00"+l.dir+"/run/") ||
		strings.Contains(args, "\x00lab.ZkMain\x00") && strings.Contains(args, "\x00"+l.dir+"/zk\x00")
}
