package marathonsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Processes runs tasks as real processes of this machine, under dir: a sandbox for each task, a folder for each
// volume. What an earlier, killed run left running is found by its pid files and ended. Agents must be addresses of
// this machine (127.0.0.11 …). It knows no images, cgroups or fetching: cmd runs as it is.
func Processes(dir string) (Runner, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("run tasks under %s: %w", dir, err)
	}
	r := &processes{dir: dir, client: &http.Transport{DisableKeepAlives: true}}
	for _, sub := range []string{"tasks", "volumes", "pids"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("run tasks under %s: %w", dir, err)
		}
	}
	return r, r.endLeftOvers()
}

type processes struct {
	dir    string
	client *http.Transport
	wg     sync.WaitGroup
}

// Close waits for the processes that were killed.
func (r *processes) Close() { r.wg.Wait() }

// endLeftOvers kills what pid files name, unless the number belongs to another process by now.
func (r *processes) endLeftOvers() error {
	files, err := filepath.Glob(filepath.Join(r.dir, "pids", "*"))
	if err != nil {
		return fmt.Errorf("look for left-over tasks: %w", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return fmt.Errorf("look for left-over tasks: %w", err)
		}
		var pid int
		var born string
		if n, _ := fmt.Sscan(string(b), &pid, &born); n == 2 && birth(pid) == born {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // it may end by itself meanwhile
		}
		if err := os.Remove(f); err != nil {
			return fmt.Errorf("look for left-over tasks: %w", err)
		}
	}
	return nil
}

// birth is when a process began, in the kernel's ticks; "" if there is none.
func birth(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // the name before may hold anything
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

type process struct {
	runner  *processes
	cmd     *exec.Cmd
	sandbox string
	host    string
	gone    chan struct{}
}

func (r *processes) Start(t Task, ended func(Exit)) (Process, error) {
	sandbox := filepath.Join(r.dir, "tasks", string(t.ID))
	uid, err := lookUp(t.User)
	if err != nil {
		return nil, err
	}
	if err := r.prepare(t, sandbox, uid); err != nil {
		return nil, fmt.Errorf("prepare the sandbox: %w", err)
	}
	p := &process{runner: r, sandbox: sandbox, host: t.Host, gone: make(chan struct{})}
	argv := append([]string{"/bin/sh", "-c"}, t.Cmd)
	if t.Cmd == "" {
		argv = t.Args
	}
	if len(argv) == 0 {
		return nil, errors.New("there is neither cmd nor args, and images are not run")
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir, p.cmd.Env = sandbox, environment(t, sandbox)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: uid}
	out, err := os.Create(filepath.Join(sandbox, "stdout"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	bad, err := os.Create(filepath.Join(sandbox, "stderr"))
	if err != nil {
		return nil, err
	}
	defer bad.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, bad
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	pid := p.cmd.Process.Pid
	pidFile := filepath.Join(r.dir, "pids", string(t.ID))
	if err := os.WriteFile(pidFile, fmt.Appendf(nil, "%d %s\n", pid, birth(pid)), 0o644); err != nil {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // without its file nobody could end it later
		_ = p.cmd.Wait()
		return nil, err
	}
	r.wg.Go(func() {
		err := p.cmd.Wait()
		_ = syscall.Kill(-pid, syscall.SIGKILL) // children that the task left behind
		_ = os.Remove(pidFile)
		close(p.gone)
		ended(p.exit(err))
	})
	return p, nil
}

// prepare makes the sandbox with its volumes linked in, owned by the task's user.
func (r *processes) prepare(t Task, sandbox string, uid *syscall.Credential) error {
	if err := os.MkdirAll(sandbox, 0o755); err != nil {
		return err
	}
	own := []string{sandbox}
	for _, v := range t.Volumes {
		dir := r.volume(v)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		link := filepath.Join(sandbox, filepath.Base(v.ContainerPath))
		if err := os.Symlink(dir, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		own = append(own, dir)
	}
	if uid == nil {
		return nil
	}
	for _, dir := range own {
		if err := os.Chown(dir, int(uid.Uid), int(uid.Gid)); err != nil {
			return err
		}
	}
	return nil
}

func (r *processes) volume(v Volume) string {
	return filepath.Join(r.dir, "volumes", strings.ReplaceAll(v.PersistenceID, "/", "_"))
}

// Destroy deletes a volume's folder. It is called while its task may still be ending.
func (r *processes) Destroy(_ string, v Volume) { _ = os.RemoveAll(r.volume(v)) }

// lookUp is nil for no user, and for who is no superuser: then everything runs as oneself.
func lookUp(name string) (*syscall.Credential, error) {
	if name == "" || os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// environment is what Mesos and Marathon give a task: nothing of ours but where programs are.
func environment(t Task, sandbox string) []string {
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": sandbox, "LANG": os.Getenv("LANG"), "JAVA_HOME": os.Getenv("JAVA_HOME"),
		"HOST": t.Host, "MESOS_SANDBOX": sandbox, "MESOS_DIRECTORY": sandbox, "MESOS_TASK_ID": string(t.ID),
		"MARATHON_APP_ID": string(t.App), "MARATHON_APP_VERSION": t.Version,
		"MARATHON_APP_RESOURCE_CPUS": fmt.Sprint(t.CPUs), "MARATHON_APP_RESOURCE_MEM": fmt.Sprint(t.Mem),
		"MARATHON_APP_RESOURCE_DISK": fmt.Sprint(t.Disk), "MARATHON_APP_RESOURCE_GPUS": fmt.Sprint(t.GPUs),
	}
	var ports, labels []string
	for i, p := range t.Ports {
		n := strconv.Itoa(p)
		ports = append(ports, n)
		env[fmt.Sprintf("PORT%d", i)] = n
		if name := t.PortNames[i]; name != "" {
			env["PORT_"+variable(name)] = n
		}
	}
	if len(ports) > 0 {
		env["PORT"], env["PORTS"] = ports[0], strings.Join(ports, ",")
	}
	for k, v := range t.Labels {
		labels = append(labels, variable(k))
		env["MARATHON_APP_LABEL_"+variable(k)] = v
	}
	slices.Sort(labels)
	env["MARATHON_APP_LABELS"] = strings.Join(labels, " ")
	for k, v := range t.Env {
		env[k] = v
	}
	out := make([]string, 0, len(env))
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}

// variable makes a name fit for an environment.
func variable(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, name)
}

// exit words the end of a process; a failure carries the last of what it wrote to stderr.
func (p *process) exit(err error) Exit {
	e := Exit{Message: "Command exited with status 0"}
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		return e
	}
	e.Code = failed.ExitCode()
	e.Message = fmt.Sprintf("Command exited with status %d", e.Code)
	if st, ok := failed.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		e.Signalled = true
		word := st.Signal().String()
		e.Message = "Command terminated with signal " + strings.ToUpper(word[:1]) + word[1:]
	}
	if last := lastWords(filepath.Join(p.sandbox, "stderr")); last != "" && !e.Signalled {
		e.Message += ": " + last
	}
	return e
}

// lastWords are the last lines of a file, 500 bytes at most.
func lastWords(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size < 500 {
		_, _ = f.Seek(0, io.SeekStart)
	} else {
		_, _ = f.Seek(-500, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

func (p *process) Kill(grace time.Duration) {
	select {
	case <-p.gone: // its number may be another's by now
		return
	default:
	}
	pid := p.cmd.Process.Pid
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	p.runner.wg.Go(func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-p.gone:
		case <-t.C:
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	})
}

func (p *process) Do(r *http.Request) (*http.Response, error) { return p.runner.client.RoundTrip(r) }

func (p *process) Connect(ctx context.Context, port int) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(p.host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return c.Close()
}

func (p *process) Exec(ctx context.Context, cmd string) error {
	c := exec.CommandContext(ctx, "/bin/sh", "-c", cmd)
	c.Dir, c.Env = p.sandbox, p.cmd.Env
	c.SysProcAttr = &syscall.SysProcAttr{Credential: p.cmd.SysProcAttr.Credential}
	return c.Run()
}
