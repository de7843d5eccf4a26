package render

import (
	"strconv"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

// A draft is what differs between the apps of a cluster; document adds what is the same for all.
type draft struct {
	instances    int
	cpus         float64
	mem          spec.Bytes
	image        string
	cmd          string
	bundle       *bundle.Bundle
	env          map[string]string // the user's
	own          map[string]string // esfleet's
	ports        []port
	volume       *volume
	constraints  [][]string
	health       []any
	readiness    []any
	upgrade      upgrade
	killGrace    time.Duration
	dependencies []string
	from         map[string]string // path in the document → path in the spec, for Origins
}

// upgrade is Marathon's upgradeStrategy: the shares of instances that stay healthy and that may exist beyond the number.
type upgrade struct{ healthy, over float64 }

var (
	// oneByOne is the only strategy that Marathon follows for apps with volumes without surprises (marathon-lab-roll §1).
	oneByOne = upgrade{1, 0}
	// half keeps half of a stateless app up. Over-capacity is allowed because without it Marathon ≥ 1.10 never ends a
	// deployment that is to replace an unhealthy task.
	half = upgrade{0.5, 1}
	// replace is for single tasks that must not, or need not, run beside their successor for long.
	replace = upgrade{0, 1}
)

// A port is one entry of portDefinitions; number 0 lets Mesos choose.
type port struct {
	name   string
	number int
}

// A volume is persistent and lies under the sandbox.
type volume struct {
	path string
	kind string // Mesos' disk type: root or mount
	size spec.Bytes
}

// document writes every field out, also those that equal today's default: defaults differ between versions of Marathon,
// and a field that is left out of a full PUT falls back to them.
func (r *renderer) document(component spec.Component, d *draft, env map[string]string) map[string]any {
	v := r.t.Version
	doc := map[string]any{
		"id":                    AppIDOf(r.c, component),
		"cmd":                   d.cmd,
		"instances":             d.instances,
		"cpus":                  d.cpus,
		"mem":                   d.mem.MiB(),
		"disk":                  0,
		"gpus":                  0,
		"env":                   env,
		"labels":                r.labels(component),
		"constraints":           nonNil(d.constraints),
		"portDefinitions":       portDefinitions(d.ports),
		"requirePorts":          fixed(d.ports),
		"healthChecks":          nonNil(d.health),
		"readinessChecks":       nonNil(d.readiness),
		"dependencies":          nonNil(d.dependencies),
		"fetch":                 []any{},
		"upgradeStrategy":       map[string]any{"minimumHealthCapacity": d.upgrade.healthy, "maximumOverCapacity": d.upgrade.over},
		"backoffSeconds":        2,
		"backoffFactor":         1.5,
		"maxLaunchDelaySeconds": 300,
		"killSelection":         "YOUNGEST_FIRST",
		"unreachableStrategy":   unreachable(v, d.volume != nil),
	}
	if d.killGrace > 0 {
		doc["taskKillGracePeriodSeconds"] = int(d.killGrace.Seconds())
	}
	if r.c.Role != "" && v.AtLeast(1, 9, 0) {
		doc["role"] = r.c.Role
	}
	if v.AtLeast(1, 5, 0) {
		doc["networks"] = []any{map[string]any{"mode": "host"}}
	}
	if d.volume != nil && !v.AtLeast(1, 6, 0) {
		// Up to 1.5 a persistent volume and this field must come together; later it is derived and ignored.
		doc["residency"] = map[string]any{"relaunchEscalationTimeoutSeconds": 3600, "taskLostBehavior": "WAIT_FOREVER"}
	}
	if c := r.container(d); c != nil {
		doc["container"] = c
	}
	return doc
}

func (r *renderer) labels(component spec.Component) map[string]string {
	return map[string]string{
		marathon.LabelFleet:     string(r.c.Fleet),
		marathon.LabelGroup:     string(r.c.ID.Group),
		marathon.LabelCluster:   string(r.c.ID.Name),
		marathon.LabelComponent: string(component),
	}
}

// container is nil where a plain command on the agent suffices.
func (r *renderer) container(d *draft) map[string]any {
	if d.image == "" && d.volume == nil {
		return nil
	}
	c := map[string]any{"type": "MESOS", "volumes": volumes(d.volume)}
	if d.image == "" {
		return c
	}
	docker := map[string]any{"image": d.image, "forcePullImage": false}
	if r.c.Containerizer == spec.Docker {
		c["type"] = "DOCKER"
		docker["privileged"] = false
		docker["parameters"] = []any{}
		if !r.t.Version.AtLeast(1, 5, 0) {
			docker["network"] = "HOST"
		}
	}
	c["docker"] = docker
	return c
}

func volumes(v *volume) []any {
	if v == nil {
		return []any{}
	}
	return []any{map[string]any{
		"containerPath": v.path,
		"mode":          "RW",
		"persistent":    map[string]any{"type": v.kind, "size": v.size.MiB(), "constraints": []any{}},
	}}
}

func portDefinitions(ports []port) []any {
	out := []any{}
	for _, p := range ports {
		out = append(out, map[string]any{"port": p.number, "name": p.name, "protocol": "tcp"})
	}
	return out
}

// fixed says that the task must get just these host ports. Marathon would read a mixture as service ports.
func fixed(ports []port) bool {
	return len(ports) > 0 && ports[0].number != 0
}

// unreachable says what Marathon does when an agent does not answer. For a node with data: wait, because a second node
// would start beside one that may well run on.
func unreachable(v marathon.Version, resident bool) any {
	switch {
	case resident:
		return "disabled"
	case v.AtLeast(1, 5, 1):
		return map[string]any{"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}
	}
	return map[string]any{"inactiveAfterSeconds": 300, "expungeAfterSeconds": 600}
}

// A check is a health check's schedule.
func (r *renderer) schedule(protocol string) map[string]any {
	k := r.c.Checks
	h := map[string]any{
		"protocol":               protocol,
		"gracePeriodSeconds":     seconds(k.Grace),
		"intervalSeconds":        seconds(k.Interval),
		"timeoutSeconds":         seconds(k.Timeout),
		"maxConsecutiveFailures": maxFailures(k.MaxFailures),
	}
	if r.t.Version.AtLeast(1, 5, 0) {
		h["delaySeconds"] = 15
	}
	if r.t.Version.AtLeast(1, 6, 0) && protocol != "COMMAND" {
		h["ipProtocol"] = "IPv4"
	}
	return h
}

// neverKill is more failed checks in a row than any task lives to see.
const neverKill = 1_000_000_000

// maxFailures is how many failures in a row kill the task; 0 in a fleet means never. To Mesos, whose checks these are, 0
// means at the very first failure: it kills when failures ≥ maximum (its src/checks/health_checker.cpp; seen in
// marathon-lab-roll E24). One slow answer of a busy cluster must not take its nodes down.
func maxFailures(n int) int {
	if n == 0 {
		return neverKill
	}
	return n
}

// mesosHTTP is checked on the agent: a partition between Marathon and the agent must not kill tasks.
func (r *renderer) mesosHTTP(path string, portIndex int) []any {
	h := r.schedule("MESOS_HTTP")
	h["path"], h["portIndex"] = path, portIndex
	return []any{h}
}

func (r *renderer) mesosTCP(portIndex int) []any {
	h := r.schedule("MESOS_TCP")
	h["portIndex"] = portIndex
	return []any{h}
}

// readinessOf is asked by Marathon itself while a deployment runs. Its time-out must be below the interval.
func (r *renderer) readinessOf(path, portName string) []any {
	k := r.c.Checks
	interval := max(seconds(k.Interval), 2)
	return []any{map[string]any{
		"name":                    "ready",
		"protocol":                "HTTP",
		"path":                    path,
		"portName":                portName,
		"intervalSeconds":         interval,
		"timeoutSeconds":          min(max(seconds(k.Timeout), 1), interval-1),
		"httpStatusCodesForReady": []int{200},
		"preserveLastResponse":    true,
	}}
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// perHost is the constraint for how many of an app's tasks may share a host.
func perHost(n int, more [][]string) [][]string {
	c := []string{"hostname", "UNIQUE"}
	if n > 1 {
		c = []string{"hostname", "MAX_PER", strconv.Itoa(n)}
	}
	return append([][]string{c}, more...)
}

// origins finds, for each path of the document that comes straight from the spec, where that was written.
func (r *renderer) origins(d *draft) map[string]spec.Pos {
	out := map[string]spec.Pos{}
	for path, from := range d.from {
		if pos, ok := r.c.Origins.At(from); ok {
			out[path] = pos
		}
	}
	return out
}

// nonNil keeps an empty list a list on the wire.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
