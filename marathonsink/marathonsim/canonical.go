package marathonsim

import (
	"strings"
)

// The keys of an app that a client may set; everything else is silently ignored.
var appKeys = []string{
	"acceptedResourceRoles", "args", "backoffFactor", "backoffSeconds", "check", "cmd", "constraints", "container",
	"cpus", "dependencies", "disk", "env", "executor", "executorResources", "fetch", "gpus", "healthChecks",
	"instances", "killSelection", "labels", "maxLaunchDelaySeconds", "mem", "networks", "portDefinitions",
	"readinessChecks", "requirePorts", "residency", "resourceLimits", "role", "secrets",
	"taskKillGracePeriodSeconds", "tty", "unreachableStrategy", "upgradeStrategy", "user",
}

// canonical takes the deprecated spellings and the unknown keys out of a request. null means: not given.
func (s *Sim) canonical(in map[string]any, update bool) (map[string]any, *refusal) {
	out := map[string]any{}
	for _, k := range appKeys {
		if v, ok := in[k]; ok && v != nil {
			out[k] = v
		}
	}
	s.ver.dropUnknown(out)
	if uris, ok := in["uris"].([]any); ok && len(list(in["fetch"])) > 0 && len(uris) > 0 {
		if update {
			return nil, fail(500, "cannot specify both uris and fetch fields")
		}
		return nil, invalid(detail{"/uris", []string{"may not be set in conjunction with fetch"}})
	} else if ok && out["fetch"] == nil {
		out["fetch"] = fetchOfURIs(uris)
	}
	if ports, ok := in["ports"].([]any); ok && out["portDefinitions"] == nil {
		defs := make([]any, len(ports))
		for i, p := range ports {
			defs[i] = map[string]any{"port": p}
		}
		out["portDefinitions"] = defs
	}
	if r := canonicalNetworks(in, out); r != nil {
		return nil, r
	}
	return out, nil
}

func (t traits) dropUnknown(doc map[string]any) {
	if !t.hasRole {
		delete(doc, "role")
	}
	if !t.hasCheck {
		delete(doc, "check")
	}
	if !t.hasLimits {
		delete(doc, "resourceLimits")
	}
}

func fetchOfURIs(uris []any) []any {
	out := make([]any, len(uris))
	for i, u := range uris {
		extract := false
		for _, suffix := range []string{".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".zip"} {
			extract = extract || strings.HasSuffix(text(u), suffix)
		}
		out[i] = map[string]any{"uri": u, "extract": extract}
	}
	return out
}

// canonicalNetworks turns ipAddress and container.docker.network into networks and container.portMappings.
func canonicalNetworks(in, out map[string]any) *refusal {
	container := copyOf(object(out["container"]))
	docker := copyOf(object(container["docker"]))
	legacy, ip := text(docker["network"]), object(in["ipAddress"])
	_, isIP := in["ipAddress"].(map[string]any)
	if out["networks"] != nil && (legacy != "" || isIP) || docker["portMappings"] != nil && container["portMappings"] != nil {
		return fail(500, "cannot mix deprecated and canonical network APIs")
	}
	if m, ok := docker["portMappings"]; ok && m != nil {
		container["portMappings"] = m
	}
	delete(docker, "network")
	delete(docker, "portMappings")
	switch legacy {
	case "HOST", "NONE":
		out["networks"] = []any{map[string]any{"mode": "host"}}
	case "BRIDGE":
		out["networks"] = []any{map[string]any{"mode": "container/bridge"}}
	case "USER":
		out["networks"] = []any{map[string]any{"mode": "container", "name": ip["networkName"]}}
	}
	if isIP && legacy == "" {
		out["networks"] = []any{map[string]any{"mode": "container", "name": ip["networkName"]}}
		if ports := list(object(ip["discovery"])["ports"]); len(ports) > 0 && container["portMappings"] == nil {
			container["portMappings"] = mappingsOfDiscovery(ports)
		}
	}
	if len(docker) > 0 {
		container["docker"] = docker
	}
	if out["container"] != nil {
		out["container"] = container
	}
	for _, n := range list(out["networks"]) {
		if n := object(n); n["mode"] == "container" && text(n["name"]) == "" {
			return fail(500, "container network name is not defined")
		}
	}
	return nil
}

func mappingsOfDiscovery(ports []any) []any {
	out := make([]any, len(ports))
	for i, p := range ports {
		p := object(p)
		out[i] = map[string]any{"containerPort": p["number"], "name": p["name"], "protocol": p["protocol"]}
	}
	return out
}
