#!/bin/sh
# Installs the Debian packages that the tests use and this machine lacks. Nothing is done where all is there.
set -eu

missing=
need() { # command package
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need git git
need curl curl
need java default-jre-headless
need mvn maven
need dash dash
need busybox busybox-static
need haproxy haproxy
need perl perl
need unzip unzip
need gcc gcc # the race detector

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "install these packages, the tests need them:$missing" >&2
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of words
apt-get install -y -q --no-install-recommends $missing >/dev/null
