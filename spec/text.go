package spec

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

type textKind int

const (
	textYAML textKind = iota
	textScript
)

// invisible are the characters that show nothing, or make text show in another order than a machine reads it.
var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x00ad, 0x00ad, 1}, {0x034f, 0x034f, 1}, {0x061c, 0x061c, 1}, {0x115f, 0x1160, 1}, {0x17b4, 0x17b5, 1},
		{0x180b, 0x180f, 1}, {0x200b, 0x200f, 1}, {0x2028, 0x202e, 1}, {0x2060, 0x206f, 1}, {0x3164, 0x3164, 1},
		{0xfe00, 0xfe0f, 1}, {0xfeff, 0xfeff, 1}, {0xffa0, 0xffa0, 1}, {0xfff9, 0xfffb, 1},
	},
	R32:         []unicode.Range32{{0xe0000, 0xe0fff, 1}},
	LatinOffset: 1,
}

// unprintable says that a reviewer cannot see r for what it is.
func unprintable(r rune) bool {
	return r != ' ' && (unicode.IsControl(r) || unicode.Is(invisible, r) || r == 0x85 || r == 0xa0)
}

// checkText refuses bytes that a reviewer of the merge request would not see: NUL, control characters, invisible and
// right-to-left marks, invalid UTF-8, and line ends that a shell would take for part of a word.
func (d *document) checkText(src []byte, kind textKind) {
	line, col := 1, 1
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		p := Pos{Line: line, Column: col}
		switch {
		case r == '\n':
			line, col = line+1, 0
		case r == utf8.RuneError && size == 1:
			d.add(p, "", fmt.Sprintf("byte %#02x is not UTF-8", src[i]), "save the file as UTF-8")
			return
		case r == '\r' && i+1 < len(src) && src[i+1] == '\n':
			if kind == textScript {
				d.add(p, "", "the line ends with a carriage return, which the shell takes as part of the last word", "save the file with Unix line ends (LF)")
				return
			}
		case r == '\t':
		case r == 0xfeff && i == 0:
			d.add(p, "", "begins with a byte order mark", "save the file as UTF-8 without BOM")
		case unprintable(r):
			d.add(p, "", fmt.Sprintf("character U+%04X is invisible or changes how the text is shown", r), "delete it; in YAML text it can be written as an escape in double quotes")
		}
		if len(d.findings) >= 20 {
			return
		}
		i += size
		col++
	}
}

var lfsPrefix = []byte("version https://git-lfs.github.com/spec/")

// isLFSPointer says that the file's real content lies elsewhere, where nobody reviews it.
func isLFSPointer(content []byte) bool {
	return len(content) < 1024 && bytes.HasPrefix(content, lfsPrefix)
}

// quote shows text from the repository inside a message: short, on one line, nothing in it that a terminal acts upon.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strconv.QuoteToGraphic(s)
}
