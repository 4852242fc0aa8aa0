#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Goal: tools outside find our probes.  Method: the notes of the program.
set -eu
command -v readelf >/dev/null || exit 77
for probe in rreq_new rreq_free sreq_submit sreq_answer folio_make folio_clean; do
	readelf -n "$1" | grep -A1 "Provider: unetfs" | grep -q "Name: $probe\$" || {
		echo "no probe unetfs:$probe in $1" >&2
		exit 1
	}
done
