// Package sinktest says what esfleet relies on in a Marathon, as cases that run against any: a real one of each
// version, or the simulator. A simulator that passes here may be trusted by the other tests.
//
// In: a way to reach a Marathon. Out: test failures. It also starts real Marathons for tests (StartLab).
package sinktest
