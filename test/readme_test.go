package test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The README's transcript is run, line by line, by a real shell: what it shows is what one sees.
func TestTheTranscriptInREADMEIsWhatOneSees(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```console\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("README has no ```console block")
	}
	program := build(t)
	address := freeAddress(t)
	state := t.TempDir()
	for _, step := range steps(string(block[1])) {
		command := strings.ReplaceAll(step.command, "127.0.0.1:8080", address)
		want := strings.ReplaceAll(step.output, "127.0.0.1:8080", address)
		if command == "go build ./cmd/esfleet" {
			continue // done above, with the flags of this test run
		}
		command = strings.ReplaceAll(command, "./esfleet", program)
		command = strings.ReplaceAll(command, "progress.log", filepath.Join(state, "progress.log"))
		background, isBackground := strings.CutSuffix(command, " &")
		if isBackground {
			want := strings.TrimSpace(want)
			if got := start(t, background); got != want {
				t.Errorf("$ %s\n%s\nREADME says\n%s", step.command, got, want)
			}
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("$ %s: %v\n%s", command, err, out)
		}
		if string(out) != want {
			t.Errorf("$ %s\n%s\nREADME says\n%s", step.command, out, want)
		}
	}
}

// The command of README's first screen ends well where there is no terminal, with every cluster converged.
func TestTheDemoOfREADMEEndsWithEveryClusterConverged(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, build(t), "demo").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, cluster := range []string{"billing/invoices", "search/catalog", "search/logs"} {
		if !regexp.MustCompile(`(?m)^` + cluster + ` +converged `).Match(out) {
			t.Errorf("%s never converged:\n%s", cluster, out)
		}
	}
}

type step struct{ command, output string }

func steps(block string) []step {
	var out []step
	for line := range strings.Lines(block) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			out = append(out, step{command: strings.TrimSpace(command)})
			continue
		}
		out[len(out)-1].output += line
	}
	return out
}

// build makes the program once for all tests of this package.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "esfleet")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../cmd/esfleet").CombinedOutput()
	if err != nil {
		t.Fatalf("build esfleet: %v\n%s", err, out)
	}
	return path
}

// start runs a command in the background until the test ends, and gives its first line.
func start(t *testing.T, command string) string {
	t.Helper()
	fields := strings.Fields(command)
	cmd := exec.CommandContext(t.Context(), fields[0], fields[1:]...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	var line string
	if _, err := fmt.Fscanln(out, &line); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, errs.String())
	}
	return line
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // only its address is wanted
	return l.Addr().String()
}
