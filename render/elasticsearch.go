package render

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esfleet/esfleet/render/bootstrap"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

const (
	// volumePath is where a node's persistent volume lies under its sandbox.
	volumePath = "esdata"
	// killGrace is how long a node may take to stop: it finishes running writes and releases its locks.
	killGrace = 2 * time.Minute
	// healthPath looks at this node alone: it answers without an elected master.
	healthPath = "/_nodes/_local/http"
	// readyPath answers 200 only while the cluster is green and this node has joined it, else 408 or 503. Both limits
	// are needed: without a master the second one, 30 s by default, is the one that waits.
	readyPath = "/_cluster/health?wait_for_status=green&timeout=1s&master_timeout=1s"
)

// nodes renders an app whose tasks are Elasticsearch nodes.
func (r *renderer) nodes(component spec.Component, n *spec.Nodes) (*draft, error) {
	if (n.HTTPPort == 0) != (n.TransportPort == 0) {
		return nil, fmt.Errorf("%s: httpPort and transportPort are fixed both or neither", n.Pos)
	}
	b, err := r.nodeBundle(component, n)
	if err != nil {
		return nil, err
	}
	at := "nodes." + string(component) + "."
	d := &draft{
		instances: n.Replicas, cpus: n.CPUs, mem: n.Memory,
		image: r.c.Elasticsearch.Image, cmd: bootstrap.Command(b), bundle: b,
		env:          n.Env,
		own:          map[string]string{"ESFLEET_MARATHON": strings.Join(r.t.NodeURLs, ",")},
		ports:        []port{{"http", n.HTTPPort}, {"transport", n.TransportPort}},
		constraints:  perHost(n.PerHost, n.Constraints),
		health:       r.mesosHTTP(healthPath, 0),
		readiness:    r.readinessOf(readyPath, "http"),
		upgrade:      half,
		killGrace:    killGrace,
		dependencies: []string{string(AppIDOf(r.c, spec.Gate))},
		from: map[string]string{
			"instances": at + "replicas", "cpus": at + "cpus", "mem": at + "memory", "env": at + "env",
			"constraints": at + "constraints", "container.docker.image": "elasticsearch.image",
			"container.volumes": at + "disk", "healthChecks": "checks", "readinessChecks": "checks",
			"portDefinitions[0]": at + "httpPort", "portDefinitions[1]": at + "transportPort",
		},
	}
	if r.c.Restart != "" {
		// In the environment and not in the bundle: what runs stays what it is, only that it starts once more.
		d.own["ESFLEET_RESTART"], d.from["env.ESFLEET_RESTART"] = r.c.Restart, "restart"
	}
	if component.Stateful() {
		d.volume = &volume{path: volumePath, kind: diskType(n), size: n.Disk}
		d.upgrade = oneByOne
	}
	return d, nil
}

func diskType(n *spec.Nodes) string {
	if n.DiskType == "" {
		return "root"
	}
	return n.DiskType
}

// nodeBundle is everything a node of this component needs to start, but what only its place decides.
func (r *renderer) nodeBundle(component spec.Component, n *spec.Nodes) (*bundle.Bundle, error) {
	files := bootstrap.Elasticsearch()
	files = append(files, bootstrap.Facts(r.facts(component, n)))
	configs, err := r.configs(component, n)
	if err != nil {
		return nil, err
	}
	files = append(files, configs...)
	if len(r.c.Plugins) > 0 {
		files = append(files, bundle.File{Path: "plugins.txt", Content: r.plugins()})
	}
	if r.c.PreRun != nil {
		content, err := r.read(*r.c.PreRun)
		if err != nil {
			return nil, err
		}
		files = append(files, bundle.File{Path: "pre-run.sh", Mode: bundle.ModeExecutable, Content: content})
	}
	for _, f := range r.c.Files {
		if f.Path == RingTemplate {
			continue // a change of it restarts no node
		}
		content, err := r.read(f)
		if err != nil {
			return nil, err
		}
		mode := bundle.ModeFile
		if f.Executable {
			mode = bundle.ModeExecutable
		}
		files = append(files, bundle.File{Path: path.Join("files", f.Path), Mode: mode, Content: content})
	}
	b, err := bundle.Pack(files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.c.Pos, err)
	}
	return b, nil
}

func (r *renderer) read(f spec.FileRef) ([]byte, error) {
	b, err := r.blobs.Blob(f.Blob)
	if err != nil {
		return nil, fmt.Errorf("%s: read %s: %w", f.Pos, f.Path, err)
	}
	return b, nil
}

// facts are what the boot script must know beside the files; README of the bundle, so to say.
func (r *renderer) facts(component spec.Component, n *spec.Nodes) map[string]string {
	es := r.c.Elasticsearch
	k := keysOf(es)
	f := map[string]string{
		"component":    string(component),
		"distribution": string(es.Distribution),
		"version":      es.Version.String(),
		"major":        strconv.Itoa(es.Version.Major),
		"minor":        strconv.Itoa(es.Version.Minor),
		"home":         es.Home,
		"home_shared":  flag(es.Image == ""),
		"java_home":    es.JavaHome,
		"run_as":       es.User,
		"heap_mib":     strconv.FormatInt(n.Heap.MiB(), 10),
		"volume":       "",
		"node_prefix":  nodePrefix(r.c, component),
		"unique":       flag(alone(n)),
		"app":          string(AppIDOf(r.c, component)),
		"older_app":    "",
		"gate_app":     string(AppIDOf(r.c, spec.Gate)),
		"discovery":    string(r.c.Discovery.Mode),
		"ring_app":     string(AppIDOf(r.c, spec.Discovery)),
		"ring_port":    strconv.Itoa(r.c.Discovery.Port),
		"ring_address": r.c.Discovery.Address,
		"key_seeds":    k.seeds,
		"key_initial":  "",
		"key_attr":     k.attr,
		"key_port":     k.transportPort,
		"patience":     strconv.Itoa(patience(r.c.Checks)),
	}
	if component.Stateful() {
		f["volume"] = volumePath
	}
	if component == r.c.MasterComponent() {
		f["key_initial"] = k.initial
		if g := generation(r.c, component); g > 1 {
			// The ring leads to this generation, of which nobody may be in the cluster yet.
			f["older_app"] = string(appID(r.c.ID, component, g-1))
		}
	}
	return f
}

// patience is how many seconds a booting node waits for Marathon before it gives up with a message: less than the grace
// of the health check, which would end it without one.
func patience(k spec.Checks) int {
	return max(1, seconds(k.Grace)*3/4)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// plugins lists them a line each: name, URL and checksum, the latter two empty for the distribution's own.
func (r *renderer) plugins() []byte {
	var sb strings.Builder
	for _, p := range slices.SortedFunc(slices.Values(r.c.Plugins), func(a, b spec.Plugin) int { return strings.Compare(a.Name, b.Name) }) {
		url, sum := p.URL, strings.ToLower(p.SHA512)
		if url == "" {
			url, sum = "-", "-"
		}
		fmt.Fprintf(&sb, "%s %s %s\n", p.Name, url, sum)
	}
	return []byte(sb.String())
}
