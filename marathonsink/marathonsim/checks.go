package marathonsim

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A healthState is one health check's memory of one run of an instance.
type healthState struct {
	alive                                                  bool
	failures                                               int
	firstSuccess, lastSuccess, lastFailure, lastFailureWhy string
	byMesos                                                bool // who tells of changes only
	missed                                                 bool // by the leader, who was told of it by nobody
}

func (h *healthState) doc(s *Sim, in *instance) map[string]any {
	d := map[string]any{"alive": h.alive, "consecutiveFailures": h.failures, "instanceId": "instance [" + s.instanceID(in) + "]"}
	for k, v := range map[string]string{"firstSuccess": h.firstSuccess, "lastSuccess": h.lastSuccess,
		"lastFailure": h.lastFailure, "lastFailureCause": h.lastFailureWhy} {
		if v != "" {
			d[k] = v
		}
	}
	return d
}

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }

// pace is how long a check waits for its turn.
func (s *Sim) pace(d time.Duration) time.Duration {
	if w := s.opt.ChecksWithin; w > 0 {
		return min(d, w)
	}
	return d
}

// startHealthChecks begins every health check of an instance that runs now.
func (s *Sim) startHealthChecks(in *instance) {
	ctx, cancel := context.WithCancel(s.ctx)
	in.stopChecks = cancel
	if s.ver.keepsRunSpec {
		in.health = nil
	}
	run := in.run
	for _, h := range in.def.spec.Health {
		st := &healthState{byMesos: strings.HasPrefix(h.Protocol, "MESOS_") || h.Protocol == "COMMAND"}
		first := seconds(h.Interval)
		if st.byMesos {
			first = seconds(h.Delay)
		}
		var again func()
		again = func() {
			if in.run != run || ctx.Err() != nil || in.process == nil {
				return
			}
			p, ports, host := in.process, in.ports, in.agent.Hostname
			s.probe(seconds(h.Timeout), ctx, func(ctx context.Context) error { return checkHealth(ctx, p, ports, host, h) },
				func(err error) {
					if in.run != run || ctx.Err() != nil {
						return
					}
					s.healthResult(in, h, st, err)
					s.after(s.pace(seconds(h.Interval)), again)
				})
		}
		s.after(s.pace(first)+s.jitter(), again)
	}
}

// missHealth lets a new leader miss what is known of an app that a deployment has locked: it begins the checks of the app's
// version for the deployment, without what was heard before, and Mesos tells it only of verdicts that change.
func (s *Sim) missHealth(a *app) {
	for _, in := range a.instances {
		if in.def.version != a.def.version || in.state != condRunning {
			continue
		}
		in.health = slices.DeleteFunc(in.health, func(st *healthState) bool {
			st.missed = st.byMesos
			return st.missed
		})
	}
}

// probe runs ask outside the lock, and then, locked, its result.
func (s *Sim) probe(timeout time.Duration, parent context.Context, ask func(context.Context) error, then func(error)) {
	s.crew.do(s.ctx, func() {
		ctx, cancel := context.WithTimeout(parent, timeout)
		err := ask(ctx)
		cancel()
		s.do(func() { then(err) })
	})
}

func checkHealth(ctx context.Context, p Process, ports []int, host string, h healthCheck) error {
	if h.Protocol == "COMMAND" {
		return p.Exec(ctx, h.Command.Value)
	}
	port := h.Port
	if h.PortIndex != nil && *h.PortIndex < len(ports) {
		port = ports[*h.PortIndex]
	}
	if strings.HasSuffix(h.Protocol, "TCP") {
		return p.Connect(ctx, port)
	}
	path := h.Path
	if path == "" {
		path = "/"
	}
	code, _, _, err := get(ctx, p, host, port, path)
	if err == nil && (code < 200 || code > 399) {
		err = fmt.Errorf("%d %s", code, http.StatusText(code))
	}
	return err
}

func get(ctx context.Context, p Process, host string, port int, path string) (code int, contentType, body string, err error) {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d%s", host, port, path), nil)
	if err != nil {
		return 0, "", "", err
	}
	resp, err := p.Do(r)
	if err != nil {
		return 0, "", "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(b), err
}

// healthResult is one probe's outcome: events, the count of failures, and the kill when there were too many after
// the grace period.
func (s *Sim) healthResult(in *instance, h healthCheck, st *healthState, err error) {
	if st.missed {
		if st.alive == (err == nil) {
			return
		}
		st.missed = false
	}
	if !slices.Contains(in.health, st) {
		in.health = append(in.health, st)
	}
	now := formatTime(time.Now())
	was := st.alive
	first := st.firstSuccess == "" && st.lastFailure == ""
	if err == nil {
		st.alive, st.failures, st.lastSuccess = true, 0, now
		if st.firstSuccess == "" {
			st.firstSuccess = now
		}
	} else {
		inGrace := st.firstSuccess == "" && time.Since(in.started) < seconds(h.Grace)
		st.alive, st.lastFailure, st.lastFailureWhy = false, now, err.Error()
		if inGrace {
			return
		}
		st.failures++
		s.event("failed_health_check_event", map[string]any{"appId": in.app.id, "instanceId": s.instanceID(in),
			"healthCheck": in.def.doc["healthChecks"]})
	}
	s.judge(in)
	if was != st.alive || first {
		if strings.HasPrefix(h.Protocol, "MESOS_") {
			s.statusUpdate(in, "TASK_RUNNING", "")
		}
		s.healthEvent(in, st.alive)
		s.event("health_status_changed_event", map[string]any{"appId": in.app.id, "instanceId": s.instanceID(in),
			"version": in.def.version, "alive": st.alive})
	}
	if h.MaxFailures > 0 && st.failures >= h.MaxFailures && !in.killing {
		if !strings.HasPrefix(h.Protocol, "MESOS_") {
			s.event("unhealthy_instance_kill_event", map[string]any{"appId": in.app.id, "taskId": s.taskID(in),
				"instanceId": s.instanceID(in), "version": in.def.version, "reason": err.Error(), "host": in.agent.Hostname,
				"slaveId": in.agent.id})
		}
		s.kill(in, in.goal)
	}
}

// judge makes the instance's health out of its checks'.
func (s *Sim) judge(in *instance) {
	alive := 0
	for _, st := range in.health[max(0, len(in.health)-len(in.def.spec.Health)):] {
		if st.alive {
			alive++
		}
	}
	in.healthy = alive == len(in.def.spec.Health)
	in.unhealthy = !in.healthy && in.everHealthy
	in.everHealthy = in.everHealthy || in.healthy
}

// startReadiness begins the readiness check of an instance that a deployment waits for; it polls until first ready.
func (s *Sim) startReadiness(in *instance) {
	if len(in.def.spec.Readiness) == 0 || in.state != condRunning || in.ready || in.readyRun == in.run {
		return
	}
	in.readyRun = in.run
	in.readyStreams++
	rc := in.def.spec.Readiness[0]
	run := in.run
	in.readiness = nil
	var poll func()
	poll = func() {
		if in.run != run || in.process == nil || in.ready {
			return // its stream goes on in the next run
		}
		if len(s.actionsOf(in.app.id)) == 0 { // the deployment that waited is gone
			in.readyRun = 0
			in.readyStreams--
			return
		}
		p, port, host := in.process, portNamed(in.task, rc.PortName), in.agent.Hostname
		var code int
		var contentType, body string
		s.probe(seconds(rc.Timeout), s.ctx, func(ctx context.Context) (err error) {
			code, contentType, body, err = get(ctx, p, host, port, rc.Path)
			return err
		}, func(err error) {
			if in.run != run {
				return
			}
			if err != nil { // Marathon counts any failure as a gateway's time-out
				code, contentType, body = 504, "text/plain", err.Error()
			}
			in.ready = slices.Contains(rc.Codes, code)
			in.readiness = map[string]any{"name": rc.Name, "taskId": s.taskID(in), "ready": in.ready}
			if rc.Preserve {
				in.readiness["lastResponse"] = map[string]any{"status": code, "contentType": contentType, "body": body}
			}
			if !in.ready {
				s.after(s.pace(seconds(rc.Interval)), poll)
			}
		})
	}
	s.after(s.jitter(), poll)
}

func portNamed(t Task, name string) int {
	if i := slices.Index(t.PortNames, name); i >= 0 && i < len(t.Ports) {
		return t.Ports[i]
	}
	return 0
}
