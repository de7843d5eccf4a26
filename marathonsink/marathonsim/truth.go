package marathonsim

import "github.com/esfleet/esfleet/marathonsink/marathon"

// Definition is an app's definition as it is now, also while nobody leads and whatever reads show; nil if there is no
// such app. It must not be changed.
func (s *Sim) Definition(id marathon.AppID) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.apps[id]; a != nil {
		return a.def.doc
	}
	return nil
}
