#!/bin/sh
# The audit keeps one line per start of a node.
set -eu
echo "invoices: node starts on $(hostname 2>/dev/null || echo unknown)"
