package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/esfleet/esfleet/reconcile/plan"
)

const logsApp = "/search/logs/es-datanode"

// prepareForChanges lays what the story needs over the example's cluster: it begins with an old version, keeps nothing for long, and
// lets a node be away for as short as git may say.
func (s *story) prepareForChanges() {
	s.files.merge(s.t, searchFile, fmt.Sprintf(`defaults: {elasticsearch: {version: "7.10.2", home: %q}}`, s.homes["7.10.2"]))
	s.files.merge(s.t, logsFile, `
master: {heap: 96MiB}
data: {heap: 128MiB}
kibana: null
indices: {delay: 1m}
rollout: {canary: 0, soak: 0s, hold: 3s}
clusterSettings: {cluster.routing.allocation.cluster_concurrent_rebalance: 1}
`)
}

// concurrent is what prepareForChanges sets in the running cluster.
var concurrent = map[string]string{"cluster.routing.allocation.cluster_concurrent_rebalance": "1"}

// aChangedSettingRollsTheCluster changes all nodes. One that is down, if any, is the first.
func (l *life) aChangedSettingRollsTheCluster(down string, meanwhile func(from int, data []string)) {
	l.t.Helper()
	from, elected, data := len(l.history()), l.master(), l.dataNodes()
	l.change("fewer buckets, everywhere", "{data: {settings: {search.max_buckets: 19000}}, master: {settings: {search.max_buckets: 19000}}}")
	meanwhile(from, data)
	l.settle(nil)
	l.rolled(from, down, elected)
	l.settings("", "search.max_buckets", "19000")
	l.stage("a changed setting has rolled the cluster")
}

// aNodeIsKilled ends a data node that has had its turn while another has its own.
func (l *life) aNodeIsKilled(from int, data []string) {
	l.t.Helper()
	l.awaitTurns(from, 3)
	l.signal(data[0], syscall.SIGKILL)
	l.stage("%s was killed with -9", data[0])
}

// aNodeComesAndGoes scales out by one data node and in again.
func (l *life) aNodeComesAndGoes() {
	l.t.Helper()
	before := l.dataNodes()
	l.change("one more data node", fmt.Sprintf("{data: {replicas: %d}}", len(before)+1))
	l.settle(nil)
	if n := len(l.dataNodes()); n != len(before)+1 {
		l.t.Errorf("%d data nodes are members, want %d", n, len(before)+1)
	}
	l.stage("one more data node has joined")

	from := len(l.history())
	l.change("one less again", fmt.Sprintf("{data: {replicas: %d}}", len(before)))
	l.settle(nil)
	l.await("the last node's volume to be wiped", func() (bool, string) {
		return slices.Contains(l.didSince(from), string(plan.WipeNode)), fmt.Sprintf("did %v; %s", l.didSince(from), l.reasons())
	})
	l.settle(nil)
	if did, want := slices.Compact(l.didSince(from)), []string{"drain", "remove-node", "wipe", "elasticsearch"}; !sameSet(did, want) {
		l.t.Errorf("the way out was %v, want %v", did, want)
	}
	left := l.dataNodes()
	if len(left) != len(before) {
		l.t.Errorf("%v are members, want %d data nodes", left, len(before))
	}
	l.stage("one of them was drained, proven empty, stopped and wiped: %v, were %v", left, before)
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// aCanaryIsRolledBack gives one data node a change, looks at it, and reverts the commit. Nobody else is restarted: who never
// had the change runs the right definition.
func (l *life) aCanaryIsRolledBack() {
	l.t.Helper()
	from, data := len(l.history()), l.dataNodes()
	l.change("a bigger cache, on one node first", "{rollout: {canary: 1, pause: true}, data: {settings: {indices.queries.cache.size: 7%}}}")
	l.await("the canary to be alone", func() (bool, string) {
		return strings.Contains(l.reasons(), plan.RuleCanaryPaused), l.reasons()
	})
	l.settings(data[0], "indices.queries.cache.size", "7%")
	l.settings(data[1], "indices.queries.cache.size", "5%")
	l.stage("one canary runs the change")
	l.change("the cache as it was", "{rollout: {canary: 0, pause: null}, data: {settings: {indices.queries.cache.size: 5%}}}")
	l.settle(nil)
	got := l.turns(from)
	if !slices.Equal(got, data[:1]) {
		l.t.Errorf("the canary's way there and back stopped %v, want %s alone", got, data[0])
	}
	l.settings("data-", "indices.queries.cache.size", "5%")
	l.stage("a revert has rolled the canary back; turns there and back: %v", got)
}

// aBadPreRunStopsTheRoll commits a script that fails on the second node, which it returns. The next commit mends it.
func (l *life) aBadPreRunStopsTheRoll() (failed string) {
	l.t.Helper()
	const script = "groups/search/clusters/logs/pre-run.sh"
	from, data, good := len(l.history()), l.dataNodes(), l.files[script]
	l.files[script] = good + fmt.Sprintf("\ncase $ESFLEET_NODE_NAME in %s) echo 'the dictionary is missing' >&2; exit 3 ;; esac\n", data[1])
	l.commit("look for the dictionary")
	l.awaitTurns(from, 2)
	l.await("Marathon to tell of the failure", func() (bool, string) {
		return l.failed(logsApp, "status 70"), l.reasons() // the bootstrap's exit code for it
	})
	l.stage("pre-run fails on %s: %s", data[1], l.reasons())
	l.await("the cluster to be green without it", func() (bool, string) {
		colour, err := colourAt(l.nodes.data()[0])
		return colour == "green", fmt.Sprint(colour, err)
	})
	if got := l.turns(from); !slices.Equal(got, data[:2]) {
		l.t.Errorf("the roll did not stop at the second node: %v", got)
	}
	l.stage("the roll waits, the cluster is green without %s", data[1])
	l.files[script] = good
	return data[1]
}

// failed says that the app's last failure speaks of something.
func (l *life) failed(app, of string) bool {
	a := l.marathon.apps()[app]
	return a != nil && a.LastFailure != nil && strings.Contains(a.LastFailure.Message, of)
}

// upgrade rolls the cluster to another version.
func (l *life) upgrade(version string, meanwhile func(from int, data []string)) {
	l.t.Helper()
	from, elected, data := len(l.history()), l.master(), l.dataNodes()
	l.files.merge(l.t, searchFile, fmt.Sprintf("defaults: {elasticsearch: {version: %q, home: %q}}", version, l.homes[version]))
	l.commit("Elasticsearch " + version)
	meanwhile(from, data)
	l.settle(nil)
	l.upgraded(from, elected)
	for _, n := range nodesOf(l.t, l.nodes.data()[0]) {
		if n.Version != version {
			l.t.Errorf("%s runs %s, want %s", n.Name, n.Version, version)
		}
	}
	l.stage("every node runs %s", version)
}

// aFrozenNodeIsWaitedFor freezes a node's process. While it does not answer nobody else is touched: either esfleet waits for
// it, or Elasticsearch has given it up meanwhile and it is the next to have its turn, which also thaws it.
func (l *life) aFrozenNodeIsWaitedFor(from int, data []string) {
	l.t.Helper()
	frozen := data[2]
	l.awaitTurns(from, 2)
	began := len(l.history())
	pid := l.signal(frozen, syscall.SIGSTOP)
	l.stage("%s is frozen", frozen)
	seen, turn := 0, false
	l.await("esfleet to see the frozen node", func() (bool, string) {
		if strings.Contains(l.reasons(), frozen) {
			seen++
		}
		turn = slices.Contains(l.turns(began), frozen)
		return turn || seen > 20, l.reasons()
	})
	for _, x := range stops(l.history()[began:], l.cluster) {
		if x.done && x.node != frozen {
			l.t.Errorf("%s was stopped while %s was frozen", x.node, frozen)
		}
	}
	l.stage("meanwhile (its turn: %v): %s", turn, l.reasons())
	// Frozen, it would take the whole time that Marathon gives a process to end.
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !turn {
		l.t.Fatal(err)
	}
}

// aLeaderChange makes Marathon elect another leader in the middle of the roll.
func (l *life) aLeaderChange(from int, _ []string) {
	l.t.Helper()
	l.awaitTurns(from, 2)
	l.changeLeader()
	l.nodes.moved(l.marathon.url)
	l.stage("Marathon has another leader")
}

// aChangeThatCannotBe commits what Marathon can never do with these nodes: it is held, and nothing is touched.
func (l *life) aChangeThatCannotBe() {
	l.t.Helper()
	from := len(l.history())
	l.change("more memory", "{data: {memory: 1100MiB}}")
	st := l.settle(map[string]plan.Phase{l.cluster: plan.Held})
	for _, c := range st.Clusters {
		for _, h := range c.Holds {
			l.stage("held by %s: %s", h.Rule, h.Why)
		}
	}
	l.nothingStopped(from, "a change that cannot be was committed")
	l.change("the memory as it was", "{data: {memory: 1GiB}}")
	l.settle(nil)
}

// aNodeThatFitsNowhere asks for more data nodes than there are hosts. It is held before anything is begun, with what each
// host lacks; taken back, nothing is left of it.
func (l *life) aNodeThatFitsNowhere() {
	l.t.Helper()
	from, nodes := len(l.history()), l.names()
	l.change("six data nodes on five hosts", "{data: {replicas: 6}}")
	l.settle(map[string]plan.Phase{l.cluster: plan.Held})
	why := l.reasons()
	for _, say := range []string{plan.RuleNoRoom, "es-datanode needs 3 more hosts", ": 2 have it", "holds 1 already"} {
		if !strings.Contains(why, say) {
			l.t.Errorf("the hold does not say %q: %s", say, why)
		}
	}
	l.stage("six data nodes on five hosts: %s", why)
	l.change("three are enough after all", "{data: {replicas: 3}}")
	l.settle(nil)
	if did := l.didSince(from); len(did) > 0 {
		l.t.Errorf("a node fits nowhere, and these steps were taken: %v", did)
	}
	if now := l.names(); !slices.Equal(now, nodes) {
		l.t.Errorf("members were %v, now %v", nodes, now)
	}
	l.stage("taken back: nothing was begun")
}
