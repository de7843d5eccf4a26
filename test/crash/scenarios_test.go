package crash_test

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// A scenario is a story that a daemon goes through. setup runs before it can be killed.
type scenario struct {
	name     string
	version  marathon.Version // of Marathon; zero: 1.11
	clusters []string         // in git at first; none: logs
	setup    func(w *world)
	story    func(w *world)
	ends     string // what the phases at the end have in them
	quiet    bool   // it writes nothing
	restless bool   // tasks come and go for ever
	anyOrder bool   // of writes: several clusters
	// mayLack is how the writes begin that a restart may make unnecessary.
	mayLack string
}

func (s scenario) options() marathonsim.Options {
	return marathonsim.Options{Version: s.version, Agents: marathonsim.DefaultAgents(6), Seed: 1}
}

func (s scenario) files() map[string]string {
	if s.clusters == nil {
		return only(logs)
	}
	return only(s.clusters...)
}

// created is the set-up of what happens to a cluster that runs.
func created(w *world) {
	w.t.Helper()
	if v := w.settle(); !v.Converged() {
		w.t.Fatalf("not created:\n%s", table(v))
	}
}

func nothing(*world) {}

// edited is a story of one commit.
func edited(path, old, new string) func(*world) {
	return func(w *world) { w.edit(path, old, new) }
}

const (
	moreData    = "replicas: 3\n  cpus: 0.5"
	moreMasters = "replicas: 3\n  cpus: 0.2"
	kibanaImage = "kibana/kibana:7.17.28"
	exporter    = "exporter:                # sends the cluster's health to Graphite\n  graphite: graphite.example.net:2003\n  image: registry.example.net/esfleet/es2graphite:1.0\n"
)

func replicas(section string, n string) string { return strings.Replace(section, "3", n, 1) }

var scenarios = []scenario{
	{name: "creation", story: nothing, ends: "search/logs converged"},
	{name: "creation on 1.5", version: marathon.Version{Major: 1, Minor: 5, Patch: 15}, story: nothing, ends: "search/logs converged"},
	{name: "creation on 1.7", version: marathon.Version{Major: 1, Minor: 7, Patch: 236}, story: nothing, ends: "search/logs converged"},
	{name: "creation on 1.8", version: marathon.Version{Major: 1, Minor: 8, Patch: 222}, story: nothing, ends: "search/logs converged"},
	{name: "creation without dedicated masters", clusters: []string{catalog}, story: nothing, ends: "search/catalog converged"},
	{name: "a second cluster beside a running one", clusters: []string{logs}, setup: created, story: func(w *world) {
		for path, text := range only(logs, catalog) {
			w.write(path, text)
		}
	}, ends: "search/catalog converged"},
	{name: "two clusters at once", clusters: []string{catalog, invoices}, story: nothing, anyOrder: true, ends: "converged"},
	{name: "one more data node", setup: created, story: edited(logs, moreData, replicas(moreData, "4")), ends: "search/logs converged"},
	{name: "one more data node on 1.5", version: marathon.Version{Major: 1, Minor: 5, Patch: 15}, setup: created,
		story: edited(logs, moreData, replicas(moreData, "4")), ends: "search/logs converged"},
	{name: "one more data node on 1.7", version: marathon.Version{Major: 1, Minor: 7, Patch: 236}, setup: created,
		story: edited(logs, moreData, replicas(moreData, "4")), ends: "search/logs converged"},
	{name: "one more data node on 1.8", version: marathon.Version{Major: 1, Minor: 8, Patch: 222}, setup: created,
		story: edited(logs, moreData, replicas(moreData, "4")), ends: "search/logs converged"},
	{name: "two more masters", setup: created, story: edited(logs, moreMasters, replicas(moreMasters, "5")), ends: "search/logs converged"},
	{name: "two commits in quick succession", setup: created, story: func(w *world) {
		w.edit(logs, moreData, replicas(moreData, "4"))
		w.until(func() bool { return w.instances("/search/logs/es-datanode") == 4 })
		w.edit(logs, kibanaImage, "kibana/kibana:7.17.29")
		w.edit(logs, replicas(moreData, "4"), replicas(moreData, "5"))
	}, ends: "search/logs converged"},
	{name: "another Kibana image", setup: created, story: edited(logs, kibanaImage, "kibana/kibana:7.17.29"), ends: "search/logs converged"},
	// Nobody can tell after a restart whose a deployment is, so then it is waited for instead of cancelled.
	{name: "an update that hangs and is superseded", setup: created, story: func(w *world) {
		w.sim.PauseOffers()
		time.AfterFunc(5*time.Minute, w.sim.ResumeOffers)
		w.edit(logs, kibanaImage, "kibana/kibana:7.17.29")
		w.run(30 * time.Second)
		w.edit(logs, "kibana/kibana:7.17.29", "kibana/kibana:7.17.30")
	}, mayLack: "DELETE a deployment", ends: "search/logs converged"},
	{name: "a component is added", setup: func(w *world) {
		w.edit(logs, exporter, "")
		created(w)
	}, story: edited(logs, "kibana:\n", exporter+"kibana:\n"), ends: "search/logs converged"},
	{name: "a component is dropped", setup: created, story: edited(logs, exporter, ""), ends: "search/logs converged"},
	{name: "retirement", setup: created, story: retire, ends: "search/logs retired"},
	{name: "retirement undone", setup: func(w *world) {
		created(w)
		retire(w)
		w.settle()
	}, story: edited(logs, "state: retired", "state: active"), ends: "search/logs converged"},
	{name: "suspended in git and resumed", setup: created, story: func(w *world) {
		w.edit(logs, moreData, replicas(moreData, "4")+"\n")
		w.edit(logs, "purpose: online", "suspend: {reason: storm}\npurpose: online")
		w.run(30 * time.Second)
		w.edit(logs, "suspend: {reason: storm}\n", "")
	}, ends: "search/logs converged"},
	{name: "suspended by label and resumed", setup: created, story: func(w *world) {
		w.label("esfleet.suspended", `{"reason":"storm","by":"ops"}`)
		w.edit(logs, moreData, replicas(moreData, "4"))
		w.run(30 * time.Second)
		w.label("esfleet.suspended", "")
	}, ends: "search/logs converged"},
	{name: "a gate label that cannot be read", setup: created, story: func(w *world) {
		w.label("esfleet.suspended", `{"reason":`)
		w.edit(logs, moreData, replicas(moreData, "4"))
	}, quiet: true, ends: "search/logs suspended"},
	{name: "a change that needs a roll is held", setup: created, story: func(w *world) {
		w.edit(logs, "queries.cache.size: 5%", "queries.cache.size: 6%")
		w.edit(logs, kibanaImage, "kibana/kibana:7.17.29")
	}, ends: plan.RuleNeedsRoll},
	{name: "fewer data nodes are held", setup: created, story: edited(logs, moreData, replicas(moreData, "2")), quiet: true,
		ends: plan.RuleScaleInDrain},
	{name: "a cluster vanishes from git", clusters: []string{logs, catalog}, setup: created, story: func(w *world) {
		for path := range w.files {
			if strings.HasPrefix(path, strings.TrimSuffix(logs, "cluster.yaml")) {
				w.write(path, "")
			}
		}
	}, quiet: true, ends: plan.RuleVanished},
	{name: "an agent is lost during creation and returns", story: func(w *world) {
		w.run(9 * time.Second)
		w.check(w.sim.LoseAgent("127.0.0.12"))
		w.run(40 * time.Second)
		w.check(w.sim.BackAgent("127.0.0.12"))
	}, ends: "search/logs converged"},
	{name: "launches fail during creation", story: func(w *world) {
		w.run(5 * time.Second)
		w.sim.FailNextLaunches(4)
	}, ends: "search/logs converged"},
	{name: "the leader changes during creation", story: func(w *world) {
		w.run(12 * time.Second)
		w.sim.LeaderChange()
	}, ends: "search/logs converged"},
	{name: "nodes crash in their pre-run script, and the commit that mends it has to wait", setup: func(w *world) {
		w.edit(logs, "TZ: UTC", "TZ: UTC\n    MOOD: crash")
	}, story: func(w *world) {
		w.until(func() bool { return w.instances("/search/logs/es-datanode") == 3 })
		w.run(time.Minute)
		w.edit(logs, "    MOOD: crash\n", "")
	}, restless: true, ends: "search/logs waiting"},
	{name: "too many clusters at once, then approved", clusters: []string{logs, catalog}, setup: func(w *world) {
		w.edit("fleet.yaml", "maxClusters: 10", "maxClusters: 1")
		created(w)
	}, story: func(w *world) {
		w.edit(logs, moreData, replicas(moreData, "4"))
		w.edit(catalog, "replicas: 3", "replicas: 4")
		w.run(10 * time.Second)
		v, _ := w.turn()
		w.edit("fleet.yaml", "maxClusters: 1", "maxClusters: 1\n  approve: "+v.Digest)
	}, anyOrder: true, ends: "search/logs converged"},
	{name: "Marathon refuses a step, git changes it", setup: func(w *world) {
		w.way = refusing{w.way, "/search/logs/discovery", "9310"}
	}, story: func(w *world) {
		w.run(30 * time.Second)
		w.edit(logs, "port: 9310", "port: 9311")
	}, ends: "search/logs converged"},
	{name: "report mode", setup: func(w *world) {
		w.edit(logs, "purpose: online", "drift: report\npurpose: online")
		w.edit(logs, "drift: report\n", "")
		created(w)
		w.edit(logs, "purpose: online", "drift: report\npurpose: online")
	}, story: edited(logs, kibanaImage, "kibana/kibana:7.17.29"), quiet: true, ends: plan.RuleReportOnly},
	{name: "someone edits an app between the look and the step", setup: created, story: func(w *world) {
		w.edit(logs, kibanaImage, "kibana/kibana:7.17.29")
		w.between = func() { w.must(200, http.MethodPut, "/v2/apps/search/logs/kibana", `{"env":{"HAND":"made"}}`) }
	}, ends: "search/logs converged"},
	{name: "someone edits an app by hand", setup: created, story: func(w *world) {
		w.must(200, http.MethodPut, "/v2/apps/search/logs/kibana", `{"env":{"HAND":"made"}}`)
	}, ends: "search/logs converged"},
}

func retire(w *world) { w.write(logs, w.files[logs]+"\nstate: retired\n") }

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// label sets a label of the gate of logs as a person does, or takes it away.
func (w *world) label(key, value string) {
	w.t.Helper()
	labels, _ := w.sim.Definition("/search/logs/gate")["labels"].(map[string]any)
	doc := marathon.Doc{}
	for k, v := range labels {
		doc[k] = v
	}
	if doc[key] = value; value == "" {
		delete(doc, key)
	}
	w.must(200, http.MethodPut, "/v2/apps/search/logs/gate", string(jsonOf(marathon.Doc{"labels": doc})))
}

// refusing is a Marathon that objects to what one app has in it, for ever.
type refusing struct {
	next http.RoundTripper
	app  string
	has  string
}

func (x refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		body := string(takeBody(r))
		if strings.Contains(body, `"id":"`+x.app+`"`) && strings.Contains(body, x.has) {
			return &http.Response{StatusCode: 422, Status: "422 Unprocessable Entity", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: http.Header{"Content-Type": {"application/json"}, "X-Marathon-Leader": {"http://marathon-1.sim:8080"}},
				Body:   io.NopCloser(strings.NewReader(`{"message":"Object is not valid","details":[{"path":"/portDefinitions","errors":["taken"]}]}`))}, nil
		}
	}
	return x.next.RoundTrip(r)
}
