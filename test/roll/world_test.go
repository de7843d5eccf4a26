package roll_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink/sinktest"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/spec"
)

// A world is a real Marathon with stand-in nodes, what git holds, and a daemon that may die.
type world struct {
	t       *testing.T
	lab     *sinktest.Lab
	law     *law
	board   *board
	es      *elasticsearch
	table   *table
	home    string
	masters bool // of their own
	word    int
	input   reconcile.Input

	daemon  *daemon
	pass    pass
	watched bool // the cluster is created: every write is judged

	pushAgain atomic.Bool // git changes before the next look

	leading   int        // which of the lab's addresses
	changing  chan error // a change of the leader under way
	changedAt verb       // after which write
}

// A pass is one commit that changes every node's environment, with what happens on its way.
type pass struct {
	name   string
	deaths []point
	again  bool          // git changes once more as soon as the gate is closed, so that there are two commits
	alone  time.Duration // how long nobody comes back after a death
	leader []verb        // after which the leader dies, in order
	// foreign is before which steps somebody else restarts an app with nodes.
	foreign []plan.Verb
}

func newWorld(t *testing.T, x *table) *world {
	t.Helper()
	version, masters := x.version, x.masters
	flags := []string{"--decline_offer_duration", "2000", "--scale_apps_interval", "15000", "--task_reservation_timeout", "5000"}
	if version == "1.11" {
		flags = append(flags, "--min_revive_offers_interval", "100")
	}
	w := &world{t: t, law: newLaw(t), table: x, masters: masters}
	w.lab = sinktest.StartLab(t, sinktest.LabOptions{Version: version, Agents: 4, Flags: flags})
	w.board = newBoard(t, w.law)
	master := spec.Data
	if masters {
		master = spec.Master
	}
	w.es = newElasticsearch(w.board, master, 3)
	w.home = standIn(t, w.board.address)
	return w
}

// standIn is a distribution's folder that any user can read, with the stand-in in Elasticsearch's place.
func standIn(t *testing.T, board string) string {
	t.Helper()
	home, err := os.MkdirTemp("", "esfleet-roll-") // not t.TempDir: as root, the nodes become a user who may not enter that
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	must(t, os.Chmod(home, 0o755))
	for _, dir := range []string{"bin", "config", "plugins"} {
		must(t, os.Mkdir(filepath.Join(home, dir), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(home, "config", "board"), []byte(board), 0o644))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(home, "bin", "elasticsearch"), "./testdata/node")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the stand-in: %v\n%s", err, out)
	}
	return home
}

// push makes the next word what git says.
func (w *world) push() {
	w.t.Helper()
	w.word++
	nodes := fmt.Sprintf("{replicas: 3, cpus: 0.1, memory: 256MiB, heap: 128MiB, disk: 64MiB, env: {WORD: %q}}", fmt.Sprint(w.word))
	master := ""
	if w.masters {
		master = "master: " + nodes + "\n"
	}
	s := snapshot.FromMap(fmt.Sprintf("%040d", w.word), map[string]string{
		"fleet.yaml":               fmt.Sprintf("apiVersion: esfleet/v1\nkind: Fleet\nname: roll\nmarathons: {main: {urls: [%q, %q]}}\n", w.lab.URLs[0], w.lab.URLs[1]),
		"groups/search/group.yaml": "apiVersion: esfleet/v1\nkind: Group\nmarathon: main\n",
		"groups/search/clusters/logs/cluster.yaml": fmt.Sprintf(`apiVersion: esfleet/v1
kind: Cluster
purpose: online
containerizer: mesos
elasticsearch: {version: "7.17.28", home: %q, user: nobody}
%sdata: %s
discovery: {mode: static, address: "127.0.0.1:9300"}
checks: {interval: 1s, timeout: 1s}
rollout: {canary: 0}
`, w.home, master, nodes),
	})
	f, problems := spec.Parse(s, nil)
	if len(problems) > 0 {
		w.t.Fatalf("problems: %v", problems)
	}
	w.input = reconcile.Input{Fleet: f, Blobs: s}
}

// nodes is how many there are.
func (w *world) nodes() int {
	if w.masters {
		return 6
	}
	return 3
}

// patience is how long a pass may come no nearer to its end before that is given up: a loaded machine is slow, and after a
// change of the leader the daemon rests.
const patience = 5 * time.Minute

// create lets the daemon make the cluster, undisturbed.
func (w *world) create() {
	w.t.Helper()
	w.push()
	w.until("the cluster is created", func(v *reconcile.View) bool { return v.Converged() && len(w.board.nodes()) == w.nodes() })
	w.law.created(w.board.nodes())
	w.board.hold(false)
	w.watched = true
	w.law.moves("created")
}

// until lets the daemon work until something is so.
func (w *world) until(what string, so func(*reconcile.View) bool) {
	w.t.Helper()
	var v *reconcile.View
	for {
		w.settleLeader()
		busy := false
		if v, busy = w.turn(); v != nil && so(v) {
			return
		}
		if w.law.rests() > patience || w.t.Context().Err() != nil {
			b := &strings.Builder{}
			if v != nil {
				_ = plan.Text(b, v.Plans())
			}
			w.t.Fatalf("never came true: %s\n%s%v", what, b, v.Unknown)
		}
		if busy {
			time.Sleep(100 * time.Millisecond)
		} else {
			time.Sleep(300 * time.Millisecond)
		}
	}
}

// turn looks and acts once, with a new daemon if the last one has died; it returns nil if this one dies.
func (w *world) turn() (v *reconcile.View, busy bool) {
	if w.daemon != nil && w.daemon.dead.Load() {
		w.mourn(w.daemon.died)
		w.daemon = nil
	}
	if w.daemon == nil {
		w.daemon = w.start()
	}
	if w.pushAgain.Swap(false) {
		w.push()
		w.law.moves("git changes again: word %d", w.word)
	}
	v = w.daemon.r.Look(w.t.Context(), w.input)
	w.interfere(v)
	done := w.daemon.r.Act(w.t.Context(), v)
	for _, d := range done {
		if d.Why != "" {
			w.law.say("%s %s: %s: %s", d.Step.Verb, d.Step.App, d.State, d.Why)
		}
	}
	if w.daemon.dead.Load() {
		return nil, true
	}
	return v, len(done) > 0
}

// mourn leaves Marathon alone for a while after the daemon's death, and sees what it does by itself.
func (w *world) mourn(p point) {
	if w.changing != nil {
		return // the leader died with it, and has a row of its own
	}
	row := w.table.row(p.verb, p.moment.String())
	if w.pass.alone == 0 || p.moment != afterAnswer {
		row.then = "another goes on at once"
		return
	}
	down, before, _ := w.law.counts()
	time.Sleep(w.pass.alone)
	nowDown, after, _ := w.law.counts()
	row.alone, row.down, row.stopped = w.pass.alone, nowDown, after-before
	want, may := 0, 0
	switch p.verb {
	case stopNode:
		want, may = 1, 1-down // it may have ended only after the answer
	case restartNode:
		may = 1
	}
	if nowDown != want || after-before > may {
		w.law.breaks("alone for %s after %s: %d nodes are down, %d have ended", w.pass.alone, p, nowDown, after-before)
	}
	row.then = "another goes on"
}

// settleLeader takes note of a change of the leader that has ended, and starts the standby for the next one.
func (w *world) settleLeader() {
	w.t.Helper()
	if w.changing != nil {
		select {
		case err := <-w.changing:
			w.changed(err)
			must(w.t, err)
		default:
			return
		}
	}
	if len(w.pass.leader) > 0 {
		_, err := w.lab.Standby()
		must(w.t, err)
	}
}

// changed takes note of the end of a change of the leader.
func (w *world) changed(err error) {
	w.changing = nil
	w.board.hold(false)
	if err != nil {
		w.law.breaks("there is no next leader: %v", err)
		return
	}
	w.law.moves("the leader has changed")
	row := w.table.row(w.changedAt, leaderDies)
	row.then = "goes on under the next leader"
}

// run makes a pass, and checks that all is as git says at its end.
func (w *world) run(t *testing.T, p pass) {
	t.Helper()
	defer w.speakTo(w.t)
	w.speakTo(t)
	began := time.Now()
	w.pass = p
	w.law.newPass()
	w.push()
	w.law.moves("pass with word %d", w.word)
	w.until("git and Marathon say the same", func(v *reconcile.View) bool { return v.Converged() && w.changing == nil })
	if left := w.pass; len(left.deaths)+len(left.leader)+len(left.foreign) > 0 {
		w.t.Errorf("nothing has come of %+v", left)
	}
	w.law.passed(fmt.Sprint(w.word), len(p.foreign) == 0)
	w.atRest()
	w.law.say("pass ended after %s", time.Since(began).Round(time.Second))
}

// speakTo makes t the test that hears of everything.
func (w *world) speakTo(t *testing.T) {
	w.law.mu.Lock()
	defer w.law.mu.Unlock()
	w.t, w.law.t = t, t
}

// atRest checks what Marathon itself shows when all is done.
func (w *world) atRest() {
	w.t.Helper()
	if open := w.deployments(); len(open) > 0 {
		w.t.Errorf("deployments are left open: %v", open)
	}
	var gate struct{ App struct{ Instances int } }
	w.get("/v2/apps/search/logs/gate", &gate)
	if gate.App.Instances != 0 {
		w.t.Errorf("the gate is left at %d", gate.App.Instances)
	}
}

func (w *world) deployments() (ids []string) {
	w.t.Helper()
	var open []struct{ ID string }
	w.get("/v2/deployments", &open)
	for _, d := range open {
		ids = append(ids, d.ID)
	}
	return ids
}

func (w *world) get(path string, into any) {
	w.t.Helper()
	w.call(http.MethodGet, path, into)
}

// call is one by somebody else.
func (w *world) call(method, path string, into any) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.lab.URLs[w.leading]+path, nil)
	must(w.t, err)
	res, err := wire.RoundTrip(r)
	must(w.t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		w.t.Fatalf("%s %s: %s", method, path, res.Status)
	}
	must(w.t, json.NewDecoder(res.Body).Decode(into))
}

// interfere lets somebody else restart the app of a step that is due, right before it would be taken, and hang: no node
// becomes ready. Nothing may be written until that deployment has ended by itself.
func (w *world) interfere(v *reconcile.View) {
	w.t.Helper()
	if len(w.pass.foreign) == 0 || len(v.Clusters) != 1 {
		return
	}
	step := v.Clusters[0].Plan.Next()
	if step == nil || step.Verb != w.pass.foreign[0] {
		return
	}
	w.pass.foreign = w.pass.foreign[1:]
	w.board.hold(true)
	w.law.setForeign(true)
	w.law.say("somebody restarts %s before %s", step.App, step.Verb)
	var answer struct{}
	w.call(http.MethodPost, "/v2/apps"+string(step.App)+"/restart", &answer)
	w.daemon.r.Act(w.t.Context(), v) // which must be refused: the look is old
	const hangs = 5 * time.Second
	for end := time.Now().Add(hangs); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		w.daemon.r.Act(w.t.Context(), w.daemon.r.Look(w.t.Context(), w.input))
	}
	w.board.hold(false)
	for end := time.Now().Add(patience); w.law.isForeign(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatal("the foreign deployment does not end")
		}
		w.daemon.r.Act(w.t.Context(), w.daemon.r.Look(w.t.Context(), w.input))
		w.foreignEnds()
	}
	row := w.table.row(ahead(step.Verb), foreignRestart)
	row.then = "waits, writes nothing"
}

// foreignEnds takes note of the end of somebody else's deployment. It is asked before each write too: the daemon may see
// that end first.
func (w *world) foreignEnds() {
	if w.law.isForeign() && len(w.deployments()) == 0 {
		w.law.setForeign(false)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
