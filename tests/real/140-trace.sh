#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: one can look into a running mount: what it counted, what is on its way,
# what it did last.
# Method: a file is read and written and the recorder must tell it; then the
# server is frozen, so that a read stays on its way and can be seen.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3
requires diod
export="$tmp/export"
mkdir "$export"
head -c 1M /dev/urandom >"$export/data"
head -c 1M /dev/urandom >"$export/later"
mount_diod "$export" "$tmp/m" cache=loose
m=$tmp/m

# has_events CODE...: the recorder has each of them.
has_events() {
	local code
	"$unetfs" trace "$m" >"$tmp/trace" || return 1
	for code; do
		grep -qF " $code " "$tmp/trace" || {
			echo "no $code in:"
			tail -n 40 "$tmp/trace"
			return 1
		}
	done
}

# trace_json PROGRAM: on all trace events in "events".
trace_json() {
	"$unetfs" trace --json "$m" | python3 -c "import json, sys
events = json.load(sys.stdin)['traceEvents']
$1"
}

# requests PROGRAM: on the living requests in "requests".
requests() {
	"$unetfs" status --requests --json "$m" | python3 -c "import json, sys
requests = json.load(sys.stdin)
$1"
}

cat "$m/data" >/dev/null
head -c 100k /dev/urandom >"$m/new"
sync "$m/new"

check "stats are in groups, with Linux's names" \
	bash -c "'$unetfs' stats '$m' | grep -qx Reads &&
		'$unetfs' stats '$m' | grep -qE '^  download_slices +[1-9][0-9]*  DL '"
check "stats --json is JSON" bash -c "'$unetfs' stats --json '$m' | python3 -m json.tool"
check "what was read brought as many answers as questions" \
	test "$(counter "$m" download_slices)" = "$(counter "$m" download_done)"
check "no request lives when nothing is done" test "$(counter "$m" requests_living)" = 0
check "the recorder has the connection and the names" has_events HELLO READY ASK ANSWER
check "the recorder has the read" has_events READPAGE PREP SUBMT TERM read-done DONE FREE
check "the recorder has the write and its upload" has_events add store WRITEBACK BEGIN clear END
check "the recorder is in order of time" sort -c -n -k1,1 "$tmp/trace"
check "trace --json is Chrome's format, and each slice ends" trace_json '
begun = {(e["cat"], e["id"]) for e in events if e["ph"] == "b"}
ended = {(e["cat"], e["id"]) for e in events if e["ph"] == "e"}
assert begun and begun == ended, begun ^ ended
assert all("ts" in e and "pid" in e and "tid" in e for e in events)'
check "the list of requests is empty" requests 'assert requests == [], requests'
check "status --requests without a directory fails" \
	bash -c "! '$unetfs' status --requests 2>/dev/null"
check "trace of what is no mount fails" bash -c "! '$unetfs' trace '$tmp' 2>/dev/null"

# A thread of it may be at work for a moment yet.
is_frozen() {
	! grep -h ^State: /proc/"$1"/task/*/status | grep -qv 'T (stopped)'
}

# Its name and attributes are known, so that the read itself is what waits.
exec 8<"$m/later"
kill -STOP "$diod_pid"
wait_for "$patience" is_frozen "$diod_pid"
cat <&8 >/dev/null &
reader=$!
check "a read that the server does not answer is listed" wait_for "$patience" requests '
r = [r for r in requests if r["origin"] == "RP" and r["start"] == 0][0]
assert r["end"] > 0, r
assert r["streams"][0]["sent"] >= 1 and r["streams"][0]["collected_to"] == 0, r
assert r["streams"][0]["issued_to"] > 0 and r["age_ns"] > 0, r
assert {"reason": "list", "count": 1} in r["references"], r'
check "for people too" bash -c "'$unetfs' status --requests '$m' | grep -q 'stream 0: issued to'"
kill -CONT "$diod_pid"
check "the read ends when the server goes on" wait "$reader"
exec 8<&-
check "and is not listed any more" wait_for "$patience" requests 'assert requests == []'
check "nobody holds anything of it" test "$(counter "$m" subrequests_living)" = 0
check_umount "$m" "$mount_pid"
