//go:build race

package crash_test

// everyRead is which of the reads the daemon dies at in a full run, beside every write: the race detector makes each run several times as long.
const everyRead = 15
