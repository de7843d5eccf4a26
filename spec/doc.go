// Package spec reads a fleet repository: parse, validate, flow the defaults down.
//
// In: a snapshot.Snapshot. Out: a Fleet, or every Problem at once, each with its place and what to write instead.
// It does no I/O but reading blobs of the Snapshot, reads no clock, and gives equal results for equal commits.
package spec
