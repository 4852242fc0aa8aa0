#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a mount program that is killed with -9 leaves no process hanging in the
# kernel, no mount in the way, and what was synced is on the server.
# Method: readers and a writer work on the mount, one read waits for a server
# that was stopped; the program is killed; everything must end by itself.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires diod python3
mkdir "$tmp/export"
head -c 4M /dev/urandom >"$tmp/export/data"
: >"$tmp/export/cold"
head -c 1M /dev/urandom >"$tmp/export/cold"
mount_diod "$tmp/export" "$tmp/mnt"

printf synced >"$tmp/mnt/synced"
sync "$tmp/mnt/synced"

users=()
(while cat "$tmp/mnt/data"; do :; done >/dev/null 2>&1) &
users+=($!)
# The directory can be listed again as soon as the mount is gone; the file is gone with it.
(while ls -lR "$tmp/mnt" "$tmp/mnt/synced"; do :; done >/dev/null 2>&1) &
users+=($!)
(while echo line; do :; done >"$tmp/mnt/written" 2>/dev/null) &
users+=($!)
wait_for "$patience" test -s "$tmp/export/written" || true
# From here on the server does not answer: the next reader waits in the kernel.
kill -STOP "$diod_pid"
cat "$tmp/mnt/cold" >/dev/null 2>&1 &
users+=($!)
pids+=("${users[@]}")
moment
check "a process waits for the silent server" kill -0 "${users[3]}"

kill -KILL "$mount_pid"
wait "$mount_pid" 2>/dev/null
for i in 0 1 2 3; do
	check "user $i of the mount ends" wait_for "$patience" gone "${users[i]}"
done
kill -CONT "$diod_pid"
check "the mount point is free again" wait_for "$patience" not_mounted "$tmp/mnt"
check "the mount point can be listed" timeout 10 ls "$tmp/mnt"
check "what was synced is on the server" cmp "$tmp/export/synced" <(printf synced)
# diod does not always survive waking up to clients that are gone.
kill -KILL "$diod_pid" 2>/dev/null
wait "$diod_pid" 2>/dev/null
rm -f "$diod_socket"
start_diod "$tmp/export" "$diod_socket"
mount_unetfs "9p://$diod_socket" "$tmp/mnt" "trans=unix,aname=$tmp/export"
check "it can be mounted again and read" cmp "$tmp/mnt/data" "$tmp/export/data"
check_umount "$tmp/mnt" "$mount_pid"
