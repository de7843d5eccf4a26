package render

import (
	"strconv"
	"strings"

	"github.com/esfleet/esfleet/render/bootstrap"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

// kibana renders Kibana, or OpenSearch Dashboards. It finds Elasticsearch at boot, in Marathon's list of tasks.
func (r *renderer) kibana(s *spec.KibanaSpec) (*draft, error) {
	es := r.c.Elasticsearch
	facts := map[string]string{
		"apps":      strings.Join(r.httpApps(), " "),
		"home":      s.Home,
		"key_hosts": "elasticsearch.hosts",
		"binary":    "kibana",
		"name":      r.c.ID.String(),
		"run_as":    es.User,
		"port":      strconv.Itoa(s.Port),
		"patience":  strconv.Itoa(patience(r.c.Checks)),
	}
	switch {
	case es.Distribution == spec.OpenSearchDist:
		facts["key_hosts"], facts["binary"] = "opensearch.hosts", "opensearch-dashboards"
	case !es.Version.AtLeast(6, 6):
		facts["key_hosts"] = "elasticsearch.url"
	}
	b, err := bundle.Pack(append(bootstrap.Kibana(), bootstrap.Facts(facts)))
	if err != nil {
		return nil, err
	}
	d := &draft{
		instances: s.Replicas, cpus: s.CPUs, mem: s.Memory, image: s.Image, bundle: b, cmd: bootstrap.Command(b), env: s.Env,
		own:     map[string]string{"ESFLEET_MARATHON": strings.Join(r.t.NodeURLs, ",")},
		ports:   []port{{"http", s.Port}},
		health:  r.mesosHTTP("/api/status", 0),
		upgrade: replace,
		from: map[string]string{
			"instances": "kibana.replicas", "cpus": "kibana.cpus", "mem": "kibana.memory", "env": "kibana.env",
			"container.docker.image": "kibana.image", "cmd": "kibana.command", "portDefinitions[0]": "kibana.port",
		},
	}
	if s.Port != 0 {
		d.constraints = perHost(1, nil)
	}
	if s.Command != "" {
		d.cmd, d.bundle = s.Command, nil
	}
	return d, nil
}
