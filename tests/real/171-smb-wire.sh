#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: what unetfs puts on the wire is SMB as others understand it.  Method: the
# traffic of a day's work on a signed share is captured and dissected by tshark,
# which must know every message and find nothing malformed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires dumpcap tshark setfattr

start_smbd own
capture=$tmp/capture.pcapng
dumpcap -q -B 128 -i lo -f "tcp port $smbd_port" -s 0 -w "$capture" 2>"$tmp/dumpcap.log" &
dumpcap_pid=$!
pids+=("$dumpcap_pid")
wait_for "$patience" grep -q '^File:' "$tmp/dumpcap.log" || die "dumpcap does not begin"

# On ports other than 445 tshark takes no frame for longer than 128 KiB.
mount_smb "$tmp/mount" mfsymlinks,rsize=65536,wsize=65536
export M=$tmp/mount B=$smbd_export
check_sh "files, directories, links, attributes, locks and holes are worked with" \
	'cp -r /usr/include/linux/netfilter $M/tree && diff -r /usr/include/linux/netfilter $M/tree
	 ln -s tree $M/link; ls -lR $M >/dev/null; mv $M/tree $M/moved
	 setfattr -n user.a -v 1 $M/moved; getfattr -d $M/moved >/dev/null; df $M >/dev/null
	 ln $M/moved/xt_mark.h $M/again; touch -d 2001-01-01 $M/again; chmod 444 $M/again
	 head -c 3000000 /dev/urandom >$M/big; cp --reflink=auto $M/big $M/copy; cmp $M/big $B/copy
	 fallocate -p -o 65536 -l 1048576 $M/big; truncate -s 2000000 $M/big
	 flock $M/big true; dd if=$M/big of=$M/direct bs=64k oflag=direct 2>/dev/null
	 cat $M/nothing 2>/dev/null || rm -rf $M/moved $M/link $M/again'
check_umount "$tmp/mount" "$mount_pid"
kill -INT "$dumpcap_pid"
wait "$dumpcap_pid"

# dissect FILTER FIELD...: a line for each frame that the filter lets through.
dissect() {
	local filter=$1 fields=() field
	shift
	for field; do
		fields+=(-e "$field")
	done
	tshark -r "$capture" -d "tcp.port==$smbd_port,nbss" -Y "$filter" -T fields "${fields[@]}" \
		2>"$tmp/tshark.log"
}

dissect smb2 smb2.cmd | tr , '\n' | sort -n | uniq -c >"$tmp/commands"
sed 's/^/# command: /' "$tmp/commands"
check "everything was captured" grep -qE "Packets received/dropped.*: [0-9]+/0 " "$tmp/dumpcap.log"
# Negotiate, session setup, tree connect, create, close, flush, read, write, lock,
# ioctl, query directory, query info, set info.
for command in 0 1 3 5 6 7 8 9 10 11 14 16 17; do
	check "messages of command $command were seen" grep -qE " $command\$" "$tmp/commands"
done
# The server's own messages are not ours to judge: tshark 4.0 takes Samba's
# security blob and replies to reads of odd lengths for malformed.
dissect "_ws.malformed && tcp.dstport == $smbd_port" frame.number _ws.col.Info >"$tmp/malformed"
check "no message of unetfs is malformed" cmp -s "$tmp/malformed" /dev/null
sed 's/^/# malformed: /' "$tmp/malformed" | head -n 20
dissect "smb2 && tcp.dstport == $smbd_port && _ws.expert.severity >= 0x00800000" \
	frame.number _ws.expert.message >"$tmp/errors"
check "and none is an error to an expert" cmp -s "$tmp/errors" /dev/null
sed 's/^/# error: /' "$tmp/errors" | head -n 20
