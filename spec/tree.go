package spec

import (
	"fmt"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// Bounds of a whole commit. A fleet of ten thousand clusters stays far below them.
const (
	maxFiles      = 200_000
	maxTotalBytes = 256 << 20
	maxFileBytes  = 16 << 20
	maxPathBytes  = 512
	maxPathDepth  = 16
)

// checkTree looks at the listing alone, before a byte of content is read. It returns false if the listing is no basis for
// anything further.
func (p *parse) checkTree() bool {
	entries := p.snap.Entries
	if len(entries) == 0 {
		p.problem(Pos{File: "fleet.yaml"}, "", "the commit holds no files at all", "restore them; an empty commit never means that clusters go")
		return false
	}
	if len(entries) > maxFiles {
		p.problem(Pos{File: "fleet.yaml"}, "", fmt.Sprintf("the commit holds %d files; at most %d are read", len(entries), maxFiles), "move what is no part of the fleet to another repository")
		return false
	}
	total := int64(0)
	for i := range entries {
		if inFleet(entries[i].Path) {
			total += max(entries[i].Size, 0)
		}
	}
	for e := range p.looked() {
		p.checkEntry(e)
	}
	if total > maxTotalBytes {
		p.problem(Pos{File: "fleet.yaml"}, "", fmt.Sprintf("the fleet's files are %d MiB together; at most %d are read", total>>20, maxTotalBytes>>20), "fetch large files from a server in pre-run.sh instead")
		return false
	}
	p.checkFolds()
	return true
}

// inFleet says that the path is one that Parse reads.
func inFleet(path string) bool { return path == "fleet.yaml" || strings.HasPrefix(path, "groups/") }

// looked are the entries that no earlier Parse has found faultless.
func (p *parse) looked() iter.Seq[*snapshot.Entry] {
	return func(yield func(*snapshot.Entry) bool) {
		for _, part := range p.look {
			for i := range part {
				if !yield(&part[i]) {
					return
				}
			}
		}
	}
}

func (p *parse) checkEntry(e *snapshot.Entry) {
	pos := Pos{File: shownPath(e.Path)}
	if what, fix := badPath(e.Path); what != "" {
		p.problem(pos, "", what, fix)
		return
	}
	switch e.Kind {
	case snapshot.File, snapshot.Executable:
	case snapshot.Symlink:
		p.problem(pos, "", "is a symbolic link, and links are not followed", "copy the file")
	case snapshot.Submodule:
		p.problem(pos, "", "is a submodule, and only this repository is read", "copy its files here")
	default:
		p.problem(pos, "", "is a "+e.Kind.String(), "only plain files are read")
	}
	if inFleet(e.Path) && e.Size > maxFileBytes {
		p.problem(pos, "", fmt.Sprintf("is %d MiB large; at most %d are read", e.Size>>20, maxFileBytes>>20), "fetch it from a server in pre-run.sh instead")
	}
}

// shownPath is a path that can stand at the beginning of a line of output.
func shownPath(path string) string {
	if len(path) > maxPathBytes || !utf8.ValidString(path) || strings.ContainsFunc(path, unprintable) {
		return quote(path)
	}
	return path
}

// badPath says what is wrong with a path as such, wherever it lies in the repository.
func badPath(path string) (what, fix string) {
	const plain = "use letters, digits, . _ and -"
	switch {
	case len(path) > maxPathBytes:
		return fmt.Sprintf("the path is %d bytes long; at most %d are read", len(path), maxPathBytes), "shorten it"
	case !utf8.ValidString(path):
		return "the path is not UTF-8", plain
	case strings.HasPrefix(path, "/"):
		return "the path is absolute", "it must lie within the repository"
	case strings.Contains(path, `\`):
		return "the path has a backslash, which some systems take for a folder", plain
	}
	for _, r := range path {
		switch {
		case unprintable(r):
			return fmt.Sprintf("the path has the invisible character U+%04X", r), plain
		case unicode.Is(unicode.M, r):
			return fmt.Sprintf("the path has the combining mark U+%04X, which can be written in several ways", r), plain
		}
	}
	segments := strings.Split(path, "/")
	if len(segments) > maxPathDepth {
		return fmt.Sprintf("the path is %d folders deep; at most %d are read", len(segments), maxPathDepth), "flatten it"
	}
	for _, s := range segments {
		switch low := strings.TrimRight(strings.ToLower(s), ". "); {
		case s == "" || s == "." || s == "..":
			return fmt.Sprintf("the path has the part %q, which leads elsewhere", s), "it must name a place within the repository"
		case low == ".git" || strings.HasPrefix(low, "git~"):
			return "the path leads into git's own folder", "rename it"
		case s != strings.TrimSpace(s):
			return "a part of the path begins or ends with a space", plain
		}
	}
	return "", ""
}

// checkFolds finds paths that are one and the same where upper and lower case do not count: in a checkout on such a disk, or
// to a reader's eye. Only paths with an upper-case letter can be half of such a pair, and there are few.
func (p *parse) checkFolds() {
	seen := map[string]string{}
	for e := range p.looked() {
		for part := e.Path; part != ""; part = part[:max(strings.LastIndexByte(part, '/'), 0)] {
			low := fold(part)
			if low == part {
				break
			}
			other := seen[low]
			if other == "" && p.exists(low) {
				other = low
			}
			if other != "" && other != part {
				p.problem(Pos{File: shownPath(part)}, "", fmt.Sprintf("differs from %s by upper and lower case only", quote(other)), "rename one of them")
			}
			seen[low] = part
		}
	}
}

// fold maps letters that differ by case only to one.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// exists says that path is a file or a folder of the Snapshot.
func (p *parse) exists(path string) bool {
	e := p.snap.Entries
	i := p.first(path)
	if i < len(e) && e[i].Path == path {
		return true
	}
	i = p.first(path + "/")
	return i < len(e) && strings.HasPrefix(e[i].Path, path+"/")
}
