package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
	"sigs.k8s.io/yaml"
)

// Bounds of one YAML file. They are checked before a parser sees a byte or a token more than they allow.
const (
	maxYAMLBytes = 256 << 10
	maxDepth     = 32
	// maxColumn bounds block nesting as well: every level of a block stands at least one column further right.
	maxColumn = 160
	// maxKeys bounds what the parser does: its time and memory grow with the square of a mapping's length.
	maxKeys = 4000
	// maxElements bounds lists in the same way.
	maxElements = 10_000
)

// A document is one parsed YAML file. Its findings have no file yet, see node.
type document struct {
	root     *node // nil if there is nothing to go on with
	findings []Problem
	dropped  int // findings beyond maxProblems
}

// parseYAML reads one file: bounds and text first, then tokens, then structure, and last a second, independent reader that
// must see the very same values.
func parseYAML(src []byte) *document {
	if len(src) > maxYAMLBytes {
		return tooLarge(int64(len(src)))
	}
	d := &document{}
	if d.checkText(src, textYAML); len(d.findings) > 0 {
		return d
	}
	tokens := lexer.Tokenize(string(src))
	if !d.checkTokens(tokens) {
		return d
	}
	d.parseTokens(tokens)
	if d.root != nil && len(d.findings) == 0 {
		d.crossCheck(src)
	}
	return d
}

func tooLarge(size int64) *document {
	d := &document{}
	d.add(Pos{}, "", fmt.Sprintf("is %d bytes long; at most %d are read", size, maxYAMLBytes), "move large texts into files/")
	return d
}

func (d *document) add(p Pos, field, what, fix string) {
	if len(d.findings) == maxProblems {
		d.dropped++
		return
	}
	d.findings = append(d.findings, Problem{Pos: p, Field: field, What: what, Fix: fix})
}

func at(t *token.Token) Pos {
	// The lexer gives column 0 for the text of a block scalar; the line is what a person needs there.
	return Pos{Line: t.Position.Line, Column: max(t.Position.Column, 1)}
}

// refusedTokens are what no fleet file needs and what makes YAML dangerous or ambiguous.
var refusedTokens = map[token.Type]struct{ what, fix string }{
	token.AnchorType:     {"anchors and aliases are not read", "write the value out, or put it under defaults: of group.yaml or fleet.yaml"},
	token.AliasType:      {"anchors and aliases are not read", "write the value out, or put it under defaults: of group.yaml or fleet.yaml"},
	token.MergeKeyType:   {"merge keys are not read: readers of YAML disagree on what they replace", "put shared values under defaults: of group.yaml or fleet.yaml"},
	token.TagType:        {"tags are not read", "delete it; write text in quotes and numbers without"},
	token.DirectiveType:  {"YAML directives are not read", "delete the line"},
	token.MappingKeyType: {"complex keys (?) are not read", "write key: value"},
}

// checkTokens refuses anchors, aliases, tags, merge and complex keys, directives, a second document and deep nesting. It
// returns false if the parser must not see the file.
func (d *document) checkTokens(tokens token.Tokens) bool {
	flow, line, onLine, keys, elements, content := 0, 0, 0, 0, 0, false
	for _, t := range tokens {
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
		}
		if r, refused := refusedTokens[t.Type]; refused {
			d.add(at(t), "", r.what, r.fix)
			onLine++
		}
		switch t.Type {
		case token.CommentType:
			continue
		case token.DirectiveType, token.MappingKeyType:
			return false
		case token.InvalidType:
			d.add(at(t), "", "is not YAML: "+oneLine(t.Error), "see the line above as well; text with special characters belongs in quotes")
			return false
		case token.DocumentHeaderType:
			if content {
				d.add(at(t), "", "a second document begins here, and only one is read", "move it to a file of its own, or delete the --- line")
				return false
			}
			continue
		case token.DocumentEndType:
			d.add(at(t), "", "the document ends here, and nothing after it is read", "delete the ... line")
			return false
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(flow-1, 0)
		case token.SequenceEntryType:
			onLine++
			elements++
		case token.CollectEntryType:
			elements++
		case token.MappingValueType:
			onLine++
			keys++
		}
		if keys > maxKeys || elements > maxElements {
			d.add(at(t), "", fmt.Sprintf("has more than %d keys or %d elements of lists", maxKeys, maxElements), "move data into files/")
			return false
		}
		content = true
		if flow > maxDepth || flow == 0 && (onLine > maxDepth || onLine == 1 && t.Position.Column > maxColumn && t.Type == token.SequenceEntryType) {
			d.add(at(t), "", "is nested too deeply", fmt.Sprintf("at most %d levels are read", maxDepth))
			return false
		}
		if len(d.findings) >= 100 {
			return false
		}
	}
	return true
}

// parseTokens makes the tree. The parser is given only what checkTokens let through; whatever it still can't stand is a
// Problem of the file, never a crash of the daemon.
func (d *document) parseTokens(tokens token.Tokens) {
	defer func() {
		if r := recover(); r != nil {
			d.root = nil
			d.add(Pos{}, "", "is not YAML that can be read", "check indentation and quotes")
		}
	}()
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.addSyntaxError(err)
		return
	}
	var body ast.Node
	for _, doc := range f.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			d.add(at(doc.Body.GetToken()), "", "a second document begins here, and only one is read", "move it to a file of its own, or delete the --- line")
			return
		}
		body = doc.Body
	}
	if body == nil {
		return
	}
	d.root = d.build(body, 0)
}

func (d *document) build(n ast.Node, depth int) *node {
	t := n.GetToken()
	if depth > maxDepth {
		d.add(at(t), "", "is nested too deeply", fmt.Sprintf("at most %d levels are read", maxDepth))
		return &node{}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return d.buildMap(n.Start, n.Values, depth)
	case *ast.MappingValueNode:
		return d.buildMap(t, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out := place(listNode, t)
		for _, v := range n.Values {
			c := d.build(v, depth+1)
			out.entries = append(out.entries, entry{line: c.line, col: c.col, value: c})
		}
		return out
	case *ast.AnchorNode: // reported by checkTokens; what it holds is looked at all the same
		return d.build(n.Value, depth+1)
	case *ast.TagNode:
		return d.build(n.Value, depth+1)
	case *ast.AliasNode:
		return place(badNode, t)
	case *ast.LiteralNode:
		out := place(stringNode, n.Start)
		out.quoted, out.text = true, n.Value.Value
		return out
	case ast.ScalarNode:
		return scalarOf(t)
	}
	d.add(at(t), "", "is not read here", "write a mapping, a list, text, a number, true or false")
	return &node{}
}

func place(k nodeKind, t *token.Token) *node {
	p := at(t)
	return &node{kind: k, line: int32(p.Line), col: int32(p.Column)}
}

func (d *document) buildMap(start *token.Token, values []*ast.MappingValueNode, depth int) *node {
	out := place(mapNode, start)
	seen := make(map[string]int32, len(values))
	for i, v := range values {
		kt := v.Key.GetToken()
		if kt.Type == token.MergeKeyType {
			continue
		}
		key := scalarOf(kt)
		if i == 0 && start.Type == token.MappingValueType {
			out.line, out.col = key.line, key.col
		}
		p := Pos{Line: int(key.line), Column: int(key.col)}
		if key.kind != stringNode {
			why := key.trap
			if why == "" {
				why = "is " + key.kind.String() + ", and a key must be text"
			}
			d.add(p, "", fmt.Sprintf("key %s %s", kt.Value, why), fmt.Sprintf("write %q in quotes if it is meant", kt.Value))
			continue
		}
		if first, twice := seen[key.text]; twice {
			d.add(p, key.text, fmt.Sprintf("is written twice, first in line %d", first), "keep one of them")
			continue
		}
		seen[key.text] = key.line
		out.entries = append(out.entries, entry{key: key.text, line: key.line, col: key.col, value: d.build(v.Value, depth+1)})
	}
	return out
}

func scalarOf(t *token.Token) *node {
	n := place(stringNode, t)
	n.text = t.Value
	switch t.Type {
	case token.SingleQuoteType, token.DoubleQuoteType, token.LiteralType, token.FoldedType:
		n.quoted = true
		return n
	case token.ImplicitNullType:
		n.kind, n.text = nullNode, ""
		return n
	}
	n.kind, n.trap = classify(t.Value)
	return n
}

// crossCheck reads the file again with the strict decoder and compares value by value: the parser that knows positions
// accepts some texts that YAML forbids, and whatever it made of them must not become a fleet.
func (d *document) crossCheck(src []byte) {
	j, err := yaml.YAMLToJSONStrict(src)
	if err != nil {
		d.addSyntaxError(err)
		return
	}
	dec := json.NewDecoder(bytes.NewReader(j))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		d.addSyntaxError(err)
		return
	}
	if n := differs(d.root, v); n != nil {
		d.root = nil
		d.add(Pos{Line: int(n.line), Column: int(n.col)}, "", "two YAML readers understand this differently", "check the indentation here, and put text in quotes")
	}
}

// differs finds the first place where the tree and the other reader's value disagree. Traps are left out: they are reported
// as what they are once it is known what is wanted in their place.
func differs(n *node, v any) *node {
	switch n.kind {
	case mapNode:
		m, ok := v.(map[string]any)
		if !ok || len(m) != len(n.entries) {
			return n
		}
		for _, e := range n.entries {
			w, ok := m[e.key]
			if !ok {
				return n
			}
			if bad := differs(e.value, w); bad != nil {
				return bad
			}
		}
	case listNode:
		l, ok := v.([]any)
		if !ok || len(l) != len(n.entries) {
			return n
		}
		for i, e := range n.entries {
			if bad := differs(e.value, l[i]); bad != nil {
				return bad
			}
		}
	case stringNode:
		if s, ok := v.(string); !ok || s != n.text {
			return n
		}
	case boolNode:
		if b, ok := v.(bool); !ok || fmt.Sprint(b) != n.text {
			return n
		}
	case intNode, floatNode:
		if _, ok := v.(json.Number); !ok {
			return n
		}
	case nullNode:
		if v != nil {
			return n
		}
	}
	return nil
}

// addSyntaxError drops the tree, and keeps the first line of a parser's message and its place, if it has one.
func (d *document) addSyntaxError(err error) {
	d.root = nil
	msg := err.Error()
	var p Pos
	if _, e := fmt.Sscanf(msg, "[%d:%d]", &p.Line, &p.Column); e == nil {
		msg = msg[strings.Index(msg, "]")+1:]
	} else if i := strings.Index(msg, "line "); i >= 0 {
		if _, e := fmt.Sscanf(msg[i:], "line %d:", &p.Line); e == nil {
			msg = msg[i:]
			msg = msg[strings.Index(msg, ":")+1:]
		}
	}
	d.add(p, "", "is not YAML: "+oneLine(msg), "check indentation and quotes here and in the line above")
}

// oneLine makes a foreign message fit into ours: its first line, without what a terminal would act upon.
func oneLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
		return quote(s)
	}
	return s
}
