package roll_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// envPage names the file that the table of all moments and Marathons is written to.
const envPage = "ESFLEET_ROLL"

// generations are the Marathons of the lab, the newest first.
var generations = []string{"1.11", "1.8", "1.7", "1.5"}

// A page is what ROLL.md shows: a sentence and a column for each Marathon. What a run leaves out stays as it was.
type page struct {
	about map[string]string            // by version
	cells map[string]map[string]string // by moment, by version
}

// moments are the lines of the page, pass by pass: every moment that some Marathon goes through.
func moments() (out []string) {
	for _, p := range passes(generations[0], true) {
		for _, version := range generations {
			for _, r := range newTable(version, ownMasters(version, true), passes(version, true)).rows {
				if key := r.moment(); r.pass == p.name && !slices.Contains(out, key) {
					out = append(out, key)
				}
			}
		}
	}
	return out
}

func (r *row) moment() string { return string(r.verb) + " | " + r.what }

const preface = `# Rolls

The daemon is killed at every write of a commit and of a turn, Marathon's leader is killed right after these writes, and somebody
else restarts the app right before a step, on a real Marathon of each generation; nodes are stand-ins that are real processes.
While it lasts at most one node is down, none by any other hand than the daemon's (but in the rows of somebody else's restart),
each comes back with its volume where it was, is stopped once, and runs what git says at the end. ` + "`make roll`" + ` runs this and
writes this page; what a run leaves out (` + "`VERSION=1.7`" + `) stays as it was. – is a write that this generation does not need.
"alone" is a time in which nobody takes the dead daemon's place: what is down and what has stopped at its end.

`

// String is the page in Markdown.
func (p *page) String() string {
	b := &strings.Builder{}
	b.WriteString(preface)
	for _, version := range generations {
		if about := p.about[version]; about != "" {
			fmt.Fprintf(b, "- %s: %s\n", version, about)
		}
	}
	fmt.Fprintf(b, "\n| write | what happens | %s |\n|---|---|%s\n", strings.Join(generations, " | "), strings.Repeat("---|", len(generations)))
	for _, key := range moments() {
		fmt.Fprintf(b, "| %s |", key)
		for _, version := range generations {
			cell := p.cells[key][version]
			if cell == "" {
				cell = "–"
			}
			fmt.Fprintf(b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// readPage takes a page that String made apart.
func readPage(text string) *page {
	p := &page{about: map[string]string{}, cells: map[string]map[string]string{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if about, ok := strings.CutPrefix(line, "- "); ok {
			version, about, _ := strings.Cut(about, ": ")
			p.about[version] = about
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 2+len(generations) {
			continue
		}
		key := cells[0] + " | " + cells[1]
		p.cells[key] = map[string]string{}
		for i, version := range generations {
			if cell := cells[2+i]; cell != "–" {
				p.cells[key][version] = cell
			}
		}
	}
	return p
}

// set puts one Marathon's results in the place of its earlier ones.
func (p *page) set(x *table, most int) {
	nodes := "3 data nodes that are masters too"
	if x.masters {
		nodes = "3 masters and 3 data nodes"
	}
	failed := 0
	for _, row := range p.cells {
		delete(row, x.version)
	}
	for _, r := range x.rows {
		if r.failed || r.times == 0 {
			failed++
		}
		if p.cells[r.moment()] == nil {
			p.cells[r.moment()] = map[string]string{}
		}
		p.cells[r.moment()][x.version] = r.end()
	}
	p.about[x.version] = fmt.Sprintf("%s; %d moments, %d failed or not reached; at most %d node down at once", nodes, len(x.rows), failed, most)
}

// write puts a Marathon's results on the page that the environment names.
func write(t *testing.T, x *table, most int) {
	t.Helper()
	file := os.Getenv(envPage)
	if file == "" {
		return
	}
	before, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	p := readPage(string(before))
	p.set(x, most)
	must(t, os.WriteFile(file, []byte(p.String()), 0o644))
}

func TestThePageShowsEveryMomentOfEveryMarathonWithAGoodEnd(t *testing.T) {
	text, err := os.ReadFile("ROLL.md")
	if err != nil {
		t.Fatalf("%v; make roll writes it", err)
	}
	p := readPage(string(text))
	for _, version := range generations {
		for _, r := range newTable(version, ownMasters(version, true), passes(version, true)).rows {
			if cell := p.cells[r.moment()][version]; cell == "" || strings.HasPrefix(cell, "FAIL") || cell == "not reached" {
				t.Errorf("%s: %s is %q; make roll VERSION=%s runs it", version, r.moment(), cell, version)
			}
		}
	}
	if got := p.String(); got != string(text) {
		t.Error("the page is not as make roll writes it")
	}
}

func TestAPageKeepsTheResultsOfMarathonsThatARunLeftOut(t *testing.T) {
	p := readPage("")
	newest := newTable("1.11", false, passes("1.11", true))
	for _, r := range newest.rows {
		r.times, r.then = 1, "another goes on at once"
	}
	newest.fail("leader")
	p.set(newest, 1)
	p = readPage(p.String())
	p.set(newTable("1.5", false, passes("1.5", true)), 1)
	p = readPage(p.String())
	for moment, want := range map[string]string{
		"array PUT | before it is sent":   "another goes on at once",
		"array PUT | " + leaderDies:       "FAIL; another goes on at once",
		"DELETE task | before it is sent": "",
	} {
		if got := p.cells[moment]["1.11"]; got != want {
			t.Errorf("%s: %q, want %q", moment, got, want)
		}
	}
	if got := p.cells["DELETE task | before it is sent"]["1.5"]; got != "not reached" {
		t.Errorf("%q", got)
	}
	if p.about["1.11"] == "" || p.about["1.5"] == "" {
		t.Errorf("%v", p.about)
	}
}
