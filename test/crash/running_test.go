package crash_test

import (
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// running are the scenarios in which the nodes of a running cluster change.
var running = []scenario{
	{name: "a changed setting", setup: created, story: changed, ends: "search/logs converged"},
	{name: "a changed setting on 1.8", version: v18, setup: created, story: changed, ends: "search/logs converged"},
	{name: "a changed setting on 1.7", version: v17, setup: created, story: changed, ends: "search/logs converged"},
	{name: "a changed setting on 1.5", version: v15, setup: created, story: changed, ends: "search/logs converged"},
	{name: "a changed setting where data nodes elect among themselves", clusters: []string{catalog}, setup: created,
		story: edited(catalog, "cpus: 0.5", "env: {TZ: UTC}\n  cpus: 0.5"), ends: "search/catalog converged"},
	{name: "a changed setting with a leader change in the middle", setup: created, story: func(w *stage) {
		changed(w)
		w.Run(40 * time.Second)
		w.Sim.LeaderChange()
	}, ends: "search/logs converged"},
	{name: "a canary is rolled back", setup: created, story: func(w *stage) {
		w.Edit(logs, "TZ: UTC", "TZ: CET")
		w.Until(func() bool { return w.turned("CET") == 1 })
		w.Edit(logs, "TZ: CET", "TZ: UTC")
	}, anyOrder: true, ends: "search/logs converged"},
	{name: "scale in with drain and wipe", setup: func(w *stage) {
		w.Edit(logs, moreData, replicas(moreData, "4"))
		created(w)
	}, story: edited(logs, replicas(moreData, "4"), moreData), ends: "search/logs converged"},
	{name: "scale in and out again", setup: func(w *stage) {
		w.Edit(logs, moreData, replicas(moreData, "4"))
		created(w)
	}, story: func(w *stage) {
		w.Edit(logs, replicas(moreData, "4"), moreData)
		w.Until(func() bool { return w.Instances("/search/logs/es-datanode") == 3 })
		w.Edit(logs, moreData, replicas(moreData, "4"))
	}, ends: "search/logs converged"},
	{name: "masters 3 → 5 → 3", setup: created, story: masters, ends: "search/logs converged"},
	{name: "masters 3 → 5 → 3 with a quorum set by hand (6.8)", setup: func(w *stage) {
		w.release("7.17.28", "6.8.23")
		created(w)
	}, story: masters, ends: "search/logs converged"},
	{name: "a version upgrade", setup: func(w *stage) {
		w.release("7.17.28", "7.16.3")
		created(w)
	}, story: func(w *stage) { w.release("7.16.3", "7.17.28") }, ends: "search/logs converged"},
	{name: "an upgrade over a major version", setup: created, story: func(w *stage) { w.release("7.17.28", "8.19.0") }, ends: "search/logs converged"},
	{name: "a named node is replaced", setup: created, story: func(w *stage) {
		id, _ := w.instance()
		w.Write(logs, w.Files[logs]+"\nreplace: ["+id+"]\n")
	}, ends: "search/logs converged"},
	{name: "a node whose agent is gone is replaced", setup: created, story: func(w *stage) {
		id, host := w.instance()
		w.check(w.Sim.LoseAgent(host))
		w.Run(20 * time.Second)
		w.Write(logs, w.Files[logs]+"\nreplace: [{instance: "+id+", loseCopies: true}]\n")
	}, ends: "search/logs converged"},
	{name: "a master and a data node of one agent that is gone are replaced", setup: created, story: func(w *stage) {
		host, ids := w.shared()
		w.check(w.Sim.LoseAgent(host))
		w.Run(20 * time.Second)
		w.Write(logs, w.Files[logs]+"\nreplace: [{instance: "+ids[0]+", loseCopies: true}, {instance: "+ids[1]+", loseCopies: true}]\n")
	}, ends: "search/logs converged"},
	{name: "a new generation", setup: created, story: func(w *stage) {
		w.Edit(logs, "generation: 1", "generation: 2")
		w.Edit(logs, "disk: 5GiB", "disk: 6GiB")
	}, ends: "search/logs converged"},
	{name: "a node fails its start in mid-roll, and the next commit mends it", setup: created, story: func(w *stage) {
		w.Edit(logs, "TZ: UTC", "TZ: UTC\n    MOOD: crash")
		w.Until(func() bool { return w.Instances("/search/logs/es-datanode") == 2 })
		w.Run(time.Minute)
		w.Edit(logs, "MOOD: crash", "MOOD: fine")
	}, ends: "search/logs converged"},
	{name: "retirement with its volumes", setup: created, story: func(w *stage) {
		w.Write(logs, w.Files[logs]+"\nstate: retired\nretirement: {grace: 1m, destroy: true}\n")
	}, ends: "search/logs retired"},
	{name: "settings were left behind", setup: created, story: func(w *stage) {
		w.ask("PUT", "/_cluster/settings", `{"persistent":{"cluster.routing.allocation.exclude._name":"data-127.0.0.11"},"transient":{"cluster.routing.allocation.enable":"none"}}`)
		w.ask("POST", "/_cluster/voting_config_exclusions?node_names=master-127.0.0.99", "")
		changed(w)
	}, ends: "search/logs converged"},
	{name: "a restart by a word", setup: created, story: func(w *stage) {
		w.Write(logs, w.Files[logs]+"\nrestart: again\n")
	}, ends: "search/logs converged"},
}

var (
	v18 = marathon.Version{Major: 1, Minor: 8, Patch: 222}
	v17 = marathon.Version{Major: 1, Minor: 7, Patch: 236}
	v15 = marathon.Version{Major: 1, Minor: 5, Patch: 15}
)

func changed(w *stage) { w.Edit(logs, "queries.cache.size: 5%", "queries.cache.size: 6%") }

func masters(w *stage) {
	w.Edit(logs, moreMasters, replicas(moreMasters, "5"))
	w.Until(func() bool { return w.Instances("/search/logs/es-master") == 5 })
	w.Run(time.Minute)
	w.Edit(logs, replicas(moreMasters, "5"), moreMasters)
}

// release changes Elasticsearch's version in git.
func (w *stage) release(from, to string) {
	w.T.Helper()
	if !strings.Contains(w.Files[group], from) {
		w.T.Fatalf("%s has no %s", group, from)
	}
	w.Write(group, strings.ReplaceAll(w.Files[group], from, to))
}
