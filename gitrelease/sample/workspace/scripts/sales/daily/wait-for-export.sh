#!/bin/sh
# The shop writes <day>.csv first and <day>.done last.
set -eu

day="${1:-today}"
inbox="${SHOP_EXPORT:-}"

if [ -z "$inbox" ]; then
    echo "no export folder on this host: nothing to wait for"
    exit 0
fi
if [ ! -e "$inbox/$day.done" ]; then
    echo "the export of $day is not complete yet" >&2
    exit 1
fi
echo "the export of $day is complete"
