#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: umount sends everything before it ends; it refuses while files are open;
# with -f or -l it always ends, says what was lost, and leaves nothing.
# Method: data that is still on its way, through a slow directory; an open file;
# a server that is stopped, and one that is dead.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires diod python3
mkdir "$tmp/e1" "$tmp/e2" "$tmp/e3" "$tmp/e4"
head -c 20M /dev/urandom >"$tmp/random"

# A slow server: most is still unsent when the writer is done.
mount_unetfs "dir:$tmp/e1" "$tmp/slow" delay=20,cache=strict
for i in 1 2 3 4 5; do
	head -c 4M "$tmp/random" >"$tmp/slow/f$i" || die "cannot write"
done
check_umount "$tmp/slow" "$mount_pid"
for i in 1 2 3 4 5; do
	check "umount sent all of file $i" cmp -n 4194304 "$tmp/random" "$tmp/e1/f$i"
done

mount_unetfs "dir:$tmp/e2" "$tmp/busy"
busy_pid=$mount_pid
exec 8>"$tmp/busy/open"
timeout "$patience" "$unetfs" umount "$tmp/busy" 2>"$tmp/err"
check "umount refuses while a file is open" test $? != 0
check "it says so in one line: $(cat "$tmp/err")" grep -qi "busy\|in use\|open" "$tmp/err"
check "the mount is still there and works" bash -c "echo more >&8 && ls $tmp/busy"
check "umount -l takes it out of the tree at once" \
	timeout "$patience" "$unetfs" umount -l "$tmp/busy"
check "it is gone from the tree" not_mounted "$tmp/busy"
echo last >&8
exec 8>&-
check "the program ends when the last file is closed" wait_for "$patience" gone "$busy_pid"
check "what was written last arrived" grep -q last "$tmp/e2/open"

# dead_server NAME SIGNAL EXPORT: dirty data and a server that is no more.
dead_server() {
	local name=$1 signal=$2 begin=$SECONDS reader
	mount_diod "$3" "$tmp/$name" cache=loose
	printf x >"$tmp/$name/cold"
	sync "$tmp/$name/cold"
	exec 8<>"$tmp/$name/dirty"
	kill -s "$signal" "$diod_pid"
	head -c 1M "$tmp/random" >&8
	cat "$tmp/$name/not-seen-before" >/dev/null 2>&1 &
	reader=$!
	pids+=("$reader")
	timeout $((patience * 3)) "$unetfs" umount -f "$tmp/$name" >"$tmp/out" 2>&1
	check "$name: umount -f ends" test $? != 124
	sed 's/^/# /' "$tmp/out"
	check "$name: it is gone from the tree" not_mounted "$tmp/$name"
	check "$name: the program ends" wait_for "$patience" gone "$mount_pid"
	check "$name: the waiting reader ends" wait_for "$patience" gone "$reader"
	check "$name: it says how much was lost" grep -qE "[0-9]+ (bytes|B|KiB|MiB)" "$tmp/out"
	{ exec 8>&-; } 2>/dev/null
	[ "$signal" = STOP ] && kill -CONT "$diod_pid"
	end "$diod_pid"
	check "$name: it took less than $patience seconds" test $((SECONDS - begin)) -lt "$patience"
}

dead_server stopped STOP "$tmp/e3"
dead_server killed KILL "$tmp/e4"
