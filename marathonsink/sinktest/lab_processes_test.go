package sinktest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestALabEndsTasksThatStandInItsFolderAndNobodyElse(t *testing.T) {
	l := &Lab{dir: filepath.Join(t.TempDir(), "lab")}
	begin := func(dir string) (pid int) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "sleep", "1000")
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = cmd.Wait() }() // it is killed, at the latest with the test
		return cmd.Process.Pid
	}
	task := begin(filepath.Join(l.dir, "sandboxes", "a"))
	other := begin(l.dir + "-of-others/sandboxes/a")
	if err := within(30*time.Second, l.killRest); err != nil {
		t.Fatal(err)
	}
	if isAlive(task) {
		t.Error("the task lives on")
	}
	if !isAlive(other) {
		t.Error("a process of another folder was ended")
	}
}
