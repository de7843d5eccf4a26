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

need awk sed sort cmp mv haproxy
[ -n "${HOST:-}" ] || die 64 "HOST is not set; this script runs as a Marathon task"
bind=$(listen_on)
proxy=

# write_config FILE SERVERS: SERVERS holds a line "host port" each.
write_config() {
	{
		cat <<-END
			global
			  maxconn 4096
			defaults
			  mode tcp
			  timeout connect 2s
			  timeout client 1h
			  timeout server 1h
			frontend ring
			  bind $bind:$front_port
			  default_backend masters
			backend masters
			  balance roundrobin
			  option redispatch
		END
		awk '{ printf "  server m-%s-%s %s:%s check inter 1s fall 2 rise 1\n", $1, $2, $1, $2 }' "$2"
		[ "$stats_port" = 0 ] || cat <<-END
			listen stats
			  mode http
			  bind $bind:$stats_port
			  monitor-uri /health
			  stats enable
			  stats uri /
		END
	} >"$1"
}

# masters_now FILE: the transport addresses of the running masters; fails if Marathon cannot say or shows none.
masters_now() {
	marathon "/v2/apps$masters_app" "$sandbox/masters" || return 1
	tasks_of "$sandbox/masters" TASK_RUNNING | awk '$4 != "-" { print $2, $4 }' | sort >"$1"
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
apply "$sandbox/new.cfg" || die 78 "HAProxy cannot start with its first configuration"
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
