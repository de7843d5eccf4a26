// Package render turns a cluster's spec into the Marathon apps that make it.
//
// In: a spec.Cluster, its blobs, and the Target's version. Out: Desired, whose every value knows its place in git.
// Equal inputs give equal bytes: nothing enters an app that changes without a change of content, because every changed
// field but instances restarts every task. No live state, no network.
//
// What others must know of an app before it runs is asked for here: its id (AppIDOf), as data nodes of a later generation
// are an app of their own; its nodes' names (NodeName), as the boot script makes them; its cluster's name (ClusterName).
package render
