#!/bin/sh
# usage: purge-staging KEEP_DAYS
set -eu

keep="${1:-7}"
staging="${STAGING:-}"

if [ -z "$staging" ] || [ ! -d "$staging" ]; then
    echo "no staging on this host: nothing to remove"
    exit 0
fi
find "$staging" -type f -mtime "+$keep" -print -delete
echo "staging holds the last $keep days"
