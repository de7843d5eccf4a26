// Package spec reads a fleet repository: parse, validate, flow the defaults down.
//
// In: a snapshot.Snapshot. Out: a Fleet, or every Problem at once, each with its place and what to write instead.
// Most of a Fleet says what shall be; some of it says how to get there from what runs: rollout, restart, replace, retirement,
// a generation. These words are read here and obeyed by reconcile/plan.
//
// It does no I/O but reading blobs of the Snapshot, reads no clock, and gives equal results for equal commits.
package spec
