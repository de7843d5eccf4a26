//go:build race

package histories_test

// raced says that the race detector watches: faults come beside the daemon's own calls here, in one thread's turns of
// virtual time, which the detector takes for races. make test runs the histories a second time without it.
const raced = true
