#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a Samba server that is killed, cut off, frozen, full or of another mind
# about the password costs time or a clear error, and never a byte.
# Method: programs work on mounts while that is done to a real smbd; afterwards
# every byte is compared through the mount and behind it.
#
# The full disk is a small file system of its own, in a mount name space that
# ends with the test.
if [ "$(id -u)" = 0 ] && [ -z "${OWN_SPACE:-}" ] && unshare -m true 2>/dev/null; then
	OWN_SPACE=1 exec unshare -m bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
files=100

progressed() {
	[ "$(cat "$1" 2>/dev/null || echo 0)" -ge "$2" ]
}

is_connected() {
	[ "$(counter "$1" connected)" = "$2" ]
}

killed() {
	kill_smbd
	run_smbd
}

frozen() {
	signal_smbd STOP
	check "a frozen server is noticed" wait_for $((patience * 2)) is_connected "$1" False
	signal_smbd CONT
}

# under_load NAME OPTIONS FAULT: three times while a program works.
under_load() {
	local name=$1 fault=$3 mnt=$tmp/$1 progress=$tmp/$1.progress round writer next
	mount_smb "$mnt" "$2"
	mkdir "$mnt/w"
	python3 "$here/writer.py" write "$mnt/w" "$files" "$progress" >"$tmp/writer.log" 2>&1 &
	writer=$!
	pids+=("$writer")
	for round in 1 2 3; do
		wait_for $((patience * 2)) progressed "$progress" $((round * files / 5)) ||
			die "$name: the writer stands still before round $round"
		"$fault" "$mnt"
		next=$(($(cat "$progress") + 3))
		check "$name: work goes on after round $round" wait_for $((patience * 2)) \
			progressed "$progress" $((next < files ? next : files))
	done
	check "$name: the writer ends" wait_for $((patience * 5)) gone "$writer"
	check "$name: the writer saw no error" wait "$writer" || cat "$tmp/writer.log"
	check "$name: every byte is right through the mount" \
		timeout $((patience * 3)) python3 "$here/writer.py" check "$mnt/w" "$files"
	check "$name: every byte is right behind it" \
		timeout $((patience * 3)) python3 "$here/writer.py" check "$smbd_export/w" "$files"
	check "$name: the reconnections were counted" \
		test "$(counter "$mnt" reconnects)" -ge 3
	check_umount "$mnt" "$mount_pid"
	rm -r "${smbd_export:?}/w"
}

start_smbd faults
under_load killed "" killed
under_load cut "" cut_smbd
under_load cut-sealed seal cut_smbd
under_load frozen echo_interval=1 frozen

# ------------------------------------------------------------ an open file

mount_smb "$tmp/held"
exec 8<>"$tmp/held/file" || die "cannot open a file"
echo before >&8
killed
check "an open file can be written after a restart" \
	timeout "$patience" bash -c 'echo after >&8'
exec 8>&-
check "both writes arrived" cmp "$smbd_export/file" <(printf 'before\nafter\n')
check_umount "$tmp/held" "$mount_pid"

# ------------------------------------------------------- hard, soft, killed

mount_smb "$tmp/soft" soft,echo_interval=1,timeo=20,retrans=1
signal_smbd STOP
check "soft: a frozen server ends in an error" \
	bash -c 'timeout $1 stat "$2/nothing-yet" 2>"$3"; [ $? = 1 ]' - \
	"$patience" "$tmp/soft" "$tmp/err"
check "soft: it says that time ran out" grep -qE 'timed out|Host is down|I/O error' "$tmp/err"
signal_smbd CONT
check "soft: it works again" wait_for "$patience" ls "$tmp/soft"
check_umount "$tmp/soft" "$mount_pid"

mount_smb "$tmp/hard" hard
signal_smbd STOP
cat "$tmp/hard/nothing-yet" 2>/dev/null &
reader=$!
pids+=("$reader")
wait_for 1 gone "$reader"
check "hard: a program waits for a frozen server" kill -0 "$reader"
kill -KILL "$reader"
check "hard: and can be killed" wait_for "$patience" gone "$reader"
signal_smbd CONT
check_umount "$tmp/hard" "$mount_pid"

# ---------------------------------------------------------------- password

mount_smb "$tmp/password" soft,echo_interval=1
echo here >"$smbd_export/there"
smbd_password "new-$smbd_secret"
cut_smbd
check "another password: no data without it" \
	bash -c '! timeout $1 cat "$2/there"' - $((patience * 2)) "$tmp/password"
smbd_password "$smbd_secret"
check "the right password again: all is well" wait_for $((patience * 2)) \
	cmp "$tmp/password/there" "$smbd_export/there"
check_umount "$tmp/password" "$mount_pid"

# -------------------------------------------------------------- a full disk

cat >"$tmp/full.py" <<'PYTHON'
import errno, os, sys
path, behind, filler = sys.argv[1:]
data = os.urandom(3 << 20)
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
try:
    os.pwrite(fd, data, 0)
    os.fsync(fd)
    raise SystemExit("it fitted")
except OSError as e:
    assert e.errno == errno.ENOSPC, e
assert os.pread(fd, len(data), 0) == data, "refused data is not kept"
os.unlink(filler)
os.fsync(fd)
with open(behind, "rb") as f:
    assert f.read() == data, "fsync said 0 and the server has other bytes"
os.close(fd)
PYTHON
if [ -n "${OWN_SPACE:-}" ]; then
	mkdir "$smbd_export/full"
	mount -t tmpfs -o size=8m none "$smbd_export/full" || die "no small file system"
	head -c 7M /dev/zero >"$smbd_export/full/filler"
	mount_smb "$tmp/space"
	check "a full disk: data is kept, reported and sent when there is room" \
		timeout $((patience * 3)) python3 "$tmp/full.py" "$tmp/space/full/f" \
		"$smbd_export/full/f" "$smbd_export/full/filler"
	check_umount "$tmp/space" "$mount_pid"
	check "the small file system is free" umount "$smbd_export/full"
fi
