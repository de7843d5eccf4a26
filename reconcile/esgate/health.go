package esgate

import (
	"time"

	"github.com/esfleet/esfleet/spec"
)

// Health is one reading of a cluster. The zero value is "not asked".
type Health struct {
	Asked bool
	// Known is false if an answer was missing, late, cut, self-contradictory, from another cluster or from a node
	// without a master; Why says which. Then no other field but Asked and At may be believed.
	Known bool
	Why   string
	// At is when the first question of the reading was sent: the reading is at least as old.
	At time.Time

	Name, UUID string
	// Master is the elected master's name, the same before and after the reading, and StateVersion the cluster state's
	// version at its beginning.
	Master       string
	StateVersion int64

	Status string // green, yellow or red
	Nodes  []Node // sorted by name
	// Shards are all copies of all shards, unassigned ones included, sorted by index, number, primary first, node.
	Shards  []Shard
	Indices []Index // sorted by name

	// Counts as the cluster itself tells them. PendingTasks and InFlightFetch are of the master.
	Initializing, Relocating, Unassigned, Delayed int
	PendingTasks, InFlightFetch                   int

	// Persistent and Transient are the cluster's settings, flat keys to text.
	Persistent, Transient map[string]string
	// VotingExclusions are the names (ids where there is none) of masters that may not vote; from version 7 on.
	VotingExclusions []string
	// Templates are the bodies of the index templates that esfleet owns and that are there, by name, as read.
	Templates map[string]map[string]any
	// Snapshotting says that a snapshot runs; LastSnapshot is when the newest successful one ended, zero if none is
	// known.
	Snapshotting bool
	LastSnapshot time.Time
	// Recoveries are the running ones.
	Recoveries []Recovery
}

// A Node is one member of the cluster.
type Node struct {
	Name, ID, EphemeralID string
	Host                  string // the address it publishes, without port
	HTTP                  string // http://host:port
	Version               spec.Version
	MasterEligible, Data  bool
	Attributes            map[string]string
	Plugins               []string // names, sorted
	Uptime                time.Duration
	// DiskTotal and DiskFree are in bytes, 0 if not told.
	DiskTotal, DiskFree int64
}

// Instance is Marathon's id of the instance that the node runs in, as the node itself reports it; "" if it does not.
func (n *Node) Instance() string { return n.Attributes[AttrInstance] }

// Attributes by which a node says what it runs (node.attr.… in its settings).
const (
	AttrBundle    = "esfleet_bundle"
	AttrComponent = "esfleet_component"
	AttrInstance  = "esfleet_instance"
)

// A ShardState is a copy's state in the routing table.
type ShardState string

// The states. A relocating copy still serves from Node while it is copied to To.
const (
	Started      ShardState = "STARTED"
	Relocating   ShardState = "RELOCATING"
	Initializing ShardState = "INITIALIZING"
	Unassigned   ShardState = "UNASSIGNED"
)

// A Shard is one copy of one shard.
type Shard struct {
	Index   string
	Number  int
	Primary bool
	State   ShardState
	Node    string // name; "" if unassigned
	To      string // name of the node it moves to, if Relocating
	Bytes   int64  // 0 if not told
	// Decider is the allocation decider that keeps an unassigned copy from every node, as Elasticsearch explains it; ""
	// where it was not asked or has another reason (it waits for a node that left, it was never tried).
	Decider string
}

// Serves says that the copy holds all documents: it is started, or still the source of a move.
func (s *Shard) Serves() bool { return s.State == Started || s.State == Relocating }

// An Index is what of an index's settings counts for safety.
type Index struct {
	Name           string
	Shards         int // primaries
	Replicas       int
	PerNode        int    // index.routing.allocation.total_shards_per_node; 0: unbounded
	DelayedTimeout string // index.unassigned.node_left.delayed_timeout as set; "" is Elasticsearch's own minute
	Closed         bool
}

// A Recovery is a copy under way.
type Recovery struct {
	Index          string
	Number         int
	From, To       string // nodes; From is "" for a local one
	Bytes, Done    int64
	Running        time.Duration
	OperationsOnly bool // no files are copied, operations are replayed
}

// Node finds a member by its name; nil if it is not there. It does not rely on the order of Nodes: a member that is not
// found would be taken for one that is down.
func (h *Health) Node(name string) *Node {
	for i := range h.Nodes {
		if h.Nodes[i].Name == name {
			return &h.Nodes[i]
		}
	}
	return nil
}

// ByInstance finds the member that runs in a Marathon instance; nil if none says so.
func (h *Health) ByInstance(instance string) *Node {
	for i := range h.Nodes {
		if h.Nodes[i].Instance() == instance && instance != "" {
			return &h.Nodes[i]
		}
	}
	return nil
}

// DataNodes counts the members that hold data.
func (h *Health) DataNodes() int {
	n := 0
	for i := range h.Nodes {
		if h.Nodes[i].Data {
			n++
		}
	}
	return n
}

// Setting is the value in force of a cluster setting that is not in any elasticsearch.yml: transient wins.
func (h *Health) Setting(key string) string {
	if v, ok := h.Transient[key]; ok {
		return v
	}
	return h.Persistent[key]
}
