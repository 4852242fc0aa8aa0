#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a file on a mount is swap, through a loop device, and not a byte of what goes
# there and comes back is wrong, also when the connection is cut meanwhile.
# Method: a program in a memory cgroup works on more than that lets it have, until some
# hundred MiB went both ways; then the limit goes, swap is taken away, and it checks
# everything once more.  The mount, which is locked in memory, and the server are not in
# that cgroup.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires losetup mkswap swapon swapoff
[ "$(id -u)" = 0 ] || skip "swap is for root"

swap_mib=128
set_mib=80
limit_mib=28
enough_mib=200
enough_cut_mib=100
loops=()
group=

# Whatever happened, the machine gets back what it had: first the program that needs the
# pages, then swap, then the device, then the mount below it.
clean_swap() {
	local status=$? loop
	trap '' INT TERM HUP
	[ -z "${worker:-}" ] || gone "$worker" || end "$worker" KILL
	for loop in "${loops[@]}"; do
		! grep -q "^$loop " /proc/swaps || timeout 20 swapoff "$loop"
		losetup -d "$loop" 2>/dev/null
	done
	[ -z "$group" ] || wait_for 5 rmdir "$group"
	return $status
}
trap 'clean_swap; cleanup' EXIT

# A cgroup with a limit on memory, of whichever kind there is: sets group and limit.
make_group() {
	if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
		group=/sys/fs/cgroup/unetfs-swap-$$
		grep -qw memory /sys/fs/cgroup/cgroup.subtree_control ||
			echo +memory >/sys/fs/cgroup/cgroup.subtree_control
		limit=memory.max
	else
		group=/sys/fs/cgroup/memory/unetfs-swap-$$
		limit=memory.limit_in_bytes
	fi 2>/dev/null
	mkdir "$group" 2>/dev/null || { group=; skip "no memory cgroup can be made here"; }
	[ -w "$group/$limit" ] || skip "no $limit in $group"
}

# use_as_swap FILE: on a device before all others; says why not.
use_as_swap() {
	chmod 0600 "$1"
	loop=$(losetup --direct-io=on -f --show "$1") || return 1
	loops+=("$loop")
	mkswap "$loop" && swapon -p 32767 "$loop"
}

# The kernel at all, with a file of its own disk.
check_kernel() {
	head -c 4M /dev/zero >"$tmp/local"
	use_as_swap "$tmp/local" >"$tmp/local.log" 2>&1 ||
		skip "the kernel cannot swap to a loop device: $(tail -n 1 "$tmp/local.log")"
	swapoff "$loop" && losetup -d "$loop"
}

# MiB that came from swap and went there, from then on: "IN OUT".
swapped() {
	awk -v page="$(getconf PAGESIZE)" -v in0="$1" -v out0="$2" '
		/^pswpin / { pages_in = $2 } /^pswpout / { pages_out = $2 }
		END { print int(pages_in * page / 2^20) - in0, int(pages_out * page / 2^20) - out0 }
	' /proc/vmstat
}

# went MIB: both ways, since the worker began.
went() {
	local in out
	read -r in out < <(swapped "${before[@]}")
	[ "$in" -ge "$1" ] && [ "$out" -ge "$1" ]
}

in_status() {
	sed -n "s/^$1:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$mount_pid/status"
}

round_after() {
	[ "$(cat "$tmp/progress")" -gt "$1" ]
}

# under_pressure NAME MIB [FAULT]: so many both ways.
under_pressure() {
	local name=$1 enough=$2 fault=${3:-} number
	rm -f "$tmp/progress" "$tmp/stop"
	read -ra before < <(swapped 0 0)
	echo $((limit_mib << 20)) >"$group/$limit"
	(
		echo "$BASHPID" >"$group/cgroup.procs" &&
			exec python3 "$here/pressure.py" $set_mib "$tmp/progress" "$tmp/stop"
	) >"$tmp/pressure.log" 2>&1 8>&- 9>&- &
	worker=$!
	pids+=("$worker")
	if [ "$fault" ]; then
		check "$name: work begins" wait_for $patience went 20
		number=$(cat "$tmp/progress" 2>/dev/null || echo 0)
		"$fault"
		check "$name: it goes on" wait_for $((patience * 2)) round_after "$number"
	fi
	check "$name: $enough MiB went to swap and came back" wait_for $((patience * 2)) \
		went "$enough"
	echo "# $name: $(swapped "${before[@]}") MiB in and out"
	check "$name: nothing of the mount's memory is there" test "$(in_status VmSwap)" = 0
	echo $((1 << 40)) >"$group/$limit"
	check "$name: swap can be taken away" timeout $((patience * 2)) swapoff "$loop"
	touch "$tmp/stop"
	check "$name: the program ends" wait_for $patience gone "$worker"
	check "$name: every byte was right" wait "$worker" || cat "$tmp/pressure.log"
	sed 's/^/# /' "$tmp/pressure.log"
}

make_group
check_kernel
start_smbd swap
mount_smb "$tmp/mnt" mlock,cache=none
check "the mount is locked in memory" test "$(in_status VmLck)" -gt 4096
echo "# $(in_status VmLck) kB locked, $(in_status VmRSS) kB resident"
# What this machine does not allow is said; then only that is missing.
grep -h "mlock:" "$tmp/mnt.log" | sed 's/^/# /'
dd if=/dev/zero of="$tmp/mnt/swap" bs=4M count=$((swap_mib / 4)) status=none
check "a file on the mount becomes swap" use_as_swap "$tmp/mnt/swap"
check "the loop device bypasses the page cache" \
	grep -qx 1 "/sys/block/${loop#/dev/}/loop/dio"
under_pressure quiet $enough_mib
check "the file becomes swap again" swapon -p 32767 "$loop"
under_pressure cut $enough_cut_mib cut_smbd
check "the connection was made again" test "$(counter "$tmp/mnt" reconnects)" -ge 1
check "the device can be taken away" losetup -d "$loop"
check_umount "$tmp/mnt" "$mount_pid"
exit $((failures > 0))
