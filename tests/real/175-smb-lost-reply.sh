#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: an answer that is lost on the way, from a server that gives few credits, keeps
# nobody waiting but who asked.
# Method: a real Samba server with 16 credits, and a relay that loses a reply.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd

start_smbd own
kill_smbd
sed -i '/^\[global\]/a smb2 max credits = 16' "$smbd_dir/smb.conf"
run_smbd
B=$smbd_export
mkdir "$B/many" "$B/dir"
(cd "$B/many" && seq 3000 | xargs touch)
direct=$smbd_port
smbd_port=$(free_port)
# 5: CREATE, which a name is looked up with.
python3 "$here/swallow.py" "$smbd_port" "$direct" "$tmp/swallow" 5 8>&- 9>&- &
pids+=($!)
wait_for "$patience" port_answers "$smbd_port"
mount_smb "$tmp/mount" actimeo=0
one_pid=$mount_pid
M=$tmp/mount
check "all entries are listed" test "$(ls "$M/many" | wc -l)" = 3000
touch "$tmp/swallow"
stat "$M/dir/lost" >/dev/null 2>&1 &
stat_pid=$!
pids+=("$stat_pid")
check "a reply is lost" wait_for "$patience" test ! -e "$tmp/swallow"
# Without the kernel's memory of the listing.
touch "$B/many/more"
check "all entries are listed all the same" test \
	"$(timeout "$patience" ls "$M/many" | wc -l)" = 3001
check "files are written and read" bash -euc 'head -c 3000000 /dev/urandom >"$2/data"
	timeout 20 cp "$2/data" "$1/data"; timeout 20 cmp "$2/data" "$1/data"' - "$M" "$tmp"
check "the one who asked still waits" eval '! gone "$stat_pid"'
kill -KILL "$stat_pid"
check "and can be killed" wait_for "$patience" gone "$stat_pid"
check_umount "$M" "$one_pid"
