#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: what leads to another server (DFS) is refused, with words that say so, and
# nothing else suffers.
# Method: a real Samba server whose share is a DFS root with links.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd

smbd_share_only() {
	printf '[%s]\npath = %s\nread only = no\n' "$1" "$2"
	shift 2
	printf '%s\n' "$@"
}

# The server as others have it, with a share that is a DFS root.
start_smbd own
kill_smbd
smbd_share_only root "$smbd_export" "msdfs root = yes" >>"$smbd_dir/smb.conf"
sed -i '/^\[global\]/a host msdfs = yes' "$smbd_dir/smb.conf"
run_smbd
mkdir "$smbd_export/dir"
echo here >"$smbd_export/dir/file"
ln -s 'msdfs:elsewhere.example\share' "$smbd_export/dir/link"

# refused SOURCE: what mount says, which must fail at once.
refused() {
	mkdir -p "$tmp/refused"
	timeout $patience "$unetfs" mount -f -o "credentials=$smbd_login,port=$smbd_port" "$1" \
		"$tmp/refused" 2>&1
	[ $? = 32 ]
}

says_dfs() {
	refused "//127.0.0.1/root/$1" >"$tmp/said" || return 1
	[ "$(wc -l <"$tmp/said")" = 1 ] && grep -q "root/$1.*another server (DFS)" "$tmp/said"
}

remote() {
	"$@" 2>&1 >/dev/null | grep -q "Object is remote"
}

check "a mount of what leads elsewhere is refused, in one line" says_dfs dir/link
check "also of what is below" says_dfs dir/link/below
mount_smb "$tmp/root" "" root
root_pid=$mount_pid
root=$tmp/root
check "a share that is a DFS root can be mounted" test "$(cat "$root/dir/file")" = here
check "what leads elsewhere is listed" eval 'ls "$root/dir" | grep -qx link'
check "and is remote (EREMOTE)" remote stat "$root/dir/link"
check "also what is below" remote cat "$root/dir/link/below/file"
check "and what would be made there" remote mkdir "$root/dir/link/new"
check "it is not removed for a file" remote rm -f "$root/dir/link"
check "it is still there" test -L "$smbd_export/dir/link"
check "the log says so, once" test \
	"$(grep -c 'link leads to another server (DFS)' "$tmp/root.log")" = 1
check "the rest can be used" bash -euc 'cd "$1"; echo new >made; mv made moved; rm moved
	test "$(cat file)" = here' - "$root/dir"
check_umount "$root" "$root_pid"
