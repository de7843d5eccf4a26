package render

import (
	"strconv"
	"strings"

	"github.com/esfleet/esfleet/render/bootstrap"
	"github.com/esfleet/esfleet/render/bundle"
	"github.com/esfleet/esfleet/spec"
)

// exporter renders es2graphite: the image or command of the spec, else a small script that sends the cluster's numbers.
func (r *renderer) exporter(s *spec.ExporterSpec) (*draft, error) {
	d := &draft{
		instances: 1, cpus: s.CPUs, mem: s.Memory, image: s.Image, cmd: s.Command, env: s.Env,
		upgrade: replace,
		own: map[string]string{
			"ESFLEET_MARATHON": strings.Join(r.t.NodeURLs, ","),
			"ESFLEET_GRAPHITE": s.Graphite,
		},
		from: map[string]string{
			"cpus": "exporter.cpus", "mem": "exporter.memory", "env": "exporter.env", "cmd": "exporter.command",
			"container.docker.image": "exporter.image",
		},
	}
	if s.Command != "" {
		return d, nil
	}
	host, port, _ := strings.Cut(s.Graphite, ":")
	facts := map[string]string{
		"apps":          strings.Join(r.httpApps(), " "),
		"graphite_host": host,
		"graphite_port": port,
		"prefix":        s.Prefix,
		"interval":      strconv.Itoa(max(1, seconds(s.Interval))),
	}
	b, err := bundle.Pack(append(bootstrap.Exporter(), bootstrap.Facts(facts)))
	if err != nil {
		return nil, err
	}
	d.bundle, d.cmd = b, bootstrap.Command(b)
	return d, nil
}

// httpApps are the apps whose nodes answer clients, the ones made for that first.
func (r *renderer) httpApps() []string {
	var out []string
	for _, c := range []spec.Component{spec.Coordinating, spec.Data} {
		if r.c.Nodes[c] != nil {
			out = append(out, string(AppIDOf(r.c, c)))
		}
	}
	return out
}
