//go:build race

package crash_test

// everyRead is which of the reads the daemon dies at in a full run: the race detector makes each run several times as long.
const everyRead = 5
