package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

// MaxBody bounds one app's definition in bytes of JSON: several apps of one cluster are committed in one request, and
// Marathon's leader dies of an app over 1 MiB.
const MaxBody = 900_000

// Cluster renders c for the Marathon t. It reads blobs for pre-run.sh and files/ and does nothing else: equal input
// gives equal bytes. It fails where a blob cannot be read, where the bundle is too large for an app definition, and
// where c is not what spec promises; the error names the place in git.
func Cluster(c *spec.Cluster, blobs snapshot.Blobs, t Target) (*Desired, error) {
	r := renderer{c: c, blobs: blobs, t: t}
	templates, err := IndexTemplates(c)
	if err != nil {
		return nil, fmt.Errorf("render index templates of cluster %s: %w", c.ID, err)
	}
	d := &Desired{ID: c.ID, Spec: c, IndexTemplates: templates}
	for _, component := range spec.Components {
		a, err := r.app(component)
		if err != nil {
			return nil, fmt.Errorf("render %s of cluster %s: %w", component, c.ID, err)
		}
		if a != nil {
			d.Apps = append(d.Apps, *a)
		}
	}
	return d, nil
}

// A renderer holds what every app of one cluster is made from.
type renderer struct {
	c     *spec.Cluster
	blobs snapshot.Blobs
	t     Target
}

// app renders one component; nil if the cluster has none of it.
func (r *renderer) app(component spec.Component) (*App, error) {
	var d *draft
	var err error
	switch {
	case component == spec.Gate:
		d = r.gate()
	case component == spec.Discovery:
		d, err = r.discovery()
	case component.RunsElasticsearch() && r.c.Nodes[component] != nil:
		d, err = r.nodes(component, r.c.Nodes[component])
	case component == spec.Exporter && r.c.Exporter != nil:
		d, err = r.exporter(r.c.Exporter)
	case component == spec.Kibana && r.c.Kibana != nil:
		d, err = r.kibana(r.c.Kibana)
	}
	if d == nil || err != nil {
		return nil, err
	}
	return r.finish(component, d)
}

// finish puts the bundle into the environment, brings the document into the form of the wire and checks its size.
func (r *renderer) finish(component spec.Component, d *draft) (*App, error) {
	env, err := r.environment(d)
	if err != nil {
		return nil, err
	}
	doc, size, err := canonical(r.document(component, d, env))
	if err != nil {
		return nil, err
	}
	if size > MaxBody {
		return nil, fmt.Errorf("%s: the app definition has %d bytes, and more than %d endanger Marathon's leader; make files or environment smaller", r.c.Pos, size, MaxBody)
	}
	return &App{
		ID: AppIDOf(r.c, component), Component: component, Doc: doc, Instances: d.instances,
		Bundle: d.bundle, Origins: r.origins(d),
	}, nil
}

// environment joins what the user wrote with what esfleet needs; the prefix ESFLEET_ is esfleet's alone.
func (r *renderer) environment(d *draft) (map[string]string, error) {
	env := map[string]string{}
	if d.bundle != nil {
		var err error
		if env, err = bundle.ToEnv(d.bundle); err != nil {
			return nil, fmt.Errorf("%s: %w", r.c.Pos, err)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(d.env)) {
		if strings.HasPrefix(k, "ESFLEET_") {
			return nil, fmt.Errorf("%s: environment variable %s: names with ESFLEET_ are esfleet's own; choose another", r.c.Pos, k)
		}
		env[k] = d.env[k]
	}
	maps.Copy(env, d.own)
	return env, nil
}

// canonical gives the document the types that a live one has (map[string]any, []any, json.Number), and its size.
func canonical(doc any) (marathon.Doc, int, error) {
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, 0, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var out marathon.Doc
	err = dec.Decode(&out)
	return out, len(b), err
}
