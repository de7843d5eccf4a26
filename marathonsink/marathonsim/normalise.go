package marathonsim

import (
	"encoding/json"
	"path"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// fill makes what GET returns out of a canonical document: every default of the version filled in.
// Service ports stay 0 where none is assigned yet.
func (s *Sim) fill(id marathon.AppID, doc map[string]any) map[string]any {
	out := copyOf(doc)
	out["id"] = string(id)
	for k, v := range map[string]float64{"cpus": 1, "mem": 128, "disk": 0, "backoffFactor": 1.15} {
		out[k] = s.double(numberOr(doc[k], v))
	}
	ints := map[string]int64{"instances": 1, "gpus": 0, "backoffSeconds": 1, "maxLaunchDelaySeconds": s.ver.maxLaunchDelay}
	for k, v := range ints {
		out[k] = integer(doc[k], v)
	}
	if g, ok := doc["taskKillGracePeriodSeconds"]; ok {
		out["taskKillGracePeriodSeconds"] = integer(g, 0)
	}
	orElse(out, "executor", "")
	orElse(out, "labels", map[string]any{})
	orElse(out, "requirePorts", false)
	orElse(out, "killSelection", "YOUNGEST_FIRST")
	orElse(out, "networks", []any{map[string]any{"mode": "host"}})
	if s.ver.hasRole {
		orElse(out, "role", s.opt.Role)
	}
	s.fillContainer(out)
	s.fillPorts(out)
	s.fillStrategies(out, isResident(out))
	s.fillChecks(out)
	s.fillLists(id, out)
	for _, k := range []string{"args", "constraints", "dependencies", "env", "fetch", "healthChecks", "readinessChecks", "secrets"} {
		if len(list(out[k])) == 0 && len(object(out[k])) == 0 {
			delete(out, k)
		}
	}
	return out
}

func (s *Sim) double(f float64) any {
	if s.ver.doubles {
		return double(f)
	}
	return f
}

func isResident(doc map[string]any) bool {
	for _, v := range list(object(doc["container"])["volumes"]) {
		if object(v)["persistent"] != nil {
			return true
		}
	}
	return false
}

func hostNetwork(doc map[string]any) bool {
	n := list(doc["networks"])
	return len(n) == 0 || text(object(n[0])["mode"]) == "host"
}

func (s *Sim) fillContainer(out map[string]any) {
	if out["container"] == nil {
		return
	}
	c := copyOf(object(out["container"]))
	orElse(c, "type", "DOCKER")
	orElse(c, "volumes", []any{})
	if d := object(c["docker"]); d != nil {
		d = copyOf(d)
		orElse(d, "forcePullImage", false)
		orElse(d, "privileged", false)
		orElse(d, "parameters", []any{})
		c["docker"] = d
	}
	volumes := make([]any, 0)
	for _, v := range list(c["volumes"]) {
		v := copyOf(object(v))
		if p := object(v["persistent"]); p != nil {
			p = copyOf(p)
			p["size"] = integer(p["size"], 0)
			if m, ok := p["maxSize"]; ok {
				p["maxSize"] = integer(m, 0)
			}
			orElse(p, "type", "root")
			orElse(p, "constraints", []any{})
			v["persistent"] = p
		}
		volumes = append(volumes, v)
	}
	c["volumes"] = volumes
	out["container"] = c
}

func (s *Sim) fillPorts(out map[string]any) {
	if !hostNetwork(out) {
		delete(out, "portDefinitions")
		out["requirePorts"] = false
		c := copyOf(object(out["container"]))
		bridge := text(object(list(out["networks"])[0])["mode"]) == "container/bridge"
		mappings, given := c["portMappings"].([]any)
		if !given {
			mappings = []any{map[string]any{"name": "default"}}
		}
		filled := make([]any, len(mappings))
		for i, m := range mappings {
			filled[i] = fillMapping(copyOf(object(m)), bridge)
		}
		c["portMappings"] = filled
		out["container"] = c
		return
	}
	if c := object(out["container"]); c != nil {
		delete(c, "portMappings")
	}
	defs, given := out["portDefinitions"].([]any)
	if !given {
		defs = []any{map[string]any{"name": "default"}}
	}
	filled := make([]any, len(defs))
	for i, d := range defs {
		d := copyOf(object(d))
		d["port"] = integer(d["port"], 0)
		orElse(d, "protocol", "tcp")
		if len(object(d["labels"])) == 0 {
			delete(d, "labels")
		}
		filled[i] = d
	}
	out["portDefinitions"] = filled
}

func fillMapping(m map[string]any, bridge bool) map[string]any {
	for _, k := range []string{"containerPort", "servicePort"} {
		m[k] = integer(m[k], 0)
	}
	if h, ok := m["hostPort"]; ok || bridge {
		m["hostPort"] = integer(h, 0)
	}
	orElse(m, "protocol", "tcp")
	orElse(m, "labels", map[string]any{})
	if m["protocol"] == "tcp,udp" {
		m["protocol"] = "udp,tcp"
	}
	return m
}

func (s *Sim) fillStrategies(out map[string]any, resident bool) {
	minHealth, maxOver := 1.0, 1.0
	if resident {
		minHealth, maxOver = 0.5, 0
	}
	u := object(out["upgradeStrategy"])
	out["upgradeStrategy"] = map[string]any{
		"minimumHealthCapacity": s.double(numberOr(u["minimumHealthCapacity"], minHealth)),
		"maximumOverCapacity":   s.double(numberOr(u["maximumOverCapacity"], maxOver)),
	}
	switch u := out["unreachableStrategy"].(type) {
	case map[string]any:
		out["unreachableStrategy"] = map[string]any{
			"inactiveAfterSeconds": integer(u["inactiveAfterSeconds"], 0),
			"expungeAfterSeconds":  integer(u["expungeAfterSeconds"], 0),
		}
	case nil:
		switch {
		case resident:
			out["unreachableStrategy"] = "disabled"
		case s.ver.unreachableZero:
			out["unreachableStrategy"] = map[string]any{"inactiveAfterSeconds": int64(0), "expungeAfterSeconds": int64(0)}
		default:
			out["unreachableStrategy"] = map[string]any{"inactiveAfterSeconds": int64(300), "expungeAfterSeconds": int64(600)}
		}
	}
	sent := object(out["residency"])
	delete(out, "residency")
	if resident {
		timeout := int64(3600)
		if !s.ver.derivedResidency {
			timeout = integer(sent["relaunchEscalationTimeoutSeconds"], 3600)
		}
		out["residency"] = map[string]any{"relaunchEscalationTimeoutSeconds": timeout, "taskLostBehavior": "WAIT_FOREVER"}
	}
	for _, k := range []string{"resourceLimits", "executorResources"} {
		if r := object(out[k]); r != nil {
			r = copyOf(r)
			for k, v := range r {
				if f, ok := number(v); ok {
					r[k] = s.double(f)
				}
			}
			if k == "executorResources" {
				orElse(r, "disk", s.double(10))
			}
			out[k] = r
		}
	}
}

func (s *Sim) fillChecks(out map[string]any) {
	ports := len(list(out["portDefinitions"])) + len(list(object(out["container"])["portMappings"]))
	health := make([]any, 0)
	for _, h := range list(out["healthChecks"]) {
		health = append(health, s.fillHealth(copyOf(object(h)), ports))
	}
	out["healthChecks"] = health
	ready := make([]any, 0)
	for _, r := range list(out["readinessChecks"]) {
		r := copyOf(object(r))
		orElse(r, "name", "readinessCheck")
		orElse(r, "protocol", "HTTP")
		orElse(r, "path", "/")
		orElse(r, "portName", "http-api")
		r["intervalSeconds"] = integer(r["intervalSeconds"], 30)
		r["timeoutSeconds"] = integer(r["timeoutSeconds"], 10)
		orElse(r, "httpStatusCodesForReady", []any{int64(200)})
		orElse(r, "preserveLastResponse", false)
		ready = append(ready, r)
	}
	out["readinessChecks"] = ready
	if c := object(out["check"]); c != nil {
		c = copyOf(c)
		c["intervalSeconds"] = integer(c["intervalSeconds"], 60)
		c["timeoutSeconds"] = integer(c["timeoutSeconds"], 20)
		c["delaySeconds"] = integer(c["delaySeconds"], 15)
		if h := object(c["http"]); h != nil {
			h = copyOf(h)
			orElse(h, "scheme", "HTTP")
			c["http"] = h
		}
		out["check"] = c
	}
}

func (s *Sim) fillHealth(h map[string]any, ports int) map[string]any {
	orElse(h, "protocol", "HTTP")
	protocol := text(h["protocol"])
	h["gracePeriodSeconds"] = integer(h["gracePeriodSeconds"], 300)
	h["intervalSeconds"] = integer(h["intervalSeconds"], 60)
	h["timeoutSeconds"] = integer(h["timeoutSeconds"], 20)
	h["maxConsecutiveFailures"] = integer(h["maxConsecutiveFailures"], 3)
	h["delaySeconds"] = integer(h["delaySeconds"], 15)
	delete(h, "ignoreHttp1xx")
	switch protocol {
	case "HTTP", "HTTPS":
		h["ignoreHttp1xx"] = false
		h["delaySeconds"] = int64(15) // whatever was sent
	case "TCP":
		h["delaySeconds"] = int64(15)
	}
	if s.ver.hasIPProtocol {
		orElse(h, "ipProtocol", "IPv4")
	} else {
		delete(h, "ipProtocol")
	}
	if protocol != "COMMAND" && h["portIndex"] == nil && h["port"] == nil && ports > 0 {
		h["portIndex"] = int64(0)
	}
	for _, k := range []string{"portIndex", "port"} {
		if v, ok := h[k]; ok {
			h[k] = integer(v, 0)
		}
	}
	return h
}

func (s *Sim) fillLists(id marathon.AppID, out map[string]any) {
	seen := map[string]bool{}
	constraints := make([]any, 0)
	for _, c := range list(out["constraints"]) {
		b, _ := json.Marshal(c)
		if !seen[string(b)] {
			seen[string(b)] = true
			constraints = append(constraints, c)
		}
	}
	out["constraints"] = constraints
	deps := make([]any, 0)
	for _, d := range list(out["dependencies"]) {
		deps = append(deps, string(absoluteID(text(d), "/")))
	}
	out["dependencies"] = deps
	fetch := make([]any, 0)
	for _, f := range list(out["fetch"]) {
		f := copyOf(object(f))
		orElse(f, "extract", true)
		orElse(f, "executable", false)
		orElse(f, "cache", false)
		fetch = append(fetch, f)
	}
	out["fetch"] = fetch
}

// absoluteID resolves an id against a group. What an app names is resolved against the root, wherever the app is.
func absoluteID(id, base string) marathon.AppID {
	if strings.HasPrefix(id, "/") {
		return marathon.AppID(path.Clean(id))
	}
	return marathon.AppID(path.Join("/", base, id))
}

// assignPorts gives every service port that is 0 the number it had, else the next free one.
func (s *Sim) assignPorts(doc map[string]any, old *definition) {
	key, holder, from := "port", list(doc["portDefinitions"]), []portDef(nil)
	if old != nil {
		from = old.spec.Ports
	}
	if !hostNetwork(doc) {
		key, holder = "servicePort", list(object(doc["container"])["portMappings"])
		if old != nil {
			from = old.spec.Container.Mappings
		}
	}
	for i, p := range holder {
		p := object(p)
		if integer(p[key], 0) != 0 {
			continue
		}
		if i < len(from) && from[i].Port+from[i].ServicePort >= 10000 && from[i].Port+from[i].ServicePort <= 20000 {
			p[key] = int64(from[i].Port + from[i].ServicePort)
			continue
		}
		p[key] = int64(s.freeServicePort())
	}
}

func (s *Sim) freeServicePort() int {
	used := map[int]bool{}
	for _, a := range s.apps {
		for _, p := range append(append([]portDef{}, a.def.spec.Ports...), a.def.spec.Container.Mappings...) {
			used[p.Port+p.ServicePort] = true
		}
	}
	for used[s.nextService] {
		s.nextService++
	}
	s.nextService++
	return s.nextService - 1
}

func copyOf(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func orElse(m map[string]any, key string, fallback any) {
	if m[key] == nil {
		m[key] = fallback
	}
}
