package drift

import (
	"path"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// conversions replace older spellings by the one form used here, by the path of their Row. Marathon ≤ 1.4 shows the old
// ones beside or instead of the new, newer ones accept them.
var conversions = map[string]func(doc map[string]any, v marathon.Version){
	"id":                                convertID,
	"dependencies":                      convertDependencies,
	"uris":                              convertURIs,
	"fetch[].outputFile":                convertOutputFile,
	"container.docker.network":          convertDockerNetwork,
	"container.docker.portMappings":     convertDockerPortMappings,
	"ipAddress":                         convertIPAddress,
	"ports":                             convertPorts,
	"container.portMappings[].protocol": convertProtocols,
}

func convertID(doc map[string]any, _ marathon.Version) {
	if id, ok := doc["id"].(string); ok {
		doc["id"] = path.Clean("/" + id)
	}
}

// convertDependencies makes them absolute. A relative one starts at the app's group.
func convertDependencies(doc map[string]any, _ marathon.Version) {
	id, _ := doc["id"].(string)
	l, _ := doc["dependencies"].([]any)
	for i, d := range l {
		if s, ok := d.(string); ok && !strings.HasPrefix(s, "/") {
			l[i] = path.Clean("/" + path.Join(path.Dir(id), s))
		}
	}
}

// convertURIs: with fetch beside it, as every answer of 1.4 has, uris only repeats.
func convertURIs(doc map[string]any, v marathon.Version) {
	uris, _ := doc["uris"].([]any)
	delete(doc, "uris")
	if fetch, _ := doc["fetch"].([]any); len(uris) == 0 || len(fetch) > 0 {
		return
	}
	fetch := make([]any, 0, len(uris))
	for _, u := range uris {
		s, _ := u.(string)
		// 1.4 unpacks whatever came as a plain URI, later ones only what looks like an archive.
		extract := !v.AtLeast(1, 5, 0) || isArchive(s)
		fetch = append(fetch, map[string]any{"uri": u, "extract": extract})
	}
	doc["fetch"] = fetch
}

func isArchive(uri string) bool {
	for _, suffix := range []string{".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".zip"} {
		if strings.HasSuffix(uri, suffix) {
			return true
		}
	}
	return false
}

func convertOutputFile(doc map[string]any, _ marathon.Version) {
	l, _ := doc["fetch"].([]any)
	for _, item := range l {
		m, _ := item.(map[string]any)
		if f, ok := m["outputFile"]; ok && m["destPath"] == nil {
			m["destPath"] = f
			delete(m, "outputFile")
		}
	}
}

func convertDockerNetwork(doc map[string]any, _ marathon.Version) {
	docker := dockerOf(doc)
	mode, ok := docker["network"].(string)
	if !ok {
		return
	}
	delete(docker, "network")
	if doc["networks"] != nil {
		return
	}
	switch mode {
	case "BRIDGE":
		doc["networks"] = []any{map[string]any{"mode": "container/bridge"}}
	case "USER":
		doc["networks"] = []any{containerNetwork(doc)}
		delete(doc, "ipAddress")
	default: // HOST, NONE
		doc["networks"] = []any{map[string]any{"mode": "host"}}
	}
}

func convertDockerPortMappings(doc map[string]any, _ marathon.Version) {
	docker := dockerOf(doc)
	mappings, ok := docker["portMappings"]
	if !ok {
		return
	}
	delete(docker, "portMappings")
	container := doc["container"].(map[string]any) // dockerOf found docker in it
	if container["portMappings"] == nil && !isEmpty(mappings) {
		container["portMappings"] = mappings
	}
}

// convertIPAddress: an address of its own is a container network, and what it announces are its port mappings.
func convertIPAddress(doc map[string]any, _ marathon.Version) {
	ip, ok := doc["ipAddress"].(map[string]any)
	if !ok {
		return
	}
	if doc["networks"] == nil {
		doc["networks"] = []any{containerNetwork(doc)}
	}
	delete(doc, "ipAddress")
	discovery, _ := ip["discovery"].(map[string]any)
	ports, _ := discovery["ports"].([]any)
	container, _ := doc["container"].(map[string]any)
	if len(ports) == 0 || container == nil || container["portMappings"] != nil {
		return
	}
	mappings := make([]any, 0, len(ports))
	for _, p := range ports {
		m, _ := p.(map[string]any)
		mapping := map[string]any{"containerPort": m["number"]}
		for _, k := range []string{"name", "protocol", "labels"} {
			if m[k] != nil {
				mapping[k] = m[k]
			}
		}
		mappings = append(mappings, mapping)
	}
	container["portMappings"] = mappings
}

// containerNetwork is the network that ipAddress speaks of.
func containerNetwork(doc map[string]any) map[string]any {
	n := map[string]any{"mode": "container"}
	ip, _ := doc["ipAddress"].(map[string]any)
	if name, ok := ip["networkName"]; ok {
		n["name"] = name
	}
	if labels := ip["labels"]; labels != nil && !isEmpty(labels) {
		n["labels"] = labels
	}
	return n
}

// convertPorts: portDefinitions win where both are given.
func convertPorts(doc map[string]any, _ marathon.Version) {
	ports, ok := doc["ports"].([]any)
	if !ok {
		return
	}
	delete(doc, "ports")
	if doc["portDefinitions"] != nil || networkMode(doc) != "host" {
		return
	}
	definitions := make([]any, 0, len(ports))
	for _, p := range ports {
		definitions = append(definitions, map[string]any{"port": p})
	}
	doc["portDefinitions"] = definitions
}

func convertProtocols(doc map[string]any, _ marathon.Version) {
	c, _ := doc["container"].(map[string]any)
	l, _ := c["portMappings"].([]any)
	for _, item := range l {
		if m, _ := item.(map[string]any); m["protocol"] == "tcp,udp" {
			m["protocol"] = "udp,tcp"
		}
	}
}

func dockerOf(doc map[string]any) map[string]any {
	c, _ := doc["container"].(map[string]any)
	d, _ := c["docker"].(map[string]any)
	return d
}
