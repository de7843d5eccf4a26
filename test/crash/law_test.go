package crash_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/spec"
)

// A law watches every call and knows what no daemon may ever do. It asks the Sim itself for the truth.
type law struct {
	w       *world
	journal journal

	writes      []write
	deployments map[marathon.DeploymentID]*daemon // answered to this daemon
	unknown     bool                              // the last look could not read Marathon
	volumes     map[string]bool                   // of stateful apps, ever
	apps        map[marathon.AppID]bool
	lost        map[spec.ClusterID]time.Time // when the answer to a write was lost to this daemon
	lostTo      *daemon
	// staleReads excuses a POST of an app that exists: who reads what was cannot know better, and Marathon refuses it.
	staleReads bool
	broken     []string
	trace      strings.Builder
	began      time.Time
}

// A write is one call that changes something, and its answer.
type write struct {
	what        string // method, path and a digest of the body
	app         marathon.AppID
	status      int // 0: no answer
	destructive bool
}

func newLaw(w *world) *law {
	l := &law{w: w, deployments: map[marathon.DeploymentID]*daemon{}, volumes: map[string]bool{}, apps: map[marathon.AppID]bool{},
		lost: map[spec.ClusterID]time.Time{}, began: time.Now()}
	l.journal.law = l
	return l
}

func (l *law) breaks(format string, args ...any) {
	if len(l.broken) < 20 {
		l.broken = append(l.broken, fmt.Sprintf(format, args...))
	}
}

// A journal keeps entries in memory, over the deaths of daemons.
type journal struct {
	law     *law
	daemon  *daemon
	entries []oplog.Entry
	open    map[oplog.ID]oplog.Entry // of the daemon that lives
	opener  *daemon
}

func (j *journal) Begin(e oplog.Entry) (oplog.ID, error) {
	if j.daemon.dead {
		return 0, errDead
	}
	if j.opener != j.daemon {
		j.open, j.opener = map[oplog.ID]oplog.Entry{}, j.daemon
	}
	for _, o := range j.open {
		if o.Cluster == e.Cluster {
			j.law.breaks("%s %s begins while %s %s is under way", e.Verb, e.App, o.Verb, o.App)
		}
	}
	j.entries = append(j.entries, e)
	id := oplog.ID(len(j.entries))
	j.open[id] = e
	return id, nil
}

func (j *journal) End(id oplog.ID, o oplog.Outcome) error {
	if j.daemon.dead {
		return errDead
	}
	delete(j.open, id)
	return nil
}

func takeBody(r *http.Request) []byte {
	if r.Body == nil {
		return nil
	}
	b, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(b))
	return b
}

// hear reads an answer's body, with the error in which it may end, and leaves both to be read again.
func hear(res *http.Response) ([]byte, error) {
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	again := io.Reader(bytes.NewReader(b))
	if err != nil {
		again = io.MultiReader(again, brokenOff{err})
	}
	res.Body = io.NopCloser(again)
	return b, err
}

type brokenOff struct{ err error }

func (b brokenOff) Read([]byte) (int, error) { return 0, b.err }

// sent judges a call before it is made; done hears its answer.
func (l *law) sent(d *daemon, r *http.Request, body []byte) (done func(*http.Response, error)) {
	note := func(res *http.Response, err error) {
		status := "no answer"
		if err == nil {
			b, err := hear(res)
			if status = fmt.Sprintf("%d %s", res.StatusCode, digest(b)); err != nil {
				status += " " + err.Error()
			}
		}
		fmt.Fprintf(&l.trace, "%s %s %s %s\n", time.Since(l.began), r.Method, r.URL, status)
	}
	if r.Method == http.MethodGet {
		return note
	}
	var doc marathon.Doc
	if len(body) > 0 {
		if err := json.Unmarshal(body, &doc); err != nil {
			l.breaks("%s %s: the body is not an object", r.Method, r.URL)
		}
	}
	app := appOf(r, doc)
	entry, ok := l.journal.entryOf(app, r.Method)
	switch {
	case !ok:
		l.breaks("%s %s %s is not in the journal", r.Method, r.URL, app)
	case l.unknown:
		l.breaks("%s %s although Marathon could not be read", r.Method, r.URL)
	}
	if at, lost := l.lost[clusterOf(entry.Cluster)]; lost && l.lostTo == d && time.Since(at) < 15*time.Second {
		l.breaks("%s %s only %s after an answer was lost", r.Method, r.URL, time.Since(at))
	}
	x := write{app: app, what: fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), app, digest(body))}
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v2/apps":
		l.create(r, app)
	case r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/v2/apps/"):
		x.destructive = l.change(r, app, doc)
	case r.Method == http.MethodDelete && strings.HasPrefix(r.URL.Path, "/v2/deployments/"):
		x.destructive, x.what = true, "DELETE a deployment"
		if id := marathon.DeploymentID(strings.TrimPrefix(r.URL.Path, "/v2/deployments/")); l.deployments[id] != d {
			l.breaks("%s %s: not a deployment that this daemon started", r.Method, r.URL)
		}
	default:
		l.breaks("%s %s is never asked", r.Method, r.URL)
	}
	if r.URL.Query().Has("force") && r.Method != http.MethodDelete || r.URL.Query().Has("scale") || r.URL.Query().Has("wipe") {
		l.breaks("%s %s uses force", r.Method, r.URL)
	}
	l.keep()
	return func(res *http.Response, err error) {
		note(res, err)
		var body []byte
		if err == nil {
			if x.status = res.StatusCode; x.status == http.StatusConflict && !l.staleReads {
				l.breaks("%s %s: 409; who looks first is never told so", r.Method, r.URL)
			}
			body, err = hear(res)
			l.owns(d, res, body)
		}
		if err != nil || x.status >= 500 {
			l.lost[clusterOf(entry.Cluster)], l.lostTo = time.Now(), d
		}
		l.writes = append(l.writes, x)
		l.keep()
	}
}

func clusterOf(s string) spec.ClusterID {
	group, name, _ := strings.Cut(s, "/")
	return spec.ClusterID{Group: spec.GroupName(group), Name: spec.ClusterName(name)}
}

// withoutUUID is the body with the cluster's uuid blanked: a cluster that forms at another moment has another one.
func withoutUUID(body []byte) []byte {
	const key = `"esfleet.cluster-uuid":"`
	before, rest, ok := bytes.Cut(body, []byte(key))
	if !ok {
		return body
	}
	_, after, _ := bytes.Cut(rest, []byte(`"`))
	return slices.Concat(before, after)
}

// entryOf finds the open entry that a write belongs to; a cancel names a deployment and no app.
func (j *journal) entryOf(app marathon.AppID, method string) (oplog.Entry, bool) {
	if j.opener != j.daemon {
		return oplog.Entry{}, false
	}
	for _, e := range j.open {
		if e.App == string(app) || method == http.MethodDelete && e.Verb == string(plan.CancelOwn) {
			return e, true
		}
	}
	return oplog.Entry{}, false
}

// owns notes the deployments that an answer names.
func (l *law) owns(d *daemon, res *http.Response, body []byte) {
	var answer struct {
		DeploymentID marathon.DeploymentID `json:"deploymentId"`
		Deployments  []struct {
			ID marathon.DeploymentID `json:"id"`
		} `json:"deployments"`
	}
	_ = json.Unmarshal(body, &answer) // what is no JSON names none
	if answer.DeploymentID != "" {
		l.deployments[answer.DeploymentID] = d
	}
	if id := res.Header.Get("Marathon-Deployment-Id"); id != "" {
		l.deployments[marathon.DeploymentID(id)] = d
	}
	for _, x := range answer.Deployments {
		if res.StatusCode < 300 {
			l.deployments[x.ID] = d
		}
	}
}

// The order of creation.
var order = []string{"gate", "discovery", "es-master", "es-datanode", "es2graphite", "kibana"}

func (l *law) create(r *http.Request, app marathon.AppID) {
	if l.truth(app) != nil && !l.staleReads {
		l.breaks("%s %s: %s exists", r.Method, r.URL, app)
	}
	group := marathon.AppID(app.Group())
	at := slices.Index(order, app.Name())
	if at < 0 {
		l.breaks("%s is created, which is no component", app)
	}
	for _, before := range order[:max(at, 0)] {
		a := l.truth(marathon.AppID(string(group) + "/" + before))
		switch {
		case a == nil && l.wants(group, before):
			l.breaks("%s is created before %s", app, before)
		case before == "gate" && at > slices.Index(order, "es-datanode") && a.labels[marathon.LabelClusterUUID] == "":
			l.breaks("%s is created before the cluster's uuid is recorded", app)
		case before == "es-master" && a != nil && l.truth(group + "/gate").labels[marathon.LabelClusterUUID] == "":
			l.breaks("%s is created before the cluster's uuid is recorded", app)
		}
	}
}

// wants says whether git has the component.
func (l *law) wants(group marathon.AppID, component string) bool {
	switch component {
	case "gate", "discovery", "es-datanode":
		return true
	}
	c := clusterIn(l.w.commit(), group)
	return c != nil && (component == "es-master" && c.Nodes[spec.Master] != nil || component == "es2graphite" && c.Exporter != nil)
}

func clusterIn(in reconcile.Input, group marathon.AppID) *spec.Cluster {
	for _, g := range in.Fleet.Groups {
		for _, c := range g.Clusters {
			if "/"+c.ID.String() == string(group) {
				return c
			}
		}
	}
	return nil
}

// change judges a PUT, and says whether it restarts or stops something.
func (l *law) change(r *http.Request, app marathon.AppID, doc marathon.Doc) (destructive bool) {
	live := l.truth(app)
	if live == nil {
		l.breaks("%s %s: there is no such app", r.Method, r.URL)
		return false
	}
	if live.labels[marathon.LabelFleet] == "" {
		l.breaks("%s %s: the app is foreign", r.Method, r.URL)
	}
	n := live.instances
	if v, ok := doc["instances"].(float64); ok {
		n = int(v)
	}
	_, whole := doc["id"]
	if !strings.HasPrefix(app.Name(), "es-") {
		return whole && app.Name() != "gate" || n < live.instances
	}
	for key := range doc {
		if key != "instances" && key != "resourceLimits" && key != "executorResources" {
			l.breaks("%s %s changes %s", r.Method, r.URL, key)
		}
	}
	c := clusterIn(l.w.commit(), marathon.AppID(app.Group()))
	if retired := c != nil && c.State == spec.Retired && n == 0; n < live.instances && !retired {
		l.breaks("%s %s: %d → %d instances", r.Method, r.URL, live.instances, n)
	}
	return n < live.instances
}

// looked hears of every look, acted of what followed.
func (l *law) looked(v *reconcile.View) { l.unknown = len(v.Unknown) > 0 }

func (l *law) acted(v *reconcile.View, done []reconcile.Done) {
	l.unknown = false
	seen := map[spec.ClusterID]bool{}
	for _, d := range done {
		if seen[d.Step.Cluster] {
			l.breaks("%s had two effects in one turn", d.Step.Cluster)
		}
		seen[d.Step.Cluster] = true
	}
}

// An appTruth is an app as the Sim has it.
type appTruth struct {
	instances int
	labels    map[string]string
	digest    string // of the definition, without what every change alters
}

// truth is nil if there is no such app.
func (l *law) truth(id marathon.AppID) *appTruth {
	doc := l.w.sim.Definition(id)
	if doc == nil {
		return nil
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err) // it came as JSON
	}
	var a struct {
		Instances int
		Labels    map[string]string
	}
	if err := json.Unmarshal(b, &a); err != nil {
		panic(err) // Marathon accepted it
	}
	return &appTruth{a.Instances, a.Labels, digest(b)}
}

// digest names a body, whatever uuid the cluster has.
func digest(body []byte) string { return fmt.Sprintf("%x", sha256.Sum256(withoutUUID(body)))[:8] }

// keep checks that nothing was lost.
func (l *law) keep() {
	v := l.w.sim.View()
	apps, volumes := map[marathon.AppID]bool{}, map[string]bool{}
	for _, a := range v.Apps {
		apps[a.ID] = true
		for _, t := range a.Tasks {
			for _, x := range t.Volumes {
				volumes[x.PersistenceID] = true
			}
		}
	}
	for id := range l.apps {
		if !apps[id] {
			l.breaks("%s was deleted", id)
		}
	}
	for id := range l.volumes {
		if !volumes[id] {
			l.breaks("the volume %s was deleted", id)
		}
	}
	l.apps = apps
	maps.Copy(volumes, l.volumes)
	l.volumes = volumes
}

// effects are the writes that Marathon has carried out, in order; destructive alone if asked.
func (l *law) effects(destructive bool) []string {
	var out []string
	for _, x := range l.writes {
		if x.status/100 == 2 && (x.destructive || !destructive) {
			out = append(out, x.what)
		}
	}
	return out
}

func jsonOf(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values always marshal
	}
	return b
}
