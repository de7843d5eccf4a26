// Package bench measures what esfleet costs, each time beside a floor in the same run: a bare GET and one hash pass over
// the same bytes, a bare fetch of the same commit.
//
// In: a generated fleet, and the Marathon in which it already runs. Out: ratios, which hold on any machine, in
// BENCHMARKS.md (make bench). Counts of calls, writes and allocations are exact and are ordinary tests; times are only
// reported.
package bench
