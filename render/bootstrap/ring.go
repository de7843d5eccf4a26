package bootstrap

import _ "embed"

// RingTemplate is HAProxy's configuration before the masters are known. Both who keep it current, `esfleet discovery`
// and haproxy.sh where an image holds no esfleet, fill in the same words:
//
//	{{bind}} {{front_port}} {{stats_port}}   where the ring listens
//	{{name}} {{address}}                     a line with one of these is repeated for each master
//	{{health}}                               host:port of esfleet's own /healthz
//	{{if stats}} {{if health}} {{end}}       lines of their own, around what only is there with that port
//
//go:embed haproxy.cfg.tmpl
var RingTemplate string

// ClientTemplate is what stands behind RingTemplate where the cluster has a front for its clients. Only `esfleet discovery`
// fills in its words:
//
//	{{client_port}}                     where it listens
//	{{client_name}} {{client_address}}  a line with one of these is repeated for each node that serves clients
//	{{client_state}}                    on such a line: backup for a node that clients are led away from, else nothing
//	{{if clients}} {{end}}              around what only is there with a client front, in a fleet's own template
//	{{if idle_close}} {{end}}           around option idle-close-on-response, which HAProxy knows from 2.4 on
//
//go:embed haproxy-clients.cfg.tmpl
var ClientTemplate string
