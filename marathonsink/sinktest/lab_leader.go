package sinktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// labTurn is how long a change of the leader may take: ZooKeeper gives a killed one up after ten seconds, and a busy
// machine takes as long again to load.
const labTurn = 5 * time.Minute

// Standby starts a second Marathon beside the leader, if there is none, and returns its address.
func (l *Lab) Standby() (string, error) {
	at := l.addresses[1-l.leading]
	if pid, err := l.pid(at); err == nil && isAlive(pid) {
		return at.url(), nil
	}
	if err := l.run(at); err != nil {
		return "", fmt.Errorf("start a standby: %w", err)
	}
	return at.url(), nil
}

// ChangeLeader ends the leader with kill -9 when a standby is there, and returns when that one leads.
func (l *Lab) ChangeLeader() error {
	if _, err := l.Standby(); err != nil {
		return err
	}
	pid, err := l.pid(l.addresses[l.leading])
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("end the leader: %w", err)
	}
	return l.AwaitLeader()
}

// AwaitLeader returns when the leader has ended and the other one leads in its place, which is started if need be.
func (l *Lab) AwaitLeader() error {
	pid, err := l.pid(l.addresses[l.leading])
	if err != nil {
		return err
	}
	if err := within(labTurn, func() error {
		if isAlive(pid) {
			return fmt.Errorf("process %d of Marathon does not end", pid)
		}
		return nil
	}); err != nil {
		return err
	}
	if _, err := l.Standby(); err != nil {
		return err
	}
	next := l.addresses[1-l.leading]
	if err := within(labTurn, func() error { return l.leads(next) }); err != nil {
		return err
	}
	l.leading = 1 - l.leading
	return nil
}

// leads says whether the Marathon at an address knows itself as the leader and answers from what it has loaded. Until then it
// would hand reads to a leader that is gone, or refuse them.
func (l *Lab) leads(at address) error {
	var who struct{ Leader string }
	if err := l.read(at.url()+"/v2/leader", &who); err != nil {
		return err
	}
	if who.Leader != "127.0.0.1:"+at.port {
		return fmt.Errorf("%s leads, not %s", who.Leader, at.url())
	}
	var state struct{}
	if err := l.read("http://127.0.0.1:"+at.control+"/state", &state); err != nil {
		return fmt.Errorf("its agents are not there yet: %w", err)
	}
	var apps struct{ Apps []any }
	return l.read(at.url()+"/v2/apps", &apps)
}

// read asks Marathon, or what breaks it, for a document.
func (l *Lab) read(url string, into any) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if name, password, ok := strings.Cut(l.user, ":"); ok {
		req.SetBasicAuth(name, password)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// within asks again and again until there is no error, and returns the last one when that takes too long.
func within(long time.Duration, ask func() error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(long); ; <-tick.C {
		if err := ask(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func (l *Lab) pid(at address) (int, error) {
	file := filepath.Join(l.dir, "marathon-"+at.port+".pid")
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

// isAlive says whether a process runs; one that ended and was not waited for does not.
func isAlive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}
