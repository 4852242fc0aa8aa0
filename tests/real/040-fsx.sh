#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: no sequence of reads, writes, mappings, truncates and the rest gives
# bytes that a plain file would not give.  Method: the random file exerciser on
# mounts of a directory and of diod, buffered with mappings, direct, and with
# one handle of each kind; then the file behind the mount is compared too.
# FSX_MOUNT_OPS says how many operations each, FSX_SEEDS which seeds.
. "$(dirname "$0")/lib.sh"
requires_fuse
ops=${FSX_MOUNT_OPS:-4000}
[ "${SANITIZE:-}" ] && ops=${FSX_MOUNT_OPS:-800}
seeds=${FSX_SEEDS:-1}

# exercise MOUNT BEHIND NAME FLAGS...
exercise() {
	local mount=$1 behind=$2 name=$3 seed
	shift 3
	for seed in $seeds; do
		check "fsx $name, $ops operations, seed $seed, on $(basename "$mount")" \
			timeout $((patience * 30)) "$BUILD/unetfs-fsx" -q -N "$ops" -S "$seed" \
			-P "$tmp" "$@" "$mount/$name" && sync "$mount/$name" &&
			check "the server has the same file" cmp "$mount/$name" "$behind/$name"
	done
}

# all_ways MOUNT BEHIND
all_ways() {
	exercise "$1" "$2" buffered -l 1M
	exercise "$1" "$2" direct -Z -R -W -r 4096 -w 4096 -l 1M
	exercise "$1" "$2" both --handles=2 -Z -R -W -r 4096 -w 4096
	exercise "$1" "$2" aio -A -R -W
	exercise "$1" "$2" small -l 20000 -o 3000 -c 10
}

mkdir "$tmp/e1" "$tmp/e2" "$tmp/e3"
mount_unetfs "dir:$tmp/e1" "$tmp/dir"
all_ways "$tmp/dir" "$tmp/e1"
check_umount "$tmp/dir" "$mount_pid"

mount_diod "$tmp/e2" "$tmp/diod"
all_ways "$tmp/diod" "$tmp/e2"
check_umount "$tmp/diod" "$mount_pid"

mount_diod "$tmp/e3" "$tmp/loose" cache=loose
all_ways "$tmp/loose" "$tmp/e3"
check_umount "$tmp/loose" "$mount_pid"
