// Package sinktest holds what any Marathon does that a client has to rely on, or to live with: cases, each a sentence with
// the page and line it was measured on, each for the versions it is about, Marathon's own defects among them. Run against
// the simulator, and against real Marathons where they can be had; make conformance prints both side by side.
//
// In: a Target, which is a Marathon with the means to break it. Out: a test for each case.
//
// Where things are: suite.go what a case works with; helpers.go its words; cases_*.go the cases by theme; nodes.go what
// tasks answer to checks, simulated and real alike; lab.go and lab_control.go a real Marathon whose tasks are local
// processes. On a real Marathon cases run beside each other, because they mostly wait; those that break what others stand
// on run alone, and those that need another leader share one change of it (run_test.go).
package sinktest
