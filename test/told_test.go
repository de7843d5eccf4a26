package test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestWhatFailedIsSaidAgainAtTheEndInShortLines(t *testing.T) {
	script := `echo "--- FAIL: TestA"; echo "    a_test.go:1: wanted 1, saw ` + strings.Repeat("x", 1000) + `"; seq 1000; exit 3`
	out, err := exec.CommandContext(t.Context(), "sh", "told.sh", "sh", "-c", script).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); !ok || failed.ExitCode() != 3 {
		t.Errorf("it ended with %v, the command with 3", err)
	}
	_, end, _ := strings.Cut(string(out), "\n1000\n")
	if !strings.Contains(end, "--- FAIL: TestA\n    a_test.go:1: wanted 1, saw xxx") || len(end) > 2500 {
		t.Errorf("the end is %d bytes: %.3000s", len(end), end)
	}
}

func TestOfWhatSucceedsNothingIsSaidAgain(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "sh", "told.sh", "sh", "-c", `echo "--- FAIL: of somebody else's"`).Output()
	if err != nil || strings.Count(string(out), "FAIL") != 1 {
		t.Errorf("%v: %s", err, out)
	}
}
