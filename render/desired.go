package render

import (
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

// Desired is one cluster as it shall be: its apps in the order of creation, and what is to be applied through
// Elasticsearch once it runs.
type Desired struct {
	ID   spec.ClusterID
	Spec *spec.Cluster
	Apps []App
	// IndexTemplates are the reliability rules, which elasticsearch.yml cannot hold from 5 on, and not in full before.
	IndexTemplates []IndexTemplate
}

// App finds a component's app.
func (d *Desired) App(c spec.Component) *App {
	for i := range d.Apps {
		if d.Apps[i].Component == c {
			return &d.Apps[i]
		}
	}
	return nil
}

// An App is one desired Marathon app.
type App struct {
	ID        marathon.AppID
	Component spec.Component
	// Doc is the complete definition for PUT ?partialUpdate=false, instances included. Equal specs give equal bytes.
	Doc       marathon.Doc
	Instances int
	// Bundle is what the app's tasks unpack at boot; nil for the gate.
	Bundle *bundle.Bundle
	// Origins maps a dotted path of Doc ("mem", "env.ES_HEAP") to the place in git it comes from.
	Origins map[string]spec.Pos
}

// OriginOf is the place in git for a path of Doc, the nearest parent's if the path itself has none, else the cluster's file.
func (a *App) OriginOf(path string, fallback spec.Pos) spec.Pos {
	for p := path; p != ""; p = parentPath(p) {
		if pos, ok := a.Origins[p]; ok {
			return pos
		}
	}
	return fallback
}

func parentPath(p string) string {
	for i := len(p) - 1; i > 0; i-- {
		if p[i] == '.' {
			return p[:i]
		}
	}
	return ""
}

// An IndexTemplate is a template that esfleet owns in the cluster.
type IndexTemplate struct {
	Name string
	// Path is the API's path for the version: _template/… or _index_template/….
	Path string
	Body marathon.Doc
}

// A Target is what render must know of the Marathon the apps are for.
type Target struct {
	Version marathon.Version
	// NodeURLs are Marathon's addresses as the nodes reach it at boot.
	NodeURLs []string
}
