// Package e2e tells two stories with real parts, every task a local process: the example fleet from its first commit on, and
// a cluster that changes in every way while clients write to it. git over HTTP, the esfleet program, Marathon, HAProxy and
// Elasticsearch are real; where a real Marathon cannot be had, the simulator takes its place.
//
// In: ESFLEET_E2E=1 and what make setup fetches. Out: a report of what happened and when, what was written, acknowledged
// and found again, who had their turn; it holds tests alone. ESFLEET_E2E=all tells the long story on real Marathons too.
package e2e
