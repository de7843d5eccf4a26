package esgate

import "github.com/esfleet/esfleet/spec"

// A Target is a cluster to be asked or changed: where, and who must answer.
type Target struct {
	Endpoints []string // http://host:port of nodes that run, masters first, sorted
	Name      string   // as git declares it
	UUID      string   // as recorded; "" before the first formation
	Dist      spec.Distribution
	// Version is the lowest that may answer: the running one, or in an upgrade the older one.
	Version spec.Version
	// Explain asks why unassigned copies stay so; Snapshots asks for the newest successful snapshot of all repositories.
	Explain, Snapshots bool
	// Templates are the names of index templates to be read.
	Templates []string
}

// A Change is one write to Elasticsearch. Exactly one of its fields is set. All are idempotent.
type Change struct {
	// Persistent and Transient set cluster settings together in one call; a nil value takes a setting back.
	Persistent map[string]*string `json:"persistent,omitempty"`
	Transient  map[string]*string `json:"transient,omitempty"`
	// Template puts an index template; Path is the API's path.
	Template *Template `json:"template,omitempty"`
	// DelayedTimeout sets index.unassigned.node_left.delayed_timeout of all indices, closed ones too.
	DelayedTimeout string `json:"delayedTimeout,omitempty"`
	// ExcludeVotes are the names of masters that must not vote any longer. It has happened when the call returns.
	ExcludeVotes []string `json:"excludeVotes,omitempty"`
	// ClearVotes lets all excluded masters vote again.
	ClearVotes bool `json:"clearVotes,omitempty"`
	// Flush writes what is in memory to disk, so that a restarted node has less to replay. What fails is not lost.
	Flush bool `json:"flush,omitempty"`
}

// A Template is an index template and the API's path for it.
type Template struct {
	Name string         `json:"name"`
	Path string         `json:"path"`
	Body map[string]any `json:"body"`
}
