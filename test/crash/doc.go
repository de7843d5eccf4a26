// Package crash kills the daemon at every call of many scenarios and lets random faults happen to random histories, in
// virtual time.
//
// In: scenarios and seeds. Out: the same end and the same writes as undisturbed, or the seed that shows otherwise; it
// holds tests alone.
package crash
