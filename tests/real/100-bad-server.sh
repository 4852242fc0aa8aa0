#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a server that is slow, or answers with errors that heal, makes things
# slower and nothing else: no wrong byte, no hang.
# Method: the directory back end with delay=, bw= and errors= plays that server.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3
mkdir "$tmp/e1" "$tmp/e2" "$tmp/e3"
head -c 3M /dev/urandom >"$tmp/random"

mount_unetfs "dir:$tmp/e1" "$tmp/slow" delay=5ms
check "a slow server: a copy" cp "$tmp/random" "$tmp/slow/a"
check "a slow server: the same bytes behind" cmp "$tmp/random" "$tmp/e1/a"
check "a slow server: work with files" \
	timeout $((patience * 6)) python3 "$here/writer.py" write "$tmp/slow" 10 "$tmp/p1"
check_umount "$tmp/slow" "$mount_pid"

mount_unetfs "dir:$tmp/e2" "$tmp/narrow" bw=20M
check "a narrow line: a copy" cp "$tmp/random" "$tmp/narrow/a"
check "a narrow line: the same bytes" cmp "$tmp/random" "$tmp/narrow/a"
check_umount "$tmp/narrow" "$mount_pid"

mkdir "$tmp/e3/w"
mount_unetfs "dir:$tmp/e3" "$tmp/failing" errors=5
check "a failing server: files are written in spite of it" \
	timeout $((patience * 6)) python3 "$here/writer.py" write "$tmp/failing/w" 30 "$tmp/p3"
check "a failing server: all bytes are right through the mount" \
	timeout $((patience * 6)) python3 "$here/writer.py" check "$tmp/failing/w" 30
check "a failing server: the requests were sent again" \
	test $(($(counter "$tmp/failing" upload_retries) + \
	$(counter "$tmp/failing" download_retries))) -gt 0
check_umount "$tmp/failing" "$mount_pid"
check "a failing server: all bytes are right behind" \
	python3 "$here/writer.py" check "$tmp/e3/w" 30
