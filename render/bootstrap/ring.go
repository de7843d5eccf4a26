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
