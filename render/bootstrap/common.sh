# What every boot script needs. It is read with `.` after facts.sh; the working directory is the sandbox.

say() { printf 'esfleet: %s\n' "$*" >&2; }

# die CODE MESSAGE: the message is the task's last word; the code says the same to whoever sees only Marathon's
# "Command exited with status". A script that sets linger stays for so many seconds before it ends.
linger=0
sleeper=
die() {
	code=$1
	shift
	if [ "$linger" -gt 0 ]; then # who reads the message may end us at once, so all is ready before it
		sleep "$linger" &
		sleeper=$!
		trap 'wake; exit "$code"' TERM INT
	fi
	say "$*"
	[ -z "$sleeper" ] || wait "$sleeper"
	exit "$code"
}

# need TOOL...: all of them, so that an image is repaired once.
need() {
	missing=
	for tool in "$@"; do
		command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
	done
	[ -z "$missing" ] || die 69 "missing on this host or in this image:$missing; install them"
	command -v curl >/dev/null 2>&1 || command -v wget >/dev/null 2>&1 ||
		die 69 "missing on this host or in this image: curl or wget; install one of them"
}

# fetch URL FILE. busybox's wget dies of its own -T in some releases, so another program keeps the time.
fetch() {
	if command -v curl >/dev/null 2>&1; then
		curl -fsSL --connect-timeout 5 --max-time "${fetch_seconds:-15}" -o "$2" "$1" 2>"$2.error"
	elif timeout 1 true 2>/dev/null; then
		timeout "${fetch_seconds:-15}" wget -q -O "$2" "$1" 2>"$2.error"
	else
		wget -q -O "$2" "$1" 2>"$2.error"
	fi
}

# marathon PATH FILE: asks each of Marathon's addresses until one gives a whole document, and leaves it flattened in
# FILE (see json.awk). Nothing else changes FILE.
marathon() {
	marathon_ifs=$IFS
	IFS=,
	set -f
	# shellcheck disable=SC2086
	set -- "$1" "$2" $ESFLEET_MARATHON
	set +f
	IFS=$marathon_ifs
	marathon_path=$1 marathon_file=$2
	shift 2
	for marathon_url in "$@"; do
		fetch "${marathon_url%/}$marathon_path" "$marathon_file.json" || continue
		if awk -f "$bundle/json.awk" "$marathon_file.json" >"$marathon_file.new" 2>/dev/null; then
			mv "$marathon_file.new" "$marathon_file"
			rm -f "$marathon_file.json" "$marathon_file.error"
			return 0
		fi
	done
	return 1
}

# tasks_of FILE STATES: a line "id host port0 port1" for each task of a flattened app that is in one of the states. A
# task without a version is suspended: only its volume is there, whatever its state says.
tasks_of() {
	awk -F '\t' -v states="$2" '
		$1 ~ /^\/app\/tasks\/[0-9]+\// {
			split($1, p, "/")
			n = p[4]
			if (!(n in seen)) { seen[n] = 1; order[count++] = n }
			task[n, p[5] (p[6] == "" ? "" : "/" p[6])] = $2
		}
		END {
			for (i = 0; i < count; i++) {
				n = order[i]
				if (task[n, "version"] == "" || index(" " states " ", " " task[n, "state"] " ") == 0) continue
				p0 = task[n, "ports/0"]; p1 = task[n, "ports/1"]
				print task[n, "id"], task[n, "host"], (p0 == "" ? "-" : p0), (p1 == "" ? "-" : p1)
			}
		}' "$1"
}

# instance_of TASK_ID: the uuid that stays the same while Marathon restarts an instance; the whole id if there is none.
instance_of() {
	instance_uuid=$(printf '%s\n' "$1" | sed -n 's/^.*\([0-9a-f]\{8\}-[0-9a-f]\{4\}-[0-9a-f]\{4\}-[0-9a-f]\{4\}-[0-9a-f]\{12\}\).*$/\1/p')
	printf '%s\n' "${instance_uuid:-$1}"
}

# listen_on: where to bind. Agents that are loopback addresses share one machine, so there each keeps to its own.
listen_on() {
	case $HOST in
	127.*) printf '%s\n' "$HOST" ;;
	*) printf '%s\n' '*' ;;
	esac
}

# pause SECONDS: a signal need not wait for its end. A trap that ends the script calls wake, so that nothing is left.
pause() {
	sleep "$1" &
	sleeper=$!
	wait "$sleeper"
}
wake() { [ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null; }

# as_user USER COMMAND...: becomes the command, as that user, without a process of its own in between: SIGTERM must
# reach the program. The tools differ from image to image, so each is tried with something harmless first.
as_user() {
	as=$1
	shift
	uid=$(id -u "$as" 2>/dev/null) || die 77 "user $as does not exist on $HOST or in this image; create it or set elasticsearch.user"
	gid=$(id -g "$as")
	[ "$uid" != 0 ] || die 77 "user $as is root; Elasticsearch never runs as root, set elasticsearch.user to another"
	if setpriv --reuid "$uid" --regid "$gid" --init-groups true 2>/dev/null; then
		set -- setpriv --reuid "$uid" --regid "$gid" --init-groups "$@"
	elif gosu "$as" true 2>/dev/null; then
		set -- gosu "$as" "$@"
	elif su-exec "$as" true 2>/dev/null; then
		set -- su-exec "$as" "$@"
	elif chroot --userspec="$uid:$gid" / true 2>/dev/null; then
		set -- chroot --userspec="$uid:$gid" / "$@"
	elif busybox su -s /bin/sh "$as" -c true 2>/dev/null; then
		# busybox's su becomes the command. Others stay in front of it and kill it two seconds after a SIGTERM.
		set -- busybox su -s /bin/sh "$as" -c 'exec "$0" "$@"' -- "$@"
	else
		die 77 "started as root, and neither setpriv, gosu, su-exec, chroot nor busybox can become user $as here; start the task as $as or install one of them"
	fi
	exec "$@"
}
