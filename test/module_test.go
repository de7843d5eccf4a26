package test

import (
	"os"
	"strings"
	"testing"
)

// go-marathon's pseudo-version sorts below its old tag: any other module that asked for the tag would silently put years
// of fixes back. The proxy serves no later version.
func TestGoMarathonStaysAtTheVersionTheClientWasWrittenFor(t *testing.T) {
	b, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "github.com/gambol99/go-marathon v0.0.0-20180614232016-99a156b96fb2\n") {
		t.Error("go.mod asks for another go-marathon")
	}
	sum, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(sum), "github.com/gambol99/go-marathon v0.7.1 h1:") {
		t.Error("go.sum has go-marathon v0.7.1: some module requires it, and it would win")
	}
}
