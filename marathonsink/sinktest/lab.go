package sinktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// EnvE2E must be 1 for tests that start a real Marathon: each start takes seconds and several hundred MB.
	EnvE2E = "ESFLEET_E2E"
	// EnvLab names the folder of the Marathon lab; ../shared/marathon-lab beside the checkout if it is not set.
	EnvLab = "ESFLEET_MARATHON_LAB"

	labSlots = 8
	labStart = 4 * time.Minute // the first start of a version also fetches its jars
)

// LabOptions say what kind of Marathon a Lab is. The zero value is Marathon 1.11 with five agents.
type LabOptions struct {
	Version string   // 1.11, 1.8, 1.7 or 1.5
	Agents  int      // each with 8 cpus, 16 GiB, rack r1 to r3 in turn
	Flags   []string // further flags of Marathon
}

// A Lab is a real Marathon whose tasks are local processes.
type Lab struct {
	URL        string
	ControlURL string   // breaks things: see the lab's README
	MesosURL   string   // what a Mesos master answers
	Agents     []string // host names

	script, dir string
	port        string
	args        []string // of its start
	lock        *os.File
	once        sync.Once
}

// StartLab starts a Marathon of its own for t, with free ports and agents at addresses that no other lab has, and stops
// it when t ends. Where that is not possible or not asked for, t is skipped and says why.
//
// What an earlier run left behind because it was killed is ended first: a lab's folder is locked by its test process,
// so a folder with pid files and without a lock is an orphan.
func StartLab(t testing.TB, o LabOptions) *Lab {
	t.Helper()
	script, why := labScript(t)
	if why != "" {
		t.Skip(why)
	}
	if o.Version == "" {
		o.Version = "1.11"
	}
	if o.Agents == 0 {
		o.Agents = 5
	}
	parent := filepath.Join(os.TempDir(), fmt.Sprintf("marathon-lab-%d", os.Getuid()))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	l := &Lab{script: script}
	slot := l.claim(t, parent)
	t.Cleanup(l.Stop)
	l.endLeftOvers(t)
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l.start(t, parent, slot, o)
	return l
}

// Stop ends Marathon, its tasks and its agents, and forgets their state. It may be called more than once.
func (l *Lab) Stop() {
	l.once.Do(func() {
		_ = exec.Command(l.script, "wipe", "--dir", l.dir).Run() // a left-over is ended by the next claim of the folder
		_ = l.lock.Close()
	})
}

// labScript finds the lab, or says why it cannot be had.
func labScript(t testing.TB) (script, why string) {
	t.Helper()
	if os.Getenv(EnvE2E) != "1" {
		return "", fmt.Sprintf("skipped: this test starts a real Marathon; set %s=1 to run it", EnvE2E)
	}
	folder := os.Getenv(EnvLab)
	if folder == "" {
		folder = filepath.Join(moduleRoot(t), "..", "shared", "marathon-lab")
	}
	script = filepath.Join(folder, "run")
	if _, err := os.Stat(script); err != nil {
		return "", fmt.Sprintf("skipped: there is no Marathon lab at %s; set %s to its folder", folder, EnvLab)
	}
	for _, tool := range []string{"java", "mvn", "perl", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Sprintf("skipped: the Marathon lab needs %s", tool)
		}
	}
	return script, ""
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}

// claim takes the first folder that no living process holds. The lock ends with this process, however it ends.
func (l *Lab) claim(t testing.TB, parent string) (slot int) {
	t.Helper()
	for slot := 1; slot <= labSlots; slot++ {
		dir := filepath.Join(parent, fmt.Sprintf("esfleet-%d", slot))
		f, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			l.dir, l.lock = dir, f
			return slot
		}
		_ = f.Close()
	}
	t.Fatalf("%d Marathon labs run already", labSlots)
	return 0
}

// endLeftOvers ends processes that the folder's pid files name, if they are still the ones: after a restart of the
// machine the number may be anybody's.
func (l *Lab) endLeftOvers(t testing.TB) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(l.dir, "*.pid"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		pid, _ := os.ReadFile(f)
		command, _ := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), "cmdline"))
		if !bytes.Contains(command, []byte(l.dir)) {
			_ = os.Remove(f)
		}
	}
	if out, err := exec.Command(l.script, "wipe", "--dir", l.dir).CombinedOutput(); err != nil {
		t.Fatalf("end an earlier lab in %s: %v\n%s", l.dir, err, out)
	}
}

func (l *Lab) start(t testing.TB, parent string, slot int, o LabOptions) {
	t.Helper()
	agents := filepath.Join(l.dir, "agents.json")
	if err := os.WriteFile(agents, labAgents(slot, o.Agents), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range o.Agents {
		l.Agents = append(l.Agents, labHost(slot, i))
	}
	// One start at a time: the first one of a version fills a folder of jars that all share.
	turn, err := os.OpenFile(filepath.Join(parent, "start.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer turn.Close()
	if err := syscall.Flock(int(turn.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	p := freePorts(t, slot, 4)
	args := []string{"start", "--version", o.Version, "--dir", l.dir, "--agents", agents,
		"--port", p[0], "--control-port", p[1], "--mesos-port", p[2], "--zk-port", p[3]}
	if len(o.Flags) > 0 {
		args = append(append(args, "--"), o.Flags...)
	}
	l.args, l.port = args, p[0]
	if err := l.run(); err != nil {
		t.Fatalf("start Marathon %s: %v", o.Version, err)
	}
	l.URL = "http://127.0.0.1:" + p[0]
	l.ControlURL, l.MesosURL = "http://127.0.0.1:"+p[1], "http://127.0.0.1:"+p[2]
}

// run starts Marathon and returns when it leads.
func (l *Lab) run() error {
	ctx, cancel := context.WithTimeout(context.Background(), labStart)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.script, l.args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s", err, errs.String())
	}
	return nil
}

// labAgents lists n agents at 127.0.slot.11 and up: tasks of two labs must not fight for a port.
func labAgents(slot, n int) []byte {
	type agent struct {
		Hostname   string            `json:"hostname"`
		IP         string            `json:"ip"`
		CPUs       int               `json:"cpus"`
		Mem        int               `json:"mem"`
		Disk       int               `json:"disk"`
		Ports      string            `json:"ports"`
		Attributes map[string]string `json:"attributes"`
	}
	list := make([]agent, n)
	for i := range list {
		host := labHost(slot, i)
		list[i] = agent{Hostname: host, IP: host, CPUs: 8, Mem: 16384, Disk: 100_000, Ports: "31000-31999",
			Attributes: map[string]string{"rack": fmt.Sprintf("r%d", i%3+1)}}
	}
	b, err := json.Marshal(map[string]any{"agents": list})
	if err != nil {
		panic(err) // strings and numbers only
	}
	return b
}

func labHost(slot, i int) string { return fmt.Sprintf("127.0.%d.%d", slot, 11+i) }

// freePorts are n ports of a slot's own that nobody listens on. They lie below those that connections begin from, so
// that they are still free when Marathon is started again.
func freePorts(t testing.TB, slot, n int) []string {
	t.Helper()
	var ports []string
	for p := 22000 + 20*slot; p < 22020+20*slot && len(ports) < n; p++ {
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(p)); err == nil {
			_ = l.Close()
			ports = append(ports, strconv.Itoa(p))
		}
	}
	if len(ports) < n {
		t.Fatalf("the ports from %d on are taken", 22000+20*slot)
	}
	return ports
}
