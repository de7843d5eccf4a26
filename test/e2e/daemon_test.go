package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
)

const daemonLog = "daemon.log"

// gitLogin is the user and the password of the story's git server, as the program finds them in its environment.
const gitLogin = "fleet:read-only-token"

// configure writes the program's configuration file.
func (s *story) configure(repo string) {
	s.t.Helper()
	s.config = s.w.write("esfleet.yaml", fmt.Sprintf(`fleet: %s
branch: main
gitCredential: env:STORY_GIT
state: %s
listen: 127.0.0.1:0
poll: 1s
resync: 3s
mesos: %q
`, repo, s.w.path("state"), strings.Join(s.mesos, ",")), 0o644)
	s.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.w.dir, "USER=story", "STORY_GIT=" + gitLogin}
}

// startDaemon starts `esfleet run` and finds the address that it listens on in its log.
func (s *story) startDaemon() {
	s.t.Helper()
	before, _ := os.Stat(s.w.path(daemonLog))
	var from int64
	if before != nil {
		from = before.Size()
	}
	s.daemon = s.w.start(daemonLog, s.env, s.bin, "run", "--config", s.config)
	s.wait("the daemon to listen", func() (bool, string) {
		if s.daemon.ended() {
			s.t.Fatalf("the daemon ended: %v", s.daemon.err)
		}
		log, err := os.ReadFile(s.w.path(daemonLog))
		must(s.t, err)
		for line := range strings.Lines(string(log[from:])) {
			var entry struct{ Msg, Listen string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "esfleet runs" {
				s.api = "http://" + entry.Listen
				return true, ""
			}
		}
		return false, "its log does not say where"
	})
}

// A status is what the daemon's API tells, as far as the story reads it.
type status struct {
	Commit   string
	LookedAt time.Time
	Refusal  string
	Problems []string
	Unknown  []string
	Clusters []struct {
		Cluster      string
		Phase        plan.Phase
		Holds, Waits []struct{ App, Rule, Why string }
	}
}

func (s *story) status() (st status, err error) {
	s.t.Helper()
	if s.daemon.ended() {
		s.t.Fatalf("the daemon ended: %v", s.daemon.err)
	}
	return st, get(s.api+"/api/v1/status", &st)
}

// settle waits until the daemon has looked at the newest commit twice and every cluster is in the phase it should be in
// (converged, if phases does not say).
func (s *story) settle(phases map[string]plan.Phase) status {
	s.t.Helper()
	head, err := s.repo.Head()
	must(s.t, err)
	var first time.Time
	var last status
	s.wait("every cluster to settle", func() (bool, string) {
		if s.meanwhile != nil {
			s.meanwhile()
		}
		st, err := s.status()
		if err != nil {
			return false, err.Error() // 503 until it has looked
		}
		if len(st.Problems) > 0 {
			s.t.Fatalf("the commit has problems: %v", st.Problems)
		}
		last = st
		settled, why := settledAt(st, head, phases)
		if !settled {
			first = time.Time{}
			return false, why
		}
		if first.IsZero() {
			first = st.LookedAt
		}
		return st.LookedAt.After(first), "seen once"
	})
	return last
}

func settledAt(st status, commit string, phases map[string]plan.Phase) (bool, string) {
	var why []string
	if st.Commit != commit {
		why = append(why, "commit is "+st.Commit)
	}
	why = append(why, st.Problems...)
	why = append(why, st.Unknown...)
	if st.Refusal != "" {
		why = append(why, st.Refusal)
	}
	for _, c := range st.Clusters {
		want := plan.Converged
		if p, ok := phases[c.Cluster]; ok {
			want = p
		}
		if c.Phase == want {
			continue
		}
		line := fmt.Sprintf("%s is %s, not %s", c.Cluster, c.Phase, want)
		for _, x := range c.Waits {
			line += fmt.Sprintf("; waits %s: %s", x.Rule, x.Why)
		}
		for _, x := range c.Holds {
			line += fmt.Sprintf("; holds %s: %s", x.Rule, x.Why)
		}
		why = append(why, line)
	}
	return len(why) == 0 && len(st.Clusters) > 0, strings.Join(why, "\n  ")
}

// history is the operation log, oldest first.
func (s *story) history() []oplog.Entry {
	s.t.Helper()
	var out []oplog.Entry
	if err := get(s.api+"/api/v1/history?limit=1000", &out); err != nil {
		s.t.Fatal(err)
	}
	if len(out) > 1 && out[0].ID > out[len(out)-1].ID {
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// esfleet calls the program as a person does while the daemon runs: with its configuration, but a mirror of one's own.
func (s *story) esfleet(args ...string) answer {
	s.t.Helper()
	if args[0] != "history" {
		args = append(args, "--config", s.config, "--state", s.w.path("person"))
	}
	return s.w.call(s.env, append([]string{s.bin}, args...)...)
}

// wait polls until done, and gives up after ten minutes with what is still amiss.
func (s *story) wait(what string, done func() (ok bool, state string)) {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Minute)
	for {
		ok, state := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited 10 minutes for %s:\n  %s", what, state)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// stage notes what has been reached and when.
func (s *story) stage(format string, args ...any) {
	now := time.Now()
	s.report = append(s.report, fmt.Sprintf("%6.1f s  +%5.1f s  %s", now.Sub(s.began).Seconds(), now.Sub(s.last).Seconds(), fmt.Sprintf(format, args...)))
	s.last = now
}

// tell prints the report, and after a failure what is needed to understand it.
func (s *story) tell() {
	s.t.Logf("%s:\n  %s", s.name, strings.Join(s.report, "\n  "))
	if !s.t.Failed() {
		return
	}
	if s.api != "" && !s.daemon.ended() {
		if st, err := s.status(); err == nil {
			s.t.Logf("status of %s: refusal %q, problems %v, unknown %v", st.Commit, st.Refusal, st.Problems, st.Unknown)
			for _, c := range st.Clusters {
				s.t.Logf("  %s is %s, holds %v, waits %v", c.Cluster, c.Phase, c.Holds, c.Waits)
			}
		}
		if did := s.esfleet("history", "--server", s.api, "--limit", "30"); did.code == 0 {
			s.t.Logf("the operation log:\n%s", did.out)
		}
	}
	s.t.Logf("the end of %s:\n%s", daemonLog, tail(s.w.path(daemonLog), 40))
	var list struct{ Apps []*app }
	if err := get(s.marathon.url+"/v2/apps?embed=apps.tasks&embed=apps.deployments&embed=apps.lastTaskFailure", &list); err != nil {
		s.t.Logf("Marathon: %v", err)
	}
	for _, a := range list.Apps {
		s.t.Logf("%s: %d instances, %d healthy, deployments %v, failure %+v", a.ID, a.Instances, a.TasksHealthy, a.Deployments, a.LastFailure)
		for _, k := range a.Tasks {
			s.t.Logf("  %s %s at %s:%v", k.State, k.ID, k.Host, k.Ports)
			if a.TasksHealthy < a.Instances || a.LastFailure != nil {
				s.t.Logf("%s", s.words(k.ID))
			}
		}
		if a.LastFailure != nil {
			s.t.Logf("%s", s.words(a.LastFailure.TaskID))
		}
	}
}

// words are the last lines that a task has written.
func (s *story) words(task string) string {
	var out []string
	for _, pattern := range s.sandboxes {
		for _, name := range []string{"stdout", "stderr"} {
			found, _ := filepath.Glob(filepath.Join(strings.ReplaceAll(pattern, "TASK", task), name))
			for _, f := range found {
				out = append(out, "    "+f+"\n"+tail(f, 12))
			}
		}
	}
	return strings.Join(out, "\n")
}

func tail(file string, lines int) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
