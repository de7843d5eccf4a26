#!/bin/sh
# Unpacks the Elasticsearch that the tests start, from Maven Central into .cache/elasticsearch/<distribution>-<version>.
# Nothing is done where it is there already. Without arguments: the versions that `make test` uses.
#
#   sh test/setup/elasticsearch.sh [elasticsearch:7.17.28 elasticsearch:8.19.21 opensearch:2.11.0 …]
#
# The folder can be set by ESFLEET_ES_ARCHIVES; the tests read the same variable.
set -eu

cache=${ESFLEET_ES_ARCHIVES:-$(cd "$(dirname "$0")/../.." && pwd)/.cache/elasticsearch}
[ $# -gt 0 ] || set -- elasticsearch:2.4.6 elasticsearch:5.6.16 elasticsearch:6.8.23 elasticsearch:7.10.2 \
	elasticsearch:7.17.28 elasticsearch:8.19.21 opensearch:2.11.0

# coordinate DISTRIBUTION VERSION: full archives up to 5.x, later the ones that the distributions test themselves with.
coordinate() {
	case $1:$2 in
	elasticsearch:[2-5].*) echo "org.elasticsearch.distribution.zip:elasticsearch:$2:zip" ;;
	elasticsearch:*) echo "org.elasticsearch.distribution.integ-test-zip:elasticsearch:$2:zip" ;;
	opensearch:*) echo "org.opensearch.distribution.integ-test-zip:opensearch:$2:zip" ;;
	*)
		echo "unknown distribution $1; write elasticsearch:VERSION or opensearch:VERSION" >&2
		return 1
		;;
	esac
}

for want in "$@"; do
	distribution=${want%%:*} version=${want#*:}
	home=$cache/$distribution-$version
	[ ! -x "$home/bin/$distribution" ] || continue
	artifact=$(coordinate "$distribution" "$version")
	echo "fetching $distribution $version"
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/unpack.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact="$artifact" -DoutputDirectory="$work/zip"
	unzip -q "$work"/zip/*.zip -d "$work/out"
	mkdir -p "$work/out/$distribution-$version/plugins" # 2.x does not start without
	chmod -R a+rX "$work/out"
	mv "$work/out/$distribution-$version" "$home"
	rm -rf "$work"
	trap - EXIT
done
# The nodes run as another user, so that user must be able to get here.
chmod a+rx "$cache" 2>/dev/null || :
