#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: what was read or written on one mount is read from the disk cache on the
# next, without asking the server for data; what changed meanwhile is not; and
# whatever happens to the cache folder, no wrong byte is read.
# Method: mounts with cachedir= follow each other on one folder; counters say
# where the data came from; between mounts the cache's files are damaged at
# random.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3

# in_cache_file FOLDER FILE AT: is a block of the MB from there on in an object?  Not
# each is: what comes while room is being made is not kept.
in_cache_file() {
	python3 -c 'import glob, sys
first = int(sys.argv[3]) // 4096 * 4096 + 40960
places = range(first, first + 900000, 40960)
def blocks(name):
    with open(name, "rb") as f:
        return [f.seek(at) and f.read(4096) for at in places]
want = blocks(sys.argv[2])
found = [blocks(name) for name in glob.glob(sys.argv[1] + "/??/*")]
sys.exit(not any(a == b and len(a) == 4096 for f in found for a, b in zip(f, want)))' "$@"
}

make_tree() {
	mkdir "$1" "$1/d"
	for i in $(seq 30); do
		head -c $((i * i * 701)) /dev/urandom >"$1/d/f$i"
	done
	head -c 9000001 /dev/urandom >"$1/big"
	: >"$1/empty"
}

same_tree() { diff -r "$1" "$2"; }

asked_nothing() {
	"$unetfs" status --json "$1" | grep -oE '"(cache|download)_[a-z_]*":[0-9]*'
	[ "$(counter "$1" download_slices)" = 0 ]
}
asked() { [ "$(counter "$1" download_slices)" -gt 0 ]; }

# again SOURCE DIR OPTIONS: the mount of DIR once more.
again() {
	umount_unetfs "$2" "$mount_pid" || not_ok "umount of $2"
	mount_unetfs "$1" "$2" "$3"
}

# warm_mount NAME SOURCE BEHIND OPTIONS
warm_mount() {
	local name=$1 source=$2 b=$3 options=$4 m=$tmp/$1

	mount_unetfs "$source" "$m" "$options"
	check "$name: the first mount reads the tree" same_tree "$m" "$b"
	check "$name: from the server" asked "$m"
	again "$source" "$m" "$options"
	check "$name: the second mount reads the same" same_tree "$m" "$b"
	check "$name: without asking for data" asked_nothing "$m"
	cp "$b/big" "$m/written"
	printf XXXX | dd of="$m/d/f20" bs=1 seek=5000 conv=notrunc status=none
	again "$source" "$m" "$options"
	check "$name: what was written is read" cmp "$m/written" "$b/written"
	check "$name: from the cache" asked_nothing "$m"
	check "$name: what was changed here is right" cmp "$m/d/f20" "$b/d/f20"
	umount_unetfs "$m" "$mount_pid"
	printf YYYY | dd of="$b/big" bs=1 seek=4000000 conv=notrunc status=none
	truncate -s 100 "$b/d/f30"
	mount_unetfs "$source" "$m" "$options"
	check "$name: what changed at the server is read from it" same_tree "$m" "$b"
	check "$name: and nothing else" [ "$(counter "$m" download_bytes)" -lt 10000000 ]
	check_umount "$m" "$mount_pid"
}

make_tree "$tmp/e1"
make_tree "$tmp/e2"
make_tree "$tmp/e3"
warm_mount dir "dir:$tmp/e1" "$tmp/e1" "cache=strict,cachedir=$tmp/c,delay=2"
start_diod "$tmp/e2" "$tmp/9p.sock"
warm_mount 9p "9p://$tmp/9p.sock" "$tmp/e2" \
	"trans=unix,aname=$tmp/e2,cache=strict,cachedir=$tmp/c"

# Damage: flip, truncate, swap, delete, empty, put another file in the place.
options="cache=strict,cachedir=$tmp/c3"
mount_unetfs "dir:$tmp/e3" "$tmp/hurt" "$options"
check "the tree is read before the cache is damaged" same_tree "$tmp/hurt" "$tmp/e3"
for round in 1 2 3 4 5 6; do
	umount_unetfs "$tmp/hurt" "$mount_pid" || not_ok "umount in round $round"
	python3 "$here/damage.py" "$tmp/c3" "$round"
	mount_unetfs "dir:$tmp/e3" "$tmp/hurt" "$options"
	check "no wrong byte from a damaged cache, round $round" same_tree "$tmp/hurt" "$tmp/e3"
done
check "the server was asked for what was damaged" asked "$tmp/hurt"
check "the files of others are as they were" grep -qx precious "$tmp/precious"
check_umount "$tmp/hurt" "$mount_pid"

# A limit smaller than the set of files, and fsx on top.
mkdir "$tmp/e4"
mount_unetfs "dir:$tmp/e4" "$tmp/small" "cache=strict,cachedir=$tmp/c4,cachesize=4m"
for seed in 1 2 3; do
	check "fsx beyond the limit of the cache, seed $seed" timeout $((patience * 10)) \
		"$BUILD/unetfs-fsx" -q -N 5000 -S "$seed" -P "$tmp" -l 3M "$tmp/small/x$seed"
	sync "$tmp/small/x$seed"
	check "the server has the same file" cmp "$tmp/small/x$seed" "$tmp/e4/x$seed"
done
cp "$tmp/e3/big" "$tmp/e4/"
check "a file larger than the cache is read" cmp "$tmp/small/big" "$tmp/e4/big"
data_bytes() {
	find "$1" -mindepth 2 -type f -printf '%b\n' |
		awk '{ n += $1 * 512 } END { print n + 0 }'
}
# While it is open nothing can go but parts of it.
within() { [ "$(data_bytes "$tmp/c4")" -le $((4 << 20)) ]; }
read_part() { cmp -n 1000000 -i "$1" "$tmp/small/big2" "$tmp/e4/big2" && within; }
cp "$tmp/e3/big" "$tmp/e4/big2"
exec 7<"$tmp/small/big2"
for part in 0 1000000 2000000 3000000 4000000 5000000 6000000 7000000 8000000; do
	check "the limit holds inside an open file, from byte $part" read_part "$part"
done
check "and the cache is not empty for that" [ "$(data_bytes "$tmp/c4")" -ge $((1 << 20)) ]
# It is copied there in the background.
check "what was read last is in it" \
	wait_for "$patience" in_cache_file "$tmp/c4" "$tmp/e4/big2" 8000000
exec 7<&-
# What is pinned stays, whatever else is read, and over mounts.
cp "$tmp/e3/d/f20" "$tmp/e4/pinned"
check "a file is pinned" "$unetfs" cache pin "$tmp/small/pinned"
read_rest() { cmp "$tmp/small/big" "$tmp/e4/big" && cmp "$tmp/small/big2" "$tmp/e4/big2"; }
check "larger files are read than there is room" read_rest
again "dir:$tmp/e4" "$tmp/small" "cache=strict,cachedir=$tmp/c4,cachesize=4m"
check "what is pinned is read" cmp "$tmp/small/pinned" "$tmp/e4/pinned"
check "without asking for data" asked_nothing "$tmp/small"
check "it is listed as pinned" sh -c "'$unetfs' cache ls '$tmp/c4' | grep -q 'pinned\$'"
check "and unpinned again" "$unetfs" cache unpin "$tmp/small/pinned"
refuses_pin() { "$unetfs" cache pin "$1" 2>&1 | grep -q "no disk cache"; }
check "a file without a disk cache is not pinned" refuses_pin "$tmp/e4/pinned"
check_umount "$tmp/small" "$mount_pid"
check "the cache is not larger than its limit" [ "$(data_bytes "$tmp/c4")" -le $((4 << 20)) ]

# Two mounts of one share on one folder, at once; one of them is killed.
options="cache=strict,cachedir=$tmp/c3"
mount_unetfs "dir:$tmp/e3" "$tmp/one" "$options"
one_pid=$mount_pid
mount_unetfs "dir:$tmp/e3" "$tmp/two" "$options"
check "one of two mounts on a folder reads right" same_tree "$tmp/one" "$tmp/e3"
check "the other too, at the same time" same_tree "$tmp/two" "$tmp/e3"
exec 7<"$tmp/one/big"
check "a file that the other has open" cmp "$tmp/two/big" "$tmp/e3/big"
kill -9 "$one_pid"
exec 7<&-
wait_for "$patience" gone "$one_pid"
umount -l "$tmp/one" 2>/dev/null || fusermount3 -uz "$tmp/one"
again "dir:$tmp/e3" "$tmp/two" "$options"
check "after the death of one the other still reads right" same_tree "$tmp/two" "$tmp/e3"
check "and nothing of the dead one is in the way" asked_nothing "$tmp/two"
check_umount "$tmp/two" "$mount_pid"

# The folder seen from outside: listed, checked, emptied, filled.
# cache_says VERB FOLDER 'expression of its JSON, j'
cache_says() {
	"$unetfs" cache "$1" --json "$2" |
		python3 -c "import json, sys; j = json.load(sys.stdin); sys.exit(not ($3))"
}
objects=$("$unetfs" cache stat --json "$tmp/c3" | grep -oP '"objects":\K[0-9]*')
check "cache ls lists as many objects as cache stat counts" cache_says ls "$tmp/c3" \
	"len(j['objects']) == $objects > 20"
check "cache check finds nothing wrong" cache_says check "$tmp/c3" \
	"j['bad'] == 0 and j['blocks'] > 2000 and j['in_use'] == 0"
mount_unetfs "dir:$tmp/e3" "$tmp/two" "$options"
exec 7<"$tmp/two/big"
head -c 100 <&7 >/dev/null
check "what a mount has in use is left alone" cache_says check "$tmp/c3" "j['in_use'] > 0"
check "cache evict leaves that, too" cache_says evict "$tmp/c3" \
	"j['in_use'] > 0 and j['objects'] > 0"
check "and the mount reads right" same_tree "$tmp/two" "$tmp/e3"
exec 7<&-
umount_unetfs "$tmp/two" "$mount_pid" || not_ok "umount of two"
python3 "$here/damage.py" "$tmp/c3" 77
check "in a damaged folder it does" cache_says check "$tmp/c3" "j['bad'] > 0"
check "and it drops that" cache_says check "$tmp/c3" "j['bad'] == 0 and j['blocks'] > 0"
check "cache evict removes everything" cache_says evict "$tmp/c3" "j['in_use'] == 0"
check "so that nothing is left" cache_says stat "$tmp/c3" "j['objects'] == 0 and j['bytes'] == 0"
check "on the disk either" [ "$(data_bytes "$tmp/c3")" = 0 ]
mount_unetfs "dir:$tmp/e3" "$tmp/two" "$options"
check "cache warm reads a tree" "$unetfs" cache warm "$tmp/two"
again "dir:$tmp/e3" "$tmp/two" "$options"
check "which the next mount then has" same_tree "$tmp/two" "$tmp/e3"
check "without asking for data" asked_nothing "$tmp/two"

# The same by paths of the mount.
check "cache ls of a folder on a mount has its files" cache_says ls "$tmp/two/d" \
	"{o['path'] for o in j['objects']} == {'$tmp/two/d/f%d' % i for i in range(1, 31)}"
check "of the mount point all of it" cache_says ls "$tmp/two" "len(j['objects']) > 30"
check "cache stat of one file is of that" cache_says stat "$tmp/two/d/f20" \
	"j['objects'] == 1 and 280400 <= j['bytes'] < 290000"
check "one file is pinned" "$unetfs" cache pin "$tmp/two/d/f20"
pinned() {
	cache_says ls "$tmp/two/d" "[o['path'] for o in j['objects'] if o['pinned']] == [$1]"
}
check "which cache ls shows" wait_for "$patience" pinned "'$tmp/two/d/f20'"
check "and unpinned" "$unetfs" cache unpin "$tmp/two/d/f20"
check "which it shows too" wait_for "$patience" pinned ""
evicted() { cache_says evict "$tmp/two/d/f20" "j['in_use'] == 0" && nothing_of "$tmp/two/d/f20"; }
nothing_of() { cache_says stat "$1" "j['objects'] == 0 and j['bytes'] == 0"; }
check "cache evict removes what is of one file" wait_for "$patience" evicted
check "and leaves the others" cache_says check "$tmp/two/d" "j['bad'] == 0 and j['objects'] == 29"
mkdir "$tmp/two/d/none"
check "in a folder without files there is nothing" nothing_of "$tmp/two/d/none"
rmdir "$tmp/two/d/none"
check_umount "$tmp/two" "$mount_pid"
cache_refused() { ! "$unetfs" cache stat "$1" >"$tmp/why" 2>&1; }
check "a folder without a cache is refused" cache_refused "$tmp/e3"
mount_unetfs "dir:$tmp/e3" "$tmp/two" "cache=strict"
check "a path of a mount without one, too" cache_refused "$tmp/two/d"
check "with a line that says what to do" grep -q "no disk cache; mount with -o fsc" "$tmp/why"
check_umount "$tmp/two" "$mount_pid"
check "and stays as it was" [ ! -e "$tmp/e3/catalogue" ]

refused() { ! "$unetfs" mount -f -o "$1" "dir:$tmp/e3" "$tmp/two" >"$tmp/why" 2>&1; }
mkdir -m 755 "$tmp/open"
check "a folder others may read is refused" refused "cachedir=$tmp/open"
check "with a line that says why" grep -q 0700 "$tmp/why"
check "a disk cache without a cache in memory is refused" refused "cache=none,cachedir=$tmp/c3"
check "limits in the wrong order are refused" refused "cachedir=$tmp/c3,bcull=1,bstop=2"
