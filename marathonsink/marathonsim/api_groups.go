package marathonsim

import (
	"net/http"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

func (s *Sim) routeGroups(c *call) (*result, *refusal) {
	id := idOf(c.path)
	switch c.method {
	case http.MethodGet:
		if s.groups[id] == nil {
			return nil, s.missing(true, "Group '%s' does not exist", id)
		}
		return &result{status: 200, body: s.groupDoc(id, c.query["embed"])}, nil
	case http.MethodDelete:
		return s.deleteGroup(c, id)
	case http.MethodPut:
		return s.putGroup(c, id)
	case http.MethodPost:
		return s.postGroup(c, id)
	}
	return nil, errMethod
}

func (s *Sim) groupDoc(id marathon.AppID, embed []string) map[string]any {
	want := func(what string) bool {
		return len(embed) == 0 || slices.ContainsFunc(embed, func(e string) bool { return strings.HasPrefix(e, "group."+what) })
	}
	doc := map[string]any{"id": id, "apps": []any{}, "pods": []any{}, "groups": []any{}, "dependencies": []string{},
		"version": s.groups[id].version}
	if s.ver.hasRole {
		doc["enforceRole"] = s.groups[id].enforceRole
	}
	if deps := s.groups[id].deps; len(deps) > 0 {
		doc["dependencies"] = deps
	}
	if want("apps") {
		apps := make([]any, 0)
		for _, a := range s.sortedApps() {
			if a.id.Group() == string(id) {
				apps = append(apps, a.def.full())
			}
		}
		doc["apps"] = apps
	}
	if want("groups") {
		groups := make([]any, 0)
		for _, g := range s.sortedGroups() {
			if g != "/" && g.Group() == string(id) {
				groups = append(groups, s.groupDoc(g, embed))
			}
		}
		doc["groups"] = groups
	}
	return doc
}

func (s *Sim) sortedGroups() []marathon.AppID {
	out := make([]marathon.AppID, 0, len(s.groups))
	for g := range s.groups {
		out = append(out, g)
	}
	slices.Sort(out)
	return out
}

func (s *Sim) deleteGroup(c *call, id marathon.AppID) (*result, *refusal) {
	if s.groups[id] == nil {
		return nil, s.missing(false, "Group '%s' does not exist", id)
	}
	return s.apply(change{group: id, force: c.is("force"), edit: func(to root) *refusal {
		for app := range to {
			if within(app, id) {
				delete(to, app)
			}
		}
		return nil
	}, after: func() {
		for g := range s.groups {
			if g != "/" && within(g, id) {
				delete(s.groups, g)
			}
		}
	}})
}

// postGroup makes a group that does not exist.
func (s *Sim) postGroup(c *call, base marathon.AppID) (*result, *refusal) {
	v, bad := decode(c.body)
	if bad != nil {
		return nil, bad
	}
	id := absoluteID(text(object(v)["id"]), string(base))
	if s.groups[id] != nil {
		return nil, fail(409, "Group "+string(id)+" is already created. Use PUT to change this group.")
	}
	return s.putGroup(c, id)
}

// putGroup takes the dependency-only update, at any depth; a group that carries apps is refused with the words that
// Marathon 1.11 has for most of them. Use an array PUT of /v2/apps instead.
func (s *Sim) putGroup(c *call, id marathon.AppID) (*result, *refusal) {
	v, bad := decode(c.body)
	if bad != nil {
		return nil, bad
	}
	wants := map[marathon.AppID][]string{}
	if bad := readGroups(object(v), id, wants); bad != nil {
		return nil, bad
	}
	fresh := s.groups[id] == nil
	res, bad := s.apply(change{group: id, force: c.is("force"), edit: func(root) *refusal { return nil }})
	if bad != nil {
		return nil, bad
	}
	version := res.body.(map[string]any)["version"].(string)
	for g, deps := range wants {
		s.makeGroups(g+"/x", version)
		if deps != nil {
			s.groups[g].deps = deps
		}
	}
	if fresh {
		res.status = 201
	}
	return res, nil
}

func readGroups(doc map[string]any, id marathon.AppID, wants map[marathon.AppID][]string) *refusal {
	if doc["apps"] != nil {
		return invalid(detail{"/groups(0)/enforceRole", []string{"enforceRole cannot be modified in a request that adds, " +
			"removes or modifies services; please make these changes in separate requests."}})
	}
	var deps []string
	if given, ok := doc["dependencies"].([]any); ok {
		deps = []string{}
		for _, d := range given {
			deps = append(deps, string(absoluteID(text(d), string(id))))
		}
	}
	wants[id] = deps
	for _, g := range list(doc["groups"]) {
		sub := object(g)
		if bad := readGroups(sub, absoluteID(text(sub["id"]), string(id)), wants); bad != nil {
			return bad
		}
	}
	return nil
}
