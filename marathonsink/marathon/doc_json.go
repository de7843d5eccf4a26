package marathon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// A builder makes Docs of JSON. It gives what encoding/json would give with UseNumber, and refuses what that would refuse,
// in one pass: a list of apps is mostly bundles and tasks, and to walk those three times is most of what a first look
// costs.
type builder struct {
	in    []byte
	at    int
	depth int
	err   error // the first one; from then on at stands at the end
}

// doc reads the whole input as one object. Members named in skip are left out; those named in apart are gathered, as they
// are written, in an object of their own, which may still be bad JSON where both name them.
func (b *builder) doc(skip, apart []string) (out Doc, gathered []byte, err error) {
	out, gathered = Doc{}, append(make([]byte, 0, 1<<10), '{')
	b.members(func(key string) {
		b.peek()
		start, skipped, aside := b.at, slices.Contains(skip, key), slices.Contains(apart, key)
		switch {
		case skipped && aside:
			b.skip()
		case skipped:
			b.value()
		default:
			out[key] = b.value()
		}
		if aside {
			gathered = b.gather(gathered, key, start)
		}
	})
	if b.peek(); b.at < len(b.in) {
		b.fail("the end")
	}
	return out, append(gathered, '}'), b.err
}

// pick reads the whole input as one object and gathers, as they are written, the members that are named, in an object of
// their own. Where a task's version comes, in the member tasks, version is called with it, "" for none. Of all else it only
// finds the end: whether that is good JSON is for whoever decodes it.
func (b *builder) pick(names []string, version func(string)) (gathered []byte, err error) {
	gathered = append(make([]byte, 0, 256), '{')
	b.members(func(key string) {
		b.peek()
		start := b.at
		if key == "tasks" && b.peek() == '[' {
			b.elements(func() { version(b.member("version")) })
		} else {
			b.skip()
		}
		if slices.Contains(names, key) {
			gathered = b.gather(gathered, key, start)
		}
	})
	if b.peek(); b.at < len(b.in) {
		b.fail("the end")
	}
	return append(gathered, '}'), b.err
}

// member passes over an object and gives one of its members, "" if it is no string.
func (b *builder) member(name string) (text string) {
	b.members(func(key string) {
		if key == name && b.peek() == '"' {
			text = b.text()
		} else {
			b.skip()
		}
	})
	return text
}

// gather adds the member whose value has been read from start on.
func (b *builder) gather(to []byte, key string, start int) []byte {
	if len(to) > 1 {
		to = append(to, ',')
	}
	return append(append(append(append(to, '"'), key...), `":`...), b.in[start:b.at]...)
}

// fail notes that something else should be here, and goes to the end.
func (b *builder) fail(want string) {
	if b.err == nil {
		b.err = fmt.Errorf("byte %d of %d: not JSON: %s should be here", b.at, len(b.in), want)
	}
	b.at = len(b.in)
}

// maxNesting is encoding/json's bound.
const maxNesting = 10_000

// deeper and back surround what is within an object or array.
func (b *builder) deeper() {
	if b.depth++; b.depth > maxNesting {
		b.fail("something less nested")
	}
}

func (b *builder) back() { b.depth-- }

// members walks an object; each is called before its member's value, and must read it.
func (b *builder) members(each func(key string)) {
	b.deeper()
	defer b.back()
	b.expect('{')
	if b.peek() == '}' {
		b.at++
		return
	}
	for b.err == nil {
		key := b.text()
		b.expect(':')
		each(key)
		if b.ends('}') {
			return
		}
	}
}

func (b *builder) list() []any {
	out := []any{}
	b.elements(func() { out = append(out, b.value()) })
	return out
}

// elements walks an array; each is called before an element, and must read it.
func (b *builder) elements(each func()) {
	b.deeper()
	defer b.back()
	b.expect('[')
	if b.peek() == ']' {
		b.at++
		return
	}
	for b.err == nil {
		each()
		if b.ends(']') {
			return
		}
	}
}

// ends passes over a comma, or over the last byte of an object or array.
func (b *builder) ends(last byte) bool {
	switch b.peek() {
	case ',':
		b.at++
		return false
	case last:
		b.at++
		return true
	}
	b.fail("a comma or " + string(last))
	return true
}

func (b *builder) value() any {
	switch b.peek() {
	case '{':
		out := map[string]any{}
		b.members(func(key string) { out[key] = b.value() })
		return out
	case '[':
		return b.list()
	case '"':
		return b.text()
	case 't':
		b.word("true")
		return true
	case 'f':
		b.word("false")
		return false
	case 'n':
		b.word("null")
		return nil
	}
	return b.number()
}

func (b *builder) word(w string) {
	if !bytes.HasPrefix(b.in[b.at:], []byte(w)) {
		b.fail(w)
		return
	}
	b.at += len(w)
}

// number reads a number as it is written.
func (b *builder) number() json.Number {
	start := b.at
	b.any("-", 1)
	if b.any("0", 1) == 0 && b.digits() == 0 {
		b.fail("a value")
		return ""
	}
	if b.any(".", 1) > 0 && b.digits() == 0 {
		b.fail("a digit")
		return ""
	}
	if b.any("eE", 1) > 0 {
		b.any("+-", 1)
		if b.digits() == 0 {
			b.fail("a digit")
			return ""
		}
	}
	return json.Number(b.in[start:b.at])
}

func (b *builder) digits() int { return b.any("0123456789", len(b.in)) }

// any passes over at most so many of these bytes, and says over how many.
func (b *builder) any(of string, most int) (n int) {
	for n < most && b.at < len(b.in) && bytes.IndexByte([]byte(of), b.in[b.at]) >= 0 {
		b.at++
		n++
	}
	return n
}

// peek is the next byte that is not white space; it stays where it is. At the end it is 0, which JSON has nowhere.
func (b *builder) peek() byte {
	for ; b.at < len(b.in); b.at++ {
		switch c := b.in[b.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (b *builder) expect(c byte) {
	if b.peek() != c {
		b.fail(string(c))
		return
	}
	b.at++
}

// raw is the next string with its quotes; nil if it has no end.
func (b *builder) raw() []byte {
	if b.expect('"'); b.err != nil {
		return nil
	}
	start := b.at - 1
	for {
		quote := bytes.IndexByte(b.in[b.at:], '"')
		if quote < 0 {
			b.fail("a string's end")
			return nil
		}
		b.at += quote
		escapes := 0
		for b.in[b.at-1-escapes] == '\\' {
			escapes++
		}
		b.at++
		if escapes%2 == 0 {
			return b.in[start:b.at]
		}
	}
}

func (b *builder) text() string {
	raw := b.raw()
	if raw == nil {
		return ""
	}
	plain := raw[1 : len(raw)-1]
	if simple(plain) {
		return string(plain)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		b.fail("a string without control characters and with whole escapes before it")
	}
	return s
}

// simple says that text within quotes means just what is written.
func simple(text []byte) bool {
	for _, c := range text {
		if c < ' ' {
			return false
		}
	}
	return bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text)
}

// skip passes over one value. It finds the value's end only: whether all within is good JSON is for whoever decodes it.
func (b *builder) skip() {
	for depth := 0; b.err == nil; {
		switch b.peek() {
		case '"':
			b.raw()
		case '{', '[':
			depth++
			b.at++
		case '}', ']':
			depth--
			b.at++
		case ',', ':':
			b.at++
		default:
			b.value()
		}
		if depth <= 0 {
			return
		}
	}
}
