// Package nodes starts real nodes of every supported version from what is rendered for them, and reads them back.
//
// In: ESFLEET_E2E=1 and the archives of make setup. Out: a line for each version; it holds tests alone.
package nodes
