#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: what changes at the server is seen at the next open, with its size, its
# bytes and its absence; what was read before is not shown as new.
# Method: files are read through the mount, changed behind it, opened again.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3

changes_are_seen() {
	local name=$1 m=$2 b=$3
	export m b
	mkdir "$b/d"
	echo "first version" >"$b/f"
	head -c 300000 /dev/urandom >"$b/big"
	cat "$m/f" "$m/big" >/dev/null
	moment
	echo "second one" >"$b/f"
	check "$name: a rewritten file" cmp "$m/f" "$b/f"
	printf more >>"$b/f"
	check "$name: an appended file" cmp "$m/f" "$b/f"
	printf XXXX | dd of="$b/big" bs=1 seek=150000 conv=notrunc status=none
	check "$name: a change in the middle, same size" cmp "$m/big" "$b/big"
	truncate -s 1000 "$b/big"
	check "$name: a truncated file" cmp "$m/big" "$b/big"
	echo "replaced" >"$b/f.new" && mv "$b/f.new" "$b/f"
	check "$name: a file replaced by rename" cmp "$m/f" "$b/f"
	echo a >"$m/mine"
	cat "$m/mine" >/dev/null
	moment
	echo "not yours" >"$b/mine"
	check "$name: a change of a file written here" cmp "$m/mine" "$b/mine"
	# Names and attributes may be old for as long as their time to live says.
	fails_to_find() { ! ls "$m/f" >/dev/null 2>&1; }
	rm "$b/f"
	check "$name: a removed file is gone in time" wait_for 5 fails_to_find
	check "$name: a new name is found" bash -c ': >"$b/d/new"; ls "$m/d/new"'
	ls "$m/d/later" >/dev/null 2>&1
	: >"$b/d/later"
	check "$name: a name that was missing is found in time" wait_for 5 ls "$m/d/later"
}

mkdir "$tmp/e1" "$tmp/e2"
mount_unetfs "dir:$tmp/e1" "$tmp/dir"
changes_are_seen dir "$tmp/dir" "$tmp/e1"
check_umount "$tmp/dir" "$mount_pid"

mount_diod "$tmp/e2" "$tmp/9p"
changes_are_seen 9p "$tmp/9p" "$tmp/e2"

# Two mounts of one server: what one closes, the other sees at its next open.
mount_9p_pid=$mount_pid
mount_unetfs "9p://$diod_socket" "$tmp/second" "trans=unix,aname=$tmp/e2"
for i in 1 2 3 4 5; do
	seq "$i" 2000 >"$tmp/9p/between"
	check "what one mount closed the other opens, round $i" \
		cmp "$tmp/second/between" <(seq "$i" 2000)
	moment
done
check_umount "$tmp/second" "$mount_pid"
check_umount "$tmp/9p" "$mount_9p_pid"
