package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The demo takes as long as people can follow, so it has a test of its own that a quick run may leave out.
func TestTheDemoWithoutATerminalEndsOnceEveryClusterIsHealthy(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute of real time")
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "esfleet", "demo") // TestMain puts it into the path
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, &out, &errs)
	}
	text := out.String()
	for _, id := range []string{"billing/invoices", "search/catalog", "search/logs"} {
		if !regexp.MustCompile(`(?m)^` + id + ` +converged `).MatchString(text) {
			t.Errorf("%s did not converge", id)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Error("there are terminal codes in what is no terminal")
	}
	if !strings.Contains(text, "Every cluster runs.") || errs.Len() > 0 {
		t.Errorf("it ends with %.200q on stdout and %q on stderr", text[max(0, len(text)-200):], errs.String())
	}
	last := map[string]string{} // by cluster
	for line := range strings.Lines(text) {
		cluster, _, found := strings.Cut(line, " ")
		if found && strings.Contains(cluster, "/") && last[cluster] == line {
			t.Errorf("nothing has changed since it was told before: %s", line)
		}
		last[cluster] = line
	}
}
