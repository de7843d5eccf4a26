package marathonsim

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// faults collects what is wrong with a definition's meaning, in Marathon's words.
type faults struct{ details []detail }

func (f *faults) add(bad bool, path, fault string) {
	if !bad {
		return
	}
	for i := range f.details {
		if f.details[i].Path == path {
			f.details[i].Errors = append(f.details[i].Errors, fault)
			return
		}
	}
	f.details = append(f.details, detail{path, []string{fault}})
}

func (f *faults) refusal() *refusal {
	if len(f.details) == 0 {
		return nil
	}
	return invalid(f.details...)
}

// feature is the message about something that was not switched on; the bracket is Marathon's.
func feature(name string) string {
	return fmt.Sprintf("Feature %s is not enabled. Enable with --enable_features %s)", name, name)
}

// validate is the second validation, of what a definition means. canonical is the document before its defaults were
// filled in, sent the request.
func (s *Sim) validate(canonical, filled, sent map[string]any) *refusal {
	if bad := illegal(canonical); bad != nil {
		return bad
	}
	f := &faults{}
	f.given(s, canonical, sent)
	f.filled(s, filled)
	return f.refusal()
}

// illegal is what Marathon only notices when it converts the definition: a server error.
func illegal(doc map[string]any) *refusal {
	for _, c := range list(doc["constraints"]) {
		if l := list(c); len(l) > 1 && strings.ToUpper(text(l[1])) != text(l[1]) {
			return fail(500, "illegal constraint specification "+joinTexts(l))
		}
	}
	for _, h := range list(doc["healthChecks"]) {
		h := object(h)
		protocol := text(h["protocol"])
		if protocol == "COMMAND" && h["command"] == nil {
			return fail(500, "illegal protocol COMMAND for non-command health check")
		}
		if protocol != "COMMAND" && h["command"] != nil {
			return fail(500, "illegal protocol "+protocol+" specified with command")
		}
	}
	return nil
}

// given looks at what was sent.
func (f *faults) given(s *Sim, doc, sent map[string]any) {
	container := object(doc["container"])
	f.add(doc["cmd"] == nil && doc["args"] == nil && container == nil || doc["cmd"] != nil && doc["args"] != nil, "/",
		"AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.")
	cmd, given := doc["cmd"].(string)
	f.add(given && len(cmd) < 2, "/", "must not be an empty string") // one character counts as none
	f.container(container)
	f.roles(s, doc)
	f.secrets(doc, container)
	if n := list(doc["networks"]); len(n) > 1 {
		f.add(slices.ContainsFunc(n, func(x any) bool { return text(object(x)["mode"]) != "container" }), "/networks",
			"May specify a single host network, single bridge network, or else 1-to-n container networks")
	}
	for _, c := range list(doc["constraints"]) {
		fault := constraintFault(list(c), s.ver)
		f.add(fault != "", "/constraints", fault)
	}
	if sent["residency"] != nil && !isResident(doc) {
		over := numberOr(object(doc["upgradeStrategy"])["maximumOverCapacity"], 1)
		f.add(over != 0, "/upgradeStrategy/maximumOverCapacity", fmt.Sprintf("got %s, expected 0.0", compact(double(over))))
	}
}

func joinTexts(l []any) string {
	out := make([]string, len(l))
	for i, v := range l {
		out[i] = text(v)
	}
	return strings.Join(out, ",")
}

func (f *faults) container(c map[string]any) {
	if c == nil {
		return
	}
	f.add(text(c["type"]) == "DOCKER" && c["docker"] == nil, "/container/docker", "not defined")
	for i, v := range list(c["volumes"]) {
		v := object(v)
		path := fmt.Sprintf("/container/volumes(%d)", i)
		f.add(v["external"] != nil, path, feature("external_volumes"))
		if v["persistent"] != nil {
			f.add(strings.Contains(text(v["containerPath"]), "/"), path+"/containerPath", `value must not contain "/"`)
			f.add(text(v["mode"]) != "RW", path+"/mode", "does not equal RW")
		}
	}
}

func (f *faults) roles(s *Sim, doc map[string]any) {
	roles, given := doc["acceptedResourceRoles"].([]any)
	f.add(given && len(roles) == 0, "/acceptedResourceRoles", "must not be empty")
	if isResident(doc) {
		f.add(given && joinTexts(roles) != "*", "/acceptedResourceRoles", "A resident app must have `acceptedResourceRoles = [\"*\"]`.")
	} else if s.ver.hasLimits { // before 1.10 foreign roles are accepted, or dropped
		f.add(slices.ContainsFunc(roles, func(r any) bool { return text(r) != "*" && text(r) != s.opt.Role }),
			"/acceptedResourceRoles", "acceptedResourceRoles can only contain * and "+s.opt.Role)
	}
}

func (f *faults) secrets(doc, container map[string]any) {
	for _, v := range object(doc["env"]) {
		if _, ref := v.(map[string]any); ref {
			f.add(true, "/env", "use of secret-references in the environment requires the secrets feature to be enabled")
			break
		}
	}
	f.add(doc["secrets"] != nil, "/secrets", feature("secrets"))
	f.add(numberOr(doc["gpus"], 0) > 0, "/gpus", feature("gpu_resources"))
	if pull := object(object(container["docker"])["pullConfig"]); pull != nil {
		const path = "/container/docker/pullConfig"
		f.add(true, path, "must be empty")
		f.add(true, path, feature("secrets"))
		f.add(true, path, "pullConfig.secret must refer to an existing secret")
	}
}

func constraintFault(c []any, ver traits) string {
	if len(c) < 2 || len(c) > 3 {
		return "Each constraint must have either 2 or 3 fields"
	}
	value := ""
	if len(c) == 3 {
		value = text(c[2])
	}
	switch op := text(c[1]); op {
	case "UNIQUE":
		if len(c) == 3 {
			return "UNIQUE does not accept a value"
		}
	case "GROUP_BY":
		if _, err := strconv.Atoi(value); len(c) == 3 && err != nil {
			return "GROUP BY must define an integer value or else no value at all"
		}
	case "MAX_PER":
		if _, err := strconv.Atoi(value); err != nil {
			return "MAX_PER requires an integer value"
		}
	case "LIKE", "UNLIKE":
		if value == "" {
			return "LIKE and UNLIKE require a non-empty, regular expression value"
		}
		if _, err := regexp.Compile(value); err != nil {
			return "is not a valid regular expression"
		}
	case "CLUSTER":
	default:
		if op != "IS" || !ver.operatorIS {
			if ver.operatorIS {
				return "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS"
			}
			return "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER or UNLIKE"
		}
	}
	return ""
}

// filled looks at the finished definition.
func (f *faults) filled(s *Sim, doc map[string]any) {
	f.ports(doc)
	f.healthChecks(s, doc)
	f.readinessChecks(doc)
	if role := text(doc["role"]); s.ver.hasRole && role != s.opt.Role {
		group, _, _ := strings.Cut(strings.TrimPrefix(text(doc["id"]), "/"), "/")
		f.add(role != group, "/role", fmt.Sprintf("got %s, expected one of: [%s, %s]", role, s.opt.Role, group))
	}
	if u := object(doc["unreachableStrategy"]); u != nil {
		inactive, expunge := integer(u["inactiveAfterSeconds"], 0), integer(u["expungeAfterSeconds"], 0)
		f.add(inactive > expunge, "/unreachableStrategy/inactiveAfterSeconds",
			fmt.Sprintf("inactiveAfterSeconds (%d) must be less or equal to expungeAfterSeconds, which is %d", inactive, expunge))
	}
	if isResident(doc) {
		over := numberOr(object(doc["upgradeStrategy"])["maximumOverCapacity"], 0)
		path := "/upgradeStrategy/maximumOverCapacity"
		if !s.ver.hasIPProtocol {
			path = "/value"
		}
		f.add(over != 0, path, fmt.Sprintf("got %s, expected 0.0", compact(double(over))))
		f.add(doc["unreachableStrategy"] != "disabled", "/", "unreachableStrategy must be disabled for resident tasks")
	}
}

func (f *faults) ports(doc map[string]any) {
	names, numbers := map[string]bool{}, map[int64]bool{}
	for _, p := range list(doc["portDefinitions"]) {
		p := object(p)
		name, n := text(p["name"]), integer(p["port"], 0)
		f.add(name != "" && names[name], "/portDefinitions", "Port names must be unique.")
		f.add(n != 0 && numbers[n], "/portDefinitions", "Ports must be unique.")
		names[name], numbers[n] = true, true
	}
}

func (f *faults) healthChecks(s *Sim, doc map[string]any) {
	ports := len(list(doc["portDefinitions"])) + len(list(object(doc["container"])["portMappings"]))
	mesos := 0
	for i, h := range list(doc["healthChecks"]) {
		h := object(h)
		path := fmt.Sprintf("/healthChecks(%d)", i)
		protocol := text(h["protocol"])
		if strings.HasPrefix(protocol, "MESOS_") || protocol == "COMMAND" {
			mesos++
		}
		f.add(h["portIndex"] != nil && int(integer(h["portIndex"], 0)) >= ports, path,
			"Health check port indices must address an element of the ports array or container port mappings.")
		f.add(h["ipProtocol"] == "IPv6" && (text(object(doc["container"])["type"]) != "DOCKER" || !strings.HasPrefix(protocol, "MESOS_")), path,
			"IPv6 can only be used for container type DOCKER and Mesos http/https/tcp health checks")
	}
	f.add(mesos > 1, "/", "AppDefinition can contain at most one Mesos health check")
}

func (f *faults) readinessChecks(doc map[string]any) {
	checks := list(doc["readinessChecks"])
	f.add(len(checks) > 1, "/readinessChecks/size", fmt.Sprintf("got %d, expected 1 or less", len(checks)))
	for i, r := range checks {
		r := object(r)
		path := fmt.Sprintf("/readinessChecks(%d)", i)
		timeout, interval := integer(r["timeoutSeconds"], 0), integer(r["intervalSeconds"], 0)
		f.add(timeout >= interval, path+"/timeoutSeconds", fmt.Sprintf("got %d, expected less than %d", timeout, interval))
		name := text(r["portName"])
		known := slices.ContainsFunc(append(list(doc["portDefinitions"]), list(object(doc["container"])["portMappings"])...),
			func(p any) bool { return text(object(p)["name"]) == name })
		// the default name needs no port of that name
		f.add(!known && name != "http-api", path+"/portName", "No port definition reference for portName "+name)
	}
}

// validateRoot looks at the whole: ids that collide, rings, and what a resident may not change.
func (s *Sim) validateRoot(from, to root, force bool) *refusal {
	f := &faults{}
	for _, id := range sortedIDs(to) {
		old, def := from[id], to[id]
		if old == def {
			continue
		}
		if old == nil {
			f.collisions(s, id, to)
		} else if old.spec.resident() || def.spec.resident() {
			f.resident(s, old, def, force)
		}
		f.add(inRing(id, to), "/", "Dependency graph has cyclic dependencies.")
	}
	return f.refusal()
}

func (f *faults) collisions(s *Sim, id marathon.AppID, to root) {
	const same = "Groups and Applications may not have the same identifier."
	f.add(s.groups[id] != nil, "/", same)
	f.add(s.pods[id] != nil, "/", sharedID)
	for g := marathon.AppID(id.Group()); g != "/"; g = marathon.AppID(g.Group()) {
		f.add(to[g] != nil, "/groups(0)", same)
	}
}

func inRing(id marathon.AppID, r root) bool {
	seen := map[marathon.AppID]bool{}
	var reaches func(marathon.AppID) bool
	reaches = func(x marathon.AppID) bool {
		if r[x] == nil || seen[x] {
			return false
		}
		seen[x] = true
		return slices.ContainsFunc(r[x].spec.Dependencies, func(d marathon.AppID) bool { return d == id || reaches(d) })
	}
	return reaches(id)
}

// resident are the rules about apps whose instances hold volumes.
func (f *faults) resident(s *Sim, old, def *definition, force bool) {
	a, b := &old.spec, &def.spec
	const reservation = "If you need to make this change, please create a new service."
	volumes := func(d *definition) string {
		out := map[string]any{}
		for _, v := range list(object(d.doc["container"])["volumes"]) {
			if v := object(v); v["persistent"] != nil {
				out[text(v["containerPath"])] = v
			}
		}
		return compact(out)
	}
	f.add(volumes(old) != volumes(def), "/app(0)", "Persistent volumes can not be changed!")
	resources := map[string]bool{"/cpus": a.CPUs != b.CPUs, "/mem": a.Mem != b.Mem, "/disk": a.Disk != b.Disk,
		"/gpus": a.GPUs != b.GPUs, "/requirePorts": a.RequirePorts != b.RequirePorts}
	hosts := !slices.Equal(stablePorts(a), stablePorts(b))
	if !s.ver.residentMessages {
		f.add(hosts || resources["/cpus"] || resources["/mem"] || resources["/disk"] || resources["/gpus"] || resources["/requirePorts"],
			"/app(0)", "Resident Tasks may not change resource requirements!")
	} else {
		for _, key := range []string{"/cpus", "/mem", "/disk", "/gpus", "/requirePorts"} {
			f.add(resources[key], "/app(0)"+key, "Services with persistent volumes configured may not change resource requirements. "+reservation)
		}
		f.add(hosts, "/app(0)", "Services with persistent volumes configured may not change host ports. "+reservation)
	}
	f.add(a.Role != b.Role && !force, "/role", fmt.Sprintf("It is not possible to change the role for existing reservations. "+
		"If you proceed with this change, all existing instances will continue to run under the previous role, %s. "+
		"Only new instances will be allocated with the new role, %s. In order to continue, retry your request with ?force=true", a.Role, b.Role))
}

// stablePorts are the ports a resident may not change: numbers and count, not names.
func stablePorts(a *appSpec) []int {
	var out []int
	for _, p := range a.Ports {
		out = append(out, p.Port)
	}
	for _, m := range a.Container.Mappings {
		if m.HostPort != nil {
			out = append(out, *m.HostPort)
		}
	}
	return out
}
