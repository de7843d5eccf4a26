package plan

import (
	"fmt"
	"strconv"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

const keyQuorum = "discovery.zen.minimum_master_nodes"

// quorum is the number of masters in force that an election needs where that is set by hand; 0 where it is not.
func (m *maker) quorum() int {
	if !quorumInFile(m.want.Spec.Elasticsearch) {
		return 0
	}
	n, err := strconv.Atoi(m.facts.Elasticsearch.Setting(keyQuorum))
	if err != nil {
		return m.masters()/2 + 1 // the file's
	}
	return n
}

// masters is how many master-eligible nodes Marathon is to run now.
func (m *maker) masters() int {
	n := 0
	for i := range m.roles {
		if m.roles[i].component == m.want.Spec.MasterComponent() {
			n += m.roles[i].live.Instances
		}
	}
	return n
}

// raiseQuorum makes an election need a majority of the masters that will be there, before they are.
func (m *maker) raiseQuorum(r *role, n int) bool {
	need := n/2 + 1
	if !quorumInFile(m.want.Spec.Elasticsearch) || m.quorum() >= need {
		return false
	}
	v := strconv.Itoa(need)
	m.step(Step{Verb: ChangeCluster, App: r.live.ID, Component: r.component, Seen: r.live.Version, From: r.live.Instances, Instances: r.live.Instances, Closing: true,
		Change: &esgate.Change{Persistent: map[string]*string{keyQuorum: &v}}, Pos: m.origin(r.want, "replicas"),
		Why: fmt.Sprintf("an election among %d masters needs %d of them", n, need)})
	return true
}

// startsSplit says that with n masters the quorum may allow two of them to be elected: it may have been lowered when
// some left. After a turn it never does, and nobody need be asked.
func (m *maker) startsSplit(r *role, n int) bool {
	return quorumInFile(m.want.Spec.Elasticsearch) && r.component == m.want.Spec.MasterComponent() && 2*(r.live.Instances/2+1) <= n
}

// quorumFixes keep the quorum of a cluster before version 7 in its settings, where it is in force on all masters at once:
// the files of the nodes change one by one in a roll. It is lowered only when masters have left for good. changing says
// that their number is about to change; then a quorum that is there stays, unless it is too low for those who have joined
// already: more of them than git wants, which somebody started by hand, could else never leave. From version 7 on it is taken back, since a
// later version would stumble over it.
func quorumFixes(c *spec.Cluster, h *esgate.Health, masters int, changing bool) []Fix {
	set, there := h.Persistent[keyQuorum]
	_, transient := h.Transient[keyQuorum]
	pos := c.OriginOf("nodes." + string(c.MasterComponent()) + ".replicas")
	need := strconv.Itoa(masters/2 + 1)
	var out []Fix
	put := func(to *string, why string) {
		out = append(out, Fix{Change: esgate.Change{Persistent: map[string]*string{keyQuorum: to}}, Pos: pos, Why: why})
	}
	switch {
	case !quorumInFile(c.Elasticsearch):
		if there && allRun(h, c.Elasticsearch.Version) {
			put(nil, "masters of this version count themselves; the number is left over from an older one")
		}
		return out
	case masters == 0:
		return nil
	case !there:
		put(&need, fmt.Sprintf("an election among %d masters needs %s of them, whatever the files of single nodes say", masters, need))
	case !changing && set != need, changing && tooLow(set, masters) && mayElect(h) > masters/2:
		put(&need, fmt.Sprintf("an election among %d masters needs %s of them, not %s", masters, need, set))
	}
	if transient {
		out = append(out, Fix{Change: esgate.Change{Transient: map[string]*string{keyQuorum: nil}}, Pos: pos,
			Why: "a transient " + keyQuorum + " hides the one that esfleet keeps"})
	}
	return out
}

// tooLow says that two of so many masters could be elected.
func tooLow(quorum string, masters int) bool {
	n, err := strconv.Atoi(quorum)
	return err == nil && 2*n <= masters
}

// mayElect is how many masters have joined: a quorum above that would take the cluster its master.
func mayElect(h *esgate.Health) (n int) {
	for i := range h.Nodes {
		if h.Nodes[i].MasterEligible {
			n++
		}
	}
	return n
}

func allRun(h *esgate.Health, v spec.Version) bool {
	for i := range h.Nodes {
		if h.Nodes[i].Version != v {
			return false
		}
	}
	return true
}
