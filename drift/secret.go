package drift

import (
	"regexp"
	"strings"
)

// hidden stands for a value that must not be shown. It tells neither length nor digest: both help a guesser.
const hidden = "(hidden)"

// secretWords make a name look secret wherever they stand in it, secretEndings only as its last word.
var (
	secretWords   = []string{"PASSW", "SECRET", "TOKEN", "CREDENTIAL", "PASSPHRASE", "APIKEY"}
	secretEndings = map[string]bool{"KEY": true, "PASS": true, "AUTH": true, "PWD": true}
)

// looksSecret judges the name of a variable or label: ES_PASSWORD, api.token, AWS_ACCESS_KEY.
func looksSecret(name string) bool {
	upper := strings.ToUpper(name)
	for _, w := range secretWords {
		if strings.Contains(upper, w) {
			return true
		}
	}
	last := strings.LastIndexAny(upper, "_-.")
	return last >= 0 && secretEndings[upper[last+1:]]
}

// secretPath says whether everything under a path is to be hidden.
func secretPath(path string) bool {
	for _, prefix := range []string{"env.", "labels."} {
		if name, ok := strings.CutPrefix(path, prefix); ok {
			return looksSecret(name)
		}
	}
	return false
}

var (
	assignment = regexp.MustCompile(`\b([A-Za-z_][A-Za-z0-9_.-]*)=("[^"]*"|'[^']*'|\S+)`)
	userInfo   = regexp.MustCompile(`://[^/\s@:]*:[^/\s@]*@`)
)

// redact copies a value without what looks like a secret: passwords inside URLs, and NAME=value where NAME looks secret,
// as in a container's parameters or a command line.
func redact(path string, v any) any {
	if v != nil && secretPath(path) {
		return hidden
	}
	switch x := v.(type) {
	case string:
		return redactText(x)
	case []any:
		out := make([]any, len(x))
		for i, item := range x {
			out[i] = redact(index(path, i), item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, item := range x {
			out[k] = redact(join(path, k), item)
		}
		return out
	}
	return v
}

func redactText(s string) string {
	if strings.Contains(s, "://") {
		s = userInfo.ReplaceAllString(s, "://"+hidden+"@")
	}
	if !strings.Contains(s, "=") {
		return s
	}
	return assignment.ReplaceAllStringFunc(s, func(a string) string {
		name, _, _ := strings.Cut(a, "=")
		if looksSecret(name) {
			return name + "=" + hidden
		}
		return a
	})
}
