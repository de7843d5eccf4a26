package world

import (
	"fmt"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/spec"
)

// A Law watches every call and knows what no daemon may ever do. It asks the Sim and the modelled clusters for the truth.
type Law struct {
	w *World

	stale       bool     // see Stale
	trace       []string // a line for every call, in the order in which they were made
	writes      []write
	deployments map[marathon.DeploymentID]*daemon // answered to this daemon
	broken      []string
	checked     map[string]int
	began       time.Time
	paused      time.Time // when the daemon last stood still in the middle of its work; what it had read is old, and it cannot know
	sampled     time.Time
	keeper      keeper
}

// A write is one call that changes something, and its answer.
type write struct {
	what        string // method, path and a digest of the body, the same in every run
	status      int    // 0: no answer
	destructive bool
	repeatable  bool // it may be made once more after a restart
}

func newLaw(w *World) *Law {
	l := &Law{w: w, deployments: map[marathon.DeploymentID]*daemon{}, checked: map[string]int{}, began: time.Now(), keeper: newKeeper()}
	return l
}

func (l *Law) breaks(format string, args ...any) {
	if len(l.broken) < 20 {
		l.broken = append(l.broken, fmt.Sprintf("%s: ", time.Since(l.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
	}
}

// Breaks notes what a test has found.
func (l *Law) Breaks(format string, args ...any) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.breaks(format, args...)
}

// Stale excuses what somebody does who reads what was: a POST of an app that exists, a 409.
func (l *Law) Stale(stale bool) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.stale = stale
}

// check counts a law that is looked at.
func (l *Law) check(law string) { l.checked[law]++ }

// Broken are the laws that were broken, the first ones.
func (l *Law) Broken() []string { return l.broken }

// Checked says how often each law was looked at.
func (l *Law) Checked() map[string]int { return l.checked }

// Writes is how many calls wanted to change something.
func (l *Law) Writes() int {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return len(l.writes)
}

// Forget drops the writes so far.
func (l *Law) Forget() { l.writes = nil }

// A callKind is what a write does.
type callKind int

const (
	strange callKind = iota
	create
	commit
	change
	cancel
	removeApp
	stopTask
	restartTask
	wipeTask
	elasticsearch
)

// kindOf reads a write. app is what it is about; of a call to Elasticsearch only the group is known.
func (l *Law) kindOf(r *http.Request, docs []marathon.Doc) (kind callKind, app marathon.AppID) {
	path, q := r.URL.Path, r.URL.Query()
	switch {
	case r.URL.Hostname() != "marathon.test":
		return elasticsearch, ""
	case r.Method == http.MethodPost && path == "/v2/apps":
		return create, idOf(docs)
	case r.Method == http.MethodPut && path == "/v2/apps":
		return commit, idOf(docs)
	case r.Method == http.MethodPut && strings.HasPrefix(path, "/v2/apps/"):
		return change, marathon.AppID(strings.TrimPrefix(path, "/v2/apps"))
	case r.Method == http.MethodDelete && strings.HasPrefix(path, "/v2/deployments/"):
		return cancel, ""
	case r.Method == http.MethodDelete && strings.HasPrefix(path, "/v2/apps/"):
		rest := strings.TrimPrefix(path, "/v2/apps")
		id, _, task := strings.Cut(rest, "/tasks/")
		switch {
		case !task:
			return removeApp, marathon.AppID(rest)
		case q.Has("wipe"):
			return wipeTask, marathon.AppID(id)
		case q.Has("scale"):
			return stopTask, marathon.AppID(id)
		}
		return restartTask, marathon.AppID(id)
	}
	return strange, ""
}

func idOf(docs []marathon.Doc) marathon.AppID {
	if len(docs) == 0 {
		return ""
	}
	id, _ := docs[0]["id"].(string)
	return marathon.AppID(id)
}

// sampleEvery is how often the truth is looked at while nobody changes anything: between two looks of the daemon, that is.
const sampleEvery = 200 * time.Millisecond

// sent judges a call before it is made; done hears its answer.
func (l *Law) sent(d *daemon, r *http.Request, body []byte) (done func(*http.Response, error)) {
	if r.Method != http.MethodGet || time.Since(l.sampled) > sampleEvery {
		l.sample()
	}
	line := len(l.trace)
	l.trace = append(l.trace, fmt.Sprintf("%s %s %s", time.Since(l.began), r.Method, r.URL))
	l.check("secrets-go-to-marathon-alone")
	if r.Header.Get("Authorization") != "" && r.URL.Hostname() != "marathon.test" {
		l.breaks("%s %s is told Marathon's password", r.Method, r.URL)
	}
	if r.Method == http.MethodGet {
		d.reads(r)
		if f := l.w.atStep; f != nil && strings.HasPrefix(r.URL.Path, "/v2/apps/") {
			l.w.atStep = nil
			f()
		}
		if r.URL.Hostname() != "marathon.test" {
			d.asks(l.groupAt(r.URL.Host))
		}
		return func(res *http.Response, err error) {
			_, err = l.note(line, r, res, err)
			d.read(r, res, err)
			l.versions(d, r)
		}
	}
	docs, err := docsIn(body)
	if err != nil {
		l.breaks("%s %s: the body is no JSON: %v", r.Method, r.URL, err)
	}
	kind, app := l.kindOf(r, docs)
	group := app.Group()
	if kind == elasticsearch {
		group = l.groupAt(r.URL.Host)
	}
	l.check("journalled-before")
	id, entry, ok := d.journal.entryOf(r, kind, group, app)
	switch {
	case !ok:
		l.breaks("%s %s %s is not in the journal", r.Method, r.URL, app)
	case len(d.unread) > 0:
		l.breaks("%s %s although Marathon could not be read", r.Method, r.URL)
	}
	l.check("what-has-changed-is-judged-anew")
	if was, is := d.judged[app], d.again[app]; was != "" && is != "" && was != is && !l.stale {
		l.breaks("%s %s: %s has changed since it was judged, and was seen to", r.Method, r.URL, app)
	}
	l.check("one-write-an-effect")
	if kind != elasticsearch && kind != cancel { // a commit is let go of by a second call; cancels name one deployment each
		if d.journal.sent[id]++; d.journal.sent[id] > 1 {
			l.breaks("%s %s is the second write of one %s", r.Method, r.URL, entry.Verb)
		}
	}
	l.check("rests-after-a-lost-answer")
	cluster := clusterOf(entry.Cluster)
	if at, lost := d.lost[cluster]; lost && kind != elasticsearch && time.Since(at) < 14*time.Second {
		l.breaks("%s %s only %s after an answer was lost", r.Method, r.URL, time.Since(at))
	}
	x := write{what: l.describe(r, kind, app, body), repeatable: strings.HasPrefix(r.URL.Path, "/_flush")}
	if strings.HasPrefix(r.URL.Path, "/_flush") {
		l.flushed(d, group)
	}
	x.destructive = l.judge(d, r, kind, app, docs)
	l.check("force-only-cancels")
	if r.URL.Query().Get("force") == "true" && kind != cancel {
		l.breaks("%s %s uses force", r.Method, r.URL)
	}
	l.keep()
	return func(res *http.Response, err error) {
		body, err := l.note(line, r, res, err)
		if res != nil {
			if x.status = res.StatusCode; x.status == http.StatusConflict && kind != elasticsearch && !l.stale && !l.w.several {
				l.breaks("%s %s: 409; who looks first is never told so", r.Method, r.URL)
			}
			l.owns(d, res, body)
		}
		if (err != nil || x.status >= 500) && !x.repeatable { // a flush that is lost is no doubt about anything
			d.lost[cluster] = time.Now()
		}
		l.writes = append(l.writes, x)
		l.keep()
	}
}

// Trace has a line for every call.
func (l *Law) Trace() string { return strings.Join(l.trace, "\n") }

// note ends a call's line in the trace with its answer.
func (l *Law) note(line int, r *http.Request, res *http.Response, err error) ([]byte, error) {
	status := "no answer"
	var body []byte
	if err == nil {
		if r.Header.Get("Accept") == "text/event-stream" {
			return nil, nil
		}
		body, err = hear(res)
		if status = fmt.Sprintf("%d %x", res.StatusCode, crc32.ChecksumIEEE(body)); err != nil {
			status += " " + err.Error()
		}
	}
	l.trace[line] += " " + status
	return body, err
}

func clusterOf(s string) spec.ClusterID {
	group, name, _ := strings.Cut(s, "/")
	return spec.ClusterID{Group: spec.GroupName(group), Name: spec.ClusterName(name)}
}

// reads notes that a look at Marathon begins: with the list of its apps.
func (d *daemon) reads(r *http.Request) {
	if r.URL.Hostname() == "marathon.test" && r.URL.Path == "/v2/apps" {
		clear(d.unread)
	}
}

// versions notes which version of each app a look has shown, or a second look at one app.
func (l *Law) versions(d *daemon, r *http.Request) {
	if r.URL.Hostname() != "marathon.test" {
		return
	}
	switch id, one := strings.CutPrefix(r.URL.Path, "/v2/apps/"); {
	case one:
		if a := l.truth(marathon.AppID("/" + id)); a != nil {
			d.again[a.ID] = a.Version
		}
	case r.URL.Path == "/v2/apps":
		d.judged = map[marathon.AppID]string{}
		clear(d.again)
		for _, a := range l.view().Apps {
			d.judged[a.ID] = a.Version
		}
	}
}

// parts are what a look reads of Marathon.
var parts = []string{"/v2/apps", "/v2/deployments", "/v2/queue", "/v2/info"}

// read notes whether a part of the look came about.
func (d *daemon) read(r *http.Request, res *http.Response, err error) {
	if r.URL.Hostname() != "marathon.test" || !slices.Contains(parts, r.URL.Path) {
		return
	}
	if err != nil || res.StatusCode != http.StatusOK {
		d.unread[r.URL.Path] = true
	} else {
		delete(d.unread, r.URL.Path)
	}
}

// acted hears of what every look led to.
func (l *Law) acted(done []reconcile.Done) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.check("one-effect-per-cluster-and-turn")
	seen := map[spec.ClusterID]bool{}
	for _, d := range done {
		if seen[d.Step.Cluster] {
			l.breaks("%s had two effects in one turn", d.Step.Cluster)
		}
		seen[d.Step.Cluster] = true
	}
}

// Effects are the writes that were carried out, in order; destructive ones alone if asked.
func (l *Law) Effects(destructive bool) []string {
	var out []string
	for _, x := range l.writes {
		if x.status/100 == 2 && !x.repeatable && (x.destructive || !destructive) {
			out = append(out, x.what)
		}
	}
	return out
}

// State is what lives: every app with its definition and tasks, and which volumes are held; without what may differ
// between two right ways to it. Restless: tasks come and go for ever.
func (w *World) State(restless bool) string {
	b := &strings.Builder{}
	view := w.Sim.View()
	for _, a := range view.Apps {
		states, volumes := map[string]int{}, 0
		for _, t := range a.Tasks {
			states[t.State]++
			volumes += len(t.Volumes)
		}
		if restless {
			states = nil
		}
		fmt.Fprintf(b, "%s %d %v volumes %d %s\n", a.ID, a.Instances, states, volumes, w.Law.digestOf(a.ID))
	}
	fmt.Fprintf(b, "deployments %d\n", len(view.Deployments))
	for _, c := range w.Nodes.Clusters() {
		var members []string
		for _, m := range c.Members {
			members = append(members, m.Version)
		}
		slices.Sort(members)
		fmt.Fprintf(b, "%s %s %v persistent %v transient %v votes %v\n", c.Group, c.Health, members, c.Persistent, c.Transient, len(c.VotingExclusions))
	}
	return b.String()
}
