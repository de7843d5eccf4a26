// Package render turns a cluster's spec into the Marathon apps that make it.
//
// In: a spec.Cluster, its blobs, and the Target's version. Out: Desired, whose every value knows its place in git.
// Equal inputs give equal bytes: nothing enters an app that changes without a change of content, because every changed
// field but instances restarts every task. No live state, no network.
package render
