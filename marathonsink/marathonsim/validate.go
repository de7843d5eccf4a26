package marathonsim

import (
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

func (s *Sim) validate(marathon.AppID, map[string]any, map[string]any) *refusal { return nil }

func (s *Sim) validateFilled(map[string]any) *refusal { return nil }

func (s *Sim) validateRoot(root, root, bool) *refusal { return nil }
