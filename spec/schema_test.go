package spec_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/spec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func compileSchema(t testing.TB, kind string) *jsonschema.Schema {
	t.Helper()
	src, err := spec.Schema(kind)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(kind, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// schemaRefuses reads src as an editor would.
func schemaRefuses(t testing.TB, s *jsonschema.Schema, src string) error {
	t.Helper()
	j, err := yaml.YAMLToJSON([]byte(src))
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

func kindOf(path string) string {
	switch filepath.Base(path) {
	case "fleet.yaml":
		return "Fleet"
	case "group.yaml":
		return "Group"
	case "cluster.yaml":
		return "Cluster"
	}
	return ""
}

func TestTheExamplesFitTheirSchemas(t *testing.T) {
	for path, src := range examples.Files() {
		kind := kindOf(path)
		if kind == "" {
			continue
		}
		if err := schemaRefuses(t, compileSchema(t, kind), src); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		want := strings.Repeat("../", strings.Count(path, "/")+1) + "schema/" + strings.ToLower(kind) + ".schema.json"
		if line, _, _ := strings.Cut(src, "\n"); line != "# yaml-language-server: $schema="+want {
			t.Errorf("%s: first line %q does not lead to %s", path, line, want)
		}
	}
}

func TestTheSchemaFilesBesideTheExamplesAreCurrent(t *testing.T) {
	for _, kind := range spec.SchemaKinds {
		want, err := spec.Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		path := "../examples/schema/" + strings.ToLower(kind) + ".schema.json"
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what Schema(%s) makes (%v); run go test ./spec -update", path, kind, err)
		}
	}
	if _, err := spec.Schema("Cluter"); err == nil {
		t.Error("a schema of an unknown kind")
	}
}

// walkProperties calls f for every property of a schema, with the path to it.
func walkProperties(s map[string]any, path []string, f func(path []string, s map[string]any)) {
	props, _ := s["properties"].(map[string]any)
	for name, p := range props {
		sub := p.(map[string]any)
		here := append(append([]string{}, path...), name)
		f(here, sub)
		walkProperties(sub, here, f)
		if free, ok := sub["additionalProperties"].(map[string]any); ok {
			walkProperties(free, append(here, "main"), f)
		}
	}
}

func schemaDoc(t testing.TB, kind string) map[string]any {
	t.Helper()
	src, err := spec.Schema(kind)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(src, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestEveryPropertyIsDescribed(t *testing.T) {
	for _, kind := range spec.SchemaKinds {
		walkProperties(schemaDoc(t, kind), nil, func(path []string, s map[string]any) {
			if d, _ := s["description"].(string); d == "" {
				t.Errorf("%s: %s has no description", kind, strings.Join(path, "."))
			}
		})
	}
}

// The corpus is made from the schema itself: every property of every kind, with values of every wrong type. Whatever the
// schema refuses Parse refuses too, and whatever Parse says of a document's shape the schema says as well.
func TestSchemaAndValidatorAgreeOnEveryField(t *testing.T) {
	values := []string{"[]", "[[]]", "{}", "[{}]", "1", "-1", "0.5", "99999999", "true", `"text"`, `"1GiB"`, `"5m"`, `""`, "{surely: {unknown: 1}}", `["a"]`, `[["a", "b"]]`}
	checked := 0
	for _, kind := range spec.SchemaKinds {
		schema := compileSchema(t, kind)
		walkProperties(schemaDoc(t, kind), nil, func(path []string, _ map[string]any) {
			if len(path) > 1 && path[0] == "defaults" && kind == "Fleet" {
				return // the same table as in a Group; once is enough
			}
			for _, v := range values {
				src := "apiVersion: esfleet/v1\nkind: " + kind + "\n"
				if kind == "Fleet" {
					src += "name: x\nmarathons: {main: {url: \"http://m:8080\"}}\n"
				}
				src = override(src, path, v)
				refused := schemaRefuses(t, schema, src) != nil
				if got := spec.ShapeRefuses(kind, src); got != refused {
					t.Errorf("%s: schema refuses: %v, validator refuses: %v\n%s", kind, refused, got, src)
				}
				checked++
			}
		})
	}
	if checked < 1000 {
		t.Errorf("only %d documents were compared", checked)
	}
}

// override writes path: value into a document of single-line top-level keys.
func override(src string, path []string, value string) string {
	var keep []string
	for _, l := range strings.Split(strings.TrimSpace(src), "\n") {
		if !strings.HasPrefix(l, path[0]+":") {
			keep = append(keep, l)
		}
	}
	text := value
	for i := len(path) - 1; i > 0; i-- {
		text = fmt.Sprintf("{%q: %s}", path[i], text)
	}
	return strings.Join(keep, "\n") + "\n" + path[0] + ": " + text + "\n"
}
