package mutants_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const (
	head = "# Mutants: what noticed each of them\n\nWritten by `make mutants`; `make mutants KIND=B13` renews the rows of one kind. The kinds are bugs that others of esfleet's kind had.\n\n" +
		"| kind | our code broken so that it | noticed by |\n|---|---|---|\n"
	nobody = "not tried yet"
)

// row is how a mutant's row begins.
func (m mutant) row() string { return fmt.Sprintf("| %s | %s | ", m.kind, m.what) }

// tell writes the table of all mutants: by what noticed them now, else as it stands there.
func tell(t *testing.T, path string, rows map[string]string) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	b := &strings.Builder{}
	b.WriteString(head)
	for _, m := range mutants {
		by := nobody
		if _, rest, ok := strings.Cut(string(before), m.row()); ok {
			by, _, _ = strings.Cut(rest, " |\n")
		}
		if now := rows[m.row()]; now != "" {
			by = strings.NewReplacer("|", "/", "\n", " ").Replace(now)
		}
		b.WriteString(m.row() + by + " |\n")
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
