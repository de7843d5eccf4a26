package spec

// A nodeKind is what a YAML value is.
type nodeKind uint8

const (
	// badNode stands where a Problem was reported already; readers treat it as neither there nor missing.
	badNode nodeKind = iota
	mapNode
	listNode
	stringNode
	intNode
	floatNode
	boolNode
	nullNode
	// trapNode is a plain scalar that YAML readers disagree about.
	trapNode
)

func (k nodeKind) String() string {
	switch k {
	case mapNode:
		return "a mapping"
	case listNode:
		return "a list"
	case stringNode:
		return "text"
	case intNode, floatNode:
		return "a number"
	case boolNode:
		return "true or false"
	case nullNode:
		return "empty"
	}
	return "not readable"
}

// A node is one YAML value with its place. The file is not part of it: equal content is parsed once, wherever it lies.
type node struct {
	kind      nodeKind
	quoted    bool
	line, col int32
	// text is the decoded text of a string, and the text as written of any other scalar.
	text string
	// trap says why a trapNode is one.
	trap string
	// entries of a map (unique keys, in the order written) or of a list (empty keys).
	entries []entry
}

type entry struct {
	key       string
	line, col int32
	value     *node
}

// child finds a key of a map, else nil.
func (n *node) child(key string) *node {
	if n == nil || n.kind != mapNode {
		return nil
	}
	for i := range n.entries {
		if n.entries[i].key == key {
			return n.entries[i].value
		}
	}
	return nil
}

func (n *node) pos(file string) Pos { return Pos{File: file, Line: int(n.line), Column: int(n.col)} }

func (e *entry) pos(file string) Pos { return Pos{File: file, Line: int(e.line), Column: int(e.col)} }
