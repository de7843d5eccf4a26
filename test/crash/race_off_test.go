//go:build !race

package crash_test

// everyRead is which of the reads the daemon dies at in a full run, beside every write: all reads of one look are answered at the same moment, so a few of them stand for all.
const everyRead = 3
