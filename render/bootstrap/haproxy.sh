#!/bin/sh
# Runs HAProxy on the ring's fixed port and keeps its backend equal to the masters that Marathon shows. The last good
# backend stays while Marathon is away, answers half, or shows no master: dead servers in it are found by HAProxy's own
# checks, an empty backend would help nobody.
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

# An image that holds esfleet does all of this better: by events, and with proof before a master is left out.
if command -v esfleet >/dev/null 2>&1 && esfleet discovery --help >/dev/null 2>&1; then
	exec esfleet discovery --app "$masters_app" --bind "$bind" --port "$front_port" --stats-port "$stats_port" \
		--dir "$sandbox/haproxy" ${own:+--template "$own"}
fi

need awk sed sort cmp mv haproxy
proxy=
template=${own:-$bundle/haproxy.cfg.tmpl}

# write_config FILE SERVERS: SERVERS holds a line "host port" each. The template's words are those of `esfleet discovery`.
write_config() {
	awk -v bind="$bind" -v front="$front_port" -v stats="$stats_port" -v servers="$2" '
		function put(line, word, value,   at, done) {
			while ((at = index(line, word)) > 0) {
				done = done substr(line, 1, at - 1) value
				line = substr(line, at + length(word))
			}
			return done line
		}
		BEGIN {
			while ((getline row < servers) > 0) { split(row, f, " "); name[++n] = "m-" f[1] "-" f[2]; address[n] = f[1] ":" f[2] }
		}
		/^[ \t]*[{][{]if [a-z]+[}][}][ \t]*$/ {
			depth++
			if (!skip && !(index($0, "{{if stats}}") && stats != 0)) skip = depth
			next
		}
		/^[ \t]*[{][{]end[}][}][ \t]*$/ { if (skip == depth) skip = 0; depth--; next }
		skip { next }
		{
			$0 = put(put(put($0, "{{bind}}", bind), "{{front_port}}", front), "{{stats_port}}", stats)
			if (!index($0, "{{name}}") && !index($0, "{{address}}")) print
			else for (i = 1; i <= n; i++) print put(put($0, "{{name}}", name[i]), "{{address}}", address[i])
		}' "$template" >"$1"
}

# masters_now FILE: the transport addresses of the running masters; fails if Marathon cannot say or shows none.
masters_now() {
	marathon "/v2/apps$masters_app" "$sandbox/masters" || return 1
	tasks_of "$sandbox/masters" TASK_RUNNING | awk '$2 ~ /^[A-Za-z0-9_.:-]+$/ && $4 ~ /^[0-9]+$/ { print $2, $4 }' | sort >"$1"
	[ -s "$1" ]
}

# apply CONFIG: checks it, and hands the port over from the running HAProxy to a new one without refusing a connection.
apply() {
	haproxy -c -q -f "$1" >"$sandbox/check.log" 2>&1 || {
		say "keeps the old configuration, HAProxy refuses the new one: $(tail -n 3 "$sandbox/check.log" | tr '\n' ' ')"
		return 1
	}
	mv "$1" "$sandbox/haproxy.cfg"
	if [ -n "$proxy" ]; then
		haproxy -db -f "$sandbox/haproxy.cfg" -sf "$proxy" &
	else
		haproxy -db -f "$sandbox/haproxy.cfg" &
	fi
	proxy=$!
}

stop() {
	trap - TERM INT
	wake
	[ -z "$proxy" ] || kill "$proxy" 2>/dev/null
	wait
	exit 0
}
trap stop TERM INT

: >"$sandbox/servers"
write_config "$sandbox/new.cfg" "$sandbox/servers"
apply "$sandbox/new.cfg" || {
	[ -n "$own" ] || die 78 "HAProxy cannot start with its first configuration"
	say "uses the built-in template, for HAProxy refuses files/discovery/haproxy.cfg"
	template=$bundle/haproxy.cfg.tmpl
	write_config "$sandbox/new.cfg" "$sandbox/servers"
	apply "$sandbox/new.cfg" || die 78 "HAProxy cannot start with its first configuration"
}
while :; do
	if masters_now "$sandbox/servers.new" && ! cmp -s "$sandbox/servers.new" "$sandbox/servers"; then
		write_config "$sandbox/new.cfg" "$sandbox/servers.new"
		if apply "$sandbox/new.cfg"; then
			mv "$sandbox/servers.new" "$sandbox/servers"
			say "masters: $(tr '\n' ',' <"$sandbox/servers" | tr ' ' ':')"
		fi
	fi
	pause "$interval"
	kill -0 "$proxy" 2>/dev/null || die 78 "HAProxy ended; see its messages above"
done
