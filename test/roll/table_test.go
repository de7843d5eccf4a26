package roll_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/reconcile/plan"
)

// A table says of one Marathon what became of each moment of each pass.
type table struct {
	version string
	masters bool // of their own
	rows    []*row
}

type row struct {
	pass   string
	verb   verb
	what   string // happens at that write
	times  int
	failed bool
	alone  time.Duration // that nobody came back
	// down and stopped are the nodes that were down at the end of that time, and that had ended during it.
	down, stopped int
	then          string
}

const (
	leaderDies     = "the leader dies"
	foreignRestart = "somebody else restarts the app"
)

// newTable has a row for every moment that the passes go through, in their order.
func newTable(version string, masters bool, list []pass) *table {
	x := &table{version: version, masters: masters}
	for _, p := range list {
		for _, d := range p.deaths {
			x.rows = append(x.rows, &row{pass: p.name, verb: d.verb, what: d.moment.String()})
		}
		for _, v := range p.leader {
			x.rows = append(x.rows, &row{pass: p.name, verb: v, what: leaderDies})
		}
		for _, v := range p.foreign {
			x.rows = append(x.rows, &row{pass: p.name, verb: ahead(v), what: foreignRestart})
		}
	}
	return x
}

// ahead names a step that the daemon was about to take.
func ahead(v plan.Verb) verb { return verb("before a " + string(v)) }

// row is the one of a moment, which has come once more.
func (x *table) row(v verb, what string) *row {
	i := slices.IndexFunc(x.rows, func(r *row) bool { return r.verb == v && r.what == what })
	if i < 0 {
		panic(fmt.Sprintf("%s: %s, %s is in no pass", x.version, v, what)) // the table is made of the passes
	}
	x.rows[i].times++
	return x.rows[i]
}

// fail marks the moments of a pass that ended otherwise than it must.
func (x *table) fail(pass string) {
	for _, r := range x.rows {
		r.failed = r.failed || r.pass == pass
	}
}

// end is what became of the moment, in a few words.
func (r *row) end() string {
	var words []string
	switch {
	case r.times == 0:
		return "not reached"
	case r.failed:
		words = append(words, "FAIL")
	}
	if r.alone > 0 {
		words = append(words, fmt.Sprintf("alone for %s: %d down, %d stopped", r.alone, r.down, r.stopped))
	}
	return strings.Join(append(words, r.then), "; ")
}

// String is the table for the log.
func (x *table) String() string {
	b := &strings.Builder{}
	for _, r := range x.rows {
		fmt.Fprintf(b, "%s: %s, %s: %s\n", x.version, r.verb, r.what, r.end())
	}
	return b.String()
}
