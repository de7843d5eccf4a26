// Package crash kills the daemon at every call of many scenarios, in virtual time.
//
// In: scenarios, played on test/histories/world. Out: the same end and the same writes as undisturbed, or where they
// differ; it holds tests alone.
package crash
