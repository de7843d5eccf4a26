package oplog

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Format writes entries for people ("text") or programs ("json": an array, never null).
func Format(w io.Writer, entries []Entry, format string) error {
	switch format {
	case "text":
		return formatText(w, entries)
	case "json":
		if entries == nil {
			entries = []Entry{}
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(entries)
	}
	return fmt.Errorf("format history: %q is no format; use text or json", format)
}

func formatText(w io.Writer, entries []Entry) error {
	if len(entries) == 0 {
		_, err := fmt.Fprintln(w, "no operations")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TIME\tOUTCOME\tVERB\tAPP\tCOMMIT\tTOOK\tWHY")
	for _, e := range entries {
		state, took, why := "open", "", e.Why
		if e.Node != "" && !strings.Contains(why, e.Node) {
			why = e.Node + ": " + why
		}
		if o := e.Outcome; o != nil {
			state = string(o.State)
			if o.Took > 0 {
				took = o.Took.Round(time.Millisecond).String()
			}
			if o.Error != "" {
				why = strings.TrimPrefix(why+" – "+o.Error, " – ")
			}
		}
		at := "-"
		if !e.Time.IsZero() {
			at = e.Time.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", at, state, e.Verb, oneLine(e.App), e.Commit[:min(12, len(e.Commit))], took, oneLine(why))
	}
	return tw.Flush()
}

// oneLine keeps an error page or a terminal's control codes from rearranging the table.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
