//go:build !race

package crash_test

// everyRead is which of the reads the daemon dies at in a full run: all of them.
const everyRead = 1
