package bootstrap_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/render/bootstrap"
	"github.com/esfleet/esfleet/render/bundle"
	"pgregory.net/rapid"
)

func scripts(t *testing.T) map[string]string {
	files, err := filepath.Glob("*.sh")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	out := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[f] = string(b)
	}
	return out
}

func TestEveryCodeThatAScriptEndsWithHasAReason(t *testing.T) {
	die := regexp.MustCompile(`\bdie (\d+)\b`)
	seen := 0
	for name, text := range scripts(t) {
		for _, m := range die.FindAllStringSubmatch(text, -1) {
			seen++
			code, err := strconv.Atoi(m[1])
			if err != nil || bootstrap.Reason(code) == "" {
				t.Errorf("%s ends with %s, which has no reason", name, m[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("found only %d", seen)
	}
	if bootstrap.Reason(1) != "" {
		t.Error("1 is not ours")
	}
}

// Whatever a fact holds, a shell reads it back as it was and runs none of it.
func TestAFactIsDataForTheShell(t *testing.T) {
	sh, err := exec.LookPath("dash")
	if err != nil {
		t.Skip("dash is not installed; `make setup` installs it")
	}
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[a-z '"\\$()`+"`"+`;&|*!#\n]{0,20}`).Draw(t, "value")
		facts := bootstrap.Facts(map[string]string{"fact": value})
		out, err := exec.Command(sh, "-c", string(facts.Content)+`printf %s. "$fact"`).CombinedOutput()
		if err != nil || string(out) != value+"." {
			t.Fatalf("%q came back as %q: %v", value, out, err)
		}
	})
}

func TestTheCommandNamesEveryPieceAndStaysOneLine(t *testing.T) {
	b := &bundle.Bundle{Packed: make([]byte, 150<<10)}
	cmd := bootstrap.Command(b)
	if !strings.Contains(cmd, `"$ESFLEET_BUNDLE_0$ESFLEET_BUNDLE_1$ESFLEET_BUNDLE_2"`) || strings.Contains(cmd, "\n") || strings.Contains(cmd, "BUNDLE_3") {
		t.Error(cmd)
	}
}
