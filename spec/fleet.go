package spec

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// Names, each with a type of its own so that one cannot be passed as another.
type (
	// FleetName names the whole fleet; it is the value of the label by which esfleet knows its own apps.
	FleetName string
	// MarathonName names an entry of fleet.yaml's marathons.
	MarathonName string
	// GroupName is a business line: the folder under groups/.
	GroupName string
	// ClusterName is the folder under clusters/; it is unique within its Group.
	ClusterName string
)

// A ClusterID is unique in a Fleet.
type ClusterID struct {
	Group GroupName
	Name  ClusterName
}

// String is "group/cluster", as written on command lines and in reports.
func (id ClusterID) String() string { return string(id.Group) + "/" + string(id.Name) }

// Less orders clusters by group, then name.
func (id ClusterID) Less(o ClusterID) bool {
	if id.Group != o.Group {
		return id.Group < o.Group
	}
	return id.Name < o.Name
}

// A Pos is a place in the fleet repository. Line and Column start at 1; 0 means the whole file.
type Pos struct {
	File         string
	Line, Column int
}

// String is file:line:column, shortened where a part is unknown.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// MarshalText is String, so that a place is one word in JSON.
func (p Pos) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what String writes.
func (p *Pos) UnmarshalText(text []byte) error {
	*p = Pos{File: string(text)}
	var numbers []int
	for range 2 {
		i := strings.LastIndexByte(p.File, ':')
		if i < 0 {
			break
		}
		n, err := strconv.Atoi(p.File[i+1:])
		if err != nil {
			break
		}
		numbers, p.File = append(numbers, n), p.File[:i]
	}
	switch len(numbers) {
	case 2:
		p.Column, p.Line = numbers[0], numbers[1]
	case 1:
		p.Line = numbers[0]
	}
	return nil
}

// A Component is one part of a cluster; render makes each one Marathon app.
type Component string

// The components, in the order in which they are created. The gate runs nothing: it is the cluster's record in Marathon
// and what lets esfleet commit a definition without a restart (DESIGN §5, §7).
const (
	Gate         Component = "gate"
	Discovery    Component = "discovery"
	Master       Component = "master"
	Data         Component = "data"
	Ingest       Component = "ingest"
	Coordinating Component = "coordinating"
	Exporter     Component = "exporter"
	Kibana       Component = "kibana"
)

// Components lists all of them in the order of creation; deletion goes the other way.
var Components = []Component{Gate, Discovery, Master, Data, Ingest, Coordinating, Exporter, Kibana}

// AppName is the last segment of the component's app id.
func (c Component) AppName() string {
	switch c {
	case Master:
		return "es-master"
	case Data:
		return "es-datanode"
	case Ingest:
		return "es-ingest"
	case Coordinating:
		return "es-coordinating"
	case Exporter:
		return "es2graphite"
	}
	return string(c)
}

// Stateful says that losing the component's disk can lose documents or cluster state.
func (c Component) Stateful() bool { return c == Master || c == Data }

// RunsElasticsearch says that the component's tasks are Elasticsearch nodes.
func (c Component) RunsElasticsearch() bool {
	return c == Master || c == Data || c == Ingest || c == Coordinating
}

// A Fleet is everything one commit declares, with all defaults already flowed down into each Cluster.
type Fleet struct {
	Name      FleetName
	Commit    string
	Pos       Pos
	Marathons []Marathon // sorted by name
	Guards    Guards
	Groups    []*Group // sorted by name
}

// A Marathon is one Marathon that runs groups of this fleet.
type Marathon struct {
	Name MarathonName
	Pos  Pos
	// URLs of the members of one Marathon, tried in order for reads.
	URLs []string
	// NodeURLs are the same Marathon as the nodes reach it, at boot, without credentials; empty means URLs.
	NodeURLs []string
	// Credentials names where the daemon finds user:password or a bearer token: "env:NAME" or "file:/path". Empty: none.
	// The secret itself never stands in git.
	Credentials string
}

// Guards bound what one commit may do without a further word in git.
type Guards struct {
	// MaxClusters is how many clusters one commit may change; 0 means no bound.
	MaxClusters int
	// Approve names the commit content a human has approved beyond the guards: the digest that the Hold prints.
	Approve string
	Pos     Pos
}

// A Group is a business line.
type Group struct {
	Name     GroupName
	Pos      Pos
	Role     string // Mesos role; empty: Marathon's default
	Marathon MarathonName
	Owners   []string
	Quota    *Quota
	Clusters []*Cluster // sorted by name
}

// A Quota is what the business line may use in the pool. Zero fields are unbounded. Memory and Disk in bytes.
type Quota struct {
	CPUs   float64
	Memory Bytes
	Disk   Bytes
}

// Bytes is a size in bytes; in YAML it is written with a unit (512MiB, 2GiB, 1TiB).
type Bytes int64

// Binary units.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

// MiB is the size in whole mebibytes, as Marathon counts mem and disk.
func (b Bytes) MiB() int64 { return int64(b / MiB) }

// Purpose is what a cluster is for; alert thresholds differ by it.
type Purpose string

// Purposes.
const (
	Online  Purpose = "online"
	Offline Purpose = "offline"
	Standby Purpose = "standby"
)

// State is whether the cluster is to run.
type State string

// States. A retired cluster is stopped in reverse order; its volumes are kept.
const (
	Active  State = "active"
	Retired State = "retired"
)

// DriftMode is what to do about live state that differs from git without a commit.
type DriftMode string

// Drift modes.
const (
	Enforce DriftMode = "enforce"
	Report  DriftMode = "report"
)

// A Suspension stops all writes to a cluster until Until (zero: until it is lifted).
type Suspension struct {
	Reason string
	By     string
	Until  time.Time
}

// Containerizer is how Mesos runs the tasks.
type Containerizer string

// Containerizers. Either works with or without an image for Mesos; Docker needs one.
const (
	Docker Containerizer = "docker"
	Mesos  Containerizer = "mesos"
)

// A Cluster is one Elasticsearch cluster, complete: every default is filled in.
type Cluster struct {
	ID       ClusterID
	Fleet    FleetName
	Marathon MarathonName
	Role     string
	Owners   []string
	Pos      Pos // of cluster.yaml

	Purpose Purpose
	State   State
	Suspend *Suspension
	Drift   DriftMode

	Elasticsearch Elasticsearch
	Containerizer Containerizer

	// Nodes by component. Data is always there. Without Master every data node is master-eligible as well.
	Nodes map[Component]*Nodes

	Discovery DiscoverySpec
	Exporter  *ExporterSpec // nil: none
	Kibana    *KibanaSpec   // nil: none

	Indices   Indices
	Plugins   []Plugin
	Overrides []Override
	Checks    Checks
	Rollout   Rollout
	// Restart is a word; another one restarts every node once, and nothing else.
	Restart string
	// Replace lists nodes that are to be given up for blank ones elsewhere.
	Replace    []Replacement
	Retirement Retirement
	// ClusterSettings are persistent settings of the running cluster, flat keys to text, kept as git says.
	ClusterSettings map[string]string

	// Settings are the cluster's own elasticsearch.yml, flattened to dotted keys; values are string, bool, json.Number or []any.
	Settings map[string]any
	// PreRun runs on every node before Elasticsearch starts; nil: none.
	PreRun *FileRef
	// Files are copied into the node's configuration folder, paths relative to files/.
	Files []FileRef

	// Origins says where each value was written.
	Origins Origins
}

// Topology names the two shapes.
func (c *Cluster) Topology() string {
	if c.Nodes[Master] != nil {
		return "dedicated-masters"
	}
	return "shared"
}

// MasterComponent is the component whose nodes are master-eligible.
func (c *Cluster) MasterComponent() Component {
	if c.Nodes[Master] != nil {
		return Master
	}
	return Data
}

// ClientComponent is the component to whose nodes discovery.clientPort leads; "" if there is no such front.
func (c *Cluster) ClientComponent() Component {
	switch {
	case c.Discovery.ClientPort == 0 || c.Discovery.Mode != HAProxy:
		return ""
	case c.Nodes[Coordinating] != nil:
		return Coordinating
	}
	return Data
}

// OriginOf is the place where a dotted path was written, else the cluster's file.
func (c *Cluster) OriginOf(path string) Pos {
	if p, ok := c.Origins.At(path); ok {
		return p
	}
	return c.Pos
}

// Elasticsearch says what runs.
type Elasticsearch struct {
	Distribution Distribution
	Version      Version
	// Image is the container image; empty only with the Mesos containerizer, where Home is on the agent.
	Image string
	// Home is where the distribution is unpacked, in the image or on the agent.
	Home string
	// JavaHome is exported to the node if set.
	JavaHome string
	// User runs the node; never root.
	User string
}

// Distribution is Elasticsearch or its fork.
type Distribution string

// Distributions.
const (
	ElasticsearchDist Distribution = "elasticsearch"
	OpenSearchDist    Distribution = "opensearch"
)

// A Version is a distribution's version.
type Version struct{ Major, Minor, Patch int }

// String is "7.17.28".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// AtLeast compares with major.minor.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// Nodes says how the nodes of one component are made.
type Nodes struct {
	Pos      Pos
	Replicas int
	CPUs     float64
	Memory   Bytes
	Heap     Bytes
	Disk     Bytes // persistent volume; 0 for ingest and coordinating
	// DiskType is "root" or "mount" (Mesos' words for where a volume lies).
	DiskType string
	// Generation counts the apps that have held this component's data, from 1. Marathon never changes the resources of an
	// app with volumes: another generation is another app, and the data moves over. Data nodes only.
	Generation int
	// Ports are fixed host ports; 0 lets Mesos choose.
	HTTPPort, TransportPort int
	// PerHost is how many nodes of this component may share a host; 1 is hostname:UNIQUE.
	PerHost int
	// Constraints are Marathon's, beside the one made from PerHost: [field, operator, value].
	Constraints [][]string
	Env         map[string]string
	// Settings override the cluster's elasticsearch.yml for this component, flattened.
	Settings map[string]any
}

// DiscoveryMode is how nodes find the masters.
type DiscoveryMode string

// Discovery modes. Static is an address kept by somebody else.
const (
	HAProxy DiscoveryMode = "haproxy"
	Bamboo  DiscoveryMode = "bamboo"
	Static  DiscoveryMode = "static"
)

// DiscoverySpec is the ring: one TCP address that leads to the masters.
type DiscoverySpec struct {
	Pos       Pos
	Mode      DiscoveryMode
	Address   string // host:port; only and always with Static
	Port      int    // fixed front port
	StatsPort int
	// ClientPort is the fixed port that leads to the nodes that serve clients; 0: there is none.
	ClientPort int
	Drain      time.Duration // what requests get to end when their node is taken out of the client front
	Replicas   int
	CPUs       float64
	Memory     Bytes
	Image      string
	Command    string // replaces the built-in command
	Env        map[string]string
}

// ExporterSpec is es2graphite.
type ExporterSpec struct {
	Pos      Pos
	Graphite string // host:port of carbon's plaintext listener
	Prefix   string
	Interval time.Duration
	CPUs     float64
	Memory   Bytes
	Image    string
	Command  string
	Env      map[string]string
}

// KibanaSpec is the optional Kibana.
type KibanaSpec struct {
	Pos      Pos
	Image    string
	Home     string
	Replicas int
	Port     int
	CPUs     float64
	Memory   Bytes
	Command  string
	Env      map[string]string
}

// Indices are the platform's reliability rules for every index.
type Indices struct {
	Replicas           int // ≥ 1
	TotalShardsPerNode int // 0: unbounded
	// Delay is how long Elasticsearch waits for a node that left before it copies its shards anew: longer than a restart.
	Delay time.Duration
}

// A Plugin is installed on every node before it starts.
type Plugin struct {
	Pos    Pos
	Name   string
	URL    string // empty: the distribution's own plugin of that name
	SHA512 string // hex; required with a URL
}

// An Override changes settings or environment of single nodes, chosen by the agent's hostname.
type Override struct {
	Pos      Pos
	Hosts    []string
	Settings map[string]any
}

// Checks time the health and readiness checks of the Elasticsearch nodes.
type Checks struct {
	Interval, Timeout, Grace time.Duration
	MaxFailures              int
}

// Rollout is how changes spread.
type Rollout struct {
	// Canary is how many data nodes get a change first, Soak how long they run before the others follow.
	Canary int
	Soak   time.Duration
	// Pause keeps the others waiting after the canaries, for as long as it is true.
	Pause bool
	// Hold is how long the volume of a node that left is kept.
	Hold time.Duration
	// SnapshotWithin demands a successful snapshot not older before a version is upgraded; 0: none is demanded.
	SnapshotWithin time.Duration
}

// A Replacement names one node by Marathon's instance id, which is never given twice: when that instance is gone, the
// replacement is done. LoseCopies accepts that copies go which exist nowhere else.
type Replacement struct {
	Pos        Pos
	Instance   string
	LoseCopies bool
}

// Retirement is what becomes of a retired cluster's volumes: with Destroy they are destroyed once the cluster has been
// stopped for Grace; without, they are kept for ever.
type Retirement struct {
	Grace   time.Duration
	Destroy bool
}

// A FileRef is a file of the Snapshot; its content is read by id when the bundle is made.
type FileRef struct {
	Pos        Pos
	Path       string // inside the bundle
	Blob       snapshot.BlobID
	Size       int64
	Executable bool
}

// A Problem is a fault in the fleet repository: where, what is wrong, and what to write instead.
type Problem struct {
	Pos   Pos
	Field string // dotted path, may be empty
	What  string
	Fix   string
}

// String is one line: file:line:column: field: what; fix.
func (p Problem) String() string {
	s := p.Pos.String() + ": "
	if p.Field != "" {
		s += p.Field + ": "
	}
	s += p.What
	if p.Fix != "" {
		s += "; " + p.Fix
	}
	return s
}
