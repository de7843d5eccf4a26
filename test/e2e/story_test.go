package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esfleet/esfleet/gitsrc/gittest"
	"github.com/esfleet/esfleet/marathonsink/sinktest"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// A story is one run of the whole way. Its steps are methods; each starts where the one before has ended.
type story struct {
	t        *testing.T
	name     string
	w        *workspace
	bin      string
	marathon marathon
	hosts    []string
	// sandboxes are patterns of the folders of the task TASK.
	sandboxes []string
	lab       string // the folder of the real Marathon

	repo     *gittest.Repo
	files    files
	graphite *graphite

	config string
	env    []string
	daemon *child
	api    string

	homes   map[string]string // of Elasticsearch, by version
	members []string          // addresses of Marathon, at which a leader may be
	mesos   []string          // addresses of Mesos masters, where Marathon does not name the right one
	// changeLeader makes Marathon elect another leader.
	changeLeader func()
	// meanwhile, if not nil, is done again and again while the story waits.
	meanwhile func()

	began, last time.Time
	report      []string
}

// The story is told on the simulator always, and on a real Marathon where that can be had.
func TestTheExampleFleetLivesOnTheSimulatorWithRealElasticsearch(t *testing.T) {
	t.Parallel()
	s := newStory(t, newWorkspace(t), "esfleet sim --processes")
	sim := s.startSim()
	s.tellTheWholeStory()
	sim.terminate(30 * time.Second)
	s.stage("the simulator ended, and its tasks with it")
}

// all says that what does not fit into the minutes of `make test` is wanted too.
func all() bool { return os.Getenv(sinktest.EnvE2E) == "all" }

// startSim starts the simulator with tasks that are processes.
func (s *story) startSim() *child {
	s.t.Helper()
	hosts, agents := s.w.agentsJSON()
	sim := s.w.start("sim.log", s.env, s.bin, "sim", "--listen", "127.0.0.1:0", "--agents", agents, "--processes", s.w.path("processes"))
	s.wait("the simulator to listen", func() (bool, string) {
		for line := range strings.Lines(tail(s.w.path("sim.log"), 20)) {
			if url := strings.TrimSpace(line); strings.HasPrefix(url, "http://") {
				s.marathon.url = url
				return true, ""
			}
		}
		if sim.ended() {
			s.t.Fatalf("the simulator ended: %v\n%s", sim.err, tail(s.w.path("sim.log"), 20))
		}
		return false, "its log does not say where"
	})
	s.hosts, s.sandboxes = hosts, []string{s.w.path("processes", "tasks", "TASK")}
	s.members, s.changeLeader = []string{s.marathon.url}, s.abdicate
	return sim
}

func TestTheExampleFleetLivesOnARealMarathonWithRealElasticsearch(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	s := newStory(t, w, "Marathon 1.11")
	s.startLab("1.11")
	s.tellTheWholeStory()
}

// startLab starts a real Marathon, or skips.
func (s *story) startLab(version string) {
	s.t.Helper()
	o := sinktest.LabOptions{Version: version, Agents: 5}
	if version == "1.11" { // offers come again sooner than in ten seconds
		o.Flags = []string{"--decline_offer_duration", "2000", "--min_revive_offers_interval", "100"}
	}
	s.t.Cleanup(s.endOrphans) // after the lab has stopped
	lab := sinktest.StartLab(s.t, o)
	var state struct{ Agents []struct{ Hostname string } }
	must(s.t, get(lab.ControlURL+"/state", &state))
	for _, a := range state.Agents {
		s.hosts = append(s.hosts, a.Hostname)
	}
	s.marathon.url, s.members, s.mesos = lab.URL, lab.URLs, lab.MesosURLs
	s.changeLeader = func() {
		must(s.t, lab.ChangeLeader())
		s.findLeader()
	}
	// A lab's folder has the number that its agents' addresses have in the third place.
	s.lab = filepath.Join(os.TempDir(), fmt.Sprintf("marathon-lab-%d", os.Getuid()), "esfleet-"+strings.Split(s.hosts[0], ".")[2])
	s.sandboxes = []string{filepath.Join(s.lab, "sandboxes", "TASK*")}
	s.endOrphans() // of a run that was killed
	s.stage("Marathon %s is there", version)
}

// findLeader turns to the member of Marathon that leads now.
func (s *story) findLeader() {
	s.t.Helper()
	s.wait("a leader of Marathon", func() (bool, string) {
		for _, url := range s.members {
			var who struct{ Leader string }
			if get(url+"/v2/leader", &who) == nil && strings.HasSuffix(url, "//"+who.Leader) {
				s.marathon.url = url
				return true, ""
			}
		}
		return false, strings.Join(s.members, ", ")
	})
}

// endOrphans ends the lab's tasks that have outlived it: it finds only those that have their sandbox on the command line.
// Who stands in a folder of it that is deleted belongs to a lab that is gone.
func (s *story) endOrphans() {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	must(s.t, err)
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil || s.lab == "" || !strings.HasPrefix(cwd, s.lab+"/") || !strings.HasSuffix(cwd, " (deleted)") {
			continue
		}
		var pid int
		if _, err := fmt.Sscan(strings.Split(link, "/")[2], &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
	}
}

func newStory(t *testing.T, w *workspace, name string) *story {
	t.Helper()
	bin, err := program()
	must(t, err)
	s := &story{t: t, name: name, w: w, bin: bin, marathon: marathon{t: t}, began: time.Now(), last: time.Now(),
		env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "JAVA_HOME=" + os.Getenv("JAVA_HOME")}}
	return s
}

// tellTheWholeStory is the same on every Marathon.
func (s *story) tellTheWholeStory() {
	s.publish(nil)
	s.planShowsTheCreation()
	s.creationSurvivesAKill()
	s.everythingIsAsGitSays(6, 3, 5)
	s.nothingIsLeftToDo()
	s.aSecondRunWritesNothing()
	s.aChangeConvergesThoughTheDaemonIsKilled()
	s.aRollSurvivesTheLeader()
	s.aSuspendedClusterIsLeftAlone()
	s.theDaemonStopsGracefully()
}

// publish makes the fleet's repository, without some of its folders, and serves it as git does. prepare, if not nil, may
// change the files before.
func (s *story) publish(prepare func(), without ...string) {
	s.t.Helper()
	s.t.Cleanup(s.tell) // before Marathon ends
	s.graphite = newGraphite(s.t)
	if s.homes == nil {
		s.homes = s.w.homes("7.17.28", "6.8.23")
	}
	around := surroundings{marathons: s.members, hosts: s.hosts, homes: s.homes, kibana: s.w.kibana(), graphite: s.graphite.address}
	around.plugin, around.pluginSum = servePlugin(s.t, "analysis-ik", "7.17.28")
	s.files = localFleet(s.t, around).without(without...)
	if prepare != nil {
		prepare()
	}

	user, password, _ := strings.Cut(gitLogin, ":")
	server, err := gittest.Serve(s.w.path("git"), gittest.ServerOptions{User: user, Password: password})
	must(s.t, err)
	s.t.Cleanup(func() { _ = server.Close() })
	s.repo, err = gittest.Init(s.w.path("git", "fleet.git"), "main")
	must(s.t, err)
	s.commit("the example fleet")
	s.configure(server.URL("fleet.git"))
}

func (s *story) commit(message string) {
	s.t.Helper()
	_, err := s.repo.Commit(message, s.files)
	must(s.t, err)
}

func (s *story) planShowsTheCreation() {
	s.t.Helper()
	got := s.esfleet("plan", "--detailed-exitcode")
	if got.code != 2 {
		s.t.Fatalf("plan on an empty Marathon ended with %d:\n%s%s", got.code, got.out, got.errs)
	}
	for _, want := range []string{"search/logs: converging, 6 steps", "search/catalog: converging, 3 steps", "billing/invoices: converging, 4 steps"} {
		if !strings.Contains(got.out, want) {
			s.t.Errorf("the plan lacks %s:\n%s", want, got.out)
		}
	}
	if got := s.esfleet("diff"); got.code != 1 {
		s.t.Errorf("diff with an empty Marathon ended with %d:\n%s", got.code, got.errs)
	}
	s.stage("plan shows the creation of three clusters")
}

// creationSurvivesAKill starts the daemon, kills it while masters are being started, and starts it again.
func (s *story) creationSurvivesAKill() {
	s.t.Helper()
	s.startDaemon()
	s.wait("the first masters to be created", func() (bool, string) {
		return s.marathon.apps()["/search/logs/es-master"] != nil, "there are none"
	})
	s.daemon.kill()
	s.stage("masters are being created: the daemon is killed")
	s.startDaemon()
	s.settle(nil)
	s.stage("another daemon has brought all clusters up")

	for _, c := range []struct {
		cluster string
		apps    []string
	}{
		{"/search/logs", []string{"gate", "discovery", "es-master", "es-datanode", "es2graphite", "kibana"}},
		{"/search/catalog", []string{"gate", "discovery", "es-datanode"}},
		{"/billing/invoices", []string{"gate", "discovery", "es-master", "es-datanode"}},
	} {
		s.createdInOrder(c.cluster, c.apps)
	}
}

// createdInOrder reads from Marathon's own versions that each app was created once, and after the one before was up.
func (s *story) createdInOrder(cluster string, names []string) {
	s.t.Helper()
	live := s.marathon.apps()
	before := ""
	for _, name := range names {
		id := cluster + "/" + name
		writes := s.marathon.versions(id)
		want := 1
		if name == "gate" {
			want = 2 // and the label with the cluster's uuid
		}
		if len(writes) != want {
			s.t.Errorf("%s was written %d times, want %d: %v", id, len(writes), want, writes)
		}
		if writes[0] <= before {
			s.t.Errorf("%s was created at %s, before what must come first, at %s", id, writes[0], before)
		}
		before = writes[0]
		for _, k := range live[id].Tasks {
			before = max(before, k.StartedAt)
		}
	}
	var did []string
	for _, e := range s.history() {
		if "/"+e.Cluster == cluster && e.Verb != string(plan.ChangeCluster) {
			did = append(did, e.Verb+" "+filepath.Base(e.App))
		}
	}
	var want []string
	for i, name := range names {
		want = append(want, "create "+name)
		if name == "es-master" || name == "es-datanode" && names[i-1] == "discovery" {
			want = append(want, "record-uuid gate")
		}
	}
	// An entry that a kill has interrupted is there once more after it.
	if did = slices.Compact(did); !slices.Equal(did, want) {
		s.t.Errorf("the operation log of %s is %v\nwant %v", cluster, did, want)
	}
}

// everythingIsAsGitSays asks the nodes themselves.
func (s *story) everythingIsAsGitSays(logs, catalog, invoices int) {
	s.t.Helper()
	live := s.marathon.apps()
	for _, c := range []struct {
		cluster, version string
		nodes            int
	}{{"/search/logs", "7.17.28", logs}, {"/search/catalog", "7.17.28", catalog}, {"/billing/invoices", "6.8.23", invoices}} {
		data := live[c.cluster+"/es-datanode"]
		colour, uuid := health(s.t, data.url())
		if colour != "green" {
			s.t.Errorf("%s is %s", c.cluster, colour)
		}
		if got := live[c.cluster+"/gate"].Labels["esfleet.cluster-uuid"]; got != uuid || uuid == "" {
			s.t.Errorf("the gate of %s records the cluster %q, it is %q", c.cluster, got, uuid)
		}
		nodes := nodesOf(s.t, data.url())
		if len(nodes) != c.nodes {
			s.t.Errorf("%s has %d nodes, want %d", c.cluster, len(nodes), c.nodes)
		}
		for _, n := range nodes {
			of := data
			if n.Attributes["esfleet_component"] == "master" {
				of = live[c.cluster+"/es-master"]
			}
			if n.Version != c.version || n.Attributes["esfleet_bundle"] != of.Env["ESFLEET_BUNDLE_SHA256"] {
				s.t.Errorf("%s of %s runs %s with bundle %s, want %s and %s", n.Name, c.cluster, n.Version,
					n.Attributes["esfleet_bundle"], c.version, of.Env["ESFLEET_BUNDLE_SHA256"])
			}
			s.settingsOf(c.cluster, n)
		}
	}
	s.wait("the exporter to send the cluster's health", func() (bool, string) {
		for _, m := range s.graphite.metrics() {
			if strings.HasSuffix(m, ".status 2") {
				return true, ""
			}
		}
		return false, strings.Join(s.graphite.metrics(), "\n  ")
	})
	s.stage("%d + %d + %d nodes run, green, with the bundles of git; Graphite hears of it", logs, catalog, invoices)
}

// settingsOf looks for what the example fleet is there to show.
func (s *story) settingsOf(cluster string, n node) {
	s.t.Helper()
	want := map[string]string{}
	switch {
	case cluster == "/search/logs" && strings.HasPrefix(n.Name, "data-"):
		want["indices.queries.cache.size"] = "5%"
		if slices.Contains(s.hosts[len(s.hosts)-2:], n.Host) {
			want["indices.recovery.max_bytes_per_sec"] = "20mb"
		}
		fallthrough
	case cluster == "/search/logs":
		want["search.max_buckets"] = "20000"
	case cluster == "/billing/invoices":
		want["action.destructive_requires_name"] = "true"
	case cluster == "/search/catalog":
		if len(n.Plugins) != 1 || n.Plugins[0].Name != "analysis-ik" {
			s.t.Errorf("%s has the plugins %v", n.Name, n.Plugins)
		}
	}
	for k, v := range want {
		if got := fmt.Sprint(n.Settings[k]); got != v {
			s.t.Errorf("%s: %s is %s, want %s", n.Name, k, got, v)
		}
	}
}

func (s *story) nothingIsLeftToDo() {
	s.t.Helper()
	got := s.esfleet("plan", "--detailed-exitcode")
	if got.code != 0 || !strings.Contains(got.out, "No changes") {
		s.t.Errorf("plan ended with %d:\n%s%s", got.code, got.out, got.errs)
	}
	if got := s.esfleet("diff"); got.code != 0 {
		s.t.Errorf("diff ended with %d:\n%s%s", got.code, got.out, got.errs)
	}
	s.stage("plan says 'No changes', diff ends with 0")
}

// aSecondRunWritesNothing starts a new daemon over what is converged, and lets it look several times.
func (s *story) aSecondRunWritesNothing() {
	s.t.Helper()
	before, did := s.marathon.standing(), len(s.history())
	s.daemon.terminate(15 * time.Second)
	s.startDaemon()
	s.settle(nil)
	if d := differences(before, s.marathon.standing()); len(d) > 0 {
		s.t.Errorf("the second run changed\n%s", strings.Join(d, "\n"))
	}
	if n := len(s.history()); n != did {
		s.t.Errorf("the second run wrote: %+v", s.history()[did:])
	}
	s.stage("a second run wrote nothing")
}

// aChangeConvergesThoughTheDaemonIsKilled commits one more data node and another Kibana.
func (s *story) aChangeConvergesThoughTheDaemonIsKilled() {
	s.t.Helper()
	before := s.marathon.apps()
	s.files.merge(s.t, logsFile, "{data: {replicas: 4}, kibana: {env: {GREETING: welcome}}}")
	s.commit("one more data node, another greeting")
	s.wait("the data nodes to be scaled", func() (bool, string) {
		return s.marathon.apps()["/search/logs/es-datanode"].Instances == 4, "they are not"
	})
	s.daemon.kill()
	s.stage("one more data node is being started: the daemon is killed")
	s.startDaemon()
	s.settle(nil)
	after := s.marathon.apps()
	for id, a := range after {
		runs := a.runs()
		switch id {
		case "/search/logs/kibana":
			if a.Env["GREETING"] != "welcome" || slices.Equal(runs, before[id].runs()) {
				s.t.Errorf("Kibana is not the new one: %v", runs)
			}
		case "/search/logs/es-datanode":
			if len(runs) != 4 {
				s.t.Errorf("%d data nodes run, want 4", len(runs))
			}
			for _, r := range before[id].runs() {
				if !slices.Contains(runs, r) {
					s.t.Errorf("the data node %s was not left alone: %v", r, runs)
				}
			}
		default:
			if !slices.Equal(runs, before[id].runs()) || a.Version != before[id].Version {
				s.t.Errorf("%s was touched: %v, was %v", id, runs, before[id].runs())
			}
		}
	}
	s.stage("another daemon has finished the change")
	s.everythingIsAsGitSays(7, 3, 5)
}

// aSuspendedClusterIsLeftAlone suspends one by hand, commits a change of it, and resumes.
func (s *story) aSuspendedClusterIsLeftAlone() {
	s.t.Helper()
	if got := s.esfleet("suspend", "search/logs", "--reason", "disks are replaced", "--for", "1h"); got.code != 0 {
		s.t.Fatalf("suspend ended with %d:\n%s%s", got.code, got.out, got.errs)
	}
	s.settle(map[string]plan.Phase{"search/logs": plan.IsSuspended})
	before := s.marathon.standing()
	s.files.merge(s.t, logsFile, "{kibana: {env: {GREETING: good day}}}")
	s.commit("yet another greeting")
	s.settle(map[string]plan.Phase{"search/logs": plan.IsSuspended})
	if d := differences(before, s.marathon.standing()); len(d) > 0 {
		s.t.Errorf("a suspended cluster was touched:\n%s", strings.Join(d, "\n"))
	}
	if got := s.esfleet("resume", "search/logs"); got.code != 0 {
		s.t.Fatalf("resume ended with %d:\n%s%s", got.code, got.out, got.errs)
	}
	s.settle(nil)
	if got := s.marathon.apps()["/search/logs/kibana"].Env["GREETING"]; got != "good day" {
		s.t.Errorf("after the resume Kibana's greeting is %q", got)
	}
	s.stage("suspended: a commit was left alone; resumed: it converged")
}

func (s *story) theDaemonStopsGracefully() {
	s.t.Helper()
	did := s.esfleet("history", "--server", s.api, "--cluster", "search/logs")
	if did.code != 0 || !strings.Contains(did.out, "es-datanode") {
		s.t.Errorf("history ended with %d:\n%s%s", did.code, did.out, did.errs)
	}
	s.daemon.terminate(15 * time.Second)
	s.stage("SIGTERM: the daemon ended with 0")
	before := s.marathon.standing()
	if got := s.esfleet("apply", "--timeout", "2m"); got.code != 0 || !strings.Contains(got.out, "No changes") {
		s.t.Errorf("apply after the daemon ended with %d:\n%s%s", got.code, got.out, got.errs)
	}
	if d := differences(before, s.marathon.standing()); len(d) > 0 {
		s.t.Errorf("apply without a change changed\n%s", strings.Join(d, "\n"))
	}
	s.t.Logf("the operation log of search/logs:\n%s", did.out)
}
