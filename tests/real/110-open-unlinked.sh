#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a file that was removed or replaced while open goes on for those who
# have it open, and leaves nothing behind at the server.
# Method: unlink, replace by rename, and rmdir of its folder, on diod and dir.  (SMB:
# 172-smb-channels.sh.)
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3 diod

cat >"$tmp/unlinked.py" <<'PYTHON'
import os, sys, tempfile
folder = sys.argv[1]
path = os.path.join(folder, "file")
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
os.write(fd, b"before" * 1000)
os.unlink(path)
assert not os.path.exists(path), "it is still there"
os.pwrite(fd, b"after", 100000)
assert os.pread(fd, 5, 100000) == b"after"
assert os.pread(fd, 6, 6) == b"before"
assert os.fstat(fd).st_size == 100005, os.fstat(fd)
assert os.fstat(fd).st_nlink == 0, os.fstat(fd)
os.ftruncate(fd, 10)
assert os.fstat(fd).st_size == 10
# The name is free for another file, which is not this one.
other = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
os.write(other, b"other")
assert os.pread(fd, 10, 0) == b"beforebefo"
assert os.fstat(fd).st_ino != os.fstat(other).st_ino
os.close(other)
# Replaced by rename while open.
with open(path + ".new", "w", encoding="ascii") as f:
    f.write("replacement")
held = os.open(path, os.O_RDONLY)
os.rename(path + ".new", path)
assert os.pread(held, 10, 0) == b"other"
with open(path, encoding="ascii") as f:
    assert f.read() == "replacement"
os.close(held)
os.close(fd)
with tempfile.TemporaryFile(dir=folder) as f:
    f.write(b"x" * 100000)
    f.seek(0)
    assert f.read() == b"x" * 100000
os.unlink(path)
# What holds only such files is empty.
os.mkdir(path)
fd = os.open(os.path.join(path, "file"), os.O_RDWR | os.O_CREAT)
os.write(fd, b"before")
os.unlink(os.path.join(path, "file"))
os.rmdir(path)
assert not os.path.exists(path)
os.pwrite(fd, b"after", 6)
assert os.pread(fd, 20, 0) == b"beforeafter"
os.close(fd)
PYTHON

leaves_nothing() {
	wait_for "$patience" empty "$1" || { ls -la "$1"; return 1; }
}

empty() {
	[ -z "$(ls -A "$1")" ]
}

mkdir -p "$tmp/e1/d" "$tmp/e2/d" "$tmp/e3/d"
mount_diod "$tmp/e1" "$tmp/9p"
check "9p: open files survive their removal" \
	timeout "$patience" python3 "$tmp/unlinked.py" "$tmp/9p/d"
check "9p: nothing is left at the server" leaves_nothing "$tmp/e1/d"
check_umount "$tmp/9p" "$mount_pid"

mount_diod "$tmp/e2" "$tmp/loose" cache=loose
check "9p cached: open files survive their removal" \
	timeout "$patience" python3 "$tmp/unlinked.py" "$tmp/loose/d"
check "9p cached: nothing is left at the server" leaves_nothing "$tmp/e2/d"
check_umount "$tmp/loose" "$mount_pid"

mount_unetfs "dir:$tmp/e3" "$tmp/dir"
check "dir: open files survive their removal" \
	timeout "$patience" python3 "$tmp/unlinked.py" "$tmp/dir/d"
check "dir: nothing is left at the server" leaves_nothing "$tmp/e3/d"
check_umount "$tmp/dir" "$mount_pid"
