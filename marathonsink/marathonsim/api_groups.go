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
	doc := map[string]any{"id": id, "apps": []any{}, "pods": s.podsIn(id), "groups": []any{}, "dependencies": []string{},
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
	res, bad := s.putGroup(c, id)
	if bad == nil {
		res.status = 201 // a PUT that makes one answers 200
	}
	return res, bad
}

// putGroup is what PUT and POST of a group come down to. Where it says nothing of apps, there are those that were; where
// it lists them, the list is complete.
func (s *Sim) putGroup(c *call, id marathon.AppID) (*result, *refusal) {
	v, bad := decode(c.body)
	if bad != nil {
		return nil, bad
	}
	wants := map[marathon.AppID]wanted{}
	if bad := s.readGroups(object(v), id, wants); bad != nil {
		return nil, bad
	}
	res, bad := s.apply(change{group: id, force: c.is("force"), edit: func(to root) *refusal { return s.editGroups(to, wants) }})
	if bad != nil {
		return nil, bad
	}
	version := res.body.(map[string]any)["version"].(string)
	for g, want := range wants {
		s.makeGroups(g+"/x", version)
		if want.deps != nil {
			s.groups[g].deps = want.deps
		}
	}
	return res, nil
}

// wanted is what a group's document says of one group; nil where it says nothing.
type wanted struct {
	deps []string
	apps map[marathon.AppID]map[string]any
}

// readGroups reads a group's document and those below it. From 1.9 none but a group right below the root can be written
// with its apps: the field that it says cannot be changed is one that nobody sent.
func (s *Sim) readGroups(doc map[string]any, id marathon.AppID, wants map[marathon.AppID]wanted) *refusal {
	var want wanted
	if doc["apps"] != nil {
		if s.ver.hasRole && id.Group() != "/" {
			return invalid(detail{"/groups(0)/enforceRole", []string{"enforceRole cannot be modified in a request that adds, " +
				"removes or modifies services; please make these changes in separate requests."}})
		}
		want.apps = map[marathon.AppID]map[string]any{}
		for _, a := range list(doc["apps"]) {
			sent := copyOf(object(a))
			app := absoluteID(text(sent["id"]), string(id))
			delete(sent, "id")
			want.apps[app] = sent
		}
	}
	if given, ok := doc["dependencies"].([]any); ok {
		want.deps = []string{}
		for _, d := range given {
			want.deps = append(want.deps, string(absoluteID(text(d), string(id))))
		}
	}
	wants[id] = want
	for _, g := range list(doc["groups"]) {
		sub := object(g)
		if bad := s.readGroups(sub, absoluteID(text(sub["id"]), string(id)), wants); bad != nil {
			return bad
		}
	}
	return nil
}

// editGroups makes the apps right in each group those that its document lists, each of them whole.
func (s *Sim) editGroups(to root, wants map[marathon.AppID]wanted) *refusal {
	for g, want := range wants {
		if want.apps == nil {
			continue
		}
		for _, app := range sortedIDs(to) {
			if app.Group() == string(g) && want.apps[app] == nil {
				delete(to, app)
			}
		}
		for app, sent := range want.apps {
			def, bad := s.edited(app, to[app], sent, true, false)
			if bad != nil {
				return bad
			}
			to[app] = def
		}
	}
	return nil
}
