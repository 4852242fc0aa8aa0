#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a mount with a disk cache that is killed with -9 under load loses nothing
# that was synced, and the next mount on its folder reads no wrong byte.
# Method: threads write, cut and sync files and write down what they synced; the
# mount is killed after a random number of them; the next one must read what the
# server has, and what was synced must be there: first with the cache as the
# dead one left it, then with an empty one.  Mounts by two protocols take turns
# on one share and one folder, so that each finds files of its volume that the
# other changed.  What one of them keeps there is sealed.
#
# CACHE_KILLS=200 kills so often instead of 20 times; CACHE_SEED repeats a run.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3 diod

kills=${CACHE_KILLS:-20}
seed=${CACHE_SEED:-$RANDOM}
echo "# CACHE_SEED=$seed"
RANDOM=$seed
mkdir "$tmp/export"
head -c 48 /dev/urandom >"$tmp/key"
chmod 600 "$tmp/key"
journal=$tmp/journal
: >"$journal"

mount_either() {
	local options="cache=strict,cachedir=$tmp/${2:-c},cachesize=16m"
	if [ $(($1 % 2)) = 0 ]; then
		mount_unetfs "dir:$tmp/export" "$tmp/m" "$options,cachekey=$tmp/key"
	else
		mount_unetfs "9p://$tmp/9p.sock" "$tmp/m" "trans=unix,aname=$tmp/export,$options"
	fi
}

synced_is_more_than() {
	[ "$(grep -c ^done "$journal")" -gt "$1" ] || gone "$load_pid"
}

verify() { python3 "$here/cachekill.py" verify "$tmp/m" "$journal" "$tmp/export"; }
unmount() { umount_unetfs "$tmp/m" "$mount_pid"; }
sound() { ! "$unetfs" cache check "$tmp/c" | grep -v "blocks of"; }

# One life of a mount: its work, its sudden end.
kill_one() {
	local target
	target=$(($(grep -c ^done "$journal") + 2 + RANDOM % 25))
	mount_either "$1"
	python3 "$here/cachekill.py" load "$tmp/m" "$journal" $((seed + $1)) >"$tmp/load.out" 2>&1 &
	load_pid=$!
	pids+=("$load_pid")
	wait_for $((patience * 3)) synced_is_more_than "$target" ||
		not_ok "the load goes on, kill $1"
	kill -KILL "$mount_pid"
	wait "$mount_pid" 2>/dev/null
	wait_for "$patience" gone "$load_pid" || not_ok "the load ends, kill $1"
	wait "$load_pid" || { not_ok "no wrong byte under load, kill $1"; cat "$tmp/load.out"; }
	wait_for "$patience" not_mounted "$tmp/m" || umount -l "$tmp/m"
}

verified=0
hits=0
for ((i = 1; i <= kills; i++)); do
	start_diod "$tmp/export" "$tmp/9p.sock"
	kill_one "$i"
	kill -KILL "$diod_pid" 2>/dev/null
	wait "$diod_pid" 2>/dev/null
	start_diod "$tmp/export" "$tmp/9p.sock"
	mount_either "$i"
	out=$(verify) || { not_ok "kill $i, with its cache: $out"; break; }
	verified=$((verified + $(tail -n 1 <<<"$out")))
	hits=$((hits + $(counter "$tmp/m" cache_read_slices)))
	unmount || not_ok "umount after kill $i"
	rm -rf "$tmp/empty"
	[ $((i % 7)) = 0 ] && rm -rf "$tmp/c"
	mount_either "$i" empty
	out=$(verify) || { not_ok "kill $i, without its cache: $out"; break; }
	unmount || not_ok "second umount after kill $i"
	end "$diod_pid" KILL
done
check "$kills kills under load: what was synced is there, and no wrong byte is read" \
	[ "$i" -gt "$kills" ]
syncs=$(grep -c ^done "$journal")
echo "# $syncs syncs, $verified files verified, $hits slices read from the cache"
check "the cache was read from" [ "$hits" -gt 0 ]
