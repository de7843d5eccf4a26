package spec

import (
	"fmt"
	"strings"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

const (
	// maxScriptBytes bounds pre-run.sh, which travels inside the app definition.
	maxScriptBytes = 64 << 10
	// pointerBytes is below what a Git LFS pointer can be long; longer files need not be read to know that they are none.
	pointerBytes = 1024
)

// reservedFiles can't be in files/, which becomes part of the node's configuration folder.
var reservedFiles = map[string][2]string{
	"elasticsearch.yml":      {"is written by esfleet on each node", "write the settings into the elasticsearch.yml beside cluster.yaml"},
	"opensearch.yml":         {"is written by esfleet on each node", "write the settings into the elasticsearch.yml beside cluster.yaml"},
	"elasticsearch.keystore": {"holds secrets, which everybody who reads this repository would have", "create it on the node in pre-run.sh, from a secret that the agent holds"},
	"opensearch.keystore":    {"holds secrets, which everybody who reads this repository would have", "create it on the node in pre-run.sh, from a secret that the agent holds"},
}

// attachFiles binds pre-run.sh and files/ to the cluster. Content is looked at only as far as it can be wrong here.
func (p *parse) attachFiles(b *builder, files *clusterFiles) {
	c := b.c
	if e := files.preRun; e != nil {
		c.PreRun = &FileRef{Pos: Pos{File: e.Path}, Path: "pre-run.sh", Blob: e.Blob, Size: e.Size, Executable: true}
		b.origin("preRun", Pos{File: e.Path, Line: 1, Column: 1})
		if e.Size > maxScriptBytes {
			p.problem(Pos{File: e.Path}, "", fmt.Sprintf("is %d bytes long; the script may have %d", e.Size, maxScriptBytes), "move data into files/")
		} else {
			p.document(*e, scriptKind)
		}
	}
	for _, e := range files.files {
		path := strings.TrimPrefix(e.Path, files.dir+"files/")
		if r, reserved := reservedFiles[path]; reserved {
			p.problem(Pos{File: e.Path}, "", r[0], r[1])
		}
		if e.Size < pointerBytes {
			p.document(e, fileKind)
		}
		c.Files = append(c.Files, FileRef{Pos: Pos{File: e.Path}, Path: path, Blob: e.Blob, Size: e.Size, Executable: e.Kind == snapshot.Executable})
	}
}

// The kinds of content besides YAML documents.
const (
	settingsKind = "elasticsearch.yml"
	scriptKind   = "pre-run.sh"
	fileKind     = "files"
)

// parseContent checks one file's content for what it is.
func parseContent(src []byte, kind string) *document {
	if isLFSPointer(src) {
		d := &document{}
		d.add(Pos{Line: 1, Column: 1}, "", "is a Git LFS pointer; its content lies elsewhere, where no merge request shows it", "commit the file itself (git lfs untrack, then add it again)")
		return d
	}
	switch kind {
	case fileKind:
		return &document{}
	case scriptKind:
		d := &document{}
		if len(strings.TrimSpace(string(src))) == 0 {
			d.add(Pos{}, "", "is empty", "delete the file if there is nothing to do")
		}
		d.checkText(src, textScript)
		return d
	}
	d := parseYAML(src)
	switch {
	case d.root == nil && len(d.findings) == 0 && kind == settingsKind:
		d.root = &node{kind: mapNode} // comments only: no settings
	case d.root == nil && len(d.findings) == 0:
		d.add(Pos{}, "", "is empty", "write apiVersion: esfleet/v1 and kind: "+kind)
	case d.root == nil:
	case kind == settingsKind:
		d.check(settings, d.root, "")
	default:
		d.check(shapes[kind], d.root, "")
	}
	return d
}
