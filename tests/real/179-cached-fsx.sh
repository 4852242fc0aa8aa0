#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: random operations through a disk cache that is smaller than the files, so that it is
# culled all the time, or whose disk is full at random, change what the server has as they
# would without one, whatever the protocol, plain and sealed.
# Method: two file exercisers at a time on real servers; a small file system as the cache's
# disk, whose size changes while they run.  FSX_MOUNT_OPS says how many operations each does.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires diod
ops=${FSX_MOUNT_OPS:-1000}
[ "${SANITIZE:-}" ] && ops=${FSX_MOUNT_OPS:-300}

mkdir "$tmp/e9p"
start_diod "$tmp/e9p" "$tmp/9p.sock"
start_smbd own
head -c 48 /dev/urandom >"$tmp/key"
chmod 600 "$tmp/key"

# mount_by PROTOCOL NAME OPTIONS: and where the server has it.
mount_by() {
	m=$tmp/$2
	if [ "$1" = 9p ]; then
		behind=$tmp/e9p
		mount_unetfs "9p://$tmp/9p.sock" "$m" "trans=unix,aname=$behind,cache=loose,$3"
	else
		behind=$smbd_export
		mount_smb "$m" "$3"
	fi
}

# exercise NAME SEED: two of them, each with its file.
exercise() {
	local one two failed=0
	"$BUILD/unetfs-fsx" -q -N "$ops" -S "$2" -P "$tmp" -l 3M "$m/$1-1" &
	one=$!
	"$BUILD/unetfs-fsx" -q -N "$ops" -S $(($2 + 1)) -P "$tmp" -l 3M "$m/$1-2" &
	two=$!
	pids+=("$one" "$two")
	wait "$one" || failed=1
	wait "$two" || failed=1
	return $failed
}

same_behind() {
	sync "$m/$1-1" "$m/$1-2" && cmp "$m/$1-1" "$behind/$1-1" && cmp "$m/$1-2" "$behind/$1-2"
}

seed=1
for protocol in 9p smb; do
	for kind in plain sealed; do
		name=$protocol-$kind
		options=cachedir=$tmp/c-$name,cachesize=4m
		[ $kind = plain ] || options+=,cachekey=$tmp/key
		mount_by "$protocol" "$name" "$options"
		check "$name: two files beyond the limit of the cache, $ops operations each" \
			exercise "$name" $seed
		check "$name: the server has the same" same_behind "$name"
		check "$name: the cache was used" \
			test "$(counter "$m" cache_write_bytes)" -gt 1000000
		check_umount "$m" "$mount_pid"
		seed=$((seed + 2))
	done
done

# ------------------------------------------------------------ its disk is full

[ "$(id -u)" = 0 ] || exit
mkdir "$tmp/disk"
mount -t tmpfs -o size=16m none "$tmp/disk" || skip "no small file system"
mounts+=("$tmp/disk")

# Until FILE is gone its disk has room for this much or that.
vary() {
	while [ -e "$1" ]; do
		mount -o "remount,size=$((RANDOM % 12000 + 400))k" "$tmp/disk" 2>/dev/null
		moment
	done
}

for protocol in 9p smb; do
	name=$protocol-full
	mount_by "$protocol" "$name" "cachedir=$tmp/disk/$name,cachesize=1g"
	: >"$tmp/varies"
	vary "$tmp/varies" &
	varies=$!
	check "$name: two files while the cache's disk fills up, $ops operations each" \
		exercise "$name" $seed
	rm "$tmp/varies"
	wait "$varies"
	echo "# $name: $(counter "$m" cache_write_errors) writes to the cache failed;" \
		"most are not tried where there is no room"
	mount -o remount,size=64m "$tmp/disk"
	check "$name: the server has the same" same_behind "$name"
	check_umount "$m" "$mount_pid"
	seed=$((seed + 2))
done
umount "$tmp/disk"
