package marathonsim

import (
	"bytes"
	"encoding/json"
	"math"
	"sort"
	"strconv"
	"sync"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/jsontree"
)

// A definition is one version of an app. It is never changed after it was made.
type definition struct {
	doc                              map[string]any // normalised, without version and versionInfo
	spec                             appSpec        // the same, for what the Sim itself acts on
	version, lastScaling, lastConfig string

	wire func() map[string]jsontree.Raw // doc's members as bytes
}

// appSpec is the part of an app that the Sim acts on.
type appSpec struct {
	ID           marathon.AppID    `json:"id"`
	Cmd          string            `json:"cmd"`
	Args         []string          `json:"args"`
	User         string            `json:"user"`
	Env          map[string]any    `json:"env"`
	Labels       map[string]string `json:"labels"`
	Instances    int               `json:"instances"`
	CPUs         float64           `json:"cpus"`
	Mem          float64           `json:"mem"`
	Disk         float64           `json:"disk"`
	GPUs         float64           `json:"gpus"`
	Constraints  [][]string        `json:"constraints"`
	Dependencies []marathon.AppID  `json:"dependencies"`
	Roles        []string          `json:"acceptedResourceRoles"`
	Role         string            `json:"role"`
	RequirePorts bool              `json:"requirePorts"`
	Ports        []portDef         `json:"portDefinitions"`
	Networks     []struct {
		Mode string `json:"mode"`
	} `json:"networks"`
	Container struct {
		Type     string      `json:"type"`
		Volumes  []volumeDef `json:"volumes"`
		Mappings []portDef   `json:"portMappings"`
		Docker   struct {
			Image string `json:"image"`
		} `json:"docker"`
	} `json:"container"`
	Health    []healthCheck    `json:"healthChecks"`
	Readiness []readinessCheck `json:"readinessChecks"`
	Check     map[string]any   `json:"check"`
	Upgrade   struct {
		MinHealth float64 `json:"minimumHealthCapacity"`
		MaxOver   float64 `json:"maximumOverCapacity"`
	} `json:"upgradeStrategy"`
	BackoffSeconds float64 `json:"backoffSeconds"`
	BackoffFactor  float64 `json:"backoffFactor"`
	MaxLaunchDelay float64 `json:"maxLaunchDelaySeconds"`
	KillGrace      *int    `json:"taskKillGracePeriodSeconds"`
	KillSelection  string  `json:"killSelection"`
}

type portDef struct {
	Port          int    `json:"port"`
	Name          string `json:"name"`
	ContainerPort int    `json:"containerPort"`
	HostPort      *int   `json:"hostPort"`
	ServicePort   int    `json:"servicePort"`
}

type volumeDef struct {
	ContainerPath string `json:"containerPath"`
	HostPath      string `json:"hostPath"`
	Persistent    *struct {
		Size float64 `json:"size"`
	} `json:"persistent"`
}

type healthCheck struct {
	Protocol    string  `json:"protocol"`
	Path        string  `json:"path"`
	PortIndex   *int    `json:"portIndex"`
	Port        int     `json:"port"`
	Grace       float64 `json:"gracePeriodSeconds"`
	Interval    float64 `json:"intervalSeconds"`
	Timeout     float64 `json:"timeoutSeconds"`
	Delay       float64 `json:"delaySeconds"`
	MaxFailures int     `json:"maxConsecutiveFailures"`
	Command     struct {
		Value string `json:"value"`
	} `json:"command"`
}

type readinessCheck struct {
	Name     string  `json:"name"`
	Protocol string  `json:"protocol"`
	Path     string  `json:"path"`
	PortName string  `json:"portName"`
	Interval float64 `json:"intervalSeconds"`
	Timeout  float64 `json:"timeoutSeconds"`
	Codes    []int   `json:"httpStatusCodesForReady"`
	Preserve bool    `json:"preserveLastResponse"`
}

func (a *appSpec) hostNetwork() bool {
	return len(a.Networks) == 0 || a.Networks[0].Mode == "host"
}

func (a *appSpec) volumes() []volumeDef {
	var out []volumeDef
	for _, v := range a.Container.Volumes {
		if v.Persistent != nil {
			out = append(out, v)
		}
	}
	return out
}

func (a *appSpec) resident() bool { return len(a.volumes()) > 0 }

// newDefinition reads the spec out of a normalised document.
func newDefinition(doc map[string]any) (*definition, error) {
	d := &definition{doc: doc, wire: sync.OnceValue(func() map[string]jsontree.Raw { return members(doc) })}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return d, json.Unmarshal(b, &d.spec)
}

func members(doc map[string]any) map[string]jsontree.Raw {
	out := make(map[string]jsontree.Raw, len(doc))
	for k, v := range doc {
		out[k], _ = jsontree.Marshal(v) // a normalised document always marshals
	}
	return out
}

// full is the document as GET shows it, without tasks and counts.
func (d *definition) full() map[string]any {
	out := make(map[string]any, len(d.doc)+16)
	for k, v := range d.wire() {
		out[k] = v
	}
	out["version"] = d.version
	out["versionInfo"] = map[string]any{"lastScalingAt": d.lastScaling, "lastConfigChangeAt": d.lastConfig}
	return out
}

// A double is a number that Marathon, being Scala, writes with its fraction: 1.0.
type double float64

// MarshalJSON writes at least one digit after the point.
func (d double) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(float64(d))
	if err == nil && !bytes.ContainsAny(b, ".eE") {
		b = append(b, ".0"...)
	}
	return b, err
}

// number reads any of the forms a number has inside a document.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case json.Number:
		f, err := strconv.ParseFloat(string(n), 64)
		return f, err == nil
	case double:
		return float64(n), true
	case float64:
		return n, true
	case int64:
		return float64(n), true
	case int:
		return float64(n), true
	}
	return 0, false
}

func numberOr(v any, fallback float64) float64 {
	if f, ok := number(v); ok {
		return f
	}
	return fallback
}

func integer(v any, fallback int64) int64 {
	if f, ok := number(v); ok {
		return int64(math.Trunc(f))
	}
	return fallback
}

func text(v any) string { s, _ := v.(string); return s }

func object(v any) map[string]any { m, _ := v.(map[string]any); return m }

func list(v any) []any { l, _ := v.([]any); return l }

// sameExcept says whether two definitions mean the same, the named keys left aside.
func sameExcept(a, b *definition, ignore ...string) bool {
	return bytes.Equal(setBytes(a.doc, ignore), setBytes(b.doc, ignore))
}

// setBytes is a document's bytes with its sets sorted.
func setBytes(doc map[string]any, ignore []string) []byte {
	out := make(map[string]any, len(doc))
	for k, v := range doc {
		switch k {
		case "constraints", "dependencies", "acceptedResourceRoles", "healthChecks":
			v = sortedSet(list(v))
		}
		out[k] = v
	}
	for _, k := range ignore {
		delete(out, k)
	}
	b, _ := json.Marshal(out) // a normalised document always marshals
	return b
}

func sortedSet(in []any) []string {
	out := make([]string, 0, len(in))
	for _, v := range in {
		b, _ := json.Marshal(v)
		out = append(out, string(b))
	}
	sort.Strings(out)
	return out
}
