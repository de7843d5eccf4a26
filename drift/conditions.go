package drift

import "strings"

// When names a condition on a definition under which a Row holds.
type When string

// The conditions.
const (
	HostNetwork      When = "host network"
	ContainerNetwork When = "container network"
	BridgeNetwork    When = "bridge network"
	Resident         When = "has persistent volumes"
	HasVolumeToKeep  When = "has persistent or external volumes"
	HasProfile       When = "the volume names a disk profile"
	HTTPCheck        When = "protocol HTTP or HTTPS"
	MarathonCheck    When = "protocol HTTP, HTTPS or TCP"
	CheckWithoutPort When = "no port, no portIndex, not COMMAND, and the app has ports"
)

// conditions take the definition and the object that holds the row's field.
var conditions = map[When]func(doc, holder map[string]any) bool{
	HostNetwork:      func(doc, _ map[string]any) bool { return networkMode(doc) == "host" },
	ContainerNetwork: func(doc, _ map[string]any) bool { return networkMode(doc) != "host" },
	BridgeNetwork:    func(doc, _ map[string]any) bool { return networkMode(doc) == "container/bridge" },
	Resident:         func(doc, _ map[string]any) bool { return resident(doc) },
	HasVolumeToKeep:  func(doc, _ map[string]any) bool { return hasVolume(doc, "persistent") || hasVolume(doc, "external") },
	HasProfile:       func(_, p map[string]any) bool { _, ok := p["profileName"]; return ok },
	HTTPCheck:        func(_, c map[string]any) bool { return c["protocol"] == "HTTP" || c["protocol"] == "HTTPS" },
	MarathonCheck: func(_, c map[string]any) bool {
		return c["protocol"] == "HTTP" || c["protocol"] == "HTTPS" || c["protocol"] == "TCP"
	},
	CheckWithoutPort: func(doc, c map[string]any) bool {
		p, _ := c["protocol"].(string)
		return c["port"] == nil && c["portIndex"] == nil && !strings.HasSuffix(p, "COMMAND") && hasPorts(doc)
	},
}

// networkMode is the mode of the first network; Marathon refuses to mix modes.
func networkMode(doc map[string]any) string {
	if l, _ := doc["networks"].([]any); len(l) > 0 {
		n, _ := l[0].(map[string]any)
		if m, ok := n["mode"].(string); ok {
			return m
		}
		return "container"
	}
	return "host"
}

func resident(doc map[string]any) bool { return hasVolume(doc, "persistent") }

func hasVolume(doc map[string]any, kind string) bool {
	c, _ := doc["container"].(map[string]any)
	volumes, _ := c["volumes"].([]any)
	for _, v := range volumes {
		if m, _ := v.(map[string]any); m[kind] != nil {
			return true
		}
	}
	return false
}

func hasPorts(doc map[string]any) bool {
	if networkMode(doc) == "host" {
		l, _ := doc["portDefinitions"].([]any)
		return len(l) > 0
	}
	c, _ := doc["container"].(map[string]any)
	l, _ := c["portMappings"].([]any)
	return len(l) > 0
}
