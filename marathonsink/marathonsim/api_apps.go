package marathonsim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

func (s *Sim) routeApps(c *call) (*result, *refusal) {
	if len(c.path) == 0 {
		switch c.method {
		case http.MethodGet:
			return s.listApps(c)
		case http.MethodPost:
			return s.createApp(c)
		case http.MethodPut, http.MethodPatch:
			return s.writeApps(c)
		}
		return nil, errMethod
	}
	n := len(c.path)
	last := c.path[n-1]
	switch {
	case last == "*" && c.method == http.MethodGet:
		return s.listGroupApps(c, idOf(c.path[:n-1]))
	case last == "tasks":
		return s.routeAppTasks(c, c.path[:n-1])
	case n > 2 && c.path[n-2] == "tasks":
		return s.deleteTask(c, idOf(c.path[:n-2]), last)
	case last == "restart":
		if c.method != http.MethodPost {
			return nil, errMethod
		}
		return s.restartApp(c, idOf(c.path[:n-1]))
	case last == "versions":
		if c.method != http.MethodGet {
			return nil, errMethod
		}
		return s.listVersions(idOf(c.path[:n-1]))
	case n > 2 && c.path[n-2] == "versions":
		return s.getVersion(idOf(c.path[:n-2]), last)
	}
	id := idOf(c.path)
	switch c.method {
	case http.MethodGet:
		return s.getApp(c, id)
	case http.MethodPut, http.MethodPatch:
		return s.writeApp(c, id)
	case http.MethodDelete:
		return s.deleteApp(c, id)
	}
	return nil, errMethod
}

func (s *Sim) noApp(read bool, id marathon.AppID) *refusal {
	return s.missing(read, "App '%s' does not exist", id)
}

// appDoc is an app as the API shows it; embed adds to what is always there.
func (s *Sim) appDoc(a *app, embed []string) map[string]any {
	doc := a.def.full()
	staged, running, healthy, unhealthy := 0, 0, 0, 0
	for _, in := range a.instances {
		switch {
		case in.state == condRunning:
			running++
		case in.live() && in.state != condUnreachable:
			staged++
		}
		if in.live() || in.suspended() {
			for _, h := range in.health {
				if h.alive {
					healthy++
					break
				}
			}
			if in.state == condRunning && len(in.health) > 0 && !in.healthy {
				unhealthy++
			}
		}
	}
	doc["tasksStaged"], doc["tasksRunning"], doc["tasksHealthy"], doc["tasksUnhealthy"] = staged, running, healthy, unhealthy
	locks := make([]any, 0)
	for _, d := range s.lockedBy(a.id) {
		if !s.hideDeploys {
			locks = append(locks, map[string]any{"id": d.id})
		}
	}
	doc["deployments"] = locks
	for _, e := range embed {
		switch strings.TrimPrefix(strings.TrimPrefix(e, "apps."), "app.") {
		case "tasks":
			doc["tasks"] = s.taskDocs(a, false)
		case "readiness":
			doc["readinessCheckResults"] = s.readinessDocs(a.id)
		case "lastTaskFailure":
			if a.failure != nil {
				doc["lastTaskFailure"] = a.failure
			}
		case "failures":
			doc["tasks"] = s.taskDocs(a, false)
			if a.failure != nil {
				doc["lastTaskFailure"] = a.failure
			}
		}
	}
	return doc
}

func (s *Sim) listApps(c *call) (*result, *refusal) {
	var match func(map[string]string) bool
	if l := c.query["label"]; len(l) > 0 {
		m, err := parseSelector(l[0])
		if err != nil {
			return nil, fail(422, err.Error())
		}
		match = m
	}
	out := make([]any, 0, len(s.apps))
	for _, a := range s.sortedApps() {
		if q := c.query["id"]; len(q) > 0 && !strings.Contains(strings.ToLower(string(a.id)), strings.ToLower(q[0])) {
			continue
		}
		if q := c.query["cmd"]; len(q) > 0 && !strings.Contains(strings.ToLower(a.def.spec.Cmd), strings.ToLower(q[0])) {
			continue
		}
		if match != nil && !match(a.def.spec.Labels) {
			continue
		}
		out = append(out, s.appDoc(a, c.query["embed"]))
	}
	return &result{status: 200, body: map[string]any{"apps": out}}, nil
}

func (s *Sim) listGroupApps(c *call, group marathon.AppID) (*result, *refusal) {
	if s.groups[group] == nil {
		return nil, s.missing(true, "Group '%s' does not exist", group)
	}
	out := make([]any, 0)
	for _, a := range s.sortedApps() {
		if within(a.id, group) {
			out = append(out, s.appDoc(a, append([]string{"tasks"}, c.query["embed"]...)))
		}
	}
	return &result{status: 200, body: map[string]any{"*": out}}, nil
}

func (s *Sim) getApp(c *call, id marathon.AppID) (*result, *refusal) {
	a := s.apps[id]
	if a == nil {
		return nil, s.noApp(true, id)
	}
	return &result{status: 200, body: map[string]any{"app": s.appDoc(a, append([]string{"tasks", "lastTaskFailure"}, c.query["embed"]...))}}, nil
}

func (s *Sim) listVersions(id marathon.AppID) (*result, *refusal) {
	if s.apps[id] == nil {
		return nil, s.noApp(true, id)
	}
	out := make([]string, 0)
	for _, d := range s.history[id] {
		out = append(out, d.version)
	}
	return &result{status: 200, body: map[string]any{"versions": out}}, nil
}

func (s *Sim) getVersion(id marathon.AppID, version string) (*result, *refusal) {
	if d := s.versionOf(id, version); d != nil && s.apps[id] != nil {
		return &result{status: 200, body: d.full()}, nil
	}
	return nil, s.missing(true, "App '%s' does not exist in version %s", id, version)
}

func (s *Sim) versionOf(id marathon.AppID, version string) *definition {
	i := slices.IndexFunc(s.history[id], func(d *definition) bool { return d.version == version })
	if i < 0 {
		return nil
	}
	return s.history[id][i]
}

// decode reads a request's JSON with the two parser messages that clients see most.
func decode(body []byte) (any, *refusal) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, &refusal{400, map[string]any{"message": "Please specify data in JSON format",
			"details": "No content to map due to end-of-input\n at [Source: (byte[])\"\"; line: 1, column: 0]"}}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		why := err.Error()
		if err == io.ErrUnexpectedEOF {
			why = "Unexpected end-of-input within/between Object entries"
		}
		return nil, &refusal{400, map[string]any{"message": "Invalid JSON", "details": why}}
	}
	return v, nil
}

// edited makes an app's next definition out of a request. whole: nothing is kept of the old one.
func (s *Sim) edited(id marathon.AppID, old *definition, sent map[string]any, whole, post bool) (*definition, *refusal) {
	if bad := checkShape(id, sent, s.ver); bad != nil {
		return nil, bad
	}
	next, bad := s.canonical(sent, old != nil && !whole)
	if bad != nil {
		return nil, bad
	}
	if whole && !post || !s.ver.hasExecutor {
		delete(next, "executorResources")
	}
	if old != nil && !whole {
		merged := copyOf(old.doc)
		delete(merged, "resourceLimits")    // the only two keys that a partial update clears by silence
		delete(merged, "executorResources") //
		for k, v := range next {
			merged[k] = v
		}
		next = merged
	}
	doc := s.fill(id, next)
	if bad := s.validate(next, doc, sent); bad != nil {
		return nil, bad
	}
	return &definition{doc: doc}, nil
}

func (s *Sim) createApp(c *call) (*result, *refusal) {
	v, bad := decode(c.body)
	if bad != nil {
		return nil, bad
	}
	sent := object(v)
	id := absoluteID(text(sent["id"]), "/")
	if s.apps[id] != nil {
		return nil, fail(409, "An app with id ["+string(id)+"] already exists.")
	}
	def, bad := s.edited(id, nil, sent, true, true)
	if bad != nil {
		return nil, bad
	}
	res, bad := s.apply(change{group: marathon.AppID(id.Group()), force: c.is("force"), edit: func(to root) *refusal {
		to[id] = def
		return nil
	}})
	if bad != nil {
		return nil, bad
	}
	s.posted(c, id)
	doc := s.appDoc(s.apps[id], []string{"tasks"})
	return &result{status: 201, body: doc, deployment: res.deployment, location: string(id)}, nil
}

func (s *Sim) posted(c *call, id marathon.AppID) {
	if a := s.apps[id]; a != nil {
		s.event("api_post_event", map[string]any{"clientIp": c.client, "uri": c.uri, "appDefinition": a.def.full()})
	}
}

func (s *Sim) writeApp(c *call, id marathon.AppID) (*result, *refusal) {
	v, bad := decode(c.body)
	if bad != nil {
		return nil, bad
	}
	sent := object(v) // anything that is not an object is understood as {}
	old := s.currentRoot()[id]
	if old == nil && c.method == http.MethodPatch {
		if _, bad := s.edited(id, nil, sent, true, false); bad != nil {
			return nil, bad
		}
		return nil, s.noApp(false, id)
	}
	res, bad := s.apply(change{group: marathon.AppID(id.Group()), force: c.is("force"), edit: func(to root) *refusal {
		def, bad := s.next(c, id, old, sent)
		if bad == nil {
			to[id] = def
		}
		return bad
	}})
	if bad != nil {
		return nil, bad
	}
	if old == nil {
		res.status, res.location = 201, string(id)
	}
	s.posted(c, id)
	return res, nil
}

// next is the definition a PUT asks for: an older version, or the merge of what is sent.
func (s *Sim) next(c *call, id marathon.AppID, old *definition, sent map[string]any) (*definition, *refusal) {
	if version, ok := sent["version"]; ok && version != nil {
		for k := range sent {
			if k != "version" && k != "id" {
				return nil, invalid(detail{"/", []string{"The 'version' field may only be combined with the 'id' field."}})
			}
		}
		if _, err := time.Parse(time.RFC3339, text(version)); err != nil {
			return nil, badShape(detail{"/version", []string{"error.expected.date.isoformat"}})
		}
		past := s.versionOf(id, text(version))
		if past == nil {
			return nil, s.noApp(false, id)
		}
		return &definition{doc: past.doc}, nil
	}
	whole := c.isNot("partialUpdate")
	if old != nil && len(sent) == 0 && !whole {
		return old, nil
	}
	return s.edited(id, old, sent, whole || old == nil, false)
}

func (s *Sim) writeApps(c *call) (*result, *refusal) {
	v, bad := decode(c.body)
	if bad != nil {
		return nil, bad
	}
	members, ok := v.([]any)
	if !ok {
		return nil, badShape(detail{"", []string{"error.expected.jsarray"}})
	}
	return s.apply(change{group: "/", force: c.is("force"), edit: func(to root) *refusal {
		for _, m := range members {
			sent := object(m)
			if text(sent["id"]) == "" {
				return fail(422, "requirement failed: App Update must have app id set")
			}
			id := absoluteID(text(sent["id"]), "/")
			old := to[id]
			if old == nil && c.method == http.MethodPatch {
				return s.noApp(false, id)
			}
			rest := copyOf(sent)
			delete(rest, "id")
			def, bad := s.next(c, id, old, rest)
			if bad != nil {
				return bad
			}
			to[id] = def
		}
		return nil
	}})
}

func (s *Sim) deleteApp(c *call, id marathon.AppID) (*result, *refusal) {
	if s.apps[id] == nil {
		return nil, s.noApp(false, id)
	}
	return s.apply(change{group: marathon.AppID(id.Group()), force: !c.isNot("force"), edit: func(to root) *refusal {
		delete(to, id)
		return nil
	}})
}

func (s *Sim) restartApp(c *call, id marathon.AppID) (*result, *refusal) {
	if s.apps[id] == nil {
		return nil, s.noApp(false, id)
	}
	return s.apply(change{group: marathon.AppID(id.Group()), force: c.is("force"), restart: map[marathon.AppID]bool{id: true},
		edit: func(root) *refusal { return nil }})
}
