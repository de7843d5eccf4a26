// Package histories lets random clusters live through random commits and random faults, in virtual time: the real planner,
// executor and clients on a simulated Marathon with modelled Elasticsearch clusters and clients that write all the time.
//
// In: seeds. Out: laws that were broken at any call or fault, clusters that did not become as git says once the faults
// had ended, and the smallest script that still shows it; it holds tests alone.
package histories
