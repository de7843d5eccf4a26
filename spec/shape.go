package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A shapeKind is what a place in a document may hold.
type shapeKind uint8

const (
	objectShape   shapeKind = iota // fixed keys
	dictShape                      // free keys, values of one shape
	listShape                      // elements of one shape
	textShape                      // text, with enum or pattern
	intShape                       // whole number
	numberShape                    // number, decimals allowed
	boolShape                      // true or false
	eitherShape                    // text (elem) or object (fields)
	settingsShape                  // free nested settings, as in elasticsearch.yml
)

// A shape says what may stand at a place. The same table makes the check of unknown keys and types, the built-in defaults,
// the JSON Schema and its documentation, so that they cannot disagree.
type shape struct {
	kind   shapeKind
	doc    string
	fields []field // of an object
	// elsewhere says of keys that mean something at another place only where to write them.
	elsewhere map[string]string
	elem      *shape // of a dict, a list, or the text of an either

	enum []string
	// pattern is anchored and written so that Go and ECMAScript (JSON Schema) read it alike.
	pattern string
	re      *regexp.Regexp
	// want names in words what pattern accepts, and how to write it: `a size with a unit, like "512MiB"`.
	want     string
	maxLen   int
	min, max float64 // of numbers; max 0: unbounded
	positive bool    // min is exclusive
	minItems int
	// scalars refuses lists among free settings; refuse says of a key why it is not the user's to write.
	scalars bool
	refuse  func(key string) (why, fix string)
	// private says that a wrong value may be a secret that belongs elsewhere, so no message shows it.
	private bool
	// keyPattern and keyWant are pattern and want for the keys of a dict.
	keyPattern string
	keyRe      *regexp.Regexp
	keyWant    string
}

// A field is one key of an object.
type field struct {
	name  string
	shape *shape
	doc   string
	// def is the built-in default as it would be written in YAML; empty: none.
	def string
	// required says that this very document must have it. What a cluster needs but may get from defaults is not required here.
	required bool
}

func (s *shape) field(name string) *field {
	for i := range s.fields {
		if s.fields[i].name == name {
			return &s.fields[i]
		}
	}
	return nil
}

func (s *shape) names() []string {
	out := make([]string, len(s.fields))
	for i := range s.fields {
		out[i] = s.fields[i].name
	}
	return out
}

func object(fields ...field) *shape { return &shape{kind: objectShape, fields: fields} }

func listOf(elem *shape, minItems int) *shape {
	return &shape{kind: listShape, elem: elem, minItems: minItems}
}

func dictOf(elem *shape, keyPattern, keyWant string) *shape {
	return &shape{kind: dictShape, elem: elem, keyPattern: keyPattern, keyRe: regexp.MustCompile(keyPattern), keyWant: keyWant}
}

func oneOf(words ...string) *shape { return &shape{kind: textShape, enum: words, maxLen: 64} }

func text(pattern, want string) *shape {
	return &shape{kind: textShape, pattern: pattern, re: regexp.MustCompile(pattern), want: want, maxLen: 4096}
}

// atMost bounds the length in bytes.
func (s *shape) atMost(n int) *shape {
	s.maxLen = n
	return s
}

// secret makes s private.
func (s *shape) secret() *shape {
	s.private = true
	return s
}

func whole(min, max float64) *shape { return &shape{kind: intShape, min: min, max: max} }

// check compares a document with its shape. What does not fit is reported and blanked (badNode), so that later stages
// neither use it nor call it missing.
func (d *document) check(s *shape, n *node, path string) {
	if n.kind == badNode {
		return
	}
	switch s.kind {
	case objectShape:
		d.checkObject(s, n, path)
	case dictShape:
		d.checkDict(s, n, path)
	case listShape:
		d.checkList(s, n, path)
	case eitherShape:
		if n.kind == mapNode {
			d.checkObject(s, n, path)
			return
		}
		d.check(s.elem, n, path)
	case settingsShape:
		if d.expect(mapNode, n, path, "settings, as in elasticsearch.yml") {
			d.checkSettingsTree(s, n, path)
		}
	default:
		d.checkScalar(s, n, path)
	}
}

// bad reports n and blanks it.
func (d *document) bad(n *node, path, what, fix string) {
	d.add(Pos{Line: int(n.line), Column: int(n.col)}, path, what, fix)
	n.kind, n.entries = badNode, nil
}

// expect reports n unless it is of kind k.
func (d *document) expect(k nodeKind, n *node, path, want string) bool {
	switch {
	case n.kind == k:
		return true
	case n.kind == nullNode:
		d.bad(n, path, "is empty", "write "+want+", or delete the key")
	default:
		d.bad(n, path, fmt.Sprintf("is %s where %s is meant", n.shown(), strings.SplitN(want, " with the keys", 2)[0]), "write "+want)
	}
	return false
}

// shown is the value as a message shows it.
func (n *node) shown() string {
	switch n.kind {
	case mapNode, listNode, nullNode:
		return n.kind.String()
	case stringNode:
		return quote(n.text)
	}
	return n.text
}

// maxGuesses is how many misspelt keys of one mapping are guessed at: a person needs no more, and each costs time.
const maxGuesses = 20

func (d *document) checkObject(s *shape, n *node, path string) {
	if !d.expect(mapNode, n, path, "a mapping with the keys "+listed(s.names())) {
		return
	}
	var misspelt []entry
	names := s.names()
	n.entries = slices.DeleteFunc(n.entries, func(e entry) bool {
		f := s.field(e.key)
		if f != nil {
			d.check(f.shape, e.value, join(path, e.key))
			return false
		}
		fix := "the keys here are " + listed(names)
		if place := s.elsewhere[e.key]; place != "" {
			d.add(e.pos(""), join(path, e.key), "cannot stand here", place)
			return true
		}
		if near := guess(e.key, names, len(misspelt)); near != "" {
			fix = "did you mean " + near + "?"
			misspelt = append(misspelt, entry{key: near, line: e.line, col: e.col, value: &node{line: e.line, col: e.col}})
		}
		d.add(e.pos(""), join(path, shortKey(e.key)), "is not a key that esfleet knows", fix)
		return true
	})
	for _, e := range misspelt {
		if n.child(e.key) == nil {
			n.entries = append(n.entries, e) // blank: what was meant is neither used nor missing
		}
	}
	for _, f := range s.fields {
		if f.required && n.child(f.name) == nil {
			d.add(Pos{Line: int(n.line), Column: int(n.col)}, join(path, f.name), "is missing", "write "+f.name+": "+f.shape.sample())
		}
	}
}

func (d *document) checkDict(s *shape, n *node, path string) {
	if !d.expect(mapNode, n, path, "a mapping of names to values") {
		return
	}
	n.entries = slices.DeleteFunc(n.entries, func(e entry) bool {
		if len(e.key) > 256 || !s.keyRe.MatchString(e.key) {
			d.add(e.pos(""), join(path, shortKey(e.key)), "is not a name that can stand here", "write "+s.keyWant)
			return true
		}
		d.check(s.elem, e.value, join(path, e.key))
		return false
	})
}

func (d *document) checkList(s *shape, n *node, path string) {
	if !d.expect(listNode, n, path, "a list") {
		return
	}
	if len(n.entries) < s.minItems {
		d.bad(n, path, fmt.Sprintf("has fewer than %d elements", s.minItems), "write more, or delete it")
		return
	}
	for i, e := range n.entries {
		d.check(s.elem, e.value, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (d *document) checkScalar(s *shape, n *node, path string) {
	want := s.wanted()
	switch {
	case n.kind == nullNode:
		d.bad(n, path, "is empty", "write "+want+", or delete the key")
	case n.kind == mapNode || n.kind == listNode:
		d.bad(n, path, fmt.Sprintf("is %s where %s is meant", n.kind, want), "write "+want)
	case n.kind == trapNode:
		d.checkTrap(s, n, path)
	case s.kind == textShape:
		d.checkString(s, n, path)
	case s.kind == boolShape:
		d.expect(boolNode, n, path, want)
	default:
		d.checkNumber(s, n, path)
	}
}

func (d *document) checkTrap(s *shape, n *node, path string) {
	fix := "write " + s.wanted()
	if s.kind == textShape {
		fix = fmt.Sprintf("write %q in quotes", n.text)
		if s.enum != nil {
			fix = "write " + s.wanted()
		}
	}
	if s.kind == boolShape {
		fix = "write true or false"
	}
	d.bad(n, path, n.text+" "+n.trap, fix)
}

func (d *document) checkString(s *shape, n *node, path string) {
	switch {
	case n.kind != stringNode && (s.enum != nil || s.re != nil && !s.re.MatchString(n.text)):
		d.bad(n, path, fmt.Sprintf("%s is %s where %s is meant", n.text, n.kind, s.wanted()), "write "+s.wanted())
	case n.kind != stringNode:
		what := fmt.Sprintf("%s is %s to YAML, not text", n.text, n.kind)
		if n.kind == floatNode {
			what = fmt.Sprintf("%s is a number to YAML, which drops zeros at its end", n.text)
		}
		d.bad(n, path, what, fmt.Sprintf("write %q in quotes", n.text))
	case len(n.text) > s.maxLen:
		d.bad(n, path, fmt.Sprintf("is %d bytes long", len(n.text)), fmt.Sprintf("at most %d bytes", s.maxLen))
	case s.enum != nil && !slices.Contains(s.enum, n.text):
		fix := "write " + s.wanted()
		if near := nearest(n.text, s.enum); near != "" {
			fix = "did you mean " + near + "?"
		}
		d.bad(n, path, quote(n.text)+" is not one of the words that can stand here", fix)
	case s.re != nil && !s.re.MatchString(n.text):
		shown := quote(n.text)
		if s.private {
			shown = "the value (not shown, it may be a secret)"
		}
		d.bad(n, path, shown+" does not fit", "write "+s.suggest(n.text))
	}
}

func (d *document) checkNumber(s *shape, n *node, path string) {
	want := s.wanted()
	switch {
	case n.kind == stringNode && n.quoted && (plainInt.MatchString(n.text) || plainFloat.MatchString(n.text)):
		d.bad(n, path, fmt.Sprintf("%s is text where a number is meant", quote(n.text)), "write "+n.text+" without quotes")
		return
	case n.kind != intNode && (n.kind != floatNode || s.kind == intShape):
		d.bad(n, path, fmt.Sprintf("is %s where %s is meant", n.shown(), want), "write "+want)
		return
	}
	v := n.float()
	if v < s.min || s.positive && v <= s.min || s.max != 0 && v > s.max {
		d.bad(n, path, n.text+" is out of range", "write "+want)
	}
}

// wanted names in words what s accepts.
func (s *shape) wanted() string {
	switch {
	case s.enum != nil:
		return orList(s.enum)
	case s.want != "":
		return s.want
	}
	switch s.kind {
	case boolShape:
		return "true or false"
	case intShape, numberShape:
		w := "a whole number"
		if s.kind == numberShape {
			w = "a number"
		}
		switch {
		case s.max != 0:
			return fmt.Sprintf("%s from %v to %v", w, s.min, s.max)
		case s.positive:
			return fmt.Sprintf("%s above %v", w, s.min)
		}
		return fmt.Sprintf("%s, %v or more", w, s.min)
	}
	return "text"
}

// looseInstance finds the instance in a whole task id.
var looseInstance = regexp.MustCompile(strings.Trim(instancePattern, "^$"))

var looseSize = regexp.MustCompile(`^([1-9][0-9]*(?:\.[0-9]{1,3})?) ?([kKmMgGtT])i?[bB]?$`)

// suggest is what to write instead of got: the very value if it can be guessed, else a description.
func (s *shape) suggest(got string) string {
	if m := looseSize.FindStringSubmatch(got); m != nil && s.pattern == sizePattern {
		return m[1] + strings.ToUpper(m[2]) + "iB"
	}
	if s.pattern == instancePattern {
		if id := looseInstance.FindString(strings.ToLower(got)); id != "" {
			return id
		}
	}
	if low := strings.ToLower(got); low != got && len(got) <= s.maxLen && s.re.MatchString(low) && !s.private {
		return low
	}
	return s.want
}

// sample is what a missing field could look like.
func (s *shape) sample() string {
	switch s.kind {
	case objectShape, dictShape, settingsShape:
		return "{…}"
	case listShape:
		return "[…]"
	}
	return s.wanted()
}
