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
	"slices"
	"strconv"
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
	labStart = 8 * time.Minute // the first start of a version also fetches its jars
)

// answersLate lets Marathon take two minutes for an answer instead of ten seconds, after which it says 503 "Futures timed
// out": right after its start on a busy machine its first writes take longer than that (seen on 1.5).
var answersLate = []string{"--zk_timeout", "120000"}

// LabOptions say what kind of Marathon a Lab is. The zero value is Marathon 1.11 with five agents.
type LabOptions struct {
	Version string   // 1.11, 1.8, 1.7 or 1.5
	Agents  int      // each with 8 cpus, 16 GiB, rack r1 to r3 in turn
	Flags   []string // further flags of Marathon
	User    string   // "name:password" that Marathon asks for; "" for none
}

// A Lab is a real Marathon whose tasks are local processes.
type Lab struct {
	URL        string
	ControlURL string   // breaks things: see the lab's README
	MesosURL   string   // what a Mesos master answers: also on the control port
	Agents     []string // host names
	// URLs are both addresses that a Marathon of this lab may have. At the second nobody answers before a standby is
	// started; after a change of the leader the former one is silent. The fields above are the first leader's.
	URLs []string
	// MesosURLs are where a Mesos master answers beside either.
	MesosURLs []string

	script, dir string
	args        []string // of every start
	flags       []string // of Marathon
	user        string
	addresses   [2]address
	leading     int // which of the two
	lock        *os.File
	once        sync.Once
}

// An address is where one Marathon listens. The lab has two, because a member of the election cannot be followed by
// another of the same address while ZooKeeper still believes in it: "Multiple election participants have the same id".
type address struct{ port, control, mesos string }

func (a address) url() string { return "http://127.0.0.1:" + a.port }

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
	err := l.start(parent, slot, o)
	if err != nil {
		t.Logf("start Marathon %s: %v; once more, from nothing", o.Version, err)
		err = l.start(parent, slot, o)
	}
	if err != nil {
		t.Fatalf("start Marathon %s: %v", o.Version, err)
	}
	return l
}

// Stop ends Marathon, its tasks and its agents, and forgets their state. It may be called more than once.
func (l *Lab) Stop() {
	l.once.Do(func() {
		_ = l.wipe() // what is left over is ended by the next claim of the folder
		_ = l.lock.Close()
	})
}

// labScript finds the lab, or says why it cannot be had.
func labScript(t testing.TB) (script, why string) {
	t.Helper()
	if e := os.Getenv(EnvE2E); e != "1" && e != "all" {
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

// start begins from nothing: what an earlier run or try left is ended and forgotten.
func (l *Lab) start(parent string, slot int, o LabOptions) error {
	if err := l.wipe(); err != nil {
		return err
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	agents := filepath.Join(l.dir, "agents.json")
	if err := os.WriteFile(agents, labAgents(slot, o.Agents), 0o644); err != nil {
		return err
	}
	// One start at a time: the first one of a version fills a folder of jars that all share.
	turn, err := os.OpenFile(filepath.Join(parent, "start.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer turn.Close()
	if err := syscall.Flock(int(turn.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	p, err := freePorts(slot, 7)
	if err != nil {
		return err
	}
	l.addresses, l.leading = [2]address{{p[1], p[2], p[3]}, {p[4], p[5], p[6]}}, 0
	l.args = []string{"start", "--version", o.Version, "--dir", l.dir, "--agents", agents, "--zk-port", p[0]}
	l.flags = append(slices.Clone(o.Flags), answersLate...)
	if l.user = o.User; l.user != "" {
		l.flags = append(l.flags, "--http_credentials", l.user)
	}
	l.URL, l.ControlURL, l.MesosURL = l.addresses[0].url(), "http://127.0.0.1:"+p[2], "http://127.0.0.1:"+p[2]
	l.MesosURLs = []string{l.MesosURL, "http://127.0.0.1:" + p[5]}
	l.URLs, l.Agents = []string{l.URL, l.addresses[1].url()}, nil
	for i := range o.Agents {
		l.Agents = append(l.Agents, labHost(slot, i))
	}
	return l.run(l.addresses[0])
}

// run starts a Marathon and returns when it answers who leads.
func (l *Lab) run(at address) error {
	ctx, cancel := context.WithTimeout(context.Background(), labStart)
	defer cancel()
	args := append(slices.Clone(l.args), "--port", at.port, "--control-port", at.control, "--mesos-port", at.mesos)
	if len(l.flags) > 0 {
		args = append(append(args, "--"), l.flags...)
	}
	cmd := exec.CommandContext(ctx, l.script, args...)
	// Marathon 1.5 unpacks a library where it stands, and crashes when another one does so at the same place.
	cmd.Dir = filepath.Join(l.dir, "at-"+at.port)
	if err := os.MkdirAll(cmd.Dir, 0o755); err != nil {
		return err
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if l.user != "" { // the script has no password to ask with, and waits in vain
		if err := within(labTurn, func() error { return l.leads(at) }); err == nil {
			return nil // the context ends the script; what it started lives on
		}
	}
	if err := <-ended; err != nil {
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
func freePorts(slot, n int) ([]string, error) {
	var ports []string
	for p := 22000 + 20*slot; p < 22020+20*slot && len(ports) < n; p++ {
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(p)); err == nil {
			_ = l.Close()
			ports = append(ports, strconv.Itoa(p))
		}
	}
	if len(ports) < n {
		return nil, fmt.Errorf("of the ports from %d on too many are taken", 22000+20*slot)
	}
	return ports, nil
}
