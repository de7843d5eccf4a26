package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// A life is one cluster that is changed again and again while clients write to it.
type life struct {
	*story
	cluster string            // "search/logs"
	file    string            // its cluster.yaml
	own     map[string]string // settings of the running cluster that git wants
	nodes   *directory
	clients *clients
	watcher *watcher

	dice     *rand.Rand
	nextKill time.Time
	kills    int         // of the daemon, by dice
	hurt     []time.Time // when the story killed or froze a node
}

// begin makes an index and lets the clients write from now on.
func (s *story) begin(cluster, file, kind string, own map[string]string) *life {
	s.t.Helper()
	seed := uint64(time.Now().UnixNano())
	s.t.Logf("the daemon is killed by the dice of seed %d", seed)
	l := &life{story: s, cluster: cluster, file: file, own: own, dice: rand.New(rand.NewPCG(seed, 0)),
		nodes: &directory{marathon: s.marathon.url, cluster: cluster}}
	l.nodes.refresh()
	l.es(http.MethodPut, "/"+index, `{"settings":{"index":{"number_of_shards":2}}}`, nil)
	l.await("the index to be whole", func() (bool, string) {
		colour, err := colourAt(l.nodes.data()[0])
		return colour == "green", fmt.Sprint(colour, err)
	})
	l.watcher = startWatcher(l.nodes)
	l.clients = startClients(l.nodes, kind)
	s.t.Cleanup(func() { // before Marathon ends, if a step has failed
		l.watcher.end()
		l.clients.end()
	})
	return l
}

// es asks the cluster, by whichever data node answers.
func (l *life) es(method, path, body string, into any) {
	l.t.Helper()
	var last string
	for try := range 40 {
		urls := l.nodes.data()
		if len(urls) == 0 {
			l.t.Fatal("no data node runs")
		}
		req, err := http.NewRequest(method, urls[try%len(urls)]+path, strings.NewReader(body))
		must(l.t, err)
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			last = err.Error()
		} else {
			b, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode/100 == 2 {
				if into != nil {
					must(l.t, json.NewDecoder(bytes.NewReader(b)).Decode(into))
				}
				return
			}
			last = fmt.Sprintf("%s %.300s", res.Status, b)
		}
		time.Sleep(500 * time.Millisecond)
	}
	l.t.Fatalf("%s %s: %s", method, path, last)
}

// await is wait with the dice thrown meanwhile, if they are.
func (l *life) await(what string, done func() (bool, string)) {
	l.t.Helper()
	l.wait(what, func() (bool, string) {
		l.throw()
		return done()
	})
}

// killDaemon lets the daemon be killed at random moments, about n times, until it is called with 0.
func (l *life) killDaemon(n int) {
	l.kills = n
	l.nextKill = l.moment()
	l.story.meanwhile = l.throw
	if n == 0 {
		l.story.meanwhile = nil
	}
}

func (l *life) moment() time.Time {
	return time.Now().Add(3*time.Second + time.Duration(l.dice.Int64N(int64(20*time.Second))))
}

func (l *life) throw() {
	if l.kills == 0 || time.Now().Before(l.nextKill) {
		return
	}
	l.kills--
	l.daemon.kill()
	l.startDaemon()
	l.stage("the daemon was killed with -9 and started again")
	l.nextKill = l.moment()
}

// change commits an overlay of the cluster's file.
func (l *life) change(message, overlay string) {
	l.t.Helper()
	l.files.merge(l.t, l.file, overlay)
	l.commit(message)
}

// master is the name of the elected one.
func (l *life) master() (name string) {
	l.t.Helper()
	l.await("a master", func() (bool, string) {
		for _, url := range l.nodes.data() {
			answer, err := text(url + "/_cat/master?h=node&master_timeout=1s")
			if name = strings.TrimSpace(answer); err == nil && name != "" && name != "-" {
				return true, ""
			}
		}
		return false, "nobody knows one"
	})
	return name
}

// turns are the nodes that had their turn since the log had n entries, in order. A turn that a kill has interrupted is
// there twice.
func (l *life) turns(n int) []string {
	l.t.Helper()
	var out []string
	for _, x := range stops(l.history()[n:], l.cluster) {
		if x.verb != plan.RemoveNode {
			out = append(out, x.node)
		}
	}
	return slices.Compact(out)
}

// awaitTurns waits until so many nodes have been stopped for their turn.
func (l *life) awaitTurns(from, n int) {
	l.t.Helper()
	l.await(fmt.Sprintf("turn %d to begin", n), func() (bool, string) {
		turns := l.turns(from)
		return len(turns) >= n, fmt.Sprintf("so far %v; %s", turns, l.reasons())
	})
}

// reasons are why the cluster is not converged, for a report.
func (l *life) reasons() string {
	st, err := l.status()
	if err != nil {
		return err.Error()
	}
	for _, c := range st.Clusters {
		if c.Cluster == l.cluster {
			return fmt.Sprintf("%s, holds %v, waits %v", c.Phase, c.Holds, c.Waits)
		}
	}
	return "the status lacks the cluster"
}

// rolled checks a roll of all nodes: the one that was down, if any, then data nodes by name, then masters, and last the one
// that was elected when it began.
func (l *life) rolled(from int, down, elected string) {
	l.t.Helper()
	got := l.turns(from)
	var want []string
	if down != "" {
		want = append(want, down)
	}
	for _, n := range l.names() {
		if n != elected && n != down {
			want = append(want, n)
		}
	}
	want = append(want, elected)
	if !slices.Equal(got, want) {
		l.t.Errorf("the turns were %v\nwant %v", got, want)
	}
	l.report = append(l.report, "          turns: "+strings.Join(got, " "))
}

// upgraded checks a roll of all nodes in which one may have had its turn early, because it was down anyway: every data node
// comes before every master, each once.
func (l *life) upgraded(from int, elected string) {
	l.t.Helper()
	got := l.turns(from)
	data := 0
	for data < len(got) && strings.HasPrefix(got[data], "data-") {
		data++
	}
	all := l.names() // data nodes first
	if !slices.Equal(slices.Concat(slices.Sorted(slices.Values(got[:data])), slices.Sorted(slices.Values(got[data:]))), all) ||
		got[len(got)-1] != elected {
		l.t.Errorf("the turns were %v; want each of %v once, data nodes before masters, %s last", got, all, elected)
	}
	l.report = append(l.report, "          turns: "+strings.Join(got, " "))
}

// names are all members, data nodes before masters.
func (l *life) names() []string {
	l.t.Helper()
	var out []string
	for _, n := range nodesOf(l.t, l.nodes.data()[0]) {
		out = append(out, n.Name)
	}
	slices.Sort(out)
	return out
}

// dataNodes are the data nodes by name.
func (l *life) dataNodes() []string {
	return slices.DeleteFunc(l.names(), func(n string) bool { return !strings.HasPrefix(n, "data-") })
}

// signal sends a signal to a node's process.
func (l *life) signal(node string, sig syscall.Signal) (pid int) {
	l.t.Helper()
	var answer struct {
		Nodes map[string]struct{ Process struct{ ID int } }
	}
	l.es(http.MethodGet, "/_nodes/"+node+"/process", "", &answer)
	for _, n := range answer.Nodes {
		l.hurt = append(l.hurt, time.Now())
		must(l.t, syscall.Kill(n.Process.ID, sig))
		return n.Process.ID
	}
	l.t.Fatalf("nobody is called %s", node)
	return 0
}

// settings checks on every node that a setting of elasticsearch.yml is in force.
func (l *life) settings(prefix, key, want string) {
	l.t.Helper()
	for _, n := range nodesOf(l.t, l.nodes.data()[0]) {
		if strings.HasPrefix(n.Name, prefix) && fmt.Sprint(n.Settings[key]) != want {
			l.t.Errorf("%s: %s is %v, want %s", n.Name, key, n.Settings[key], want)
		}
	}
}

// finish ends the writing and looks at what is left of it.
func (l *life) finish() {
	l.t.Helper()
	l.killDaemon(0)
	l.settle(nil)
	l.clients.end()
	l.watcher.end()
	steps := stops(l.history(), l.cluster)
	all := oneAtATime(l.t, l.watcher.samples, steps)
	seconds := l.watcher.seconds()
	if red := unexplainedRed(l.watcher.samples, l.hurt); red > 0 {
		l.t.Errorf("the cluster was red for %s", red)
	}
	if len(l.clients.acked) == 0 {
		l.t.Error("nothing was written")
	}
	gone := l.clients.missing(l.t, l.nodes.data()[0])
	if len(gone) > 0 {
		l.t.Errorf("%d of %d acknowledged documents are missing: %v …", len(gone), len(l.clients.acked), gone[:min(len(gone), 10)])
	}
	l.nothingIsLeftBehind()
	if colour, _ := health(l.t, l.nodes.data()[0]); colour != "green" {
		l.t.Errorf("in the end the cluster is %s", colour)
	}
	l.stage("%s", l.clients)
	l.stage("%d found again by id, %d missing; %d nodes stopped by esfleet, %d absences seen; not green for %.1f s, without an answer for %.1f s",
		len(l.clients.acked)-len(gone), len(gone), len(steps), len(all), seconds["yellow"]+seconds["red"], seconds[""])
}

// nothingIsLeftBehind looks for what changes move in Elasticsearch and must take back.
func (l *life) nothingIsLeftBehind() {
	l.t.Helper()
	var set struct{ Persistent, Transient map[string]any }
	l.es(http.MethodGet, "/_cluster/settings?flat_settings=true", "", &set)
	for _, m := range []map[string]any{set.Persistent, set.Transient} {
		for k, v := range m {
			// Before 5.0 nothing can be taken back: an empty value is as good as none.
			if want := l.own[k]; fmt.Sprint(v) != want {
				l.t.Errorf("the setting %s: %v was left behind", k, v)
			}
		}
	}
	var state struct {
		Metadata struct {
			Coordination struct {
				Exclusions []any `json:"voting_config_exclusions"`
			} `json:"cluster_coordination"`
		}
	}
	l.es(http.MethodGet, "/_cluster/state/metadata?filter_path=metadata.cluster_coordination", "", &state)
	if x := state.Metadata.Coordination.Exclusions; len(x) > 0 {
		l.t.Errorf("these masters may not vote: %v", x)
	}
	var indices map[string]struct{ Settings map[string]any }
	l.es(http.MethodGet, "/"+index+"/_settings?flat_settings=true", "", &indices)
	for name, i := range indices {
		if got := fmt.Sprint(i.Settings["index.unassigned.node_left.delayed_timeout"]); got != "60s" && got != "1m" {
			l.t.Errorf("index %s waits %s for a node, git says 1m", name, got)
		}
		if got := fmt.Sprint(i.Settings["index.number_of_replicas"]); got != "1" {
			l.t.Errorf("index %s has %s replicas", name, got)
		}
	}
}

// nothingStopped says that nothing was stopped since the log had n entries.
func (l *life) nothingStopped(from int, after string) {
	l.t.Helper()
	if got := stops(l.history()[from:], l.cluster); len(got) > 0 {
		l.t.Errorf("%s, and these were stopped: %v", after, got)
	}
}

// didSince are the verbs of the log since it had n entries.
func (l *life) didSince(from int) []string {
	var out []string
	for _, e := range l.history()[from:] {
		if e.Cluster == l.cluster && (e.Outcome == nil || e.Outcome.State != oplog.Refused) {
			out = append(out, e.Verb)
		}
	}
	return out
}
