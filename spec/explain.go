package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Value is one value of a complete Cluster and where it comes from.
type Value struct {
	// Path is dotted, as in Cluster.Origins: nodes.data.memory.
	Path string
	// Text is the value as one would write it.
	Text string
	// Pos is where it was written; zero for a built-in default.
	Pos Pos
}

// Origin is the place in git, or "built-in default".
func (v Value) Origin() string {
	if v.Pos == (Pos{}) {
		return "built-in default"
	}
	return v.Pos.String()
}

// Explain lists every value of the Cluster with its origin, sorted by path, for `render --explain`.
func (c *Cluster) Explain() []Value {
	x := explainer{c: c}
	x.add("purpose", c.Purpose)
	x.add("state", c.State)
	x.add("drift", c.Drift)
	x.add("containerizer", c.Containerizer)
	if s := c.Suspend; s != nil {
		x.add("suspend.reason", s.Reason)
		x.add("suspend.by", s.By)
		if !s.Until.IsZero() {
			x.add("suspend.until", s.Until.Format(time.RFC3339))
		}
	}
	e := c.Elasticsearch
	x.add("elasticsearch.distribution", e.Distribution)
	x.add("elasticsearch.version", e.Version)
	x.add("elasticsearch.image", e.Image)
	x.add("elasticsearch.home", e.Home)
	x.add("elasticsearch.javaHome", e.JavaHome)
	x.add("elasticsearch.user", e.User)
	for comp, n := range c.Nodes {
		x.nodes("nodes."+string(comp), n)
	}
	x.small(c)
	x.changes(c)
	x.settings("settings", c.Settings)
	for i, p := range c.Plugins {
		x.put(fmt.Sprintf("plugins[%d]", i), strings.TrimSpace(p.Name+" "+p.URL), p.Pos)
	}
	for i, o := range c.Overrides {
		x.put(fmt.Sprintf("overrides[%d].hosts", i), listed(o.Hosts), o.Pos)
		x.settings(fmt.Sprintf("overrides[%d].settings", i), o.Settings)
	}
	if c.PreRun != nil {
		x.put("preRun", c.PreRun.Path, c.PreRun.Pos)
	}
	for _, f := range c.Files {
		x.put("files."+f.Path, fmt.Sprintf("%d bytes", f.Size), f.Pos)
	}
	slices.SortFunc(x.out, func(a, b Value) int { return strings.Compare(a.Path, b.Path) })
	return x.out
}

type explainer struct {
	c   *Cluster
	out []Value
}

// add leaves out what is neither set nor defaulted.
func (x *explainer) add(path string, v any) {
	text := fmt.Sprint(v)
	if text != "" {
		x.put(path, text, x.written(path))
	}
}

// written is the zero Pos for a built-in default.
func (x *explainer) written(path string) Pos {
	p, _ := x.c.Origins.At(path)
	return p
}

func (x *explainer) put(path, text string, p Pos) {
	x.out = append(x.out, Value{Path: path, Text: text, Pos: p})
}

func (x *explainer) nodes(path string, n *Nodes) {
	x.add(path+".replicas", n.Replicas)
	x.add(path+".cpus", n.CPUs)
	x.add(path+".memory", n.Memory)
	x.add(path+".heap", n.Heap)
	if n.Disk > 0 {
		x.add(path+".disk", n.Disk)
		x.add(path+".diskType", n.DiskType)
	}
	if n.Generation > 0 {
		x.add(path+".generation", n.Generation)
	}
	x.add(path+".ports.http", n.HTTPPort)
	x.add(path+".ports.transport", n.TransportPort)
	x.add(path+".perHost", n.PerHost)
	if n.Constraints != nil {
		x.add(path+".constraints", n.Constraints)
	}
	x.env(path, n.Env)
	x.settings(path+".settings", n.Settings)
}

func (x *explainer) small(c *Cluster) {
	d := c.Discovery
	x.add("discovery.mode", d.Mode)
	x.add("discovery.address", d.Address)
	x.add("discovery.port", d.Port)
	x.add("discovery.statsPort", d.StatsPort)
	x.add("discovery.clientPort", d.ClientPort)
	x.add("discovery.drain", d.Drain)
	x.task("discovery", d.Replicas, d.CPUs, d.Memory, d.Image, d.Command, d.Env)
	if e := c.Exporter; e != nil {
		x.add("exporter.graphite", e.Graphite)
		x.add("exporter.prefix", e.Prefix)
		x.add("exporter.interval", e.Interval)
		x.task("exporter", 0, e.CPUs, e.Memory, e.Image, e.Command, e.Env)
	}
	if k := c.Kibana; k != nil {
		x.add("kibana.home", k.Home)
		x.add("kibana.port", k.Port)
		x.task("kibana", k.Replicas, k.CPUs, k.Memory, k.Image, k.Command, k.Env)
	}
	x.add("indices.replicas", c.Indices.Replicas)
	x.add("indices.totalShardsPerNode", c.Indices.TotalShardsPerNode)
	x.add("indices.delay", c.Indices.Delay)
	x.add("checks.interval", c.Checks.Interval)
	x.add("checks.timeout", c.Checks.Timeout)
	x.add("checks.grace", c.Checks.Grace)
	x.add("checks.maxFailures", c.Checks.MaxFailures)
}

func (x *explainer) task(path string, replicas int, cpus float64, memory Bytes, image, command string, env map[string]string) {
	if replicas > 0 {
		x.add(path+".replicas", replicas)
	}
	x.add(path+".cpus", cpus)
	x.add(path+".memory", memory)
	x.add(path+".image", image)
	x.add(path+".command", command)
	x.env(path, env)
}

func (x *explainer) env(path string, env map[string]string) {
	for k, v := range env {
		x.put(path+".env."+k, v, x.written(path+".env."+k))
	}
}

func (x *explainer) settings(path string, flat map[string]any) {
	for k, v := range flat {
		text, err := json.Marshal(v)
		if err != nil {
			text = []byte(fmt.Sprint(v)) // settings hold nothing that JSON can't; show it in any case
		}
		x.put(path+"."+k, string(text), x.written(path+"."+k))
	}
}
