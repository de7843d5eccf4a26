// Package roll changes a running cluster on real Marathons, and kills the daemon at every write of a commit and of a turn,
// and Marathon's leader in between: the real reconciler and client, tasks that are real processes, and a law that hears of
// every write before it is sent and of every start and end of a node when it happens.
//
// In: the Marathon lab beside the checkout. Out: ROLL.md, which says of each Marathon what became of each point; the package
// holds tests alone. With ESFLEET_E2E=1, as `make test` sets it, Marathon 1.11 goes through every death of the daemon and 1.5 through
// some; with ESFLEET_E2E=all, as `make roll` does, all four generations through everything.
package roll
