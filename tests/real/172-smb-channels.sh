#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: an SMB session of several connections is as many as was asked for and the
# server allows, carries data over all of them, and loses nothing, and shows no error,
# when some or all of them are cut under load.
# Method: a real smbd in a network name space of the test's own, where connections are
# killed one by one, and where it can have several addresses.
# FSX_MOUNT_OPS says how many operations the file exerciser does on each mount.
if [ "$(id -u)" = 0 ] && [ -z "${OWN_NET:-}" ] && unshare -n true 2>/dev/null; then
	OWN_NET=1 exec unshare -n bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires ip ss
[ -n "${OWN_NET:-}" ] || skip "a network name space is root's"
ip link set lo up || skip "no interface of its own"
ops=${FSX_MOUNT_OPS:-4000}
[ "${SANITIZE:-}" ] && ops=${FSX_MOUNT_OPS:-800}
files=100

# Our ends of the connections to the server: PORT ADDRESS of each.
channels() {
	ss -tnH state established "dport = :$smbd_port" | awk '{print $3, $4}' |
		sed 's/^[^ ]*:\([0-9]*\) \(.*\):[0-9]*$/\1 \2/'
}

has_channels() {
	[ "$(channels | wc -l)" = "$1" ]
}

# cut_channels COUNT: the oldest ones.
cut_channels() {
	local port
	for port in $(channels | head -n "$1" | cut -d' ' -f1); do
		ss -K "sport = :$port" "dport = :$smbd_port" >/dev/null 2>&1
	done
}

# Bytes that each connection has sent, the least of them.
least_moved() {
	ss -tinH state established "dport = :$smbd_port" |
		grep -o 'bytes_acked:[0-9]*' | cut -d: -f2 | sort -n | head -n 1
}

progressed() {
	[ "$(cat "$1" 2>/dev/null || echo 0)" -ge "$2" ]
}

state_says() {
	"$unetfs" status "$1" | grep -qE "state +$2"
}

# leaves_at_once MOUNT SERVER: what is still open when it is removed, or was a moment ago,
# has a name of ours.
leaves_at_once() {
	python3 - "$1" "$2" <<'PYTHON'
import os, sys
for i in range(100):
    path = os.path.join(sys.argv[1], f"leaves{i}")
    os.mkdir(path)
    files = [open(os.path.join(path, f"file{k}"), "wb") for k in range(4)]
    for k, file in enumerate(files):
        file.write(b"x" * 5000)
        if k & 1:
            file.close()
        os.unlink(file.name)
        if k == 2:
            file.close()
    try:
        os.rmdir(path)
    except OSError:
        print(os.listdir(os.path.join(sys.argv[2], f"leaves{i}")), file=sys.stderr)
        raise
    files[0].close()
PYTHON
}

# ------------------------------------------------------------ how many

smbd_interfaces='"127.0.0.1;capability=RSS,speed=1000000000"'
start_smbd rss
for options in seal ""; do
	name=four${options:+-$options}
	mnt=$tmp/$name
	mount_smb "$mnt" "max_channels=4${options:+,$options}"
	check "$name: status says four channels" \
		wait_for "$patience" state_says "$mnt" "connected by 4 channels"
	check "$name: and there are four connections" has_channels 4
	head -c 64M /dev/urandom >"$tmp/data"
	check "$name: a file is written" cp "$tmp/data" "$mnt/data"
	check "$name: every byte is there" cmp "$tmp/data" "$smbd_export/data"
	check "$name: every connection carried 1 MiB or more" test "$(least_moved)" -ge 1048576
	check "$name: $ops operations of the file exerciser" timeout $((patience * 60)) \
		"$BUILD/unetfs-fsx" -q -N "$ops" -S 1 -P "$tmp" -l 1M "$mnt/fsx"
	check "$name: the server has the same file" \
		bash -c 'sync "$1" && cmp "$1" "$2"' - "$mnt/fsx" "$smbd_export/fsx"
	check "$name: a directory of files that are open or were just now can be removed" \
		leaves_at_once "$mnt" "$smbd_export"
	check_umount "$mnt" "$mount_pid"
done

for words in "" nomultichannel,max_channels=4 max_channels=1; do
	mount_smb "$tmp/one" "$words"
	cp "$tmp/data" "$tmp/one/data"
	check "'$words' is one connection" has_channels 1
	check_umount "$tmp/one" "$mount_pid"
done
mount_smb "$tmp/two" multichannel
check "multichannel alone is two" wait_for "$patience" has_channels 2
check_umount "$tmp/two" "$mount_pid"
check "max_channels=0 and =17 are refused" bash -c '
	for n in 0 17; do
		"$1" mount -f -o "credentials=$2,port=$3,max_channels=$n" \
			//127.0.0.1/share "$4" && exit 1
	done; true' - "$unetfs" "$smbd_login" "$smbd_port" "$tmp/two"

# -------------------------------------------------------------- faults

# under_load NAME OPTIONS COUNT: so many of four connections are cut, five times,
# while a program works.
under_load() {
	local name=$1 count=$3 mnt=$tmp/$1 progress=$tmp/$1.progress round writer
	mount_smb "$mnt" "max_channels=4,$2"
	wait_for "$patience" state_says "$mnt" "connected by 4 channels" ||
		die "$name: there are not four channels"
	mkdir "$mnt/w"
	python3 "$here/writer.py" write "$mnt/w" "$files" "$progress" >"$tmp/writer.log" 2>&1 &
	writer=$!
	pids+=("$writer")
	for round in 1 2 3 4 5; do
		wait_for $((patience * 2)) progressed "$progress" $((round * files / 8)) ||
			die "$name: the writer stands still before round $round"
		cut_channels "$count"
		wait_for "$patience" has_channels 4
		check "$name: there are four channels again after round $round" \
			wait_for $((patience * 2)) state_says "$mnt" "connected by 4 channels"
	done
	check "$name: the writer ends" wait_for $((patience * 5)) gone "$writer"
	check "$name: the writer saw no error" wait "$writer" || cat "$tmp/writer.log"
	check "$name: every byte is right through the mount" \
		timeout $((patience * 3)) python3 "$here/writer.py" check "$mnt/w" "$files"
	check "$name: every byte is right behind it" \
		timeout $((patience * 3)) python3 "$here/writer.py" check "$smbd_export/w" "$files"
	reconnects=$(counter "$mnt" reconnects)
	check_umount "$mnt" "$mount_pid"
	rm -r "${smbd_export:?}/w"
}

# Samba 4.17 ends the session when it wants to tell of a break just then by a channel that
# was cut, and says so.
ended_by_samba() {
	cat "$smbd_dir"/log.* | grep -c smbXsrv_connection_get_rto_usecs.*errno
}

under_load cut-one "" 1
check "the session was never lost, but where Samba ended it ($(ended_by_samba))" \
	test "$reconnects" -le "$(ended_by_samba)"
before=$(ended_by_samba)
under_load cut-three seal 3
check "the session was never lost, but where Samba ended it ($(ended_by_samba))" \
	test "$reconnects" -le $(($(ended_by_samba) - before))
under_load cut-all "" 4
check "the session was made anew" test "$reconnects" -ge 1
kill_smbd

# ----------------------------------------------------------- addresses

ip addr add 10.77.0.1/24 dev lo && ip addr add 10.77.0.2/24 dev lo || die "no addresses"
smbd_interfaces='"10.77.0.1;speed=1000000000" "10.77.0.2;speed=1000000000" 127.0.0.1'
start_smbd places
mount_unetfs //10.77.0.1/share "$tmp/places" \
	"credentials=$smbd_login,port=$smbd_port,max_channels=4"
check "without RSS there is one connection to each address" wait_for "$patience" has_channels 2
check "and not two to the same" test "$(channels | cut -d' ' -f2 | sort -u | wc -l)" = 2
cp "$tmp/data" "$tmp/places/data"
check "every byte is there" cmp "$tmp/data" "$smbd_export/data"
ip addr del 10.77.0.2/24 dev lo
ss -K dst 10.77.0.2 >/dev/null 2>&1
head -c 8M /dev/urandom >"$tmp/more"
check "an address that goes costs nothing" cp "$tmp/more" "$tmp/places/more"
check "every byte is there" cmp "$tmp/more" "$smbd_export/more"
ip addr add 10.77.0.2/24 dev lo
check_umount "$tmp/places" "$mount_pid"
kill_smbd

smbd_interfaces='"127.0.0.1;speed=1000000000"'
start_smbd alone
mount_smb "$tmp/alone" max_channels=4
check "one address without RSS is one connection" \
	wait_for "$patience" state_says "$tmp/alone" "connected by one channel"
check "and no more" has_channels 1
check "the log says why" grep -q "no RSS" "$tmp/alone.log"
check_umount "$tmp/alone" "$mount_pid"
kill_smbd

smbd_multichannel=no
start_smbd single
mount_smb "$tmp/single" max_channels=4
check "a server that has no multichannel is used by one connection" \
	wait_for "$patience" state_says "$tmp/single" "connected by one channel"
cp "$tmp/more" "$tmp/single/more"
check "every byte is there" cmp "$tmp/more" "$smbd_export/more"
check "the log says why" grep -q "does not offer" "$tmp/single.log"
check_umount "$tmp/single" "$mount_pid"
