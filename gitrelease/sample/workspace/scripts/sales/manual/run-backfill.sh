#!/bin/sh
# usage: run-backfill FIRST_DAY LAST_DAY
set -eu

first="${1:-20260101}"
last="${2:-20260103}"

echo "loading the days from $first to $last"
echo "done"
