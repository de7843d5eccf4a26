// Package sinktest holds what any Marathon does that a client has to rely on, or to live with: cases, each a sentence with
// the page and line it was measured on, each for the versions it is about, Marathon's own defects among them. Run against
// the simulator, and against real Marathons where they can be had; make conformance prints both side by side.
//
// In: a Target, which is a Marathon with the means to break it. Out: a test for each case.
//
// Where things are: suite.go what a case works with; helpers.go its words; cases_*.go the cases by theme; nodes.go what
// tasks answer to checks, simulated and real alike; lab*.go a real Marathon whose tasks are local processes;
// CONFORMANCE.md the last table. On a real Marathon those that need another leader come first and share one change of it;
// then most run beside each other, because they mostly wait; those that break what others stand on run alone
// (run_test.go).
//
// What no case can provoke at will: a success that is false because an inner call of Marathon's took too long (its other
// causes are cases), an answer of 403 (a plugin's), and a double reservation at the first start of residents.
package sinktest
