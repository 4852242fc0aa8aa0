#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a mount says what it is doing, for people and for programs.
# Method: status with and without --json, of one mount and of all; the counters
# must move as the work does.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3
mkdir "$tmp/e1" "$tmp/e2"
head -c 2M /dev/urandom >"$tmp/e1/data"
mount_unetfs "dir:$tmp/e1" "$tmp/one" cache=strict
one_pid=$mount_pid
mount_unetfs "dir:$tmp/e2" "$tmp/two"
two_pid=$mount_pid

json() {
	"$unetfs" status --json "$@" | python3 -m json.tool
}

check "status --json of one mount is JSON" json "$tmp/one"
check "status --json of all mounts is JSON" json
check "status of one names its source" \
	bash -c "'$unetfs' status '$tmp/one' | grep -qF 'dir:$tmp/e1'"
check "status of all names both mount points" \
	bash -c "'$unetfs' status | grep -cE '$tmp/(one|two)' | grep -qx '[2-9]'"
check "status of what is no mount fails" bash -c "! '$unetfs' status '$tmp' 2>/dev/null"

before=$(counter "$tmp/one" download_bytes)
cat "$tmp/one/data" >/dev/null
after=$(counter "$tmp/one" download_bytes)
check "reading moves download_bytes by the size of the file ($before to $after)" \
	test $((after - before)) -ge 2097152
before=$(counter "$tmp/one" upload_bytes)
head -c 1M /dev/zero >"$tmp/one/new"
sync "$tmp/one/new"
after=$(counter "$tmp/one" upload_bytes)
check "a synced file moves upload_bytes by its size ($before to $after)" \
	test $((after - before)) = 1048576
check "nothing is left unsent after the sync" test "$(counter "$tmp/one" dirty)" = 0
check "the other mount counts for itself" test "$(counter "$tmp/two" upload_bytes)" = 0
exec 8<"$tmp/one/data"
check "open files are counted" test "$(counter "$tmp/one" files_open)" -ge 1
exec 8<&-
check_umount "$tmp/one" "$one_pid"
check_umount "$tmp/two" "$two_pid"
