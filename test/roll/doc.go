// Package roll changes a running cluster on real Marathons, and kills the daemon at every write of a commit and of a turn,
// and Marathon's leader in between: the real reconciler and client, tasks that are real processes, and law that hears of
// every start and end of a node.
//
// In: the Marathon lab. Out: a table of what became of each point; it holds tests alone.
package roll
