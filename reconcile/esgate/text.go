package esgate

import (
	"fmt"
	"strings"
	"unicode"
)

// Bounds of what a Verdict says. Names come from live clusters, where anybody may have chosen them.
const (
	maxName  = 64  // runes of one name
	maxText  = 700 // runes of a reason
	maxNamed = 3   // things named one by one
)

// clean makes one line of at most limit runes that no terminal acts upon.
func clean(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == limit {
			b.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

func name(s string) string {
	if s == "" {
		return `""`
	}
	return clean(s, maxName)
}

func bounded(s string) string { return clean(s, maxText) }

// several names the first few of a list.
func several(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	shown := names[:min(len(names), maxNamed)]
	out := make([]string, len(shown))
	for i, n := range shown {
		out[i] = name(n)
	}
	text := strings.Join(out, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (s *Shard) label() string { return fmt.Sprintf("%s[%d]", clean(s.Index, maxName), s.Number) }

// count is "1 node", "2 nodes", "2 copies".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, ok := strings.CutSuffix(what, "y"); ok {
		what = stem + "ie"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// gib shows bytes.
func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
