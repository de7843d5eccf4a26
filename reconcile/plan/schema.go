package plan

import _ "embed"

//go:embed plan.schema.json
var schemaJSON []byte

// Schema is the JSON Schema (draft 2020-12) of a Document, which is what 'plan -o json' prints.
func Schema() ([]byte, error) { return schemaJSON, nil }
