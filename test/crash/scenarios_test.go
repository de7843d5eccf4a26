package crash_test

import (
	"net/http"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/reconcile/plan"
	"github.com/esfleet/esfleet/test/histories/world"
)

// A scenario is a story that a daemon goes through. setup runs before it can be killed.
type scenario struct {
	name     string
	version  marathon.Version // of Marathon; zero: 1.11
	clusters []string         // in git at first; none: logs
	setup    func(w *stage)
	story    func(w *stage)
	ends     string // what the phases at the end have in them
	quiet    bool   // it writes nothing
	restless bool   // tasks come and go for ever
	anyOrder bool   // of writes: several clusters
	// mayLack is how the writes begin that a restart may make unnecessary.
	mayLack string
}

func (s scenario) options() world.Options {
	clusters := s.clusters
	if clusters == nil {
		clusters = []string{logs}
	}
	files := only(clusters...)
	fleet := files["fleet.yaml"]
	for old, new := range map[string]string{"soak: 1m": "soak: 20s", "hold: 24h": "hold: 1m"} {
		fleet = strings.Replace(fleet, old, new, 1)
	}
	files["fleet.yaml"] = fleet
	return world.Options{Files: files, Seed: 1, Indices: []pretend.Index{{Name: "orders", Primaries: 2, Replicas: 1, Bytes: 64 << 20}},
		Marathon: marathonsim.Options{Version: s.version, Agents: marathonsim.DefaultAgents(6), Seed: 1}}
}

// created is the set-up of what happens to a cluster that runs.
func created(w *stage) {
	w.T.Helper()
	if v := w.Settle(); !v.Converged() {
		w.T.Fatalf("not created:\n%s", world.Table(v))
	}
}

func nothing(*stage) {}

// edited is a story of one commit.
func edited(path, old, new string) func(*stage) {
	return func(w *stage) { w.Edit(path, old, new) }
}

const (
	moreData    = "replicas: 3\n  cpus: 0.5"
	moreMasters = "replicas: 3\n  cpus: 0.2"
	kibanaImage = "kibana/kibana:7.17.28"
	exporter    = "exporter:                # sends the cluster's health to Graphite\n  graphite: graphite.example.net:2003\n  image: registry.example.net/esfleet/es2graphite:1.0\n"
)

func replicas(section string, n string) string { return strings.Replace(section, "3", n, 1) }

// creating are the scenarios in which no node that holds data is stopped.
var creating = []scenario{
	{name: "creation", story: nothing, ends: "search/logs converged"},
	{name: "creation on 1.5", version: marathon.Version{Major: 1, Minor: 5, Patch: 15}, story: nothing, ends: "search/logs converged"},
	{name: "creation on 1.7", version: marathon.Version{Major: 1, Minor: 7, Patch: 236}, story: nothing, ends: "search/logs converged"},
	{name: "creation on 1.8", version: marathon.Version{Major: 1, Minor: 8, Patch: 222}, story: nothing, ends: "search/logs converged"},
	{name: "creation without dedicated masters", clusters: []string{catalog}, story: nothing, ends: "search/catalog converged"},
	{name: "a second cluster beside a running one", clusters: []string{logs}, setup: created, story: func(w *stage) {
		for path, text := range only(logs, catalog) {
			w.Write(path, text)
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
	{name: "two commits in quick succession", setup: created, story: func(w *stage) {
		w.Edit(logs, moreData, replicas(moreData, "4"))
		w.Until(func() bool { return w.Instances("/search/logs/es-datanode") == 4 })
		w.Edit(logs, kibanaImage, "kibana/kibana:7.17.29")
		w.Edit(logs, replicas(moreData, "4"), replicas(moreData, "5"))
	}, ends: "search/logs converged"},
	{name: "another Kibana image", setup: created, story: edited(logs, kibanaImage, "kibana/kibana:7.17.29"), ends: "search/logs converged"},
	// Nobody can tell after a restart whose a deployment is, so then it is waited for instead of cancelled.
	{name: "an update that hangs and is superseded", setup: created, story: func(w *stage) {
		w.Sim.PauseOffers()
		time.AfterFunc(5*time.Minute, w.Sim.ResumeOffers)
		w.Edit(logs, kibanaImage, "kibana/kibana:7.17.29")
		w.Run(30 * time.Second)
		w.Edit(logs, "kibana/kibana:7.17.29", "kibana/kibana:7.17.30")
	}, mayLack: "DELETE a deployment", ends: "search/logs converged"},
	{name: "a component is added", setup: func(w *stage) {
		w.Edit(logs, exporter, "")
		created(w)
	}, story: edited(logs, "kibana:\n", exporter+"kibana:\n"), ends: "search/logs converged"},
	{name: "a component is dropped", setup: created, story: edited(logs, exporter, ""), ends: "search/logs converged"},
	{name: "retirement", setup: created, story: retire, ends: "search/logs retired"},
	{name: "retirement undone", setup: func(w *stage) {
		created(w)
		retire(w)
		w.Settle()
	}, story: edited(logs, "state: retired", "state: active"), ends: "search/logs converged"},
	{name: "suspended in git and resumed", setup: created, story: func(w *stage) {
		w.Edit(logs, moreData, replicas(moreData, "4")+"\n")
		w.Edit(logs, "purpose: online", "suspend: {reason: storm}\npurpose: online")
		w.Run(30 * time.Second)
		w.Edit(logs, "suspend: {reason: storm}\n", "")
	}, ends: "search/logs converged"},
	{name: "suspended by label and resumed", setup: created, story: func(w *stage) {
		w.label("esfleet.suspended", `{"reason":"storm","by":"ops"}`)
		w.Edit(logs, moreData, replicas(moreData, "4"))
		w.Run(30 * time.Second)
		w.label("esfleet.suspended", "")
	}, ends: "search/logs converged"},
	{name: "a gate label that cannot be read", setup: created, story: func(w *stage) {
		w.label("esfleet.suspended", `{"reason":`)
		w.Edit(logs, moreData, replicas(moreData, "4"))
	}, quiet: true, ends: "search/logs suspended"},
	{name: "a cluster vanishes from git", clusters: []string{logs, catalog}, setup: created, story: func(w *stage) {
		for path := range w.Files {
			if strings.HasPrefix(path, strings.TrimSuffix(logs, "cluster.yaml")) {
				w.Write(path, "")
			}
		}
	}, quiet: true, ends: plan.RuleVanished},
	{name: "an agent is lost during creation and returns", story: func(w *stage) {
		w.Run(9 * time.Second)
		w.check(w.Sim.LoseAgent("127.0.0.12"))
		w.Run(40 * time.Second)
		w.check(w.Sim.BackAgent("127.0.0.12"))
	}, ends: "search/logs converged"},
	{name: "launches fail during creation", story: func(w *stage) {
		w.Run(5 * time.Second)
		w.Sim.FailNextLaunches(4)
	}, ends: "search/logs converged"},
	{name: "the leader changes during creation", story: func(w *stage) {
		w.Run(12 * time.Second)
		w.Sim.LeaderChange()
	}, ends: "search/logs converged"},
	{name: "the leader changes while data nodes start, and the next one misses the health of those that are up", story: func(w *stage) {
		w.Until(func() bool { return w.Instances("/search/logs/es-datanode") == 3 })
		w.Run(5 * time.Second)
		w.crash() // it comes up after the others
		w.Until(func() bool { return w.turned("UTC") == 2 })
		w.Sim.LeaderChange()
	}, ends: "search/logs converged"},
	{name: "nodes crash in their pre-run script, and the commit that mends it has to wait", setup: func(w *stage) {
		w.Edit(logs, "TZ: UTC", "TZ: UTC\n    MOOD: crash")
	}, story: func(w *stage) {
		w.Until(func() bool { return w.Instances("/search/logs/es-datanode") == 3 })
		w.Run(time.Minute)
		w.Edit(logs, "    MOOD: crash\n", "")
	}, restless: true, ends: "search/logs waiting"},
	{name: "too many clusters at once, then approved", clusters: []string{logs, catalog}, setup: func(w *stage) {
		created(w)
		w.Edit("fleet.yaml", "maxClusters: 10", "maxClusters: 1")
	}, story: func(w *stage) {
		w.Edit(logs, moreData, replicas(moreData, "4"))
		w.Edit(catalog, "replicas: 3", "replicas: 4")
		w.Run(10 * time.Second)
		v, _ := w.Turn()
		w.Edit("fleet.yaml", "maxClusters: 1", "maxClusters: 1\n  approve: "+v.Digest)
	}, anyOrder: true, ends: "search/logs converged"},
	{name: "Marathon refuses a step, git changes it", setup: func(w *stage) {
		w.Way = refusing{w.Way, "/search/logs/discovery", "9310"}
	}, story: func(w *stage) {
		w.Run(30 * time.Second)
		w.Edit(logs, "port: 9310", "port: 9311")
	}, ends: "search/logs converged"},
	{name: "report mode", setup: func(w *stage) {
		w.Edit(logs, "purpose: online", "drift: report\npurpose: online")
		w.Edit(logs, "drift: report\n", "")
		created(w)
		w.Edit(logs, "purpose: online", "drift: report\npurpose: online")
	}, story: edited(logs, kibanaImage, "kibana/kibana:7.17.29"), quiet: true, ends: plan.RuleReportOnly},
	{name: "someone edits an app between the look and the step", setup: created, story: func(w *stage) {
		w.Edit(logs, kibanaImage, "kibana/kibana:7.17.29")
		w.Between = func() { w.Must(200, http.MethodPut, "/v2/apps/search/logs/kibana", `{"env":{"HAND":"made"}}`) }
	}, ends: "search/logs converged"},
	{name: "someone edits an app by hand", setup: created, story: func(w *stage) {
		w.Must(200, http.MethodPut, "/v2/apps/search/logs/kibana", `{"env":{"HAND":"made"}}`)
	}, ends: "search/logs converged"},
}

func retire(w *stage) { w.Write(logs, w.Files[logs]+"\nstate: retired\n") }
