package spec

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// SchemaKinds are the documents that have a schema, in the order in which one writes them.
var SchemaKinds = []string{"Fleet", "Group", "Cluster"}

// Schema is the JSON Schema (draft 2020-12) of a kind of document, for editors: it completes keys, shows what they mean and
// underlines what Parse would refuse. It is made from the same table as Parse's own checks. What depends on two values at
// once is left to Parse. An unknown kind is an error.
func Schema(kind string) ([]byte, error) {
	s := shapes[kind]
	if s == nil {
		return nil, fmt.Errorf("make the schema of %q: the kinds are %s", kind, orList(SchemaKinds))
	}
	doc := s.schema()
	doc["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	doc["title"] = "esfleet " + kind
	doc["description"] = s.doc
	doc["$defs"] = map[string]any{"settings": settingsSchema("settings", true), "scalarSettings": settingsSchema("scalarSettings", false)}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("make the schema of %s: %w", kind, err)
	}
	return append(out, '\n'), nil
}

func (s *shape) schema() map[string]any {
	switch s.kind {
	case objectShape:
		return s.objectSchema()
	case dictShape:
		return map[string]any{"type": "object", "propertyNames": map[string]any{"pattern": s.keyPattern, "maxLength": 256}, "additionalProperties": s.elem.schema()}
	case listShape:
		return map[string]any{"type": "array", "items": s.elem.schema(), "minItems": s.minItems}
	case eitherShape:
		return map[string]any{"anyOf": []any{s.elem.schema(), s.objectSchema()}}
	case settingsShape:
		if s.scalars {
			return map[string]any{"$ref": "#/$defs/scalarSettings"}
		}
		return map[string]any{"$ref": "#/$defs/settings"}
	case boolShape:
		return map[string]any{"type": "boolean"}
	case textShape:
		return s.textSchema()
	}
	return s.numberSchema()
}

func (s *shape) objectSchema() map[string]any {
	props := map[string]any{}
	var required []string
	for i := range s.fields {
		f := &s.fields[i]
		p := f.shape.schema()
		p["description"] = f.doc
		if f.def != "" {
			p["default"] = f.shape.literal(f.def)
		}
		if f.required {
			required = append(required, f.name)
		}
		props[f.name] = p
	}
	out := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	return out
}

func (s *shape) textSchema() map[string]any {
	out := map[string]any{"type": "string"}
	if s.enum != nil {
		out["enum"] = s.enum
		return out
	}
	out["maxLength"] = s.maxLen
	if s.pattern != "" {
		out["pattern"] = s.pattern
	}
	return out
}

func (s *shape) numberSchema() map[string]any {
	out := map[string]any{"type": "number", "minimum": s.min}
	if s.kind == intShape {
		out["type"] = "integer"
	}
	if s.positive {
		delete(out, "minimum")
		out["exclusiveMinimum"] = s.min
	}
	if s.max != 0 {
		out["maximum"] = s.max
	}
	return out
}

// literal is a built-in default as a JSON value.
func (s *shape) literal(def string) any {
	switch s.kind {
	case intShape, numberShape:
		return json.Number(def)
	case boolShape:
		v, _ := strconv.ParseBool(def)
		return v
	}
	return def
}

// settingsSchema is for free settings: nested mappings of scalars and, where lists are allowed, lists of scalars.
func settingsSchema(name string, lists bool) map[string]any {
	scalar := map[string]any{"type": []string{"string", "number", "boolean"}}
	values := []any{
		scalar,
		map[string]any{"allOf": []any{map[string]any{"$ref": "#/$defs/" + name}, map[string]any{"minProperties": 1}}},
	}
	if lists {
		values = append(values, map[string]any{"type": "array", "items": scalar})
	}
	return map[string]any{
		"type":                 "object",
		"propertyNames":        map[string]any{"pattern": settingSegment.String()},
		"additionalProperties": map[string]any{"anyOf": values},
	}
}
