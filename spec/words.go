package spec

import (
	"strconv"
	"strings"
)

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// shortKey keeps a key from the repository short and printable where a field is named.
func shortKey(k string) string {
	q := quote(k)
	if len(k) <= 40 && q == `"`+k+`"` {
		return k
	}
	return q
}

func listed(words []string) string { return strings.Join(words, ", ") }

func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// maxWord bounds what is compared letter by letter.
const maxWord = 64

// nearest is the word that was probably meant: equal but for case and separators, or a few letters away. Empty: none is near.
func nearest(got string, words []string) string {
	if len(got) > maxWord {
		return ""
	}
	plain := bare(got)
	best, bestDist := "", 0
	for _, w := range words {
		if len(w) > maxWord {
			continue
		}
		dist := distance(plain, bare(w))
		if dist <= max(1, len(w)/3) && (best == "" || dist < bestDist) {
			best, bestDist = w, dist
		}
	}
	return best
}

// guess is nearest until too many were asked for.
func guess(got string, words []string, asked int) string {
	if asked >= maxGuesses {
		return ""
	}
	return nearest(got, words)
}

var separators = strings.NewReplacer("_", "", "-", "", ".", "", " ", "")

func bare(s string) string { return separators.Replace(strings.ToLower(s)) }

// distance counts the letters to insert, delete, replace or swap with a neighbour.
func distance(a, b string) int {
	var rows [3][maxWord + 1]int
	prev2, prev, cur := &rows[0], &rows[1], &rows[2]
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

func (n *node) float() float64 {
	f, _ := strconv.ParseFloat(n.text, 64)
	return f
}
