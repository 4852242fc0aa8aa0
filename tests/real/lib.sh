# SPDX-License-Identifier: MIT
#
# What the tests with real servers and real mounts share.  A test is a numbered
# bash script that starts with
#
#	. "$(dirname "$0")/lib.sh"
#
# then says what it requires, starts servers, mounts, and makes its points:
#
#	check "what must hold" command...
#
# prints one "ok" or "not ok" line; a test goes on after a failed point, and
# fails at the end.  Whatever way it ends, everything it started is ended by
# its pid, everything it mounted is unmounted, and its folder $tmp is gone.
# Descriptors 8 and 9 are for the tests' own files; no server gets them.  Nothing
# sleeps: wait_for repeats a command until it succeeds or the time is
# up.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=${BUILD:-$here/../../build}
BUILD=$(cd "$BUILD" && pwd) || exit 1
unetfs=$BUILD/unetfs
# Sanitized programs get more time.
patience=20
[ "${SANITIZE:-}" ] && patience=100

points=0
failures=0
pids=()
# Leaders of groups of processes, where ending the leader might leave others.
groups_of_pids=()
mounts=()
tmp=$(mktemp -d "${TMPDIR:-/tmp}/unetfs-test-XXXXXXXX") || exit 1
# A pipe that never has anything to read, to wait a moment on.
exec {never}<> <(:)

# ------------------------------------------------------------- points

ok() {
	points=$((points + 1))
	echo "ok $points - $*"
}

not_ok() {
	points=$((points + 1))
	failures=$((failures + 1))
	echo "not ok $points - $*"
}

# check WHAT COMMAND...: a point that holds when the command succeeds.
check() {
	local what=$1 status
	shift
	"$@" >"$tmp/check.out" 2>&1
	status=$?
	if [ $status = 0 ]; then
		ok "$what"
		return 0
	fi
	not_ok "$what"
	echo "# status $status of: $*" | sed '2,$s/^/# /'
	tail -n 15 "$tmp/check.out" | sed 's/^/# /'
	return 1
}

# check_sh WHAT SCRIPT: the same for lines of shell, stopped by any failure.
check_sh() {
	check "$1" timeout $((patience * 6)) bash -euo pipefail -c '. "$0"; eval "$1"' \
		"$here/lines.sh" "$2"
}

die() {
	not_ok "$*"
	exit 1
}

# Skips the whole test, for a reason that is printed.
skip() {
	echo "SKIP $(basename "$0"): $*"
	exit 77
}

requires() {
	local program
	for program; do
		command -v "$program" >/dev/null || skip "no $program here"
	done
}

requires_fuse() {
	[ -x "$unetfs" ] || die "no program at $unetfs"
	{ : <>/dev/fuse; } 2>/dev/null || skip "no access to /dev/fuse"
	requires fusermount3
}

# ------------------------------------------------------------ waiting

moment() {
	read -r -t 0.03 -u "$never" _ || true
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || return 1
		moment
	done
	return 0
}

# Ended, though its status may not have been asked for yet.
gone() {
	local state
	state=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) || return 0
	[ "$state" = Z ]
}

# Ends a process this test started.
end() {
	local pid=$1 signal=${2:-TERM}
	kill -s "$signal" "$pid" 2>/dev/null
	wait_for "$patience" gone "$pid" || kill -s KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}

group_gone() {
	! kill -s 0 -- "-$1" 2>/dev/null
}

# Ends a whole group this test started, also a stopped one.
end_group() {
	group_gone "$1" && return
	kill -s TERM -- "-$1"
	kill -s CONT -- "-$1"
	wait_for "$patience" group_gone "$1" || kill -s KILL -- "-$1"
	wait "$1" 2>/dev/null
}

cleanup() {
	local status=$? dir pid
	trap '' INT TERM HUP
	for dir in "${mounts[@]}"; do
		if is_mounted "$dir"; then
			timeout 20 fusermount3 -u -q "$dir" || umount -l "$dir" 2>/dev/null ||
				fusermount3 -u -z -q "$dir"
		fi
	done
	for pid in "${groups_of_pids[@]}"; do
		end_group "$pid"
	done
	for pid in "${pids[@]}"; do
		gone "$pid" || end "$pid"
	done
	# Never into a mount that could not be taken away.
	rm -rf --one-file-system "$tmp"
	exec {never}>&-
	trap - EXIT
	[ $status = 0 ] && [ $failures -gt 0 ] && status=1
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# ------------------------------------------------------------ servers

socket_answers() {
	python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$1"
}

# start_diod EXPORT SOCKET: sets diod_pid.
start_diod() {
	requires diod
	rm -f "$2"
	# Where it may leave the memory it dies with: it insists on doing that.
	(
		cd "$tmp" &&
			exec diod -f -n -N -c /dev/null -l "$2" -e "$1" -L stderr --nwthreads 16 \
				8>&- 9>&-
	) >>"$tmp/diod.log" 2>&1 &
	diod_pid=$!
	pids+=("$diod_pid")
	wait_for "$patience" socket_answers "$2" && return
	tail -n 5 "$tmp/diod.log" | sed 's/^/# /'
	die "diod does not answer on $2"
}

# ------------------------------------------------------------- mounts

# From the kernel's table: asking the mount itself could wait for its server.
is_mounted() {
	grep -q " $1 fuse" /proc/self/mounts
}

not_mounted() {
	! is_mounted "$1"
}

# mount_unetfs SOURCE DIR [OPTIONS]: in the foreground of a job, with its
# messages in $tmp/NAME.log; sets mount_pid.
mount_unetfs() {
	local source=$1 dir=$2 options=${3:-}
	mkdir -p "$dir"
	"$unetfs" mount -f ${options:+-o "$options"} "$source" "$dir" \
		>>"$tmp/$(basename "$dir").log" 2>&1 8>&- 9>&- &
	mount_pid=$!
	pids+=("$mount_pid")
	mounts+=("$dir")
	wait_for "$patience" mounted_or_ended "$dir" "$mount_pid"
	if ! is_mounted "$dir" || gone "$mount_pid"; then
		tail -n 5 "$tmp/$(basename "$dir").log" | sed 's/^/# /'
		die "cannot mount $source ${options:+with $options}"
	fi
}

mounted_or_ended() {
	is_mounted "$1" || gone "$2"
}

# mount_diod EXPORT DIR [OPTIONS]: a server of its own and a mount of it; sets
# diod_pid, mount_pid and diod_socket.
mount_diod() {
	diod_socket=$tmp/$(basename "$2").sock
	start_diod "$1" "$diod_socket"
	mount_unetfs "9p://$diod_socket" "$2" "trans=unix,aname=$1${3:+,$3}"
}

# umount_unetfs DIR PID [FLAG]: and the program must end well.
umount_unetfs() {
	local status
	timeout $((patience * 3)) "$unetfs" umount ${3:+"$3"} "$1" ||
		{ echo "umount of $1 ended with $?"; return 1; }
	is_mounted "$1" && { echo "$1 is still mounted"; return 1; }
	wait_for "$patience" gone "$2" ||
		{ echo "the mount of $1 lives on: $(cat "/proc/$2/wchan" "/proc/$2/status" 2>&1 |
			tr '\n' ' ' | cut -c 1-200)"; return 1; }
	wait "$2"
	status=$?
	[ $status = 0 ] || echo "the mount of $1 ended with $status"
	return $status
}

# check_umount DIR PID: unmounting is a point of its own in most tests.
check_umount() {
	check "umount of $(basename "$1") ends well and leaves nothing" umount_unetfs "$@" ||
		tail -n 20 "$tmp/$(basename "$1").log" | sed 's/^/# /'
}

# counter DIR NAME: a number of unetfs status --json.
counter() {
	"$unetfs" status --json "$1" | python3 -c 'import json, sys
def find(tree, name):
    if isinstance(tree, list):
        tree = {str(i): item for i, item in enumerate(tree)}
    if isinstance(tree, dict):
        if name in tree and not isinstance(tree[name], (dict, list)):
            return tree[name]
        for item in tree.values():
            found = find(item, name)
            if found is not None:
                return found
    return None
print(find(json.load(sys.stdin), sys.argv[1]))' "$2"
}

# Sets uid and as_user, the words before a command that make it a user's who is not root
# and may mount: a /dev/fuse that root made his own is replaced.  The test runs in a mount
# name space of its own then (begin it with OWN_DEV as 150-transports.sh does).
# One with a name: fusermount3 insists on it.
become_user() {
	uid=$(id -u)
	as_user=()
	[ "$uid" = 0 ] || return 0
	uid=$(id -u nobody) || skip "no user to be"
	as_user=(setpriv "--reuid=$uid" "--regid=$uid" --clear-groups --inh-caps=-all)
	if [ "${OWN_DEV:-}" ] && ! "${as_user[@]}" bash -c ': <>/dev/fuse' 2>/dev/null; then
		mknod "$tmp/dev-fuse" c 10 229 && chmod 0666 "$tmp/dev-fuse" &&
			mount --bind "$tmp/dev-fuse" /dev/fuse
	fi
	"${as_user[@]}" bash -c ': <>/dev/fuse' || skip "no /dev/fuse a user may open here"
}
