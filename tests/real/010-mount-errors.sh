#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: whatever is wrong with a mount command, it ends at once with the exit
# status that mount(8) has for it, one clear line, and nothing mounted.
# Method: each mistake once; the line must name what was wrong.
. "$(dirname "$0")/lib.sh"
requires_fuse
mkdir "$tmp/export" "$tmp/mnt"

# refuses WHAT STATUS PATTERN ARGUMENT...
refuses() {
	local what=$1 want=$2 pattern=$3 status lines wrong=
	shift 3
	timeout "$patience" "$unetfs" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	lines=$(wc -l <"$tmp/err")
	[ $status = "$want" ] || wrong="status $status, not $want"
	[ "$lines" = 1 ] || wrong="$wrong; $lines lines of message, not one"
	grep -qi -- "$pattern" "$tmp/err" || wrong="$wrong; no word of '$pattern'"
	[ -s "$tmp/out" ] && wrong="$wrong; text on standard output"
	is_mounted "$tmp/mnt" && wrong="$wrong; mounted all the same"
	if [ "$wrong" ]; then
		not_ok "$what"
		echo "# $wrong"
		sed 's/^/# /' "$tmp/err"
	else
		ok "$what: $(cat "$tmp/err")"
	fi
}

dir="dir:$tmp/export"
refuses "an unknown command" 1 frobnicate frobnicate
refuses "an unknown flag" 1 "-q" mount -q "$dir" "$tmp/mnt"
refuses "no mount point" 1 "mount" mount "$dir"
refuses "an unknown option" 1 "nosuchword" mount -o nosuchword "$dir" "$tmp/mnt"
refuses "an option with a value it cannot have" 1 "rsize" mount -o rsize=lots "$dir" "$tmp/mnt"
refuses "a cache mode there is not" 1 "cache" mount -o cache=perhaps "$dir" "$tmp/mnt"
refuses "an unknown scheme" 1 "gopher" mount gopher://host/x "$tmp/mnt"
refuses "a source without a scheme" 1 "nonsense" mount nonsense "$tmp/mnt"
refuses "a missing directory to show" 32 "nothing-here" mount "dir:$tmp/nothing-here" "$tmp/mnt"
refuses "a missing mount point" 32 "no-such-dir" mount "$dir" "$tmp/no-such-dir"
: >"$tmp/file"
refuses "a mount point that is a file" 32 "$tmp/file" mount "$dir" "$tmp/file"
refuses "a socket nobody listens on" 32 "gone.sock" \
	mount -o trans=unix,aname=/ "9p://$tmp/gone.sock" "$tmp/mnt"

# A port that was free a moment ago: nobody listens there.
port=$(python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
refuses "a connection that is refused" 32 "refused" mount "9p://127.0.0.1:$port/x" "$tmp/mnt"
refuses "a host there is not" 32 "no-such-host.invalid" \
	mount 9p://no-such-host.invalid/x "$tmp/mnt"

if command -v diod >/dev/null; then
	start_diod "$tmp/export" "$tmp/diod.sock"
	refuses "an export the server does not have" 32 "attach to $tmp/elsewhere refused" \
		mount -o "trans=unix,aname=$tmp/elsewhere" "9p://$tmp/diod.sock" "$tmp/mnt"
fi

mount_unetfs "$dir" "$tmp/busy"
refuses "a mount point in use" 32 "$tmp/busy" mount "$dir" "$tmp/busy"
check "the mount in use is still there" is_mounted "$tmp/busy"
check_umount "$tmp/busy" "$mount_pid"
refuses "umount of what is not mounted" 1 "$tmp/mnt" umount "$tmp/mnt"
check_sh "unetfs mount --help tells the options" \
	"'$unetfs' mount --help | grep 'strict, loose or' >/dev/null
	'$unetfs' status --help | grep json >/dev/null"

# A machine without /dev/fuse, in a mount name space of its own.
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	without_fuse='mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 &&
		mknod -m 666 /dev/urandom c 1 9 && exec "$@"'
	real=$unetfs
	unetfs_in_there() {
		unshare -m sh -c "$without_fuse" sh "$real" "$@"
	}
	export -f unetfs_in_there
	export real without_fuse
	printf '#!/bin/bash\nunetfs_in_there "$@"\n' >"$tmp/in-there"
	chmod +x "$tmp/in-there"
	unetfs=$tmp/in-there
	refuses "a machine without /dev/fuse" 32 "/dev/fuse" mount "$dir" "$tmp/mnt"
	unetfs=$real
fi
