#!/bin/sh
# usage: publish-report REPORT DAY
set -eu

report="${1:-report}"
day="${2:-today}"
shelf="${REPORT_SHELF:-}"

if [ -n "$shelf" ]; then
    mkdir -p "$shelf/$report"
    printf '%s %s\n' "$report" "$day" >>"$shelf/$report/published.txt"
fi
echo "published $report of $day"
