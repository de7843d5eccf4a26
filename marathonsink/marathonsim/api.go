package marathonsim

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// maxBody is the largest definition that a Marathon survives: ZooKeeper refuses more, and the leader exits.
const maxBody = 1 << 20

// A call is one request to Marathon, read.
type call struct {
	method string
	path   []string // below /v2
	query  map[string][]string
	body   []byte
	client string
	uri    string
}

func (c *call) is(key string) bool { v := c.query[key]; return len(v) > 0 && v[0] == "true" }

func (c *call) isNot(key string) bool { v := c.query[key]; return len(v) > 0 && v[0] == "false" }

// ServeHTTP is Marathon's API.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.servesMesos(w, r) || s.refusesStranger(w, r) || s.refusesAll(w) {
		return
	}
	if strings.Trim(r.URL.Path, "/") == "v2/events" && r.Method == http.MethodGet {
		if a := r.Header.Get("Accept"); a != "" && !strings.Contains(a, "text/event-stream") && !strings.Contains(a, "*/*") {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("X-Marathon-Leader", "http://"+s.leaderAddress())
		s.serveEvents(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return // the client is gone
	}
	if len(body) > maxBody {
		s.LeaderChange()
		panic(http.ErrAbortHandler) // the connection closes without an answer
	}
	if bad := s.refusesForm(r); bad != nil {
		s.write(w, nil, bad)
		return
	}
	c := &call{method: r.Method, query: r.URL.Query(), body: body, client: clientIP(r), uri: r.URL.Path}
	s.mu.Lock()
	res, bad := s.route(c, r.URL.Path)
	s.settle()
	s.mu.Unlock()
	s.write(w, res, bad)
}

// refusesStranger answers who lacks the name or the password, if there are any.
func (s *Sim) refusesStranger(w http.ResponseWriter, r *http.Request) bool {
	if s.opt.Credentials == "" {
		return false
	}
	if name, password, ok := r.BasicAuth(); ok && name+":"+password == s.opt.Credentials {
		return false
	}
	if s.ver.htmlRefusals {
		w.Header().Set("WWW-Authenticate", `basic realm="Mesosphere"`)
		w.Header().Set("Content-Type", "text/html;charset=iso-8859-1")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "<html><head><title>Error 401 </title></head><body></body></html>\n") // who went away learns nothing
		return true
	}
	w.Header().Set("WWW-Authenticate", `basic realm="null"`)
	w.WriteHeader(http.StatusUnauthorized)
	return true
}

// refusesAll answers while nobody leads.
func (s *Sim) refusesAll(w http.ResponseWriter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed || s.leaderless {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	return false
}

func (s *Sim) refusesForm(r *http.Request) *refusal {
	if ct := r.Header.Get("Content-Type"); r.Method != http.MethodGet && ct != "" && !strings.Contains(ct, "json") && !strings.Contains(ct, "octet-stream") {
		return fail(415, "Unsupported Media Type")
	}
	if a := r.Header.Get("Accept"); a != "" && !strings.Contains(a, "json") && !strings.Contains(a, "*/*") && !strings.Contains(a, "text/plain") {
		return fail(406, "Not Acceptable")
	}
	return nil
}

var errMethod = &refusal{405, map[string]any{"message": "Method Not Allowed"}}

func (s *Sim) route(c *call, p string) (*result, *refusal) {
	parts := split(p)
	if len(parts) == 1 && parts[0] == "ping" {
		return &result{status: 200, body: "pong"}, nil
	}
	if len(parts) < 2 || parts[0] != "v2" {
		return nil, s.unknownURI(p)
	}
	c.path = parts[2:]
	switch parts[1] {
	case "apps":
		return s.routeApps(c)
	case "tasks":
		return s.routeTasks(c)
	case "deployments":
		return s.routeDeployments(c)
	case "groups":
		return s.routeGroups(c)
	case "pods":
		return s.routePods(c)
	case "queue":
		return s.routeQueue(c)
	case "info":
		return &result{status: 200, body: s.info()}, nil
	case "leader":
		if c.method == http.MethodDelete {
			s.after(10*time.Millisecond, s.abdicate) // the answer goes out first
			return &result{status: 200, body: map[string]any{"message": "Leadership abdicated", "details": []any{}}}, nil
		}
		return &result{status: 200, body: map[string]any{"leader": s.leaderAddress()}}, nil
	}
	return nil, s.unknownURI(p)
}

// unknownURI is a server error since 1.6, for want of a better idea.
func (s *Sim) unknownURI(p string) *refusal {
	if !s.ver.residentMessages {
		return fail(404, "URI not found: "+p)
	}
	return fail(500, "URI not found")
}

// split cuts a path into its parts; doubled slashes, which Marathon's own Location headers have, do not matter.
func split(p string) []string {
	return strings.FieldsFunc(p, func(r rune) bool { return r == '/' })
}

func idOf(parts []string) marathon.AppID { return marathon.AppID("/" + strings.Join(parts, "/")) }

func (s *Sim) info() map[string]any {
	return map[string]any{
		"name": "marathon", "version": s.opt.Version.String(), "buildref": "simulated", "elected": true,
		"leader": s.leaderAddress(), "frameworkId": s.frameworkPrefix() + "-0000",
		"marathon_config": map[string]any{
			"master": "sim", "mesos_leader_ui_url": "http://" + s.leaderAddress() + "/", "framework_name": "marathon", "mesos_role": s.opt.Role, "ha": true, "features": []any{},
			"hostname": "marathon-1.sim", "local_port_min": 10000, "local_port_max": 20000,
			"failover_timeout": 604800, "checkpoint": true, "executor": "//cmd", "webui_url": nil,
			"scale_apps_interval": s.opt.ScaleCheck.Milliseconds(), "task_launch_timeout": 300000,
			"task_reservation_timeout": 20000, "decline_offer_duration": 120000, "min_revive_offers_interval": 5000,
		},
		"zookeeper_config": map[string]any{"zk": "zk://sim/marathon", "zk_session_timeout": 10000, "zk_max_node_size": 1024000},
		"http_config":      map[string]any{"http_port": 8080, "https_port": 8443},
	}
}

func (s *Sim) routeDeployments(c *call) (*result, *refusal) {
	if c.method == http.MethodGet && len(c.path) == 0 {
		out := make([]any, 0, len(s.deployments))
		if !s.hideDeploys {
			for _, d := range s.deployments {
				out = append(out, s.deploymentDoc(d))
			}
			out = append(out, s.podDeployments()...)
		}
		return &result{status: 200, body: out}, nil
	}
	if c.method != http.MethodDelete || len(c.path) != 1 {
		return nil, errMethod
	}
	for _, d := range s.deployments {
		if d.id != c.path[0] {
			continue
		}
		if c.is("force") {
			s.cancelDeployment(d)
			return &result{status: 202}, nil
		}
		return s.rollBack(d)
	}
	if s.cancelPod(c.path[0]) {
		return &result{status: 202}, nil
	}
	return nil, s.missing(true, "DeploymentPlan %s does not exist", c.path[0])
}

func (s *Sim) deploymentDoc(d *deployment) map[string]any {
	doc := d.plan()
	doc["affectedApps"] = d.apps()
	doc["affectedPods"] = []any{}
	current := make([]any, 0)
	if d.step < len(d.steps) {
		for _, a := range d.steps[d.step] {
			current = append(current, map[string]any{"action": a.kind, "app": a.app, "readinessCheckResults": s.readinessDocs(a.app)})
		}
	}
	doc["currentActions"] = current
	doc["currentStep"] = d.step + 1
	doc["totalSteps"] = len(d.steps)
	return doc
}

func (s *Sim) readinessDocs(id marathon.AppID) []any {
	out := make([]any, 0)
	if a := s.apps[id]; a != nil {
		for _, in := range a.instances {
			if in.readiness != nil && !in.ready && in.process != nil {
				out = append(out, in.readiness)
			}
		}
	}
	return out
}

func (s *Sim) routeQueue(c *call) (*result, *refusal) {
	if c.method == http.MethodGet && len(c.path) == 0 {
		out := make([]any, 0)
		for _, a := range s.sortedApps() {
			if q := s.queueDoc(a, c); q != nil {
				out = append(out, q)
			}
		}
		return &result{status: 200, body: map[string]any{"queue": out}}, nil
	}
	if c.method != http.MethodDelete || len(c.path) < 2 || c.path[len(c.path)-1] != "delay" {
		return nil, errMethod
	}
	id := idOf(c.path[:len(c.path)-1])
	if a := s.apps[id]; a != nil && s.waiting(a) > 0 {
		a.backoff, a.backoffUntil = 0, time.Time{}
		return &result{status: 204}, nil
	}
	return nil, s.missing(true, "Application %s not found in tasks queue.", id)
}

func (s *Sim) waiting(a *app) int {
	n := 0
	for _, in := range a.instances {
		if in.state == condScheduled && in.goal == goalRunning {
			n++
		}
	}
	return n
}

func (s *Sim) queueDoc(a *app, c *call) map[string]any {
	n := s.waiting(a)
	if n == 0 {
		return nil
	}
	left := max(0, time.Until(a.backoffUntil))
	q := &a.queue
	last, attempt := make([]any, 0), make([]any, 0)
	total := len(q.lastReasons)
	for _, r := range rejectReasons {
		last = append(last, map[string]any{"reason": r, "declined": q.lastOffers[r], "processed": total})
		attempt = append(attempt, map[string]any{"reason": r, "declined": q.lastOffers[r], "processed": q.processed})
		total -= q.lastOffers[r]
	}
	summary := map[string]any{"processedOffersCount": q.processed, "unusedOffersCount": q.unused,
		"rejectSummaryLastOffers": last, "rejectSummaryLaunchAttempt": attempt}
	if !q.lastUsed.IsZero() {
		summary["lastUsedOfferAt"] = formatTime(q.lastUsed)
	}
	if !q.lastUnused.IsZero() {
		summary["lastUnusedOfferAt"] = formatTime(q.lastUnused)
	}
	doc := map[string]any{"count": n, "delay": map[string]any{"timeLeftSeconds": int(left / time.Second), "overdue": left == 0},
		"since": formatTime(q.since), "processedOffersSummary": summary, "app": a.def.full()}
	if s.ver.hasRole {
		doc["role"] = s.opt.Role
	}
	for _, e := range c.query["embed"] {
		if e == "lastUnusedOffers" {
			doc["lastUnusedOffers"] = q.lastReasons
			if q.lastReasons == nil {
				doc["lastUnusedOffers"] = []any{}
			}
		}
	}
	return doc
}
