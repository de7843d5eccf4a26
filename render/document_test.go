package render

import "testing"

// To Mesos a maximum of 0 failures means: kill at the first. A fleet's 0 means never.
func TestAFleetsZeroFailuresNeverKillANode(t *testing.T) {
	if n := maxFailures(0); n < 1_000_000 {
		t.Errorf("0 is rendered as %d", n)
	}
	if n := maxFailures(5); n != 5 {
		t.Errorf("5 is rendered as %d", n)
	}
}
