// Package esgate holds the rules that keep documents safe: may this node be touched now, and if not, why not?
//
// In: Health, one reading of a cluster, and Touch, what is to be done to which node. Out: a Verdict with the rule that
// forbids it and a reason for a person. It is a table of named rules, each a function of its arguments alone. What is not
// known is never good: an unknown Health forbids everything that could lose a document.
package esgate

import (
	"time"

	"github.com/esfleet/esfleet/spec"
)

// A Kind is what is to be done to a node, or to its volume.
type Kind string

// The kinds.
const (
	// Commit changes the definition of apps; no node is touched yet, but the next ones to crash may come back with it.
	Commit Kind = "commit"
	// Restart stops a node that comes back on its volume.
	Restart Kind = "restart"
	// Drain moves all shards away from a node.
	Drain Kind = "drain"
	// Stop ends a node for good; its volume is kept.
	Stop Kind = "stop"
	// Wipe destroys the volume of a node that is stopped for good.
	Wipe Kind = "wipe"
	// Join adds nodes.
	Join Kind = "join"
)

// A Touch is what is to be done, and what of the declared cluster the rules must know.
type Touch struct {
	Kind Kind
	// Node is the name of the node; "" for Commit and Join.
	Node string
	// Component is the one whose app is touched.
	Component spec.Component

	Name, UUID string       // of the cluster as declared and recorded
	Version    spec.Version // that git wants
	Dist       spec.Distribution
	// Masters and Data are how many nodes of each kind are expected to be members now: all that are declared, and those
	// that leave until esfleet has stopped them. A node that is both counts in both; what a Join adds is not counted.
	Masters, Data int
	// Peers is the same for the nodes of Component, known by the component they report; 0 if they need not be counted.
	Peers int
	// GoneMasters and GoneData are how many of those beside the touched node are no members and given up by name in git. They
	// need not be there when a node is ended that is not there either: each would wait for the others.
	GoneMasters, GoneData int
	// Adds is how many nodes a Join adds; 0 means one.
	Adds int
	// Leaving are the names of nodes that are to leave for good: only these may be excluded from allocation and vote.
	Leaving []string
	// Zen1 says that the quorum is a number set by hand (Elasticsearch before 7); Quorum is that number in force.
	Zen1   bool
	Quorum int

	// Now is the time of the decision; MaxAge is how old a Health may be for it.
	Now    time.Time
	MaxAge time.Duration
	// Upgrading says that two versions run because git wants another one: yellow may then be normal, see
	// RuleMixedVersions.
	Upgrading bool
	// SnapshotWithin, if not 0, demands a successful snapshot not older.
	SnapshotWithin time.Duration
	// Drained is when the node was first seen empty in an unbroken row of readings under one master; zero: not yet.
	Drained time.Time
	// AcceptLoss lists instances whose copies git gives up by name.
	AcceptLoss []string
	// Instance is Marathon's id of the instance to be touched.
	Instance string
}

// A Verdict is the first rule that forbids a Touch.
type Verdict struct {
	OK   bool
	Rule string
	Why  string
	// Hold says that waiting will not help: a person or a commit must change something. WayOut says what.
	Hold   bool
	WayOut string
}
