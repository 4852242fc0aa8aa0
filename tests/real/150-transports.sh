#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: every way to reach a 9P server carries real work, and a user who is not
# root can mount.  Method: the same work on a mount over TCP, on an inherited
# socket, on a pair of inherited pipes, and on mounts of a user made through
# fusermount3; each time all bytes are compared here and behind the server.
#
# A user needs a /dev/fuse that he may open.  Where root made it his own, the
# test goes on in a mount name space that has another one.
if [ "$(id -u)" = 0 ] && [ -z "${OWN_DEV:-}" ] && unshare -m true 2>/dev/null; then
	OWN_DEV=1 exec unshare -m "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
requires_fuse
requires diod python3 setpriv cmp diff dd

# A tree, and a file larger than any message.
mkdir -p "$tmp/tree/linux" "$tmp/tree/empty"
cp -r /usr/include/linux/[ab]* "$tmp/tree/linux"
ln -s linux/auxvec.h "$tmp/tree/link"
head -c 5000011 /dev/urandom >"$tmp/tree/big"
cp "$tmp/tree/big" "$tmp/patched"
for at in 0 70001 4999000 6000000; do
	dd if="$tmp/tree/big" of="$tmp/patched" bs=3000 count=1 oflag=seek_bytes seek=$at \
		conv=notrunc status=none
done
chmod 0711 "$tmp"
# Users may not be allowed where the program is.
install -m 0755 "$(readlink -f "$unetfs")" "$tmp/unetfs"

# work WHAT MOUNT BEHIND [COMMAND...]: COMMAND runs what follows it, as another.
work() {
	local what=$1
	export M=$2 B=$3 T=$tmp
	shift 3
	work_point "$what: a tree arrives as it is" \
		'cp -r --no-dereference $T/tree $M/a; settle $M/a
		 diff -r --no-dereference $T/tree $M/a' "$@"
	check_sh "$what: the server has the same bytes" 'diff -r --no-dereference $T/tree $B/a'
	work_point "$what: parts are written over and behind the end" \
		'cp $T/tree/big $M/copy
		 for at in 0 70001 4999000 6000000; do
			dd if=$T/tree/big of=$M/copy bs=3000 count=1 oflag=seek_bytes seek=$at \
				conv=notrunc status=none
		 done; settle $M/copy; cmp $T/patched $M/copy' "$@"
	check_sh "$what: the server has these bytes too" 'cmp $T/patched $B/copy'
	check_sh "$what: the server gets a file of its own" \
		'head -c 300007 /dev/urandom >$B/theirs; chmod 644 $B/theirs'
	work_point "$what: which is read, renamed and removed" \
		'cmp $B/theirs $M/theirs; mv $M/theirs $M/ours; cmp $B/ours $M/ours
		 mv $M/a $M/b; diff -r --no-dereference $T/tree $M/b
		 rm -r $M/*; test -z "$(ls -A $M)"' "$@"
	check_sh "$what: nothing is left on the server" 'test -z "$(ls -A $B)"'
}

# As check_sh, by whoever runs COMMAND.
work_point() {
	local what=$1 script=$2
	shift 2
	check "$what" timeout $((patience * 6)) "$@" bash -euo pipefail -c '. "$0"; eval "$1"' \
		"$here/lines.sh" "$script"
}

free_port() {
	python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

port_answers() {
	python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])))' "$1"
}

# serve_tcp EXPORT: sets diod_pid and port.
serve_tcp() {
	port=$(free_port)
	(cd "$tmp" && exec diod -f -n -N -c /dev/null -l "127.0.0.1:$port" -e "$1" -L stderr \
		--nwthreads 16) >>"$tmp/diod.log" 2>&1 &
	diod_pid=$!
	pids+=("$diod_pid")
	wait_for "$patience" port_answers "$port" || die "diod does not answer on port $port"
}

# ---------------------------------------------------------------- TCP

mkdir "$tmp/export"
serve_tcp "$tmp/export"
for options in "" cache=loose; do
	name=tcp-${options:-default}
	mount_unetfs "9p://127.0.0.1:$port$tmp/export" "$tmp/$name" "$options"
	check "the mount says where it goes" grep -q "127.0.0.1:$port" /proc/self/mounts
	work "$name" "$tmp/$name" "$tmp/export"
	check_umount "$tmp/$name" "$mount_pid"
done
mount_unetfs "9p://localhost$tmp/export" "$tmp/tcp-named" "port=$port"
work "a host by its name" "$tmp/tcp-named" "$tmp/export"
check_umount "$tmp/tcp-named" "$mount_pid"

# ------------------------------------------------- inherited descriptors

exec {inherited}<>"/dev/tcp/127.0.0.1/$port" || die "no connection to inherit"
mount_unetfs 9p:// "$tmp/fd" "trans=fd,rfdno=$inherited,wfdno=$inherited,aname=$tmp/export"
exec {inherited}>&-
work "an inherited socket" "$tmp/fd" "$tmp/export"
end "$diod_pid"
check "when it is lost, it is lost: an error, no waiting" \
	timeout "$patience" bash -c '! ls "$0" 2>"$0.err" && grep -q connected "$0.err"' "$tmp/fd"
check_umount "$tmp/fd" "$mount_pid"

mkfifo "$tmp/to" "$tmp/from"
# Open for both, so that opening waits for nobody; each side then keeps its end.
exec {both_to}<>"$tmp/to" {both_from}<>"$tmp/from"
exec {there_r}<"$tmp/to" {there_w}>"$tmp/from" {here_r}<"$tmp/from" {here_w}>"$tmp/to"
(exec {both_to}>&- {both_from}>&- {here_r}<&- {here_w}>&-
	exec diod -f -n -N -c /dev/null --rfdno "$there_r" --wfdno "$there_w" -e "$tmp/export" \
		-L stderr) >>"$tmp/diod.log" 2>&1 &
diod_pid=$!
pids+=("$diod_pid")
exec {both_to}>&- {both_from}>&- {there_r}<&- {there_w}>&-
mount_unetfs 9p:// "$tmp/pipes" "trans=fd,rfdno=$here_r,wfdno=$here_w,aname=$tmp/export"
exec {here_r}<&- {here_w}>&-
work "a pair of pipes" "$tmp/pipes" "$tmp/export"
check_umount "$tmp/pipes" "$mount_pid"
check "diod ends with its last client" wait_for "$patience" gone "$diod_pid"

# --------------------------------------------------- who is not root

become_user

# user_mount SOURCE DIR OPTIONS: as mount_unetfs, by the user.
user_mount() {
	local program=$unetfs
	printf '#!/bin/bash\nexec %s %s "$@"\n' "${as_user[*]}" "$tmp/unetfs" >"$tmp/by-user"
	chmod 0755 "$tmp/by-user"
	"${as_user[@]}" mkdir "$2"
	unetfs=$tmp/by-user
	mount_unetfs "$@"
	unetfs=$program
}

mkdir "$tmp/user" "$tmp/user-export"
chown "$uid" "$tmp/user" "$tmp/user-export" 2>/dev/null
serve_tcp "$tmp/user-export"
start_tcp_pid=$diod_pid
start_diod "$tmp/user-export" "$tmp/user.sock"
chmod 0777 "$tmp/user.sock"
for way in tcp unix dir; do
	case $way in
	tcp) source=9p://127.0.0.1:$port$tmp/user-export options=cache=loose ;;
	unix) source=9p://$tmp/user.sock options=trans=unix,aname=$tmp/user-export ;;
	dir) source=dir:$tmp/user-export options= ;;
	esac
	user_mount "$source" "$tmp/user/$way" "$options"
	check "the program of a user's mount is the user's" \
		test "$(stat -c %u "/proc/$mount_pid")" = "$uid"
	work "a user, $way" "$tmp/user/$way" "$tmp/user-export" "${as_user[@]}"
	check "what a user makes through $way is the user's" "${as_user[@]}" bash -c \
		'touch "$0/mine" && mkdir "$0/folder" && rmdir "$0/folder" &&
		 test "$(stat -c %u "$1/mine")" = "$2" && rm "$0/mine"' \
		"$tmp/user/$way" "$tmp/user-export" "$uid"
	check "nobody else comes into it, not even root" \
		bash -c "[ \"\$(id -u)\" != 0 ] || ! ls '$tmp/user/$way'"
	check "the user's umount of $way ends well" "${as_user[@]}" timeout "$patience" \
		"$tmp/unetfs" umount "$tmp/user/$way"
	check "and nothing is left" not_mounted "$tmp/user/$way"
	check "nor the program" wait_for "$patience" gone "$mount_pid"
done
check "the servers are still well" kill -0 "$start_tcp_pid" "$diod_pid"
