#!/bin/sh
# Runs a command with all its output. If it fails, what failed is said once more at the end, in a few short lines each: of a
# long log people and CI see the end.
set -u
kept=$(mktemp)
trap 'rm -f "$kept"' EXIT
{ "$@" 2>&1; echo $? >"$kept.ended"; } | tee "$kept"
ended=$(cat "$kept.ended")
rm -f "$kept.ended"
if [ "$ended" != 0 ]; then
	printf '\nfailed: %s\n' "$*"
	# a failure and the lines that say why, none of them long
	awk '/--- FAIL|^panic:|DATA RACE|^FAIL|: error:/ { left = 6 } left-- > 0 { print substr($0, 1, 300) }' "$kept" | tail -n 80
fi
exit "$ended"
