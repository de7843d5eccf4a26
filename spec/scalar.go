package spec

import (
	"regexp"
	"strings"
)

// A scalar as written falls into exactly one of the kinds below. The rules are narrower than any YAML version's: a plain
// word that YAML 1.1 and 1.2 read differently, or that a reader would take for another type than a person means, is a trap.
var (
	plainInt   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	plainFloat = regexp.MustCompile(`^-?(0|[1-9][0-9]*)\.[0-9]+$`)
	// numberLike is every other notation that some YAML reader turns into a number.
	numberLike  = regexp.MustCompile(`^[-+]?(0[0-9_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|0[bB][01_]+|[0-9][0-9_]*|[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+|\.(inf|Inf|INF)|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)$|^\.(nan|NaN|NAN)$`)
	truthyWords = map[string]string{
		"yes": "true", "on": "true", "y": "true", "true": "true",
		"no": "false", "off": "false", "n": "false", "false": "false",
	}
)

// maxDigits bounds how long a number may be, far beyond what any field can mean.
const maxDigits = 32

// classify says what a plain (unquoted, one-line) scalar is, and for a trap why.
func classify(text string) (kind nodeKind, trap string) {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nullNode, ""
	case "true", "false":
		return boolNode, ""
	case "<<", "=":
		return trapNode, "has a meaning of its own to some YAML readers"
	}
	if meant, ok := truthyWords[strings.ToLower(text)]; ok {
		return trapNode, "is read as " + meant + " by some YAML readers and as a word by others"
	}
	switch {
	case plainInt.MatchString(text), plainFloat.MatchString(text):
		if len(text) > maxDigits {
			return trapNode, "has more digits than a number can hold"
		}
		if strings.Contains(text, ".") {
			return floatNode, ""
		}
		return intNode, ""
	case numberLike.MatchString(text):
		return trapNode, "is read as a number by some YAML readers, and not always as the same one"
	}
	return stringNode, ""
}
