package sinktest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// envReport names the file that the table of all cases and Marathons is written to; it also asks for all versions.
const envReport = "ESFLEET_CONFORMANCE"

// A column is one Marathon's results.
type column struct {
	name   string
	ran    bool // it was this run's, even if nothing could be run
	absent bool // nothing could be run

	mu    sync.Mutex
	cells map[string]string
}

// note keeps how a case ended. It is deferred inside the case's test.
func (c *column) note(t *testing.T, k testCase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cell := "ok"
	switch {
	case t.Failed():
		cell = "FAIL"
	case t.Skipped():
		cell = "skip"
	}
	c.cells[k.name] = cell
}

// A report is a table of cases by Marathons.
type report struct {
	mu      sync.Mutex
	columns []*column
}

func (r *report) column(name string) *column {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.columns {
		if c.name == name {
			return c
		}
	}
	c := &column{name: name, cells: map[string]string{}}
	r.columns = append(r.columns, c)
	return c
}

// String is a table in Markdown, with a line of sums and a line for each Marathon that was not there.
func (r *report) String() string {
	var b strings.Builder
	cases := allCases()
	fmt.Fprintf(&b, "# Conformance\n\n%d cases, each against the simulator (sim) and a real Marathon (real) of every version that it is about. "+
		"`make conformance` runs them and writes this page; what a run leaves out (`VERSION=1.7`, `CASE='regular expression'`) stays as it was. – is a case about other versions; sections are those of the pages of "+
		"measurements that the cases come from.\n\n", len(cases))
	for _, c := range r.columns {
		sums := map[string]int{}
		for _, cell := range c.cells {
			sums[cell]++
		}
		fmt.Fprintf(&b, "- %s: %d ok, %d failed", c.name, sums["ok"], sums["FAIL"])
		if n := len(cases) - len(c.cells); !c.absent && n > 0 {
			fmt.Fprintf(&b, ", %d about other versions", n)
		}
		if c.absent {
			b.WriteString("; skipped, because it could not be had")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n| case | source |")
	for _, c := range r.columns {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(r.columns)) + "\n")
	for _, k := range cases {
		fmt.Fprintf(&b, "| %s | %s |", k.name, k.source)
		for _, c := range r.columns {
			cell := c.cells[k.name]
			if cell == "" {
				cell = "–"
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// readTable is the cells of a page that String made, by case and column.
func readTable(page string) map[string]map[string]string {
	var head []string
	rows := map[string]map[string]string{}
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		switch {
		case cells[0] == "case":
			head = cells
		case len(head) > 0 && len(cells) == len(head):
			rows[cells[0]] = map[string]string{}
			for i, cell := range cells {
				rows[cells[0]][head[i]] = cell
			}
		}
	}
	return rows
}

// keep takes the results of Marathons and cases that this run left out from the page of the run before.
func (r *report) keep(before map[string]map[string]string) {
	for _, c := range r.columns {
		for _, k := range allCases() {
			if cell := before[k.name][c.name]; (!c.ran || !chosen(k)) && isAbout(k, c.name) && (cell == "ok" || cell == "FAIL") {
				c.cells[k.name] = cell
			}
		}
	}
}

// isAbout says whether a case is about the Marathon of a column.
func isAbout(k testCase, column string) bool {
	return slices.ContainsFunc(suiteVersions, func(v marathon.Version) bool { return strings.HasSuffix(column, " "+generation(v)) && k.fits(v) })
}

// write puts the table where the environment asks for it.
func (r *report) write() error {
	file := os.Getenv(envReport)
	if file == "" {
		return nil
	}
	if before, err := os.ReadFile(file); err == nil {
		r.keep(readTable(string(before)))
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(r.String()), 0o644)
}
