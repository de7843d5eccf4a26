package marathon

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// A builder makes Docs of JSON that is known to be good: encoding/json has read it once already. It gives what
// encoding/json would give with UseNumber, in one pass, and leaves out members nobody needs: a list of apps is mostly
// bundles and tasks, and to walk those four times is most of what a first look costs.
type builder struct {
	in []byte
	at int
}

// doc reads an object without the members named in skip.
func (b *builder) doc(skip []string) Doc {
	out := Doc{}
	b.members(func(key string) {
		if slices.Contains(skip, key) {
			b.skip()
			return
		}
		out[key] = b.value()
	})
	return out
}

// members walks an object; each is called where its member's value begins, and must read it.
func (b *builder) members(each func(key string)) {
	b.next() // {
	for b.peek() != '}' {
		key := b.text()
		b.next() // :
		each(key)
		if b.peek() == ',' {
			b.at++
		}
	}
	b.at++
}

func (b *builder) value() any {
	switch b.peek() {
	case '{':
		out := map[string]any{}
		b.members(func(key string) { out[key] = b.value() })
		return out
	case '[':
		b.at++
		out := []any{}
		for b.peek() != ']' {
			out = append(out, b.value())
			if b.peek() == ',' {
				b.at++
			}
		}
		b.at++
		return out
	case '"':
		return b.text()
	case 't':
		b.at += len("true")
		return true
	case 'f':
		b.at += len("false")
		return false
	case 'n':
		b.at += len("null")
		return nil
	}
	return b.number()
}

func (b *builder) number() json.Number {
	for start := b.at; ; b.at++ {
		switch b.in[b.at] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return json.Number(b.in[start:b.at])
		}
	}
}

// peek is the next byte that is not white space; it stays where it is.
func (b *builder) peek() byte {
	for {
		switch c := b.in[b.at]; c {
		case ' ', '\t', '\r', '\n':
			b.at++
		default:
			return c
		}
	}
}

func (b *builder) next() {
	b.peek()
	b.at++
}

// raw is the next string with its quotes.
func (b *builder) raw() []byte {
	b.peek()
	start := b.at
	for b.at++; ; b.at++ {
		b.at += bytes.IndexByte(b.in[b.at:], '"')
		escapes := 0
		for b.in[b.at-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			b.at++
			return b.in[start:b.at]
		}
	}
}

func (b *builder) text() string {
	raw := b.raw()
	plain := raw[1 : len(raw)-1]
	if bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		return string(plain)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		panic("marathon: a string in a document that was read is none: " + err.Error())
	}
	return s
}

// skip passes over one value.
func (b *builder) skip() {
	depth := 0
	for {
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
		if depth == 0 {
			return
		}
	}
}
