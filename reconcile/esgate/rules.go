package esgate

import "slices"

// A Rule is one row of the table, as the documentation shows it.
type Rule struct {
	Name  string
	Kinds []Kind // what it applies to
	// Invariants are the numbers of the safety invariants that it enforces, or has a part in.
	Invariants []int
	Says       string // in one line
}

// Names of the rules, as logs, status, metrics and documents use them.
const (
	RuleTouch         = "touch-understood"
	RuleUnknown       = "elasticsearch-unknown"
	RuleStale         = "elasticsearch-answer-too-old"
	RuleIdentity      = "another-cluster-answers"
	RuleNoMaster      = "no-elected-master"
	RulePartial       = "elasticsearch-answers-in-part"
	RuleIncarnation   = "node-is-the-judged-one"
	RuleRed           = "cluster-red"
	RuleLeaving       = "leaving-is-drained"
	RuleOnlyLeaving   = "only-leaving-nodes"
	RuleStillMember   = "wiped-only-when-stopped"
	RuleHop           = "version-hop"
	RuleSnapshotting  = "no-snapshot-running"
	RuleSnapshot      = "snapshot-fresh"
	RuleComplete      = "all-nodes-in"
	RuleNotGreen      = "cluster-not-green"
	RuleMixedVersions = "mixed-versions"
	RuleAtRest        = "shards-at-rest"
	RulePending       = "no-pending-tasks"
	RuleAllocation    = "allocation-enabled"
	RuleAnotherCopy   = "another-copy-started"
	RuleHost          = "replicas-outlive-a-host"
	RuleOrder         = "data-before-masters"
	RuleMajority      = "majority-of-masters"
	RuleQuorum        = "quorum-allows-one-master"
	RulePair          = "one-or-two-masters"
	RuleVotes         = "vote-excluded-first"
	RuleClosed        = "closed-index-out-of-sight"
	RuleDrainCopies   = "drain-leaves-room-for-copies"
	RuleDrainShards   = "drain-leaves-room-for-shards"
	RuleDrainDisk     = "drain-leaves-room-on-disks"
	RuleExcluded      = "node-excluded"
	RuleEmpty         = "node-empty"
	RuleProven        = "empty-proven-twice"
)

// no is why a rule forbids; the zero value is "it does not". With a way out, waiting does not help.
type no struct{ why, wayOut string }

type rule struct {
	Rule
	no func(*Health, *Touch) no
}

func (r *rule) applies(k Kind) bool {
	// A kind that nobody knows is the first rule's business.
	return slices.Contains(r.Kinds, k) || r.Name == RuleTouch
}

// Every kind, those that touch a node, and those that end one.
var (
	every  = []Kind{Commit, Restart, Drain, Stop, Wipe, Join}
	asked  = []Kind{Commit, Restart, Drain, Stop, Wipe}
	nodes  = []Kind{Restart, Drain, Stop, Wipe}
	ending = []Kind{Stop, Wipe}
)

// table is in the order in which a person on call would check: who answers, what state, then this node. The first no
// counts, so a rule may rely on those above it.
var table = []rule{
	{Rule{RuleTouch, every, []int{16}, "what is to be done has a kind that is known, and names its node"}, touchUnderstood},
	{Rule{RuleUnknown, every, []int{2}, "Elasticsearch was asked, and no answer was missing, late, cut or against another"}, known},
	{Rule{RuleStale, every, []int{2, 7}, "the reading is not older than the decision may be"}, fresh},
	{Rule{RuleIdentity, every, []int{1}, "the cluster that answers has the declared name and the recorded uuid"}, sameCluster},
	{Rule{RuleNoMaster, every, []int{2}, "one elected master, itself a member, stands behind the reading"}, hasMaster},
	{Rule{RulePartial, nodes, []int{2}, "the parts of the reading fit together: no index without its shards, no shard on a node that is not there"}, fitsTogether},
	{Rule{RuleIncarnation, nodes, []int{9}, "the node of that name runs in the instance that is to be touched, and that instance runs no other node"}, sameIncarnation},
	{Rule{RuleRed, asked, []int{25}, "nothing is changed while documents are out of reach; only nodes outside the cluster may be started"}, notRed},
	{Rule{RuleLeaving, []Kind{Restart}, []int{17}, "a node that leaves is drained, never restarted"}, notLeaving},
	{Rule{RuleOnlyLeaving, []Kind{Drain, Stop, Wipe}, []int{8, 17}, "only a node that is to leave for good is drained, stopped or wiped"}, onlyLeaving},
	{Rule{RuleStillMember, []Kind{Wipe}, []int{14, 15}, "a volume is destroyed only after its node was stopped and has left the cluster"}, stoppedBefore},
	{Rule{RuleHop, []Kind{Commit, Restart}, []int{24}, "every running version may go to the wanted one by a rolling upgrade; never back"}, hopAllowed},
	{Rule{RuleSnapshotting, []Kind{Commit, Restart}, []int{5, 24}, "no snapshot runs while a node restarts or a version changes"}, noSnapshotRuns},
	{Rule{RuleSnapshot, []Kind{Commit}, []int{24}, "where a snapshot is demanded, a successful one is not older than that"}, snapshotFresh},
	{Rule{RuleComplete, []Kind{Restart, Stop, Wipe}, []int{4, 12, 14}, "all expected nodes are members, or the touched one is the only one that is not"}, complete},
	{Rule{RuleNotGreen, []Kind{Restart, Stop, Wipe}, []int{5, 14}, "the cluster is green; one declared with a single data node may miss replicas in a restart"}, green},
	{Rule{RuleMixedVersions, []Kind{Restart}, []int{5}, "in a version upgrade yellow is normal if only replicas are missing that older nodes may not hold"}, mixedVersions},
	{Rule{RuleAtRest, []Kind{Restart, Stop}, []int{5}, "no shard starts, moves, is waited for or looked for while a node restarts, or one that is gone is given up"}, atRest},
	{Rule{RulePending, []Kind{Restart}, []int{5}, "the master has no task that waits"}, nothingPends},
	{Rule{RuleAllocation, []Kind{Restart, Drain, Stop}, []int{5, 8}, "nobody has left the allocation of shards switched off"}, allocationEnabled},
	{Rule{RuleAnotherCopy, []Kind{Restart}, []int{6}, "every shard on the node has another copy that serves; a single declared data node has none"}, anotherCopy},
	{Rule{RuleHost, []Kind{Restart}, []int{19}, "a host has no more data nodes of the cluster than every index has replicas"}, hostOutlived},
	{Rule{RuleOrder, []Kind{Restart}, []int{12}, "in a version upgrade data nodes go before masters, and the elected master last"}, dataFirst},
	{Rule{RulePair, []Kind{Stop, Join}, []int{20, 21}, "the step is none between one master and two"}, noPair},
	{Rule{RuleQuorum, []Kind{Restart, Stop, Join}, []int{20}, "before version 7 the quorum in force lets no two masters be elected, at any instant of the step"}, quorumHolds},
	{Rule{RuleMajority, []Kind{Restart, Stop}, []int{12, 20, 21, 22, 23}, "without the master a majority with votes remains; a single declared master has none"}, majorityRemains},
	{Rule{RuleVotes, []Kind{Stop}, []int{21}, "from version 7 on a master gives up its vote before it is stopped"}, voteExcluded},
	{Rule{RuleClosed, []Kind{Drain, Stop, Wipe}, []int{14}, "no index is closed in a way that hides where its copies lie"}, noneHidden},
	{Rule{RuleDrainCopies, []Kind{Drain}, []int{16}, "the nodes and hosts that stay are as many as an index has copies"}, roomForCopies},
	{Rule{RuleDrainShards, []Kind{Drain}, []int{16}, "the nodes that stay may hold all shards under the limits of shards per node"}, roomForShards},
	{Rule{RuleDrainDisk, []Kind{Drain}, []int{16}, "the nodes that stay have the room below the low watermark"}, roomOnDisks},
	{Rule{RuleExcluded, ending, []int{14}, "shards are kept away from the node by name until it is gone"}, excluded},
	{Rule{RuleEmpty, ending, []int{14}, "the node holds no copy, not even as the source of a move, and no copy is unassigned anywhere"}, isEmpty},
	{Rule{RuleProven, ending, []int{14}, "the node was empty at two readings with a pause between them"}, provenTwice},
}

// Catalogue lists the rules in the order in which they are asked.
func Catalogue() []Rule {
	out := make([]Rule, len(table))
	for i := range table {
		out[i] = table[i].Rule
		out[i].Kinds = slices.Clone(out[i].Kinds)
		out[i].Invariants = slices.Clone(out[i].Invariants)
	}
	return out
}
