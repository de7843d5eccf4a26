// Package nodes_test starts real Elasticsearch from what is rendered, in every version that esfleet supports: each node
// is a task of a simulated Marathon that runs processes, found by its HAProxy as anywhere else, and is asked over HTTP
// whether it is what git says.
//
// In: the distributions that test/setup/elasticsearch.sh unpacks. Set ESFLEET_E2E=1 to run it, as `make test` does; -v
// shows a line for each version.
package nodes_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// places bounds how many of these tests may run on one machine at once; each has a folder and addresses of its own.
const places = 16

// A place is where a test's nodes live. The next run finds it again and ends what a killed one has left there: nodes
// are sessions of their own, and one that still answered would be taken for the new one.
type place struct {
	t    testing.TB
	dir  string
	slot int
}

// newPlace skips where real nodes are not asked for or cannot run.
func newPlace(t testing.TB) *place {
	t.Helper()
	if os.Getenv("ESFLEET_E2E") != "1" {
		t.Skip("skipped: starts real Elasticsearch; set ESFLEET_E2E=1, as `make test` does")
	}
	for _, tool := range []string{"java", "haproxy", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("skipped: %s is not installed; run `make setup`", tool)
		}
	}
	// Not t.TempDir: as root, the nodes become a user who may not enter that.
	parent := filepath.Join(os.TempDir(), fmt.Sprintf("esfleet-nodes-%d", os.Getuid()))
	must(t, os.MkdirAll(parent, 0o755))
	for slot := 1; slot <= places; slot++ {
		p := &place{t, filepath.Join(parent, fmt.Sprint(slot)), slot}
		lock, err := os.OpenFile(p.dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		must(t, err)
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			must(t, lock.Close())
			continue
		}
		t.Cleanup(func() { _ = lock.Close() }) // which unlocks
		t.Cleanup(p.clear)
		p.clear()
		must(t, os.MkdirAll(p.dir, 0o755))
		return p
	}
	t.Fatalf("%d such tests run on this machine already", places)
	return nil
}

// agent is the address of the place's n-th machine, from 1.
func (p *place) agent(n int) string { return fmt.Sprintf("127.0.%d.%d", 80+p.slot, 10+n) }

// firstAgents are those of all places.
func firstAgents() []string {
	var out []string
	for slot := 1; slot <= places; slot++ {
		out = append(out, (&place{slot: slot}).agent(1))
	}
	return out
}

// folder is one that every user may write.
func (p *place) folder(name string) string {
	p.t.Helper()
	dir := filepath.Join(p.dir, name)
	must(p.t, os.MkdirAll(dir, 0o755))
	must(p.t, os.Chmod(dir, 0o777)) // despite the umask
	return dir
}

// clear ends the processes that work in the folder or name it, and removes it.
func (p *place) clear() {
	p.t.Helper()
	for range 100 {
		pids := p.processes()
		if len(pids) == 0 {
			must(p.t, os.RemoveAll(p.dir))
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.t.Fatalf("processes in %s do not end", p.dir)
}

func (p *place) processes() []int {
	all, err := filepath.Glob("/proc/[0-9]*")
	must(p.t, err)
	var out []int
	for _, proc := range all {
		var pid int
		if _, err := fmt.Sscan(filepath.Base(proc), &pid); err != nil || pid == os.Getpid() {
			continue
		}
		command, _ := os.ReadFile(filepath.Join(proc, "cmdline")) // it may have ended by now
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		if bytes.Contains(command, []byte(p.dir+"/")) || strings.HasPrefix(cwd, p.dir+"/") {
			out = append(out, pid)
		}
	}
	return out
}

// home is an unpacked distribution that the nodes' user can read.
func (p *place) home(name string) string {
	p.t.Helper()
	dir := os.Getenv("ESFLEET_ES_ARCHIVES")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache", "elasticsearch")
	}
	home, err := filepath.Abs(filepath.Join(dir, name))
	must(p.t, err)
	if _, err := os.Stat(filepath.Join(home, "bin")); err != nil {
		p.t.Skipf("skipped: %s is not there; run `sh test/setup/elasticsearch.sh`, as `make setup` does", home)
	}
	for up := home; up != "/"; up = filepath.Dir(up) {
		info, err := os.Stat(up)
		must(p.t, err)
		if info.Mode()&0o001 == 0 {
			return p.copied(home)
		}
	}
	return home
}

func (p *place) copied(home string) string {
	p.t.Helper()
	to := filepath.Join(p.dir, filepath.Base(home))
	if out, err := exec.Command("cp", "-R", home, to).CombinedOutput(); err != nil {
		p.t.Fatalf("copy %s: %v: %s", home, err, out)
	}
	if out, err := exec.Command("chmod", "-R", "a+rX", to).CombinedOutput(); err != nil {
		p.t.Fatalf("make %s readable: %v: %s", to, err, out)
	}
	return to
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
