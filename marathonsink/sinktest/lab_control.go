package sinktest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

var _ Control = (*Lab)(nil)

// KillTask ends a task's process as kill -9 does.
func (l *Lab) KillTask(id marathon.TaskID) error {
	return l.control("/task/kill9", url.Values{"id": {string(id)}})
}

// LoseAgent parts an agent from the master; its tasks run on.
func (l *Lab) LoseAgent(host string) error {
	return l.control("/agent/lost", url.Values{"id": {host}, "mode": {"partition"}})
}

// BackAgent ends the partition.
func (l *Lab) BackAgent(host string) error { return l.control("/agent/back", url.Values{"id": {host}}) }

// PauseOffers makes the master offer nothing.
func (l *Lab) PauseOffers() error { return l.control("/offers/pause", nil) }

// ResumeOffers makes it offer again.
func (l *Lab) ResumeOffers() error { return l.control("/offers/resume", nil) }

// FailNextLaunches makes the next n tasks fail at their launch.
func (l *Lab) FailNextLaunches(n int) error {
	return l.control("/fail-next-launch", url.Values{"n": {strconv.Itoa(n)}})
}

func (l *Lab) control(path string, query url.Values) error {
	return post(l.ControlURL + path + "?" + query.Encode())
}

func post(target string) error {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Post(target, "", nil)
	if err != nil {
		return fmt.Errorf("POST %s: %w", target, err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("POST %s: %s %s", target, res.Status, b)
	}
	return nil
}

// ChangeLeader ends the leader with kill -9 and starts another in its place, at the same address, which leads as soon
// as ZooKeeper has given up the first.
func (l *Lab) ChangeLeader() error {
	pid, err := l.pid()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("end the leader: %w", err)
	}
	return l.AwaitLeader()
}

func (l *Lab) pid() (int, error) {
	file := filepath.Join(l.dir, "marathon-"+l.port+".pid")
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, err)
	}
	return pid, nil
}

// AwaitLeader starts Marathon again after it ended, or ends it first if it does not within some seconds.
func (l *Lab) AwaitLeader() error {
	pid, err := l.pid()
	if err != nil {
		return err
	}
	for i := 0; isAlive(pid); i++ {
		switch i {
		case 80:
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may end by itself meanwhile
		case 160:
			return fmt.Errorf("process %d of Marathon does not end", pid)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for i := 0; ; i++ {
		// The threads of a process that was killed may hold its ports a little longer than it lives.
		if err := l.run(); err == nil || i == 20 || !strings.Contains(err.Error(), "is taken") {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// isAlive says whether a process runs; one that ended and was not waited for does not.
func isAlive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}
