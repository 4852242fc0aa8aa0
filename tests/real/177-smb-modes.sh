#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: with cifsacl owner and mode are the server's: what chmod and chown say is there
# after another mount and for other clients, and what those say is seen here.
# Method: mounts of real smbds beside smbcacls: one that maps access lists to its own
# modes, one that keeps them, and one that may not tell all of them.
#
# smbcacls knows one port only; so all of it runs in a network of its own.
if [ "$(id -u)" = 0 ] && [ -z "${OWN_NET:-}" ] && unshare -n true 2>/dev/null; then
	OWN_NET=1 exec unshare -n bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires smbcacls ip
[ "${OWN_NET:-}" ] || skip "no network of its own can be made here"
ip link set lo up
# Also for a server that is not root's.
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null
nobody=$(id -un 65534)

free_port() {
	echo 445
}

acl() {
	smbcacls -s "$smbd_dir/smb.conf" -A "$smbd_login" //127.0.0.1/share "$@"
}

# shows MODE FILE...: what this mount, or another one from now on, says.
shows() {
	local want=$1 got
	shift
	got=$(stat -Lc %a "$@" | tr '\n' ' ')
	[ "$got" = "$(for _; do printf '%s ' "$want"; done)" ] || {
		echo "$got instead of $want"
		return 1
	}
}

belongs() {
	[ "$(stat -c %u:%g "$2")" = "$1" ]
}

another_mount() {
	umount_unetfs "$mnt" "$mount_pid" && mount_smb "$mnt" "$1"
}

# A line of the list of FILE as another client sees it.
listed() {
	acl "$2" | grep -q "$1"
}

# The files that are made here, and the modes that they are made with.
modes() {
	(umask 022 && echo a >"$mnt/a" && mkdir "$mnt/d") || return 1
	(umask 077 && echo b >"$mnt/b" && mkdir "$mnt/e") || return 1
	shows 644 "$mnt/a" && shows 755 "$mnt/d" && shows 600 "$mnt/b" && shows 700 "$mnt/e"
}

# changes NAME OPTIONS: what holds with any server that keeps lists.
changes() {
	local name=$1
	mnt=$tmp/$1
	mount_smb "$mnt" "$2"
	check "$name: files have the mode they are made with" modes
	chmod 0640 "$mnt/a"
	check "$name: chmod is seen at once" shows 640 "$mnt/a"
	check "$name: and by an open file" shows 640 /dev/fd/9 9<"$mnt/a"
	check "$name: another client sees that others may nothing" \
		bash -c '! grep -q "S-1-1-0:ALLOWED/0x0/R" <<<"$1"' - "$(acl a)"
	check "$name: and that the owner reads and writes" listed '1000:ALLOWED/0x0/.*' a
	acl -M ACL:S-1-1-0:0/0x0/0x00120089 a >/dev/null || acl -a ACL:S-1-1-0:0/0x0/0x00120089 a
	check "$name: what another client allows is seen" wait_for "$patience" shows 644 "$mnt/a"
	chmod 0444 "$mnt/a"
	check "$name: a file that may not be written" shows 444 "$mnt/a"
	chmod 0755 "$mnt/a"
	check "$name: may be, later" shows 755 "$mnt/a"
	check "$name: programs that keep modes do" bash -euc '
		cp -p "$1/a" "$1/copy" && chmod 0610 "$1/copy" && mkdir "$1/away"
		tar -C "$1" -c copy | tar -C "$1/away" -xp
		[ "$(stat -c %a "$1/away/copy")" = 610 ]' - "$mnt"
	: >"$mnt/copy"
	check "$name: truncating leaves the mode" shows 610 "$mnt/copy"
	check "$name: a file is given away" chown 1234:4321 "$mnt/b"
	check "$name: it belongs to whom it was given" belongs 1234:4321 "$mnt/b"
	check "$name: at the server, too" belongs 1234:4321 "$smbd_export/b"
	chmod 0640 "$mnt/a"
	check "$name: another mount begins" another_mount "$2"
	check "$name: what was changed is still so" shows 640 "$mnt/a"
	check "$name: what was made, too" shows 700 "$mnt/e"
	check "$name: and what was given away" belongs 1234:4321 "$mnt/b"
	check "$name: with the rights it had" shows 600 "$mnt/b"
}

# The entry of somebody who is neither owner nor group.
others() {
	acl -a ACL:S-1-22-1-1235:ALLOWED/0x0/R d >/dev/null
	chmod 0750 "$mnt/d"
	check "$1: what is said of others stays" listed 'S-1-22-1-1235:ALLOWED/0x0/R' d
	check "$1: beside the new mode" shows 750 "$mnt/d"
}

start_smbd mapped
changes mapped cifsacl
check_umount "$mnt" "$mount_pid"
mnt=$tmp/forced
mount_smb "$mnt" cifsacl,uid=7,gid=8,forceuid
check "forceuid: the owner is the mount's, the group the server's" belongs 7:4321 "$mnt/b"
check "who does not belong to this machine is the mount's" belongs 7:0 "$mnt/a"
check_umount "$mnt" "$mount_pid"
mnt=$tmp/plain
mount_smb "$mnt" file_mode=0604
check "without cifsacl modes are the mount's" shows 604 "$mnt/a" "$mnt/b"
check_umount "$mnt" "$mount_pid"
kill_smbd

smbd_modules="catia streams_xattr acl_xattr"
start_smbd kept
changes kept cifsacl
others kept
for mode in 0 7 70 700 604 467 111 753; do
	chmod "$mode" "$mnt/d/" "$mnt/a"
	check "kept: any mode is kept: $mode" shows "$mode" "$mnt/d" "$mnt/a"
done
chmod 0755 "$mnt/d"
check_umount "$mnt" "$mount_pid"
mnt=$tmp/sid
mount_smb "$mnt" modefromsid,idsfromsid
check "modefromsid: a server that takes no mode gets a list" bash -c '
	umask 027; echo c >"$1/c"; [ "$(stat -c %a "$1/c")" = 640 ]' - "$mnt"
check "modefromsid: which is said" grep -q "does not keep S-1-5-88" "$tmp/sid.log"
check "idsfromsid: and owners as it knows them" bash -c '
	chown 1:2 "$1/c" && [ "$(stat -c %u:%g:%a "$1/c")" = 1:2:640 ]' - "$mnt"
check_umount "$mnt" "$mount_pid"
kill_smbd

smbd_modules=
start_smbd foreign "$nobody"
echo secret >"$smbd_export/theirs"
chmod 0600 "$smbd_export/theirs"
mnt=$tmp/foreign
mount_smb "$mnt" cifsacl,file_mode=0640
check "foreign: a file whose list is not for us is there" shows 640 "$mnt/theirs"
check "foreign: and cannot be read" bash -c '! cat "$1/theirs" 2>/dev/null' - "$mnt"
check "foreign: nor changed" bash -c '! chmod 0666 "$1/theirs" 2>/dev/null' - "$mnt"
check "foreign: our own can" bash -c '
	echo d >"$1/d" && chmod 0600 "$1/d" && [ "$(stat -c %a "$1/d")" = 600 ]' - "$mnt"
check "foreign: but not given away" bash -c '! chown 1:1 "$1/d" 2>/dev/null' - "$mnt"
check_umount "$mnt" "$mount_pid"
exit $((failures > 0))
