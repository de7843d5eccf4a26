package roll_test

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// A table says of one Marathon what became of each point.
type table struct {
	version string
	rows    []*row
}

type row struct {
	verb  verb
	what  string
	times int
	alone time.Duration // that nobody came back
	// down and stopped are the nodes that were down at the end of that time, and that had ended during it.
	down, stopped int
	then          string
}

// row is the one of a point, once more.
func (x *table) row(v verb, what string) *row {
	for _, r := range x.rows {
		if r.verb == v && r.what == what {
			r.times++
			return r
		}
	}
	r := &row{verb: v, what: what, times: 1}
	x.rows = append(x.rows, r)
	return r
}

func (x *table) String() string {
	b := &strings.Builder{}
	w := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "MARATHON\tPOINT\tTHE DAEMON OR THE LEADER DIES\tALONE\tDOWN\tSTOPPED\tTHEN")
	for _, r := range x.rows {
		alone := "-\t-\t-"
		if r.alone > 0 {
			alone = fmt.Sprintf("%s\t%d\t%d", r.alone, r.down, r.stopped)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", x.version, r.verb, r.what, alone, r.then)
	}
	_ = w.Flush()
	return b.String()
}
