package marathonsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// checkShape is the first of Marathon's two validations: types, ranges, patterns. Everything wrong is told at once.
// A definition with such a fault gets no further: its meaning is not looked at.
func checkShape(id marathon.AppID, sent map[string]any, ver traits) *refusal {
	c := &shapes{ver: ver}
	if !appID.MatchString(string(id)) {
		c.add("/id", "error.pattern")
	}
	for _, key := range sortedKeys(sent) {
		v := sent[key]
		if rule, ok := appShape[key]; ok && v != nil {
			rule(c, "/"+key, v)
		}
	}
	if len(c.faults) == 0 {
		return nil
	}
	return badShape(c.faults...)
}

// appID: every segment is made of dot-separated words of lower-case letters, digits and inner hyphens.
var appID = regexp.MustCompile(`^(/([a-z0-9]([a-z0-9-]*[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)+$`)

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// shapes collects the faults of one document.
type shapes struct {
	ver    traits
	faults []detail
}

func (c *shapes) add(path, fault string) { c.faults = append(c.faults, detail{path, []string{fault}}) }

// A shape says what a value must look like.
type shape func(c *shapes, path string, v any)

func numeric(least, most float64, whole bool) shape {
	return func(c *shapes, path string, v any) {
		f, ok := number(v)
		switch {
		case !ok:
			c.add(path, "error.expected.jsnumber")
		case whole && (f != math.Trunc(f) || f > math.MaxInt32):
			c.add(path, "error.expected.int")
		case f < least:
			c.add(path, "error.min")
		case f > most:
			c.add(path, "error.max")
		}
	}
}

func words(of ...string) shape {
	return func(c *shapes, path string, v any) {
		s, ok := v.(string)
		if !ok {
			c.add(path, "error.expected.jsstring")
		} else if !slices.Contains(of, s) {
			c.add(path, "error.unknown.enum.literal")
		}
	}
}

func anyText(c *shapes, path string, v any) {
	if _, ok := v.(string); !ok {
		c.add(path, "error.expected.jsstring")
	}
}

func boolean(c *shapes, path string, v any) {
	if _, ok := v.(bool); !ok {
		c.add(path, "error.expected.jsboolean")
	}
}

func mapOf(each shape) shape {
	return func(c *shapes, path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			c.add(path, "error.expected.jsobject")
			return
		}
		for _, k := range sortedKeys(m) {
			each(c, path+"/"+k, m[k])
		}
	}
}

func listOf(each shape) shape {
	return func(c *shapes, path string, v any) {
		l, ok := v.([]any)
		if !ok {
			c.add(path, "error.expected.jsarray")
			return
		}
		for i, e := range l {
			each(c, fmt.Sprintf("%s(%d)", path, i), e)
		}
	}
}

// fields is an object with known keys, some of them required; unknown ones are ignored.
func fields(known map[string]shape, required ...string) shape {
	return func(c *shapes, path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			c.add(path, "error.expected.jsobject")
			return
		}
		for _, k := range required {
			if m[k] == nil {
				c.add(path+"/"+k, fmt.Sprintf("'%s' is undefined on object: %s", k, compact(m)))
			}
		}
		for _, k := range sortedKeys(m) {
			if rule, ok := known[k]; ok && m[k] != nil {
				rule(c, path+"/"+k, m[k])
			}
		}
	}
}

// compact is a value as Marathon quotes it.
func compact(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // what was decoded can be encoded
	return strings.TrimSpace(b.String())
}

// envValue is a text or a reference to a secret; up to 1.5 the reference's absence is what is told.
func envValue(c *shapes, path string, v any) {
	switch v.(type) {
	case string, map[string]any:
	default:
		if c.ver.hasIPProtocol {
			c.add(path, "error.expected.jsobject")
		} else {
			c.add(path+"/secret", "error.path.missing")
		}
	}
}

func isoDate(c *shapes, path string, v any) {
	if _, err := time.Parse(time.RFC3339, text(v)); err != nil {
		c.add(path, "error.expected.date.isoformat")
	}
}

var (
	positive  = numeric(0, math.Inf(1), false)
	count     = numeric(0, math.MaxInt32, true)
	atLeast1  = numeric(1, math.MaxInt32, true)
	port      = numeric(0, 65535, true)
	share     = numeric(0, 1, false)
	protocols = words("tcp", "udp", "udp,tcp", "tcp,udp")
	portShape = fields(map[string]shape{"port": port, "name": anyText, "protocol": words("tcp", "udp", "udp,tcp"), "labels": mapOf(anyText)})
	mapping   = fields(map[string]shape{"containerPort": port, "hostPort": port, "servicePort": port, "protocol": protocols, "labels": mapOf(anyText)})
	volume    = fields(map[string]shape{
		"mode": words("RW", "RO"), "containerPath": anyText, "hostPath": anyText,
		"persistent": fields(map[string]shape{"size": numeric(0, math.MaxInt32, true), "type": words("root", "path", "mount")}),
	}, "mode")
	health = fields(map[string]shape{
		"protocol":   words("HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"),
		"ipProtocol": words("IPv4", "IPv6"), "path": anyText, "portIndex": count, "port": port,
		"gracePeriodSeconds": count, "intervalSeconds": count, "timeoutSeconds": count, "delaySeconds": count,
		"maxConsecutiveFailures": count, "command": mapOf(anyText),
	})
	readiness = fields(map[string]shape{
		"name": anyText, "protocol": words("HTTP", "HTTPS"), "path": anyText, "portName": anyText,
		"intervalSeconds": atLeast1, "timeoutSeconds": atLeast1, "httpStatusCodesForReady": listOf(numeric(100, 999, true)),
		"preserveLastResponse": boolean,
	})
)

// appShape is the shape of every key that has one.
var appShape = map[string]shape{
	"cpus": positive, "mem": positive, "disk": positive, "gpus": count, "instances": count,
	"backoffSeconds": count, "backoffFactor": numeric(1, math.Inf(1), false), "maxLaunchDelaySeconds": count,
	"taskKillGracePeriodSeconds": count,
	"executorResources": func(c *shapes, path string, v any) {
		if c.ver.hasExecutor {
			fields(map[string]shape{"mem": numeric(32, math.Inf(1), false)})(c, path, v)
		}
	},
	"cmd": anyText, "user": anyText, "executor": anyText, "role": anyText, "args": listOf(anyText),
	"env": mapOf(envValue), "labels": mapOf(anyText), "requirePorts": boolean, "tty": boolean,
	"killSelection": words("YOUNGEST_FIRST", "OLDEST_FIRST"), "dependencies": listOf(anyText),
	"constraints": listOf(listOf(anyText)), "acceptedResourceRoles": listOf(anyText), "version": isoDate,
	"portDefinitions": listOf(portShape), "ports": listOf(port),
	"fetch":           listOf(fields(map[string]shape{"uri": anyText, "extract": boolean, "executable": boolean, "cache": boolean}, "uri")),
	"upgradeStrategy": fields(map[string]shape{"minimumHealthCapacity": share, "maximumOverCapacity": share}, "maximumOverCapacity", "minimumHealthCapacity"),
	"healthChecks":    listOf(health), "readinessChecks": listOf(readiness),
	"networks": listOf(fields(map[string]shape{"mode": words("host", "container", "container/bridge"), "name": anyText})),
	"container": fields(map[string]shape{
		"type": words("DOCKER", "MESOS"), "volumes": listOf(volume), "portMappings": listOf(mapping),
		"docker": fields(map[string]shape{
			"image": anyText, "network": words("HOST", "BRIDGE", "NONE", "USER"), "forcePullImage": boolean,
			"privileged": boolean, "portMappings": listOf(mapping),
		}, "image"),
	}),
	"unreachableStrategy": func(c *shapes, path string, v any) {
		if s, ok := v.(string); ok && s == "disabled" {
			return
		}
		fields(map[string]shape{"inactiveAfterSeconds": count, "expungeAfterSeconds": count})(c, path, v)
	},
}
