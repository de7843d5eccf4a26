#!/bin/sh
# Starts one Elasticsearch node. The working directory is the sandbox; the bundle is unpacked in .esfleet.
set -u
umask 022
sandbox=$PWD
bundle=$sandbox/.esfleet
. "$bundle/facts.sh"
. "$bundle/common.sh"
. "$bundle/node.sh"

# A node that cannot start ends only after a while. Marathon stops what runs and nothing else, and starts an instance of a
# stateful app again with the definition it had: in these seconds esfleet takes it off that definition.
linger=${ESFLEET_LINGER:-10}

need awk sed sort grep id cp mv mkdir cat tail tee
[ -n "${HOST:-}" ] || die 64 "HOST is not set; this script runs as a Marathon task"
http_port=${PORT_HTTP:-${PORT0:-}}
transport_port=${PORT_TRANSPORT:-${PORT1:-}}
[ -n "$http_port" ] && [ -n "$transport_port" ] || die 64 "PORT0 and PORT1 are not set; the app must ask for two ports"

digest=${ESFLEET_BUNDLE_SHA256:-}
for piece in $(env | sed -n 's/^\(ESFLEET_BUNDLE_[0-9]*\)=.*$/\1/p'); do
	unset "$piece" # hundreds of kilobytes that no child needs
done
export ESFLEET_BUNDLE_SHA256="$digest"

become_user
name_node
choose_home
choose_java
install_plugins
write_config
resolve_ring
write_settings
first_formation
pre_run
start
