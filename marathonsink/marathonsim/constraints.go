package marathonsim

import "github.com/esfleet/esfleet/marathonsink/marathon"

// constraintsMet asks every constraint of the instance's definition about the agent.
//
// Only instances launched since the last change of configuration are counted: in a mixed state a new instance may
// share a host with a running old one in spite of UNIQUE. Every Marathon measured does this.
func (s *Sim) constraintsMet(in *instance, ag *agent) bool {
	var placed []*agent
	for _, other := range in.app.instances {
		if other == in || other.agent == nil || other.state == condUnreachable || other.def.version < in.def.lastConfig {
			continue
		}
		if other.live() || other.suspended() || len(other.volumes) > 0 {
			placed = append(placed, other.agent)
		}
	}
	for _, c := range in.def.spec.Constraints {
		if !marathon.MeetsConstraint(c, ag, placed) {
			return false
		}
	}
	return true
}

// Field is the value of a field that a constraint names.
func (ag *agent) Field(name string) (string, bool) {
	switch name {
	case "hostname", "@hostname":
		return ag.Hostname, true
	case "@region":
		return ag.Region, ag.Region != ""
	case "@zone":
		return ag.Zone, ag.Zone != ""
	}
	v, ok := ag.Attributes[name]
	return v, ok
}
