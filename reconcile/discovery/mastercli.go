package discovery

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

const masterSocket = "master.sock"

// A listing is what the master says of its workers.
type listing struct {
	current map[int]bool // pids of the workers that take connections
	failed  bool         // the last reload failed, and current are of an older one
}

// newSince says that a worker takes connections that did not before.
func (l listing) newSince(before listing) bool {
	for pid := range l.current {
		if !before.current[pid] {
			return true
		}
	}
	return false
}

// workers asks the master for its processes.
func (p *proxy) workers(ctx context.Context) (listing, error) {
	dir, err := os.Open(p.dir)
	if err != nil {
		return listing{}, fmt.Errorf("ask HAProxy's master: %w", err)
	}
	defer dir.Close() //nolint:errcheck // only read
	// A task's folder on an agent has a path longer than a socket's may be; through the open folder it is short.
	path := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), masterSocket)
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return listing{}, fmt.Errorf("ask HAProxy's master: %w", err)
	}
	defer conn.Close() //nolint:errcheck // only read
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, "show proc\n"); err != nil {
		return listing{}, fmt.Errorf("ask HAProxy's master: %w", err)
	}
	// The master answers when it sees the end of the questions.
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return listing{}, fmt.Errorf("ask HAProxy's master: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	if err != nil {
		return listing{}, fmt.Errorf("ask HAProxy's master: %w", err)
	}
	return parseListing(string(answer)), nil
}

// parseListing reads the answer to "show proc". Columns differ between releases, but sections, the pid in front and the
// type behind it do not.
func parseListing(answer string) listing {
	l := listing{current: map[int]bool{}}
	section := ""
	for line := range strings.Lines(answer) {
		if name, ok := strings.CutPrefix(line, "#"); ok {
			section = strings.TrimSpace(name)
			continue
		}
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		switch {
		case err != nil:
		case f[1] == "master":
			l.failed = strings.Contains(line, "[failed: ") && !strings.Contains(line, "[failed: 0]")
		case f[1] == "worker" && section == "workers":
			l.current[pid] = true
		}
	}
	return l
}
