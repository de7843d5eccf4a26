package marathonsim

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// heartbeat is the interval of the empty lines in an event stream.
const heartbeat = 10 * time.Second

// A subscriber is an open event stream.
type subscriber struct {
	types  []string // none: all
	queue  [][]byte
	wake   chan struct{}
	closed chan struct{}
	ended  bool
}

func (u *subscriber) end() {
	if !u.ended {
		u.ended = true
		close(u.closed)
	}
}

// event sends an event to every stream that wants it.
func (s *Sim) event(kind string, data map[string]any) {
	if s.leaderless || len(s.subscribers) == 0 {
		return
	}
	data["eventType"] = kind
	orElse(data, "timestamp", formatTime(time.Now()))
	b, err := json.Marshal(data)
	if err != nil {
		s.opt.Logf("event %s: %v", kind, err)
		return
	}
	for _, u := range s.subscribers {
		u.send(kind, b)
	}
}

func (u *subscriber) send(kind string, b []byte) {
	if len(u.types) > 0 && !slices.Contains(u.types, kind) {
		return
	}
	u.queue = append(u.queue, fmt.Appendf(nil, "event: %s\r\ndata: %s\r\n\r\n", kind, b))
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// serveEvents is GET /v2/events.
func (s *Sim) serveEvents(w http.ResponseWriter, r *http.Request) {
	flush, ok := w.(http.Flusher)
	if !ok {
		http.Error(w, "the connection cannot stream", http.StatusInternalServerError)
		return
	}
	attached, _ := json.Marshal(map[string]any{"remoteAddress": clientIP(r), "eventType": "event_stream_attached",
		"timestamp": formatTime(time.Now())})
	u := &subscriber{types: r.URL.Query()["event_type"], wake: make(chan struct{}, 1), closed: make(chan struct{})}
	u.send("event_stream_attached", attached)
	s.mu.Lock()
	if s.isClosed || s.leaderless {
		s.mu.Unlock()
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.subscribers = append(s.subscribers, u)
	s.mu.Unlock()
	defer s.unsubscribe(u)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream;charset=utf-8")
	h.Set("Connection", "close")
	w.WriteHeader(http.StatusOK) // only now: who reads the head misses nothing that happens after it
	flush.Flush()
	s.pump(w, flush, r, u)
}

func (s *Sim) pump(w http.ResponseWriter, flush http.Flusher, r *http.Request, u *subscriber) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var out [][]byte
		select {
		case <-r.Context().Done():
			return
		case <-u.closed:
			return
		case <-beat.C:
			out = [][]byte{[]byte("\r\n")}
		case <-u.wake:
			s.mu.Lock()
			out, u.queue = u.queue, nil
			s.mu.Unlock()
		}
		for _, b := range out {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
		flush.Flush()
	}
}

func (s *Sim) unsubscribe(u *subscriber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers = slices.DeleteFunc(s.subscribers, func(x *subscriber) bool { return x == u })
}

func clientIP(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return "127.0.0.1"
}

func (s *Sim) instanceChanged(in *instance, condition string) {
	agentID, host := any(nil), any(nil)
	if in.agent != nil {
		agentID, host = in.agent.id, in.agent.Hostname
	}
	s.event("instance_changed_event", map[string]any{
		"instanceId": s.instanceID(in), "condition": s.ver.condition(condition), "runSpecId": in.app.id,
		"agentId": agentID, "host": host, "runSpecVersion": in.def.version,
	})
}

func (s *Sim) statusUpdate(in *instance, status, message string) {
	s.event("status_update_event", map[string]any{
		"slaveId": in.agent.id, "taskId": s.taskID(in), "taskStatus": status, "message": message, "appId": in.app.id,
		"host": in.agent.Hostname, "ipAddresses": ipAddresses(in), "ports": orEmpty(in.ports), "version": in.def.version,
	})
}

// healthEvent tells an instance's health; nil: unknown again.
func (s *Sim) healthEvent(in *instance, healthy any) {
	s.event("instance_health_changed_event", map[string]any{
		"instanceId": s.instanceID(in), "runSpecId": in.app.id, "healthy": healthy, "runSpecVersion": in.def.version,
	})
}

func (s *Sim) healthCheckEvents(a *action) {
	if a.kind == actStop {
		for range list(a.target.doc["healthChecks"]) {
			s.event("remove_health_check_event", map[string]any{"appId": a.app})
		}
		return
	}
	for _, h := range list(a.target.doc["healthChecks"]) {
		s.event("add_health_check_event", map[string]any{"appId": a.app, "healthCheck": h, "version": a.target.version})
	}
}

func (d *deployment) plan() map[string]any {
	steps := make([]any, 0, len(d.steps))
	for _, st := range d.steps {
		steps = append(steps, stepDoc(st))
	}
	return map[string]any{"id": d.id, "version": d.version, "steps": steps}
}

func stepDoc(st []*action) map[string]any {
	acts := make([]any, 0, len(st))
	for _, a := range st {
		acts = append(acts, map[string]any{"action": a.kind, "app": a.app})
	}
	return map[string]any{"actions": acts}
}

func (s *Sim) deploymentEvent(kind string, d *deployment, withStep bool, reason string) {
	data := map[string]any{"plan": d.plan()}
	if withStep {
		data["currentStep"] = stepDoc(d.steps[d.step])
	} else {
		data["id"] = d.id
	}
	if reason != "" && s.ver.cancelReason {
		data["reason"] = reason
	}
	s.event(kind, data)
}
