// Package e2e tells the whole story with real parts: the example fleet, git over HTTP, the esfleet program, Marathon,
// HAProxy and Elasticsearch, with every task a local process.
//
// In: ESFLEET_E2E=1 and what make setup fetches. Out: a report of what happened and when; it holds tests alone.
package e2e
