package drift

import (
	"fmt"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// versions are one of each line that is supported, and the patches at which a default changed.
var versions = []marathon.Version{
	at(1, 4, 2), at(1, 4, 8), at(1, 4, 9), at(1, 4, 13), at(1, 5, 0), at(1, 5, 15), at(1, 6, 590), at(1, 7, 236),
	at(1, 8, 222), at(1, 9, 109), at(1, 10, 26), at(1, 11, 24),
}

// fixtures are definitions for which a condition holds.
var fixtures = map[When]marathon.Doc{
	"":               {"cmd": "x"},
	HostNetwork:      {"networks": []any{marathon.Doc{"mode": "host"}}},
	ContainerNetwork: {"networks": []any{marathon.Doc{"mode": "container", "name": "n"}}, "container": marathon.Doc{}},
	BridgeNetwork:    {"networks": []any{marathon.Doc{"mode": "container/bridge"}}, "container": marathon.Doc{}},
	Resident:         {"container": marathon.Doc{"volumes": []any{marathon.Doc{"persistent": marathon.Doc{"size": 1}}}}},
	HasVolumeToKeep:  {"container": marathon.Doc{"volumes": []any{marathon.Doc{"external": marathon.Doc{"name": "v"}}}}},
	HasProfile:       {"container": marathon.Doc{"volumes": []any{marathon.Doc{"persistent": marathon.Doc{"profileName": "fast"}}}}},
	HTTPCheck:        {"healthChecks": []any{marathon.Doc{"protocol": "HTTPS", "path": "/x"}}},
	MarathonCheck:    {"healthChecks": []any{marathon.Doc{"protocol": "TCP"}}},
	CheckWithoutPort: {"healthChecks": []any{marathon.Doc{"protocol": "MESOS_HTTP"}}},
}

// holding is a definition for which the row's condition holds and whose objects along the row's path exist.
func holding(r Row) marathon.Doc {
	when := r.When
	if when == "" && strings.HasPrefix(r.Path, "container.portMappings[]") {
		when = BridgeNetwork // on the host's network they are dropped as a whole
	}
	doc := reread(fixtures[when])
	at := doc
	p := compiled[r.Path]
	for _, s := range p[:len(p)-1] {
		if at[s.key] == nil {
			at[s.key] = marathon.Doc{}
			if s.list {
				at[s.key] = []any{marathon.Doc{}}
			}
		}
		if s.list {
			at[s.key].([]any)[0] = withDefault(at[s.key].([]any)[0].(marathon.Doc))
			at = at[s.key].([]any)[0].(marathon.Doc)
		} else {
			at = at[s.key].(marathon.Doc)
		}
	}
	doc["id"] = "/g/c/app"
	return reread(doc)
}

// withDefault gives an otherwise empty list item a member, as no real one is empty.
func withDefault(item marathon.Doc) marathon.Doc {
	if len(item) == 0 {
		item["zz"] = "x"
	}
	return item
}

// put sets the row's field in a definition.
func put(doc marathon.Doc, r Row, v any) marathon.Doc {
	out := reread(doc)
	visit(out, compiled[r.Path], func(holder map[string]any, key string) { holder[key] = v })
	return reread(out)
}

func TestEachRowOfTheTableHoldsInItsVersionsAndInNoOther(t *testing.T) {
	for i, r := range rows {
		t.Run(fmt.Sprintf("%d %s %s %s", i, r.Rule, r.Path, r.When), func(t *testing.T) {
			if r.Source == "" {
				t.Error("nobody knows where this row comes from")
			}
			if r.When != "" && conditions[r.When] == nil {
				t.Fatalf("no condition is called %q", r.When)
			}
			held := false
			for _, v := range versions {
				held = held || r.In(v)
				holds(t, r, v)
			}
			if !held {
				t.Error("no supported version has this row")
			}
		})
	}
}

func holds(t *testing.T, r Row, v marathon.Version) {
	t.Helper()
	doc := holding(r)
	same := func(git, live marathon.Doc) bool { return compareDocs(spec.Data, git, live, v).Empty() }
	switch {
	case r.Rule == Fill && r.In(v):
		if hasDropped(r, v) {
			return
		}
		if !same(doc, put(doc, r, r.Value)) {
			t.Errorf("%s: the default %v is reported", v, text(r.Value))
		}
		if same(doc, put(doc, r, "changed")) {
			t.Errorf("%s: a value that is not the default is not reported", v)
		}
	case r.Rule == Fill && !hasRow(r.Path, Fill, v):
		if same(doc, put(doc, r, r.Value)) && !hasRow(topLevel(r.Path), Ignore, v) {
			t.Errorf("%s: %v is taken for a default, and this version has none", v, text(r.Value))
		}
	case r.Rule == Drop && r.In(v):
		if !same(doc, put(doc, r, "server's")) {
			t.Errorf("%s: the server's own field is reported", v)
		}
	case r.Rule == Ignore:
		if same(put(doc, r, "x"), doc) != r.In(v) && !(r.Path == "storeUrls" || r.Path == "executorResources") {
			t.Errorf("%s: forgotten by the server: %v, but compared otherwise", v, r.In(v))
		}
	case r.Rule == Force && r.In(v):
		if !same(put(doc, r, int64(99)), put(doc, r, r.Value)) {
			t.Errorf("%s: what the server stores instead is reported", v)
		}
	case r.Rule == EmptyIsAbsent && r.In(v):
		if !same(put(doc, r, []any{}), doc) || !same(doc, put(doc, r, map[string]any{})) {
			t.Errorf("%s: empty and absent differ", v)
		}
	case r.Rule == Assigned && r.In(v):
		if !same(put(doc, r, 0), put(doc, r, 12345)) && !hasDropped(r, v) {
			t.Errorf("%s: the server's choice is reported", v)
		}
		if same(put(doc, r, 1), put(doc, r, 12345)) {
			t.Errorf("%s: a wanted number that is not live is not reported", v)
		}
	case r.Rule == Adopt && r.In(v):
		if !same(doc, put(doc, r, "theirs")) || same(put(doc, r, "ours"), put(doc, r, "theirs")) {
			t.Errorf("%s: the server's choice matters only where git chooses", v)
		}
	case r.Rule == Set && r.In(v):
		if !same(put(doc, r, []any{"a", "b", "a"}), put(doc, r, []any{"b", "a"})) || same(put(doc, r, []any{"a"}), put(doc, r, []any{"b"})) {
			t.Errorf("%s: not compared as a set", v)
		}
	}
}

// hasDropped says that the row's field is no part of the fixture's definition in this version.
func hasDropped(r Row, v marathon.Version) bool {
	return hasRow(topLevel(r.Path), Drop, v) && r.When == ContainerNetwork
}

// wide is a definition that touches what the versions answer differently.
func wide() marathon.Doc {
	return marathon.Doc{
		"id": "/g/c/app", "cmd": "run", "cpus": 0.5, "mem": 64, "instances": 2,
		"container":       marathon.Doc{"type": "DOCKER", "docker": marathon.Doc{"image": "es:7"}},
		"networks":        []any{marathon.Doc{"mode": "host"}},
		"portDefinitions": []any{marathon.Doc{"port": 0, "name": "http"}},
		"healthChecks":    []any{marathon.Doc{"protocol": "HTTP", "path": "/", "portIndex": 0}},
		"fetch":           []any{marathon.Doc{"uri": "http://x/a.tgz"}},
		"dependencies":    []string{"gate"}, "labels": map[string]string{"k": "v"},
		"role": "search",
	}
}

// answers are what each line of Marathon makes of wide. The form of 1.4 is its own: null and [] for what is absent, the
// old spellings beside the new.
func answers(v marathon.Version) marathon.Doc {
	doc := marathon.Doc{
		"id": "/g/c/app", "cmd": "run", "cpus": json64("0.5"), "mem": json64("64.0"), "disk": json64("0.0"), "gpus": json64("0"), "instances": json64("2"),
		"backoffSeconds": json64("1"), "backoffFactor": json64("1.15"), "maxLaunchDelaySeconds": json64("3600"), "executor": "",
		"container":       marathon.Doc{"type": "DOCKER", "volumes": []any{}, "docker": marathon.Doc{"image": "es:7", "privileged": false, "parameters": []any{}, "forcePullImage": false}},
		"networks":        []any{marathon.Doc{"mode": "host"}},
		"portDefinitions": []any{marathon.Doc{"port": json64("10004"), "protocol": "tcp", "name": "http"}}, "requirePorts": false,
		"healthChecks": []any{marathon.Doc{"protocol": "HTTP", "path": "/", "portIndex": json64("0"), "gracePeriodSeconds": json64("300"), "intervalSeconds": json64("60"),
			"timeoutSeconds": json64("20"), "maxConsecutiveFailures": json64("3"), "ignoreHttp1xx": false, "delaySeconds": json64("15")}},
		"fetch":        []any{marathon.Doc{"uri": "http://x/a.tgz", "extract": true, "executable": false, "cache": false}},
		"dependencies": []any{"/g/c/gate"}, "labels": marathon.Doc{"k": "v"},
		"upgradeStrategy":     marathon.Doc{"minimumHealthCapacity": json64("1.0"), "maximumOverCapacity": json64("1.0")},
		"killSelection":       "YOUNGEST_FIRST",
		"unreachableStrategy": marathon.Doc{"inactiveAfterSeconds": json64("0"), "expungeAfterSeconds": json64("0")},
		"version":             "2026-11-22T01:12:17.069Z", "versionInfo": marathon.Doc{"lastScalingAt": "x"}, "tasksRunning": json64("2"), "deployments": []any{},
	}
	if !v.AtLeast(1, 4, 9) || v.AtLeast(1, 5, 0) && !v.AtLeast(1, 5, 1) {
		doc["unreachableStrategy"] = marathon.Doc{"inactiveAfterSeconds": json64("300"), "expungeAfterSeconds": json64("600")}
	}
	if !v.AtLeast(1, 5, 0) {
		delete(doc, "networks")
		docker := doc["container"].(marathon.Doc)["docker"].(marathon.Doc)
		docker["network"], docker["portMappings"] = "HOST", nil
		for _, k := range []string{"args", "user", "acceptedResourceRoles", "ipAddress", "residency", "taskKillGracePeriodSeconds"} {
			doc[k] = nil
		}
		for _, k := range []string{"constraints", "storeUrls", "readinessChecks"} {
			doc[k] = []any{}
		}
		doc["env"], doc["secrets"] = marathon.Doc{}, marathon.Doc{}
		doc["uris"], doc["ports"] = []any{"http://x/a.tgz"}, []any{json64("10004")}
		doc["portDefinitions"].([]any)[0].(marathon.Doc)["labels"] = marathon.Doc{}
	}
	if v.AtLeast(1, 6, 0) {
		doc["healthChecks"].([]any)[0].(marathon.Doc)["ipProtocol"] = "IPv4"
	}
	if v.AtLeast(1, 8, 0) {
		doc["maxLaunchDelaySeconds"] = json64("300")
	}
	if v.AtLeast(1, 9, 0) {
		doc["role"] = "search"
	}
	return reread(doc)
}

func TestOneDefinitionDiffersFromTheAnswerOfNoVersion(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			if d := compareDocs(spec.Discovery, wide(), answers(v), v); !d.Empty() {
				t.Errorf("%+v", d.Differences)
			}
			changed := answers(v)
			changed["maxLaunchDelaySeconds"] = json64("77")
			if d := compareDocs(spec.Discovery, wide(), changed, v); d.Empty() {
				t.Error("a changed delay is not reported")
			}
		})
	}
}

func TestOlderSpellingsMeanTheNewerOnes(t *testing.T) {
	mappings := []any{marathon.Doc{"containerPort": 80, "servicePort": 10500, "protocol": "tcp,udp"}}
	tests := []struct {
		name     string
		old, new marathon.Doc
		v        marathon.Version
	}{
		{"bridge", marathon.Doc{"container": marathon.Doc{"docker": marathon.Doc{"image": "x", "network": "BRIDGE", "portMappings": mappings}}, "portDefinitions": []any{marathon.Doc{"port": 10500}}, "ports": []any{10500}},
			marathon.Doc{"container": marathon.Doc{"docker": marathon.Doc{"image": "x"}, "portMappings": mappings}, "networks": []any{marathon.Doc{"mode": "container/bridge"}}}, at(1, 4, 13)},
		{"user network", marathon.Doc{"container": marathon.Doc{"docker": marathon.Doc{"image": "x", "network": "USER", "portMappings": mappings}}, "ipAddress": marathon.Doc{"networkName": "n", "labels": marathon.Doc{}}},
			marathon.Doc{"container": marathon.Doc{"docker": marathon.Doc{"image": "x"}, "portMappings": mappings}, "networks": []any{marathon.Doc{"mode": "container", "name": "n"}}}, at(1, 4, 13)},
		{"address of its own", marathon.Doc{"container": marathon.Doc{"type": "MESOS"}, "ipAddress": marathon.Doc{"networkName": "n", "labels": marathon.Doc{"a": "b"}, "discovery": marathon.Doc{"ports": []any{marathon.Doc{"number": 80, "name": "h", "protocol": "tcp"}}}}},
			marathon.Doc{"container": marathon.Doc{"type": "MESOS", "portMappings": []any{marathon.Doc{"containerPort": 80, "name": "h"}}}, "networks": []any{marathon.Doc{"mode": "container", "name": "n", "labels": marathon.Doc{"a": "b"}}}}, at(1, 5, 15)},
		{"outputFile", marathon.Doc{"fetch": []any{marathon.Doc{"uri": "u", "outputFile": "f"}}}, marathon.Doc{"fetch": []any{marathon.Doc{"uri": "u", "destPath": "f"}}}, at(1, 4, 13)},
		{"uris of 1.4 are all unpacked", marathon.Doc{"uris": []any{"http://x/b.txt"}}, marathon.Doc{"fetch": []any{marathon.Doc{"uri": "http://x/b.txt", "extract": true}}}, at(1, 4, 13)},
		{"uris of 1.5 only if archives", marathon.Doc{"uris": []any{"http://x/b.txt"}}, marathon.Doc{"fetch": []any{marathon.Doc{"uri": "http://x/b.txt", "extract": false}}}, at(1, 5, 15)},
		{"ports", marathon.Doc{"ports": []any{9200}}, marathon.Doc{"portDefinitions": []any{marathon.Doc{"port": 9200}}}, at(1, 4, 13)},
		{"relative ids", marathon.Doc{"id": "g/c/app", "dependencies": []any{"../x", "y"}}, marathon.Doc{"id": "/g/c/app", "dependencies": []any{"/g/x", "/g/c/y"}}, at(1, 11, 24)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a, b := text(Normalise(tt.old, tt.v)), text(Normalise(tt.new, tt.v)); a != b {
				t.Errorf("old %s\nnew %s", a, b)
			}
			if strings.Contains(text(Normalise(tt.old, tt.v)), "ipAddress") {
				t.Error("an old spelling is left")
			}
		})
	}
}
