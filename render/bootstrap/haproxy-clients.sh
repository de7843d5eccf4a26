#!/bin/sh
# Runs HAProxy with the ring and, beside it, the front that clients use. Before a node stops, clients are led away from it;
# that takes one who follows more than the masters' tasks, so there is no loop here for an image without esfleet.
set -u
umask 022
sandbox=$PWD
bundle=$sandbox/.esfleet
. "$bundle/facts.sh"
. "$bundle/common.sh"

[ -n "${HOST:-}" ] || die 64 "HOST is not set; this script runs as a Marathon task"
bind=$(listen_on)
own=$bundle/ring/haproxy.cfg
[ -f "$own" ] || own=
command -v esfleet >/dev/null 2>&1 && esfleet discovery --help 2>/dev/null | grep -e --client-port >/dev/null ||
	die 69 "discovery.clientPort needs an image that holds esfleet, of a release that knows discovery --client-port; name one in discovery.image, or take clientPort away"
exec esfleet discovery --app "$masters_app" --bind "$bind" --port "$front_port" --stats-port "$stats_port" \
	--client-port "$client_port" --client-apps "$client_apps" --gate "$gate_app" --drain "$drain" \
	--dir "$sandbox/haproxy" ${own:+--template "$own"}
