package drift

import "strings"

// immutableFields are what Marathon refuses to change for an app with persistent volumes on either side; the rest is in
// markImmutable. A role is bound to the reservation.
var immutableFields = map[string]bool{
	"cpus": true, "mem": true, "disk": true, "gpus": true, "requirePorts": true, "role": true,
}

// markImmutable marks the fields that Marathon will refuse and says whether there is any.
func (f *fields) markImmutable(want, have map[string]any) (any bool) {
	if !resident(want) && !resident(have) {
		return false
	}
	for i := range f.config {
		x := &f.config[i]
		x.Immutable = immutableFields[x.Path] || x.Path == "container" ||
			changesPorts(x) || changesVolume(x, want, have)
		any = any || x.Immutable
	}
	return any
}

// changesPorts: the number of ports, and their numbers. That of a port definition counts even without requirePorts, when
// it is no port of the host at all (measured on 1.11.24).
func changesPorts(x *Field) bool {
	rest, ok := strings.CutPrefix(x.Path, "portDefinitions")
	if !ok {
		rest, ok = strings.CutPrefix(x.Path, "container.portMappings")
	}
	if !ok {
		return false
	}
	_, field, nested := strings.Cut(rest, "].")
	return !nested || field == "hostPort" || field == "port"
}

// changesVolume: persistent volumes can't change in number or content; others can.
func changesVolume(x *Field, want, have map[string]any) bool {
	rest, ok := strings.CutPrefix(x.Path, "container.volumes")
	if !ok {
		return false
	}
	if rest == "" {
		return true
	}
	return isPersistent(want, rest) || isPersistent(have, rest)
}

// isPersistent says whether the volume of a path's rest ("[1].mode") is a persistent one.
func isPersistent(doc map[string]any, rest string) bool {
	c, _ := doc["container"].(map[string]any)
	volumes, _ := c["volumes"].([]any)
	for i, v := range volumes {
		if m, _ := v.(map[string]any); strings.HasPrefix(rest, index("", i)) && m["persistent"] != nil {
			return true
		}
	}
	return false
}
