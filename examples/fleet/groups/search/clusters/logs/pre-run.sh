#!/bin/sh
# Runs on every node before Elasticsearch starts. If it fails the node does not start, and its output says why.
set -eu

# Elasticsearch maps its index files into memory; with too low a limit it fails late and strangely.
limit=$(cat /proc/sys/vm/max_map_count 2>/dev/null || echo 262144)
if [ "$limit" -lt 65530 ]; then
    echo "vm.max_map_count is $limit on this host; ask for 262144" >&2
    exit 1
fi
