#!/bin/sh
# Sends a cluster's numbers to Graphite: health, sizes, and the heap and garbage collections of each node. A round that
# fails is said and left out; the next one comes.
set -u
umask 022
sandbox=$PWD
bundle=$sandbox/.esfleet
. "$bundle/facts.sh"
. "$bundle/common.sh"

need awk sed tr date
if ! command -v nc >/dev/null 2>&1 && ! command -v bash >/dev/null 2>&1; then
	die 69 "missing on this host or in this image: nc or bash, which speak to Graphite; install one of them"
fi
trap 'wake; exit 0' TERM INT

# send FILE
send() {
	if command -v nc >/dev/null 2>&1; then
		nc -w 5 "$graphite_host" "$graphite_port" <"$1"
	else
		bash -c 'exec 3<>"/dev/tcp/$1/$2" && cat "$3" >&3' send "$graphite_host" "$graphite_port" "$1"
	fi
}

# nodes lists the HTTP addresses of the running nodes.
nodes() {
	for node_app in $apps; do
		marathon "/v2/apps$node_app" "$sandbox/tasks" || continue
		tasks_of "$sandbox/tasks" TASK_RUNNING | awk '$3 != "-" { print $2 ":" $3 }'
	done
}

# ask NODE PATH FILE
ask() {
	fetch "http://$1$2" "$3.json" && awk -f "$bundle/json.awk" "$3.json" >"$3"
}

# lines HEALTH STATS NODES: what Graphite reads, "path value time".
lines() {
	awk -F '\t' -v prefix="$prefix" -v now="$(date +%s)" '
		BEGIN { n = 0 }
		function clean(s) { s = tolower(s); gsub(/[^a-z0-9_-]+/, "_", s); return s }
		function line(path, v) { if (v ~ /^-?[0-9]/) print prefix "." cluster "." path, v, now }
		FILENAME == ARGV[1] {
			if ($1 == "/cluster_name") cluster = clean($2)
			else if ($1 == "/status") line("status", $2 == "green" ? 2 : $2 == "yellow" ? 1 : 0)
			else { sub("/", "", $1); line(clean($1), $2) }
			next
		}
		FILENAME == ARGV[2] {
			if ($1 ~ /^\/indices\/(count|docs|store|shards\/total)/) { sub("/", "", $1); gsub("/", ".", $1); line($1, $2) }
			next
		}
		{
			split($1, p, "/")
			if (p[2] != "nodes") next
			if (p[4] == "name") node[p[3]] = clean($2)
			path = $1
			sub("^/nodes/" p[3] "/", "", path)
			if (path ~ /^jvm\/(mem\/heap_used|gc\/collectors)/) { gsub("/", ".", path); id[n] = p[3]; key[n] = path; val[n++] = $2 }
		}
		END { for (i = 0; i < n; i++) line("nodes." node[id[i]] "." key[i], val[i]) }
	' "$1" "$2" "$3"
}

while :; do
	sent=
	for node in $(nodes); do
		ask "$node" "/_cluster/health?master_timeout=5s" "$sandbox/health" || continue
		ask "$node" "/_cluster/stats" "$sandbox/stats" || : >"$sandbox/stats"
		ask "$node" "/_nodes/stats/jvm" "$sandbox/jvm" || : >"$sandbox/jvm"
		lines "$sandbox/health" "$sandbox/stats" "$sandbox/jvm" >"$sandbox/lines"
		if send "$sandbox/lines"; then
			sent=yes
		else
			say "cannot reach Graphite at $graphite_host:$graphite_port"
		fi
		break
	done
	[ -n "$sent" ] || say "sent nothing this time"
	pause "$interval"
done
