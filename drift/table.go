package drift

import "github.com/esfleet/esfleet/marathonsink/marathon"

// A Rule says what Marathon does to one field of a definition between PUT and GET.
type Rule string

// The rules, in the order in which they are applied.
const (
	// Drop: the server's own field, or one without any effect; it is no part of a definition.
	Drop Rule = "drop"
	// Ignore: Marathon takes the field from a client and forgets it. Only the wanted side loses it: were it ever live,
	// it would be a difference.
	Ignore Rule = "ignore"
	// Convert: an older spelling of something that has one form here. Value names the conversion.
	Convert Rule = "convert"
	// Force: Marathon stores Value whatever was sent. Wanted side only, as for Ignore.
	Force Rule = "force"
	// Fill: absent means Value.
	Fill Rule = "fill"
	// EmptyIsAbsent: {} and [] mean the same as no field.
	EmptyIsAbsent Rule = "empty-is-absent"
	// Assigned: the server chooses a number where git says 0, and keeps it; any live number then equals git.
	Assigned Rule = "assigned"
	// Adopt: the server chooses where git says nothing; any live value then equals git.
	Adopt Rule = "adopt"
	// Set: the order of the items means nothing, and neither do duplicates.
	Set Rule = "set"
)

// A Row is one line of what Marathon does between PUT and GET.
type Row struct {
	// Path is dotted from the definition's root; [] stands for each item of a list.
	Path string
	// Since is the first version with the rule (zero: all), Until the first without it (zero: none yet).
	Since, Until marathon.Version
	Rule         Rule
	Value        any
	// When names the condition under which the rule holds; empty: always.
	When When
	// Source is where the fact comes from: source for Marathon's code, measured for a recorded answer, and of which version.
	Source string
}

// In says whether the row is about this version.
func (r Row) In(v marathon.Version) bool {
	return v.AtLeast(r.Since.Major, r.Since.Minor, r.Since.Patch) &&
		(r.Until == marathon.Version{} || !v.AtLeast(r.Until.Major, r.Until.Minor, r.Until.Patch))
}

func at(major, minor, patch int) marathon.Version {
	return marathon.Version{Major: major, Minor: minor, Patch: patch}
}

var (
	v1_4_2 = at(1, 4, 2)
	v1_4_9 = at(1, 4, 9)
	v1_5   = at(1, 5, 0)
	v1_5_1 = at(1, 5, 1)
	v1_6   = at(1, 6, 0)
	v1_8   = at(1, 8, 0)
	v1_9   = at(1, 9, 0)
	v1_10  = at(1, 10, 0)
)

// Sources.
const (
	measured    = "measured on 1.5.15, 1.7.236 and 1.11.24"
	measured111 = "measured on 1.11.24"
	measuredOld = "measured on 1.5.15 and 1.7.236"
	source      = "Marathon's source"
)

// Table is everything Marathon does to a definition between PUT and GET, in the order in which it is applied.
// What the server does to one field stands here and nowhere else.
func Table() []Row { return rows }

var rows = []Row{
	// The server's own words.
	{Path: "version", Rule: Drop, Source: measured},
	{Path: "versionInfo", Rule: Drop, Source: measured},
	{Path: "tasks", Rule: Drop, Source: measured},
	{Path: "tasksStaged", Rule: Drop, Source: measured},
	{Path: "tasksRunning", Rule: Drop, Source: measured},
	{Path: "tasksHealthy", Rule: Drop, Source: measured},
	{Path: "tasksUnhealthy", Rule: Drop, Source: measured},
	{Path: "deployments", Rule: Drop, Source: measured},
	{Path: "lastTaskFailure", Rule: Drop, Source: measured},
	{Path: "readinessCheckResults", Rule: Drop, Source: measured111},
	{Path: "taskStats", Rule: Drop, Source: source},
	{Path: "tasksStats", Rule: Drop, Source: source},
	// Stored up to 1.5, derived from the volumes since, acted on by no version.
	{Path: "residency", Rule: Drop, Source: measured},

	// Accepted and forgotten.
	{Path: "storeUrls", Rule: Ignore, Since: v1_5, Source: measured},
	{Path: "check", Rule: Ignore, Until: v1_8, Source: measuredOld},
	{Path: "role", Rule: Ignore, Until: v1_9, Source: measuredOld},
	{Path: "resourceLimits", Rule: Ignore, Until: v1_10, Source: measuredOld},
	{Path: "executorResources", Rule: Ignore, Until: v1_6, Source: source},
	{Path: "healthChecks[].ipProtocol", Rule: Ignore, Until: v1_6, Source: "measured on 1.5.15"},

	// Older spellings.
	{Path: "id", Rule: Convert, Value: "absolute", Source: measured},
	{Path: "dependencies", Rule: Convert, Value: "absolute", Source: measured111},
	{Path: "uris", Rule: Convert, Value: "fetch", Source: measured},
	{Path: "fetch[].outputFile", Rule: Convert, Value: "destPath", Until: v1_5, Source: source},
	{Path: "container.docker.network", Rule: Convert, Value: "networks", Source: measured},
	{Path: "container.docker.portMappings", Rule: Convert, Value: "container.portMappings", Source: measured},
	{Path: "ipAddress", Rule: Convert, Value: "networks", Source: measured},
	{Path: "networks", Rule: Fill, Value: []any{map[string]any{"mode": "host"}}, Source: measured},
	{Path: "ports", Rule: Convert, Value: "portDefinitions", Source: measured},
	{Path: "container.portMappings[].protocol", Rule: Convert, Value: "udp,tcp", Source: source},

	// What depends on the network. Up to 1.4 service ports are padded into portDefinitions of container networks.
	{Path: "portDefinitions", Rule: Drop, Until: v1_5, When: ContainerNetwork, Source: source},
	{Path: "requirePorts", Rule: Drop, Until: v1_5, When: ContainerNetwork, Source: source},
	{Path: "requirePorts", Rule: Force, Value: false, Since: v1_5, When: ContainerNetwork, Source: measured},
	{Path: "container.portMappings", Rule: Ignore, When: HostNetwork, Source: measured},
	{Path: "portDefinitions", Rule: Fill, Value: []any{map[string]any{"name": "default"}}, Since: v1_5, When: HostNetwork, Source: measured},
	{Path: "portDefinitions", Rule: Fill, Value: []any{map[string]any{}}, Until: v1_5, When: HostNetwork, Source: source},
	{Path: "portDefinitions[].port", Rule: Fill, Value: int64(0), Source: measured},
	{Path: "portDefinitions[].protocol", Rule: Fill, Value: "tcp", Source: measured},
	{Path: "requirePorts", Rule: Fill, Value: false, Source: measured},

	// Plain defaults.
	{Path: "cpus", Rule: Fill, Value: int64(1), Source: measured},
	{Path: "mem", Rule: Fill, Value: int64(128), Source: measured},
	{Path: "disk", Rule: Fill, Value: int64(0), Source: measured},
	{Path: "gpus", Rule: Fill, Value: int64(0), Source: measured},
	{Path: "instances", Rule: Fill, Value: int64(1), Source: measured},
	{Path: "executor", Rule: Fill, Value: "", Source: measured},
	{Path: "backoffSeconds", Rule: Fill, Value: int64(1), Source: measured},
	{Path: "backoffFactor", Rule: Fill, Value: 1.15, Source: measured},
	{Path: "maxLaunchDelaySeconds", Rule: Fill, Value: int64(3600), Until: v1_8, Source: measuredOld},
	{Path: "maxLaunchDelaySeconds", Rule: Fill, Value: int64(300), Since: v1_8, Source: measured111},
	{Path: "killSelection", Rule: Fill, Value: "YOUNGEST_FIRST", Source: measured},
	{Path: "executorResources.disk", Rule: Fill, Value: int64(10), Since: v1_6, Source: measured111},
	{Path: "role", Rule: Adopt, Since: v1_9, Source: measured111},

	// Residents. An external volume gets the strategy of a resident, and is ephemeral for the rest.
	{Path: "upgradeStrategy", Rule: Fill, Value: map[string]any{"minimumHealthCapacity": 0.5, "maximumOverCapacity": int64(0)}, When: HasVolumeToKeep, Source: measured},
	{Path: "upgradeStrategy", Rule: Fill, Value: map[string]any{"minimumHealthCapacity": int64(1), "maximumOverCapacity": int64(1)}, Source: measured},
	{Path: "upgradeStrategy.minimumHealthCapacity", Rule: Fill, Value: int64(1), Until: v1_5, Source: source},
	{Path: "upgradeStrategy.maximumOverCapacity", Rule: Fill, Value: int64(1), Until: v1_5, Source: source},
	{Path: "unreachableStrategy", Rule: Fill, Value: "disabled", Since: v1_4_2, When: Resident, Source: measured},
	{Path: "unreachableStrategy", Rule: Fill, Value: unreachable(300, 600), Until: v1_4_9, Source: source},
	{Path: "unreachableStrategy", Rule: Fill, Value: unreachable(300, 600), Since: v1_5, Until: v1_5_1, Source: source},
	{Path: "unreachableStrategy", Rule: Fill, Value: unreachable(0, 0), Since: v1_4_9, Until: v1_5, Source: source},
	{Path: "unreachableStrategy", Rule: Fill, Value: unreachable(0, 0), Since: v1_5_1, Source: measured},

	// Containers.
	{Path: "container.type", Rule: Fill, Value: "DOCKER", Source: measured},
	{Path: "container.docker.forcePullImage", Rule: Fill, Value: false, Source: measured},
	{Path: "container.docker.privileged", Rule: Fill, Value: false, Source: measured},
	{Path: "container.docker.parameters", Rule: EmptyIsAbsent, Source: measured},
	{Path: "container.volumes", Rule: EmptyIsAbsent, Source: measured},
	{Path: "container.volumes[].persistent.type", Rule: Fill, Value: "mount", Since: v1_8, When: HasProfile, Source: source},
	{Path: "container.volumes[].persistent.type", Rule: Fill, Value: "root", Source: measured},
	{Path: "container.volumes[].persistent.constraints", Rule: EmptyIsAbsent, Source: measured},
	{Path: "container.portMappings", Rule: Fill, Value: []any{map[string]any{"name": "default"}}, Since: v1_5, When: ContainerNetwork, Source: measured},
	{Path: "container.portMappings[].containerPort", Rule: Fill, Value: int64(0), Source: measured},
	{Path: "container.portMappings[].hostPort", Rule: Fill, Value: int64(0), When: BridgeNetwork, Source: measured},
	{Path: "container.portMappings[].servicePort", Rule: Fill, Value: int64(0), Source: measured},
	{Path: "container.portMappings[].protocol", Rule: Fill, Value: "tcp", Source: measured},
	{Path: "container.portMappings[].labels", Rule: EmptyIsAbsent, Source: measured},
	{Path: "container.portMappings[].networkNames", Rule: EmptyIsAbsent, Source: source},

	// What is fetched.
	{Path: "fetch[].extract", Rule: Fill, Value: true, Source: measured},
	{Path: "fetch[].executable", Rule: Fill, Value: false, Source: measured},
	{Path: "fetch[].cache", Rule: Fill, Value: false, Source: measured},

	// Checks. Marathon's own kinds forget two of their fields.
	{Path: "healthChecks[].protocol", Rule: Fill, Value: "HTTP", Source: measured},
	{Path: "healthChecks[].delaySeconds", Rule: Force, Value: int64(15), When: MarathonCheck, Source: measured},
	{Path: "healthChecks[].ignoreHttp1xx", Rule: Force, Value: false, Since: v1_5, When: HTTPCheck, Source: measured},
	{Path: "healthChecks[].ignoreHttp1xx", Rule: Fill, Value: false, When: HTTPCheck, Source: measured},
	{Path: "healthChecks[].gracePeriodSeconds", Rule: Fill, Value: int64(300), Source: measured},
	{Path: "healthChecks[].intervalSeconds", Rule: Fill, Value: int64(60), Source: measured},
	{Path: "healthChecks[].timeoutSeconds", Rule: Fill, Value: int64(20), Source: measured},
	{Path: "healthChecks[].maxConsecutiveFailures", Rule: Fill, Value: int64(3), Source: measured},
	{Path: "healthChecks[].delaySeconds", Rule: Fill, Value: int64(15), Source: measured},
	{Path: "healthChecks[].ipProtocol", Rule: Fill, Value: "IPv4", Since: v1_6, Source: "measured on 1.7.236 and 1.11.24"},
	{Path: "healthChecks[].portIndex", Rule: Fill, Value: int64(0), When: CheckWithoutPort, Source: measured},
	{Path: "check.intervalSeconds", Rule: Fill, Value: int64(60), Since: v1_8, Source: measured111},
	{Path: "check.timeoutSeconds", Rule: Fill, Value: int64(20), Since: v1_8, Source: measured111},
	{Path: "check.delaySeconds", Rule: Fill, Value: int64(15), Since: v1_8, Source: measured111},
	{Path: "check.http.scheme", Rule: Fill, Value: "HTTP", Since: v1_8, Source: measured111},
	{Path: "readinessChecks[].name", Rule: Fill, Value: "readinessCheck", Source: measured},
	{Path: "readinessChecks[].protocol", Rule: Fill, Value: "HTTP", Source: measured},
	{Path: "readinessChecks[].path", Rule: Fill, Value: "/", Source: measured},
	{Path: "readinessChecks[].portName", Rule: Fill, Value: "http-api", Source: measured},
	{Path: "readinessChecks[].intervalSeconds", Rule: Fill, Value: int64(30), Source: measured},
	{Path: "readinessChecks[].timeoutSeconds", Rule: Fill, Value: int64(10), Source: measured},
	{Path: "readinessChecks[].httpStatusCodesForReady", Rule: Fill, Value: []any{int64(200)}, Source: measured},
	{Path: "readinessChecks[].preserveLastResponse", Rule: Fill, Value: false, Source: measured},

	// Empty is absent. portDefinitions is not here: [] asks for no port, absence for one.
	{Path: "args", Rule: EmptyIsAbsent, Source: measured},
	{Path: "env", Rule: EmptyIsAbsent, Source: measured},
	{Path: "labels", Rule: EmptyIsAbsent, Source: measured},
	{Path: "constraints", Rule: EmptyIsAbsent, Source: measured},
	{Path: "dependencies", Rule: EmptyIsAbsent, Source: measured},
	{Path: "fetch", Rule: EmptyIsAbsent, Source: measured},
	{Path: "healthChecks", Rule: EmptyIsAbsent, Source: measured},
	{Path: "readinessChecks", Rule: EmptyIsAbsent, Source: measured},
	{Path: "secrets", Rule: EmptyIsAbsent, Source: source},
	{Path: "storeUrls", Rule: EmptyIsAbsent, Until: v1_5, Source: source},
	{Path: "portDefinitions[].labels", Rule: EmptyIsAbsent, Source: measured},
	{Path: "networks[].labels", Rule: EmptyIsAbsent, Source: source},

	// Chosen by the server.
	{Path: "portDefinitions[].port", Rule: Assigned, Source: measured},
	{Path: "container.portMappings[].servicePort", Rule: Assigned, Source: measured},

	// Sets.
	{Path: "constraints", Rule: Set, Source: measured111},
	{Path: "healthChecks", Rule: Set, Source: source},
	{Path: "dependencies", Rule: Set, Source: source},
	{Path: "acceptedResourceRoles", Rule: Set, Source: source},
	{Path: "readinessChecks[].httpStatusCodesForReady", Rule: Set, Source: source},
}

func unreachable(inactive, expunge int64) map[string]any {
	return map[string]any{"inactiveAfterSeconds": inactive, "expungeAfterSeconds": expunge}
}
