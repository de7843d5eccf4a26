package marathonsim

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// taskState is an instance's state as Mesos and the task lists word it.
func taskState(in *instance) string {
	switch in.state {
	case condRunning, condStarting, condKilled, condFailed, condFinished, condUnreachable:
		return "TASK_" + strings.ToUpper(in.state)
	}
	return "TASK_STAGING"
}

// taskDocs lists an app's instances. One that never was on an agent is not shown; one between two runs shows the end
// of the last, without version, and a stopped resident shows what it holds.
func (s *Sim) taskDocs(a *app, withServicePorts bool) []any {
	out := make([]any, 0, len(a.instances))
	for _, in := range a.instances {
		if in.agent == nil {
			continue
		}
		out = append(out, s.taskDoc(in, withServicePorts))
	}
	return out
}

func (s *Sim) taskDoc(in *instance, withServicePorts bool) map[string]any {
	volumes := make([]any, 0)
	for _, v := range in.volumes {
		volumes = append(volumes, map[string]any{"runSpecId": in.app.id, "containerPath": v.ContainerPath, "uuid": v.UUID,
			"persistenceId": v.PersistenceID})
	}
	results := make([]any, 0)
	for _, h := range in.health {
		results = append(results, h.doc(s, in))
	}
	service := []int{}
	if withServicePorts {
		for _, p := range append(append([]portDef{}, in.def.spec.Ports...), in.def.spec.Container.Mappings...) {
			service = append(service, p.Port+p.ServicePort)
		}
	}
	doc := map[string]any{
		"appId": in.app.id, "id": s.taskID(in), "host": in.agent.Hostname, "slaveId": in.agent.id,
		"ipAddresses": ipAddresses(in), "ports": []int{}, "servicePorts": service, "localVolumes": volumes,
		"healthCheckResults": results, "state": taskState(in),
	}
	if s.ver.hasRole {
		doc["role"] = s.opt.Role
	}
	if in.live() {
		doc["ports"] = orEmpty(in.ports)
		doc["version"] = in.def.version
		doc["stagedAt"] = formatTime(in.staged)
		if !in.started.IsZero() {
			doc["startedAt"] = formatTime(in.started)
		}
	} else if s.ver.keepsRunSpec {
		doc["state"] = "TASK_" + strings.ToUpper(in.lastEnd)
	} else {
		doc["state"] = "TASK_STAGING"
	}
	return doc
}

func ipAddresses(in *instance) []any {
	return []any{map[string]any{"ipAddress": in.agent.Hostname, "protocol": "IPv4"}}
}

func orEmpty(p []int) []int {
	if p == nil {
		return []int{}
	}
	return p
}

func (s *Sim) lastFailure(in *instance, state, message string) map[string]any {
	return map[string]any{"appId": in.app.id, "host": in.agent.Hostname, "message": message,
		"state": "TASK_" + strings.ToUpper(state), "taskId": s.taskID(in), "timestamp": formatTime(time.Now()),
		"version": in.def.version, "slaveId": in.agent.id}
}

func (s *Sim) routeTasks(c *call) (*result, *refusal) {
	switch {
	case len(c.path) == 0 && c.method == http.MethodGet:
		return s.listTasks(c)
	case len(c.path) == 1 && c.path[0] == "delete" && c.method == http.MethodPost:
		return s.deleteTasks(c)
	}
	return nil, errMethod
}

func (s *Sim) listTasks(c *call) (*result, *refusal) {
	status := append(c.query["status"], c.query["status[]"]...)
	out := make([]any, 0)
	for _, a := range s.sortedApps() {
		for _, in := range a.instances {
			running := slices.Contains(status, "running") && in.state == condRunning
			staging := slices.Contains(status, "staging") && (in.state == condProvisioned || in.state == condStarting)
			if in.agent != nil && (len(status) == 0 || running || staging) {
				out = append(out, s.taskDoc(in, true))
			}
		}
	}
	return &result{status: 200, body: map[string]any{"tasks": out}}, nil
}

func (s *Sim) routeAppTasks(c *call, parts []string) (*result, *refusal) {
	if len(parts) > 0 && parts[len(parts)-1] == "*" {
		out := make([]any, 0)
		for _, a := range s.sortedApps() {
			if within(a.id, idOf(parts[:len(parts)-1])) {
				out = append(out, s.taskDocs(a, false)...)
			}
		}
		return &result{status: 200, body: map[string]any{"tasks": out}}, nil
	}
	a := s.apps[idOf(parts)]
	switch {
	case a == nil:
		return nil, s.noApp(c.method == http.MethodGet, idOf(parts))
	case c.method == http.MethodGet:
		return &result{status: 200, body: map[string]any{"tasks": s.taskDocs(a, false)}}, nil
	case c.method != http.MethodDelete:
		return nil, errMethod
	}
	var chosen []*instance
	for _, in := range a.instances {
		if h := c.query["host"]; in.live() && (len(h) == 0 || h[0] == in.agent.Hostname) {
			chosen = append(chosen, in)
		}
	}
	return s.killTasks(c, chosen, false)
}

var taskUUID = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

// instanceByTask finds an instance by any of its task ids: a stale incarnation names the current one.
func (s *Sim) instanceByTask(id string) *instance {
	want := string(marathon.TaskID(id).Instance())
	for _, a := range s.sortedApps() {
		for _, in := range a.instances {
			if in.id == want && strings.HasPrefix(id, safeName(a.id)+".") {
				return in
			}
		}
	}
	return nil
}

func (s *Sim) deleteTask(c *call, id marathon.AppID, task string) (*result, *refusal) {
	if c.method != http.MethodDelete {
		return nil, errMethod
	}
	if s.apps[id] == nil {
		return nil, s.noApp(false, id)
	}
	if u := string(marathon.TaskID(task).Instance()); !taskUUID.MatchString(u) {
		u = u[strings.LastIndexByte(u, '.')+1:]
		if strings.Contains(task, ".instance-") {
			return nil, fail(422, "Invalid UUID string: "+u)
		}
		return nil, fail(500, "Failure(java.lang.IllegalArgumentException: Invalid UUID string: "+u+") (of class scala.util.Failure)")
	}
	in := s.instanceByTask(task)
	if in != nil && in.app.id != id {
		in = nil
	}
	if in == nil && c.is("scale") && len(s.apps[id].instances) == 0 {
		return nil, s.missing(false, "Path '%s' does not exist", id)
	}
	if in == nil && !c.is("scale") {
		return nil, s.missing(false, "Task '%s' does not exist", task)
	}
	var chosen []*instance
	if in != nil {
		chosen = append(chosen, in)
	}
	return s.killTasks(c, chosen, true)
}

func (s *Sim) deleteTasks(c *call) (*result, *refusal) {
	v, bad := decode(c.body)
	if bad != nil {
		return nil, bad
	}
	var chosen []*instance
	for _, id := range list(object(v)["ids"]) {
		if !strings.Contains(text(id), ".") {
			return nil, fail(400, "Invalid task id '"+text(id)+"'. [taskId "+text(id)+" no valid identifier (of class java.lang.String)]")
		}
		if in := s.instanceByTask(text(id)); in != nil {
			chosen = append(chosen, in)
		}
	}
	return s.killTasks(c, chosen, false)
}

// killTasks is every way to kill tasks: plain (they come back), wipe (without their data), scale (the app shrinks).
func (s *Sim) killTasks(c *call, chosen []*instance, single bool) (*result, *refusal) {
	if c.is("scale") && c.is("wipe") {
		return nil, fail(400, "You cannot use scale and wipe at the same time.")
	}
	if c.is("scale") {
		return s.killAndScale(c, chosen)
	}
	docs := make([]any, 0, len(chosen))
	for _, in := range chosen {
		if in.agent != nil {
			docs = append(docs, s.taskDoc(in, false))
		}
		switch {
		case c.is("wipe"):
			s.wipe(in)
		case s.ver.ignoresKillWhileLocked && len(s.lockedBy(in.app.id)) > 0: // answers, and does nothing
		case in.live():
			s.kill(in, in.goal)
		}
	}
	if single && !s.ver.residentMessages {
		return &result{status: 200, body: map[string]any{"task": s.internalDoc(chosen[0])}}, nil
	}
	if single {
		return &result{status: 200, body: map[string]any{"task": docs[0]}}, nil
	}
	return &result{status: 200, body: map[string]any{"tasks": docs}}, nil
}

// internalDoc is how 1.5 answers the kill of one task: by its own idea of an instance.
func (s *Sim) internalDoc(in *instance) map[string]any {
	return map[string]any{"instanceId": map[string]any{"idString": s.instanceID(in)},
		"agentInfo": map[string]any{"host": in.agent.Hostname, "agentId": in.agent.id}, "runSpecVersion": in.def.version}
}

// wipe gives up an instance with its volumes; a running one is replaced, empty and wherever it fits.
func (s *Sim) wipe(in *instance) {
	wanted := in.goal == goalRunning
	p, grace := in.process, in.grace()
	if in.live() {
		if in.stopChecks != nil {
			in.stopChecks()
		}
		if p != nil {
			p.Kill(grace)
		}
		in.state, in.lastEnd, in.process = condKilled, condKilled, nil
		s.statusUpdate(in, "TASK_KILLED", "Instance was expunged")
		s.instanceChanged(in, condKilled)
	}
	s.expunge(in)
	if wanted {
		s.schedule(in.app, 1)
	}
}

func (s *Sim) killAndScale(c *call, chosen []*instance) (*result, *refusal) {
	less := map[marathon.AppID]int{}
	var named []*instance
	for _, in := range chosen {
		if in.live() && !in.killing && in.active() {
			less[in.app.id]++
			named = append(named, in)
		}
	}
	return s.apply(change{group: "/", force: c.is("force"), named: named, edit: func(to root) *refusal {
		for id, n := range less {
			doc := copyOf(to[id].doc)
			doc["instances"] = max(0, integer(doc["instances"], 0)-int64(n))
			to[id] = &definition{doc: doc}
		}
		return nil
	}})
}
