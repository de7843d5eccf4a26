package marathonsim

import (
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// checkShape is the first of Marathon's two validations: types, ranges, patterns. It answers with everything wrong.
func checkShape(marathon.AppID, map[string]any, traits) *refusal { return nil }
