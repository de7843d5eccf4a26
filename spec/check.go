package spec

import (
	"path"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// CheckFile checks one file by itself, as an editor or a commit hook has it: its text, its keys and its types. name is its
// path in the fleet repository and decides what it is checked as. What depends on other files or on defaults is left to Parse.
func CheckFile(name string, content []byte) []Problem {
	kind := fileKind
	switch path.Base(name) {
	case "fleet.yaml":
		kind = "Fleet"
	case "group.yaml":
		kind = "Group"
	case "cluster.yaml":
		kind = "Cluster"
	case settingsKind, scriptKind:
		kind = path.Base(name)
	}
	p := &parse{}
	p.checkEntry(&snapshot.Entry{Path: name, Size: int64(len(content))})
	p.findings(parseContent(content, kind), name)
	return p.sorted()
}
