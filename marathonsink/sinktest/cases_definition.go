package sinktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// definitionCases: what Marathon makes of a definition, and which changes of one restart tasks.
var definitionCases = slices.Concat([]testCase{
	read("a port of 0 becomes a service port", "marathon-lab-api §1 portDefinitions port 0", ports(0), "portDefinitions.0.port", "10"),
	read("an empty list of ports stays empty", "marathon-lab-api §1 [] portDefinitions", marathon.Doc{"portDefinitions": []any{}}, "portDefinitions", "=[]"),
	read("port mappings on the host network are dropped", "marathon-lab-api §1 host network + portMappings",
		docker(marathon.Doc{"portMappings": []any{marathon.Doc{"containerPort": 80}}}, "host"), "container.portMappings", "="),
	read("a bridge without mappings gets one", "marathon-lab-api §1 bridge without mappings", docker(nil, "container/bridge"),
		"container.portMappings.0.name", "=\"default\""),
	read("the old docker network becomes networks", "marathon-lab-api §1 docker.network HOST/BRIDGE", marathon.Doc{"container": marathon.Doc{
		"type": "DOCKER", "docker": marathon.Doc{"image": "x", "network": "BRIDGE", "portMappings": []any{marathon.Doc{"containerPort": 80, "hostPort": 0}}}}},
		"networks.0.mode", "=\"container/bridge\""),
	read("a docker image makes the type", "marathon-lab-api §1 container without type",
		marathon.Doc{"container": marathon.Doc{"docker": marathon.Doc{"image": "x"}}}, "container.type", "=\"DOCKER\""),
	read("a container without volumes lists none", "marathon-lab-api §1 container MESOS", marathon.Doc{"container": marathon.Doc{"type": "MESOS"}},
		"container.volumes", "=[]"),
	read("fixed ports are not required on a bridge", "marathon-lab-api §1 requirePorts true with bridge",
		with(docker(nil, "container/bridge"), marathon.Doc{"requirePorts": true}), "requirePorts", "=false"),
	read("a volume makes the strategy of residents", "marathon-lab-api §1 resident without strategy", volume(), "upgradeStrategy",
		`={"maximumOverCapacity":0,"minimumHealthCapacity":0.5}`),
	read("a volume disables the strategy for lost agents", "marathon-lab-api §1 resident without strategy", volume(), "unreachableStrategy", `="disabled"`),
	read("a volume makes a residency", "marathon-lab-api §1 resident without strategy", volume(), "residency",
		`={"relaunchEscalationTimeoutSeconds":3600,"taskLostBehavior":"WAIT_FOREVER"}`),
	since(1, 6, read("the timeout of a residency is Marathon's own", "marathon-lab-api §1 residency; marathon-lab-old §7", residency(), "residency.relaunchEscalationTimeoutSeconds", "=3600")),
	before(1, 6, read("the timeout of a residency is kept as sent", "marathon-lab-old §7 1.5 only", residency(), "residency.relaunchEscalationTimeoutSeconds", "=10")),
	read("an HTTP check has a delay of its own", "marathon-lab-api §1 healthChecks HTTP", checks(marathon.Doc{"protocol": "HTTP", "delaySeconds": 30}),
		"healthChecks.0.ignoreHttp1xx", "=false"),
	read("a Mesos check keeps its delay", "marathon-lab-api §1 MESOS_HTTP delaySeconds", checks(marathon.Doc{"protocol": "MESOS_HTTP", "delaySeconds": 5, "portIndex": 0}),
		"healthChecks.0.delaySeconds", "=5"),
	since(1, 6, read("a check has a protocol of the internet", "marathon-lab-old §7 no healthChecks[].ipProtocol", checks(marathon.Doc{"protocol": "MESOS_HTTP", "portIndex": 0}),
		"healthChecks.0.ipProtocol", `="IPv4"`)),
	before(1, 6, read("a check has no protocol of the internet", "marathon-lab-old §7 no healthChecks[].ipProtocol", checks(marathon.Doc{"protocol": "MESOS_HTTP", "portIndex": 0}),
		"healthChecks.0.ipProtocol", "=")),
	read("a constraint given twice is there once", "marathon-lab-api §1 duplicate constraint",
		marathon.Doc{"constraints": []any{[]any{"hostname", "UNIQUE"}, []any{"hostname", "UNIQUE"}}}, "constraints", `=[["hostname","UNIQUE"]]`),
	read("uris become fetch, and archives are extracted", "marathon-lab-api §1 uris", marathon.Doc{"uris": []any{"http://x/a.tgz", "http://x/b"}},
		"fetch.0.extract", "=true"),
	read("a relative dependency begins at the root", "marathon-lab-api §1 dependencies ../x", marathon.Doc{"dependencies": []any{"../x"}},
		"dependencies.0", `="/x"`),
	read("an empty environment is left out", "marathon-lab-api §1 env empty", marathon.Doc{"env": marathon.Doc{}}, "env", "="),
	read("residency and volumes aside, lost tasks are given up at once", "marathon-lab-api §1 minimal body", nil, "unreachableStrategy",
		`={"expungeAfterSeconds":0,"inactiveAfterSeconds":0}`),
	before(1, 8, read("a check beside health checks is dropped", "marathon-lab-old §7 check dropped", marathon.Doc{"check": command()}, "check", "=")),
	since(1, 8, read("a check beside health checks is kept", "marathon-lab-api §2 table, check", marathon.Doc{"check": command()}, "check.exec.command.shell", `="true"`)),
	before(1, 8, read("limits of resources are dropped", "marathon-lab-old §7 resourceLimits dropped", marathon.Doc{"resourceLimits": marathon.Doc{"cpus": 2}}, "resourceLimits", "=")),
	before(1, 8, read("a role is dropped", "marathon-lab-old §7 role absent", marathon.Doc{"role": "search"}, "role", "=")),
	{name: "resources of the executor are stored by a partial update, dropped by a whole one, and never deployed", source: "marathon-lab-api §1, §2 executorResources", run: func(e *env) {
		was := e.up(e.app("a", 1, nil))
		more := marathon.Doc{"executorResources": marathon.Doc{"cpus": 0.2, "mem": 32}}
		e.wantAnswer(e.raw("PUT", "/v2/apps"+string(e.id("a")), e.json(more)), 200, "deploymentId")
		if got := at(e.settled("a").Doc, "executorResources.cpus"); (got == "0.2") != e.version.AtLeast(1, 6, 0) {
			e.Errorf("cpus %q", got) // up to 1.5 the field is not known
		}
		e.put(e.app("a", 1, more))
		if is := e.settled("a"); is.Doc["executorResources"] != nil || !is.Version.Equal(was.Version) || !untouched(was, is) {
			e.Errorf("%v of %s, was of %s", is.Doc["executorResources"], is.Version, was.Version)
		}
	}},
	{name: "an update that does not name the limits of resources clears them", source: "marathon-lab-api §2 table, resourceLimits", since: version(1, 10, 0), run: func(e *env) {
		e.create(e.app("a", 0, marathon.Doc{"resourceLimits": marathon.Doc{"cpus": 2}}))
		if got := at(e.settled("a").Doc, "resourceLimits.cpus"); !strings.HasPrefix(got, "2") {
			e.Errorf("limits %s", got)
		}
		e.wantAnswer(e.raw("PUT", "/v2/apps"+string(e.id("a")), `{"cmd":"sleep 7"}`), 200)
		if got := at(e.settled("a").Doc, "resourceLimits"); got != "" {
			e.Errorf("limits %s", got)
		}
	}},
}, changeCases())

func since(major, minor int, k testCase) testCase  { k.since = version(major, minor, 0); return k }
func before(major, minor int, k testCase) testCase { k.until = version(major, minor, 0); return k }

// read is a case about one value of the document read back: want is how its JSON begins, or, after "=", all of it; ""
// for a value that is not there.
func read(name, source string, more marathon.Doc, path, want string) testCase {
	return testCase{name: name, source: source, run: func(e *env) {
		doc := e.app("a", 0, more)
		doc["id"] = string(e.id("g/a"))
		e.create(doc)
		got := at(e.settled("g/a").Doc, path)
		if exact, ok := strings.CutPrefix(want, "="); ok && got != exact || !ok && !strings.HasPrefix(got, want) {
			e.Errorf("%s is %s, want %s", path, got, want)
		}
	}}
}

// at is the JSON of the value at a path, "" for none. Numbers lose a trailing .0, which versions write differently.
func at(v any, path string) string {
	for _, key := range strings.Split(path, ".") {
		switch x := v.(type) {
		case marathon.Doc:
			v = x[key]
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(x) {
				return ""
			}
			v = x[i]
		default:
			return ""
		}
	}
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return strings.NewReplacer(".0,", ",", ".0}", "}").Replace(string(b))
}

func ports(n int) marathon.Doc {
	return marathon.Doc{"portDefinitions": []any{marathon.Doc{"port": n, "name": "http"}}}
}

func checks(c marathon.Doc) marathon.Doc {
	return with(ports(0), marathon.Doc{"healthChecks": []any{c}})
}

func command() marathon.Doc {
	return marathon.Doc{"exec": marathon.Doc{"command": marathon.Doc{"shell": "true"}}}
}

func docker(more marathon.Doc, network string) marathon.Doc {
	return marathon.Doc{"networks": []any{marathon.Doc{"mode": network}},
		"container": with(marathon.Doc{"type": "DOCKER", "docker": marathon.Doc{"image": "x"}}, more)}
}

func volume() marathon.Doc {
	return marathon.Doc{"container": marathon.Doc{"type": "MESOS", "volumes": []any{
		marathon.Doc{"containerPath": "data", "mode": "RW", "persistent": marathon.Doc{"size": 64}}}}}
}

func residency() marathon.Doc {
	return with(volume(), marathon.Doc{"residency": marathon.Doc{"relaunchEscalationTimeoutSeconds": 10, "taskLostBehavior": "WAIT_FOREVER"}})
}

// changeCases: a change of anything but the number of instances restarts every task.
func changeCases() []testCase {
	list := []testCase{
		changes("cmd", marathon.Doc{"cmd": "sleep 1001"}), changes("labels", marathon.Doc{"labels": marathon.Doc{marathon.LabelFleet: "x"}}),
		changes("cpus", marathon.Doc{"cpus": 0.02}), changes("constraints", marathon.Doc{"constraints": []any{[]any{"hostname", "LIKE", ".*"}}}),
		changes("upgradeStrategy", marathon.Doc{"upgradeStrategy": marathon.Doc{"minimumHealthCapacity": 0.3, "maximumOverCapacity": 0.3}}),
		changes("backoffSeconds", marathon.Doc{"backoffSeconds": 2}), changes("taskKillGracePeriodSeconds", marathon.Doc{"taskKillGracePeriodSeconds": 2}),
		changes("killSelection", marathon.Doc{"killSelection": "OLDEST_FIRST"}), changes("dependencies", marathon.Doc{"dependencies": []any{"/sinktest/none"}}),
		changes("acceptedResourceRoles", marathon.Doc{"acceptedResourceRoles": []any{"*"}}), changes("healthChecks", marathon.Doc{"healthChecks": []any{marathon.Doc{
			"protocol": "COMMAND", "command": marathon.Doc{"value": "true"}, "intervalSeconds": 1, "gracePeriodSeconds": 1}}}),
		changes("portDefinitions", ports(0)),
	}
	for i := range list {
		list[i].source = "marathon-lab-api §2 table"
	}
	return list
}

func changes(field string, more marathon.Doc) testCase {
	return testCase{name: "a change of " + field + " restarts", run: func(e *env) {
		was := e.up(e.app("a", 1, nil))
		d := e.put(e.app("a", 1, more))
		if steps := e.steps(d); steps != "Restart a" && steps != "" {
			e.Errorf("the plan is %s", steps)
		}
		is := e.until("a", "another", func(a *marathon.App) bool {
			return len(a.Deployments) == 0 && len(a.Tasks) == 1 && a.Tasks[0].Running() && a.Tasks[0].ID != was.Tasks[0].ID
		})
		if !is.LastConfigChange.Equal(is.Version) || !is.Version.After(was.Version) {
			e.Errorf("version %s, configuration %s", is.Version, is.LastConfigChange)
		}
	}}
}
