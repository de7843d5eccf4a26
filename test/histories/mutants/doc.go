// Package mutants breaks esfleet's own code on purpose, in the ways in which others of its kind have been found broken,
// and sees whether the tests notice.
//
// In: single changes of single functions, laid over the sources (go test -overlay), so that no broken code stands in the
// project. Out: which of them no test has noticed, and what noticed the others (TABLE.md); it holds tests alone.
package mutants
