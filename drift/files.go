package drift

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"

	"github.com/esfleet/esfleet/render/bundle"
)

// Bounds of what is diffed and shown. Live content is untrusted, and a report must stay readable.
const (
	maxDiffInput  = 256 << 10 // bytes of one side of a file; above it a file is only named
	maxDiffLines  = 4000      // lines of one side; a diff costs up to their product
	maxDiffOutput = 64 << 10  // bytes of one file's diff
)

// bundlePath is the path of the one field that stands for all variables that carry a bundle.
const bundlePath = "bundle"

// takeBundle moves the variables that carry the bundle out of a definition's env.
func takeBundle(doc map[string]any) map[string]string {
	env, _ := doc["env"].(map[string]any)
	var carried map[string]string
	for k, v := range env {
		s, ok := v.(string)
		if !ok || !bundle.IsEnv(k) {
			continue
		}
		if carried == nil {
			carried = map[string]string{}
		}
		carried[k] = s
		delete(env, k)
	}
	if env != nil && len(env) == 0 {
		delete(doc, "env")
	}
	return carried
}

// compareBundles reports a bundle that differs as one field, by digest, and file by file. A live bundle that cannot be
// read is reported as damaged.
func (f *fields) compareBundles(want, have map[string]string) []File {
	if maps.Equal(want, have) {
		return nil
	}
	wanted, wantName := openBundle(want)
	found, haveName := openBundle(have)
	switch {
	case len(want) == 0:
		f.add(bundlePath, Extra, nil, haveName)
	case len(have) == 0:
		f.add(bundlePath, Missing, wantName, nil)
	default:
		f.add(bundlePath, Changed, wantName, haveName)
	}
	if found == nil && len(have) > 0 {
		return nil // damaged: what it held is unknown
	}
	return compareFiles(wanted, found)
}

// openBundle reads a bundle and says in a word which it is; a damaged one, or none, is a nil map.
func openBundle(env map[string]string) (map[string]bundle.File, string) {
	b, err := bundle.FromEnv(env)
	if errors.Is(err, bundle.ErrNoBundle) {
		return nil, ""
	}
	if err != nil {
		return nil, "damaged: " + err.Error()
	}
	files := make(map[string]bundle.File, len(b.Files))
	for _, f := range b.Files {
		files[f.Path] = f
	}
	return files, "sha256 " + b.Digest
}

func compareFiles(want, have map[string]bundle.File) []File {
	var out []File
	for path, w := range want {
		h, there := have[path]
		switch {
		case !there:
			out = append(out, File{Path: path, Kind: Missing, Diff: unified(path, "", string(w.Content))})
		case w.Mode != h.Mode || !bytes.Equal(w.Content, h.Content):
			out = append(out, File{Path: path, Kind: Changed, Diff: modeLine(w, h) + unified(path, string(h.Content), string(w.Content))})
		}
	}
	for path, h := range have {
		if _, there := want[path]; !there {
			out = append(out, File{Path: path, Kind: Extra, Diff: unified(path, string(h.Content), "")})
		}
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out
}

func modeLine(want, have bundle.File) string {
	if want.Mode == have.Mode {
		return ""
	}
	return fmt.Sprintf("mode %o -> %o\n", have.Mode, want.Mode)
}

// unified is the diff from live to wanted; empty for binary content, and a word instead of what is too large to show.
func unified(path, have, want string) string {
	if isBinary(have) || isBinary(want) {
		return ""
	}
	if tooLarge(have) || tooLarge(want) {
		return fmt.Sprintf("too large to compare line by line: %d bytes live, %d bytes in git\n", len(have), len(want))
	}
	d := udiff.Unified("live/"+path, "git/"+path, have, want)
	if len(d) <= maxDiffOutput {
		return d
	}
	cut := strings.LastIndexByte(d[:maxDiffOutput], '\n') + 1
	return fmt.Sprintf("%s(%d more bytes of this diff are not shown)\n", d[:cut], len(d)-cut)
}

func tooLarge(s string) bool {
	return len(s) > maxDiffInput || strings.Count(s, "\n") > maxDiffLines
}

func isBinary(s string) bool {
	return strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s)
}
