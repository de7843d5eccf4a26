package spec

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// buildChanges reads what says how a running cluster may be changed.
func (b *builder) buildChanges(root section) {
	c := b.c
	r := root.sub("rollout")
	c.Rollout = Rollout{
		Canary: r.whole("canary"), Soak: r.duration("soak"), Pause: r.truth("pause"),
		Hold: r.duration("hold"), SnapshotWithin: r.duration("snapshotWithin"),
	}
	c.Restart = root.text("restart")
	t := root.sub("retirement")
	c.Retirement = Retirement{Grace: t.duration("grace"), Destroy: t.truth("destroy")}
	for _, p := range root.list("replace") {
		x := Replacement{Pos: p.pos(), Instance: b.pool.text(p.node.text)}
		if p.node.kind == mapNode {
			x.Instance, x.LoseCopies = b.pool.text(p.node.childText("instance")), p.node.childText("loseCopies") == "true"
		}
		c.Replace = append(c.Replace, x)
	}
	c.ClusterSettings = b.pool.variables(texts(root.settings("clusterSettings")))
}

func (s section) truth(name string) bool { return s.text(name) == "true" }

// texts writes each value as Elasticsearch gives it back: cluster settings are text to it, whatever they mean.
func texts(flat map[string]any) map[string]string {
	if len(flat) == 0 {
		return nil
	}
	out := make(map[string]string, len(flat))
	for k, v := range flat {
		switch v := v.(type) {
		case string:
			out[k] = v
		case json.Number:
			out[k] = v.String()
		case bool:
			out[k] = strconv.FormatBool(v)
		}
	}
	return out
}

// movedSettings are cluster settings that esfleet itself sets and takes back while it changes a cluster.
var movedSettings = []managed{
	{"cluster.routing.allocation.enable", "is switched by esfleet while a node restarts; a second writer would leave it off", dropIt},
	{"cluster.routing.allocation.exclude.", "is how esfleet empties a node before it goes", "write replace: to move one node, or fewer replicas"},
	{"discovery.zen.minimum_master_nodes", "follows from the number of masters, and a wrong one splits the cluster", "write replicas: under master: (or data:)"},
	{"cluster.initial_", "may be set in a cluster's very first minute only; set later it can split the cluster", dropIt},
	{"cluster.auto_shrink_voting_configuration", "decides which masters vote, which esfleet sees to when their number changes", dropIt},
	{"cluster.max_voting_config_exclusions", "decides which masters vote, which esfleet sees to when their number changes", dropIt},
}

// movedSetting says why a cluster setting is not the user's to write; empty: it is.
func movedSetting(key string) (why, fix string) {
	for _, m := range movedSettings {
		if m.matches(key) || strings.HasSuffix(m.name, "_") && strings.HasPrefix(key, m.name) {
			return "is managed by esfleet: it " + m.why, m.fix
		}
	}
	switch {
	case strings.Contains(key, "*"):
		return "names many settings at once", "write each by its name"
	case strings.HasPrefix(key, "index."):
		if why, fix = managedSetting(key); why == "" {
			why, fix = "is a setting of indices, which Elasticsearch refuses here", "write it into an index template"
		}
		return why, fix
	}
	return managedSetting(key)
}

// checkChanges holds what is to happen to a running cluster against what the cluster is.
func (b *builder) checkChanges(root section) {
	b.checkRollout(root)
	b.checkRetirement(root)
	b.checkReplace(root)
	b.checkGeneration(root)
	if i := root.sub("indices"); i.usable("delay") && b.c.Indices.Delay < time.Minute {
		b.problem(i.posOf("delay"), "indices.delay", fmt.Sprintf("%s is shorter than a restart: every restart would copy the node's shards anew", i.text("delay")), "write at least 1m; 5m suits most clusters")
	}
}

func (b *builder) checkRollout(root section) {
	r, d, data := root.sub("rollout"), root.sub(string(Data)), b.c.Nodes[Data]
	if !r.usable("canary") {
		return
	}
	if n := b.c.Rollout.Canary; data != nil && d.usable("replicas") && data.Replicas > 1 && n >= data.Replicas {
		b.problem(r.posOf("canary"), "rollout.canary", fmt.Sprintf("%d canaries of the %d data nodes of %s: none would be left to follow", n, data.Replicas, b.c.ID),
			fmt.Sprintf("write at most %d, or 0 for no canaries", data.Replicas-1))
	}
	if b.c.Rollout.Pause && b.c.Rollout.Canary == 0 {
		b.problem(r.posOf("pause"), "rollout.pause", "waits after the canaries, and rollout.canary is 0", "write canary: 1, or suspend: {reason: …} to stop every change")
	}
}

// checkRetirement wants the word that destroys documents beside the cluster whose they are.
func (b *builder) checkRetirement(root section) {
	t := root.sub("retirement")
	if t.usable("grace") && b.c.Retirement.Grace == 0 {
		b.problem(t.posOf("grace"), "retirement.grace", "0s leaves nobody the time to change their mind", "write a time, like 168h")
	}
	if !b.c.Retirement.Destroy || !root.usable("state") {
		return
	}
	switch at := t.posOf("destroy"); {
	case at.File != b.c.Pos.File:
		b.problem(at, "retirement.destroy", "would destroy the documents of every cluster below that is ever retired", "write it in the cluster.yaml of the one it is meant for")
	case b.c.State != Retired:
		b.problem(at, "retirement.destroy", "stands in a cluster that is not retired", "delete it, or write state: retired as well")
	}
}

// checkReplace wants each instance named once, so that which word holds for it is beyond doubt.
func (b *builder) checkReplace(root section) {
	first := map[string]Pos{}
	for i, x := range b.c.Replace {
		if x.Instance == "" {
			continue // reported with its shape
		}
		if at, twice := first[x.Instance]; twice {
			b.problem(x.Pos, fmt.Sprintf("replace[%d]", i), quote(x.Instance)+" is named twice, first at "+at.String(), "keep one of them")
			continue
		}
		first[x.Instance] = x.Pos
	}
}

// checkGeneration refuses two generations at once where the quorum is a number in every node's configuration: each
// generation would count its own masters only, and the older and the newer could each elect one.
func (b *builder) checkGeneration(root section) {
	d, data, e := root.sub(string(Data)), b.c.Nodes[Data], b.c.Elasticsearch
	if data == nil || data.Generation <= 1 || !d.usable("generation") || !root.usable(string(Master), "elasticsearch") {
		return
	}
	if b.c.MasterComponent() == Data && e.Distribution == ElasticsearchDist && e.Version.Major < 7 {
		b.problem(d.posOf("generation"), d.path+".generation",
			fmt.Sprintf("%d would have two generations of master-eligible nodes for a while, and before Elasticsearch 7 a quorum that was made for one of them", data.Generation),
			"give the cluster masters of its own under master:, or make a new cluster and copy the indices")
	}
}

// changes explains what buildChanges reads.
func (x *explainer) changes(c *Cluster) {
	x.add("rollout.canary", c.Rollout.Canary)
	x.add("rollout.soak", c.Rollout.Soak)
	x.add("rollout.pause", c.Rollout.Pause)
	x.add("rollout.hold", c.Rollout.Hold)
	x.add("rollout.snapshotWithin", c.Rollout.SnapshotWithin)
	x.add("restart", c.Restart)
	x.add("retirement.grace", c.Retirement.Grace)
	x.add("retirement.destroy", c.Retirement.Destroy)
	for i, r := range c.Replace {
		text := r.Instance
		if r.LoseCopies {
			text += " loseCopies"
		}
		x.put(fmt.Sprintf("replace[%d]", i), text, r.Pos)
	}
	for k, v := range c.ClusterSettings {
		x.put("clusterSettings."+k, v, x.written("clusterSettings."+k))
	}
}
