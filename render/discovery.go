package render

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/esfleet/esfleet/render/bootstrap"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

// discovery renders the ring: the one TCP address by which nodes find the masters.
func (r *renderer) discovery() (*draft, error) {
	s := r.c.Discovery
	d := &draft{
		instances: s.Replicas, cpus: s.CPUs, mem: s.Memory, image: s.Image,
		env:         s.Env,
		constraints: perHost(1, nil), // a fixed port fits a host once
		upgrade:     half,
		from: map[string]string{
			"instances": "discovery.replicas", "cpus": "discovery.cpus", "mem": "discovery.memory", "env": "discovery.env",
			"container.docker.image": "discovery.image", "cmd": "discovery.command", "portDefinitions[0]": "discovery.port",
		},
	}
	switch s.Mode {
	case spec.Static:
		return nil, nil
	case spec.HAProxy:
		return d, r.haproxy(d)
	case spec.Bamboo:
		return d, r.bamboo(d)
	}
	return nil, fmt.Errorf("%s: discovery mode %q is unknown; write haproxy, bamboo or static", s.Pos, s.Mode)
}

// RingTemplate is the one of a cluster's files that no node gets: it replaces HAProxy's built-in configuration in the
// discovery app. bootstrap.RingTemplate tells its words.
const RingTemplate = "discovery/haproxy.cfg"

// haproxy is HAProxy, kept equal to the masters that Marathon shows: by `esfleet discovery` where the image holds
// esfleet, else by a loop in the boot script.
func (r *renderer) haproxy(d *draft) error {
	s := r.c.Discovery
	facts := map[string]string{
		"masters_app": string(AppIDOf(r.c, r.c.MasterComponent())),
		"front_port":  strconv.Itoa(s.Port),
		"stats_port":  strconv.Itoa(s.StatsPort),
		"interval":    "5",
	}
	files := bootstrap.Discovery()
	if r.c.ClientComponent() != "" {
		files = bootstrap.DiscoveryWithClients()
		r.clients(d, facts)
	}
	files = append(files, bootstrap.Facts(facts))
	for _, f := range r.c.Files {
		if f.Path != RingTemplate {
			continue
		}
		content, err := r.read(f)
		if err != nil {
			return err
		}
		files = append(files, bundle.File{Path: "ring/haproxy.cfg", Mode: bundle.ModeFile, Content: content})
	}
	b, err := bundle.Pack(files)
	if err != nil {
		return err
	}
	d.bundle, d.cmd = b, bootstrap.Command(b)
	d.own = map[string]string{"ESFLEET_MARATHON": strings.Join(r.t.NodeURLs, ",")}
	r.front(d)
	if s.Command != "" {
		d.cmd, d.bundle = s.Command, nil
	}
	return nil
}

// clients adds what the client front must know. Nodes of every generation serve, so long as they run; one that does not
// exist, or not any more, costs a question.
func (r *renderer) clients(d *draft, facts map[string]string) {
	s := r.c.Discovery
	component := r.c.ClientComponent()
	var apps []string
	for g := generation(r.c, component); g >= 1; g-- {
		apps = append(apps, string(appID(r.c.ID, component, g)))
	}
	facts["client_port"] = strconv.Itoa(s.ClientPort)
	facts["client_apps"] = strings.Join(apps, ",")
	facts["gate_app"] = string(AppIDOf(r.c, spec.Gate))
	facts["drain"] = s.Drain.String()
	d.killGrace = s.Drain + drainSlack
}

// drainSlack is what a discovery task needs to end, beside the time that requests get.
const drainSlack = 5 * time.Second

// front gives the app its ports and checks the ring, which nodes cannot do without.
func (r *renderer) front(d *draft) {
	s := r.c.Discovery
	d.ports = []port{{"front", s.Port}}
	d.health = r.mesosTCP(0)
	if s.StatsPort != 0 {
		d.ports = append(d.ports, port{"stats", s.StatsPort})
		d.health = r.mesosHTTP("/health", 1)
	}
	if r.c.ClientComponent() != "" {
		d.from[fmt.Sprintf("portDefinitions[%d]", len(d.ports))] = "discovery.clientPort"
		d.ports = append(d.ports, port{"clients", s.ClientPort})
	}
}

// bamboo is the image that teams already run. Its configuration is environment, beside the template inside the image,
// whose front it reads from ESFLEET_FRONT_PORT; ZooKeeper, which it cannot do without, is the team's to name in
// discovery.env. Its own API takes the place of the stats port.
func (r *renderer) bamboo(d *draft) error {
	s := r.c.Discovery
	if s.StatsPort == 0 {
		return fmt.Errorf("%s: Bamboo needs a port of its own beside the front; set discovery.statsPort", s.Pos)
	}
	d.own = map[string]string{}
	for k, v := range map[string]string{
		"MARATHON_ENDPOINT":         strings.Join(r.t.NodeURLs, ","),
		"MARATHON_USE_EVENT_STREAM": "true",
		"BAMBOO_ZK_PATH":            fmt.Sprintf("/bamboo/%s/%s", r.c.ID.Group, r.c.ID.Name),
		"ESFLEET_MASTERS":           string(AppIDOf(r.c, r.c.MasterComponent())),
		"ESFLEET_FRONT_PORT":        strconv.Itoa(s.Port),
	} {
		if _, ok := s.Env[k]; !ok {
			d.own[k] = v
		}
	}
	// Where it runs, and so the address that Marathon's events go to, only the task knows.
	d.cmd = `export BAMBOO_ENDPOINT="http://$HOST:$PORT1" BIND=":$PORT1"; exec /run.sh`
	if s.Command != "" {
		d.cmd = s.Command
	}
	r.front(d)
	d.health = r.mesosHTTP("/status", 1)
	return nil
}
