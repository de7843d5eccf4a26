#!/bin/sh
# Starts Kibana, or OpenSearch Dashboards, beside the configuration that its home holds.
set -u
umask 022
sandbox=$PWD
bundle=$sandbox/.esfleet
. "$bundle/facts.sh"
. "$bundle/common.sh"

need awk sed sort id
[ -n "${HOST:-}" ] || die 64 "HOST is not set; this script runs as a Marathon task"
[ -x "$home/bin/$binary" ] || die 64 "$home/bin/$binary is not there on $HOST; set kibana.home to where it is unpacked"
if [ "$(id -u)" = 0 ]; then
	id -u "$run_as" >/dev/null 2>&1 || as_user "$run_as" # says why not
	chown "$(id -u "$run_as")" "$sandbox" || die 77 "cannot give $sandbox to user $run_as"
	as_user "$run_as" sh "$bundle/boot.sh"
fi

# hosts lists all running nodes that serve clients, as YAML; the old key takes only one.
hosts() {
	for node_app in $apps; do
		marathon "/v2/apps$node_app" "$sandbox/tasks" || continue
		tasks_of "$sandbox/tasks" TASK_RUNNING | awk '$3 != "-" { print "http://" $2 ":" $3 }' | sort
	done
}

waited=0
until found=$(hosts) && [ -n "$found" ]; do
	[ "$waited" -lt "$patience" ] || die 72 "found no running node in $apps in $waited s"
	[ "$waited" != 0 ] || say "waits for a running node in $apps"
	sleep 2
	waited=$((waited + 2))
done
if [ "$key_hosts" = elasticsearch.url ]; then
	found="\"$(printf '%s\n' "$found" | sed 1q)\""
else
	found="[$(printf '%s\n' "$found" | awk '{ printf "%s\"%s\"", (NR > 1 ? ", " : ""), $0 }')]"
fi
case $HOST in
127.*) address=$HOST ;;
*) address=0.0.0.0 ;;
esac
mkdir -p "$sandbox/data"
cat >"$sandbox/kibana.yml" <<END
server.name: "$name"
server.host: "$address"
server.port: ${PORT_HTTP:-$PORT0}
path.data: "$sandbox/data"
$key_hosts: $found
END
unset ESFLEET_MARATHON
say "starts $binary with $found"
exec "$home/bin/$binary" -c "$sandbox/kibana.yml"
