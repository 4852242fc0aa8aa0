#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a server that dies and comes back under load costs time, and nothing
# else: no program sees an error, no acknowledged byte is lost.
# Method: a program writes, syncs and renames files while diod is killed three
# times, each time after it got somewhere, and started again; then every byte is
# checked through the mount and behind it.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires diod python3
files=400
[ "${SANITIZE:-}" ] && files=120

progressed() {
	[ "$(cat "$1" 2>/dev/null || echo 0)" -ge "$2" ]
}

restart_under_load() {
	local name=$1 options=$2 round writer done_files
	local progress=$tmp/$name.progress mnt=$tmp/$name behind=$tmp/$name.export
	mkdir "$behind"
	mount_diod "$behind" "$mnt" "$options"
	python3 "$here/writer.py" write "$mnt" "$files" "$progress" >"$tmp/writer.log" 2>&1 &
	writer=$!
	pids+=("$writer")
	for round in 1 2 3; do
		wait_for $((patience * 2)) progressed "$progress" $((round * files / 5)) ||
			die "$name: the writer stands still before kill $round"
		kill -KILL "$diod_pid"
		wait "$diod_pid" 2>/dev/null
		done_files=$(($(cat "$progress") + 3))
		start_diod "$behind" "$diod_socket"
		check "$name: work goes on after kill $round" wait_for $((patience * 2)) \
			progressed "$progress" $((done_files < files ? done_files : files))
	done
	check "$name: the writer saw no error" wait_for $((patience * 5)) gone "$writer"
	wait "$writer" || { not_ok "$name: the writer failed"; tail -n 5 "$tmp/writer.log"; }
	check "$name: every byte is right through the mount" \
		timeout 60 python3 "$here/writer.py" check "$mnt" "$files"
	check "$name: every byte is right behind it" \
		timeout 60 python3 "$here/writer.py" check "$behind" "$files"
	check "$name: the reconnections were counted" \
		test "$(counter "$mnt" reconnects)" -ge 3
	check_umount "$mnt" "$mount_pid"
	end "$diod_pid"
}

restart_under_load default ""
restart_under_load loose cache=loose

# A file that was open the whole time goes on, also where it was unlinked never.
mkdir "$tmp/held.export"
mount_diod "$tmp/held.export" "$tmp/held"
exec 8<>"$tmp/held/file" || die "cannot open a file"
echo before >&8
kill -KILL "$diod_pid"
wait "$diod_pid" 2>/dev/null
start_diod "$tmp/held.export" "$diod_socket"
check "an open file can be written after the restart" \
	timeout "$patience" bash -c 'echo after >&8'
exec 8>&-
check "both writes arrived" cmp "$tmp/held.export/file" <(printf 'before\nafter\n')
check_umount "$tmp/held" "$mount_pid"
