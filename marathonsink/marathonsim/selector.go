package marathonsim

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	selSet   = regexp.MustCompile(`^(\S+)\s+(in|notin)\s+\(([^()]*)\)$`)
	selEqual = regexp.MustCompile(`^([^\s=!]+)\s*(==|!=)\s*(\S+)$`)
	selKey   = regexp.MustCompile(`^[A-Za-z0-9._\-/\\]+$`)
)

// parseSelector reads a label selector: k, k==v, k!=v, k in (a, b), k notin (a, b), with commas for and.
func parseSelector(text string) (func(map[string]string) bool, error) {
	var tests []func(map[string]string) bool
	for _, term := range splitSelector(text) {
		test, ok := parseTerm(strings.TrimSpace(term))
		if !ok {
			//lint:ignore ST1005 Marathon's words
			return nil, fmt.Errorf("Can not parse label selector %s. Reason: end of input expected", strings.TrimSuffix(text, " "))
		}
		tests = append(tests, test)
	}
	return func(labels map[string]string) bool {
		for _, t := range tests {
			if !t(labels) {
				return false
			}
		}
		return true
	}, nil
}

// splitSelector cuts at the commas outside brackets.
func splitSelector(text string) []string {
	var out []string
	depth, from := 0, 0
	for i, r := range text {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, text[from:i])
				from = i + 1
			}
		}
	}
	return append(out, text[from:])
}

func parseTerm(term string) (func(map[string]string) bool, bool) {
	if m := selSet.FindStringSubmatch(term); m != nil {
		key, values := unescape(m[1]), strings.Split(m[3], ",")
		for i := range values {
			values[i] = unescape(strings.TrimSpace(values[i]))
		}
		return func(l map[string]string) bool {
			v, has := l[key]
			return has && slices.Contains(values, v) == (m[2] == "in")
		}, true
	}
	if m := selEqual.FindStringSubmatch(term); m != nil {
		key, value := unescape(m[1]), unescape(m[3])
		return func(l map[string]string) bool {
			v, has := l[key]
			return has && (v == value) == (m[2] == "==")
		}, true
	}
	if selKey.MatchString(term) {
		key := unescape(term)
		return func(l map[string]string) bool { _, has := l[key]; return has }, true
	}
	return nil, false
}

func unescape(s string) string { return strings.ReplaceAll(s, `\`, "") }
