package marathonsim

import (
	"maps"
	"net/http"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A pod is there for those who have apps beside it: it has an id of the same kind, lies in a group, and has deployments
// in the same list. Its tasks are in none of the lists of apps and tasks, so there are none.
type pod struct {
	doc        map[string]any
	version    string
	deployment string // that hangs, because no agent has as much as it asks for; "" for none
}

func (s *Sim) routePods(c *call) (*result, *refusal) {
	id := idOf(c.path)
	switch {
	case len(c.path) == 0 && c.method == http.MethodPost:
		return s.createPod(c)
	case len(c.path) == 0 || s.pods[id] == nil && c.method != http.MethodGet && c.method != http.MethodDelete:
		return nil, errMethod
	case s.pods[id] == nil:
		return nil, s.missing(true, "Pod '%s' does not exist", id)
	case c.method == http.MethodGet:
		return &result{status: 200, body: s.pods[id].doc}, nil
	case c.method == http.MethodDelete:
		delete(s.pods, id)
		s.event("pod_deleted_event", map[string]any{"clientIp": c.client, "uri": c.uri})
		return &result{status: 202, deployment: s.uuid()}, nil
	}
	return nil, errMethod
}

func (s *Sim) createPod(c *call) (*result, *refusal) {
	v, bad := decode(c.body)
	if bad != nil {
		return nil, bad
	}
	doc := copyOf(object(v))
	id := absoluteID(text(doc["id"]), "/")
	if s.apps[id] != nil || s.pods[id] != nil {
		return nil, invalid(detail{"/", []string{sharedID}})
	}
	p := &pod{doc: doc, version: s.stamp()}
	doc["id"], doc["version"] = string(id), p.version
	deployment := s.uuid()
	if !s.fitsSomewhere(doc) {
		p.deployment = deployment
	}
	s.pods[id] = p
	s.makeGroups(id, p.version)
	s.event("pod_created_event", map[string]any{"clientIp": c.client, "uri": c.uri})
	return &result{status: 201, body: doc, deployment: deployment, location: string(id)}, nil
}

const sharedID = "Applications and Pods may not share the same id"

func (s *Sim) fitsSomewhere(doc map[string]any) bool {
	cpus := 0.0
	for _, c := range list(doc["containers"]) {
		cpus += numberOr(object(object(c)["resources"])["cpus"], 0.1)
	}
	return slices.ContainsFunc(s.agents, func(a *agent) bool { return a.CPUs >= cpus })
}

// podDeployments are those that hang, as the list of deployments shows them.
func (s *Sim) podDeployments() []any {
	var out []any
	for _, id := range slices.Sorted(maps.Keys(s.pods)) {
		p := s.pods[id]
		if p.deployment == "" {
			continue
		}
		start, scale := map[string]any{"action": "StartPod", "pod": id}, map[string]any{"action": "ScalePod", "pod": id}
		out = append(out, map[string]any{"id": p.deployment, "version": p.version, "affectedApps": []any{}, "affectedPods": []any{id},
			"steps":          []any{map[string]any{"actions": []any{start}}, map[string]any{"actions": []any{scale}}},
			"currentActions": []any{scale}, "currentStep": 2, "totalSteps": 2})
	}
	return out
}

func (s *Sim) cancelPod(deployment string) bool {
	for _, p := range s.pods {
		if p.deployment == deployment {
			p.deployment = ""
			return true
		}
	}
	return false
}

// podsIn are the pods right in a group, as the group shows them.
func (s *Sim) podsIn(group marathon.AppID) []any {
	out := make([]any, 0)
	for _, id := range slices.Sorted(maps.Keys(s.pods)) {
		if id.Group() == string(group) {
			out = append(out, map[string]any{"id": id, "spec": s.pods[id].doc})
		}
	}
	return out
}
