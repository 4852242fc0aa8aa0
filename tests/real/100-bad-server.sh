#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a server that is slow, or answers with errors that heal, makes things
# slower and nothing else: no wrong byte, no hang.
# Method: the directory back end with delay=, bw= and errors= plays that server.
# Data it refuses for good is kept, reported by fsync, and sent when it can be.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3
mkdir "$tmp/e1" "$tmp/e2" "$tmp/e3" "$tmp/e4"
head -c 3M /dev/urandom >"$tmp/random"

mount_unetfs "dir:$tmp/e1" "$tmp/slow" delay=5
check "a slow server: a copy" cp "$tmp/random" "$tmp/slow/a"
check "a slow server: the same bytes behind" cmp "$tmp/random" "$tmp/e1/a"
check "a slow server: work with files" \
	timeout $((patience * 6)) python3 "$here/writer.py" write "$tmp/slow" 10 "$tmp/p1"
check_umount "$tmp/slow" "$mount_pid"

mount_unetfs "dir:$tmp/e2" "$tmp/narrow" bw=20m
check "a narrow line: a copy" cp "$tmp/random" "$tmp/narrow/a"
check "a narrow line: the same bytes" cmp "$tmp/random" "$tmp/narrow/a"
check_umount "$tmp/narrow" "$mount_pid"

mkdir "$tmp/e3/w"
mount_unetfs "dir:$tmp/e3" "$tmp/failing" errors=5
check "a failing server: files are written in spite of it" \
	timeout $((patience * 6)) python3 "$here/writer.py" write "$tmp/failing/w" 30 "$tmp/p3"
check "a failing server: all bytes are right through the mount" \
	timeout $((patience * 6)) python3 "$here/writer.py" check "$tmp/failing/w" 30
check "a failing server: the requests were sent again" \
	test $(($(counter "$tmp/failing" upload_retries) + \
	$(counter "$tmp/failing" download_retries))) -gt 0
check_umount "$tmp/failing" "$mount_pid"
check "a failing server: all bytes are right behind" \
	python3 "$here/writer.py" check "$tmp/e3/w" 30

cat >"$tmp/refused.py" <<'PYTHON'
import errno, os, sys
path, behind = sys.argv[1], sys.argv[2]
data = os.urandom(3 << 20)
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
refused = 0
for attempt in range(200):
    os.pwrite(fd, data, 0)
    assert os.pread(fd, 1000, 2000000) == data[2000000:2001000], "it cannot be read any more"
    try:
        os.fsync(fd)
        if refused:
            break
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
        refused += 1
        # Nothing new was written; the same data has to be sent all the same.
        for again in range(200):
            try:
                os.fsync(fd)
                break
            except OSError as e:
                assert e.errno == errno.ENOSPC, e
        else:
            raise SystemExit("it was never sent")
        with open(behind, "rb") as f:
            assert f.read() == data, "fsync said 0 and the server has other bytes"
        break
assert refused, "nothing was refused"
try:
    os.close(fd)
except OSError as e:
    assert e.errno == errno.ENOSPC, e
PYTHON
mount_unetfs "dir:$tmp/e4" "$tmp/full" errors=3:ENOSPC,wsize=64k
check "a full server: refused data is kept, reported and sent again" \
	timeout $((patience * 6)) python3 "$tmp/refused.py" "$tmp/full/f" "$tmp/e4/f"
check_umount "$tmp/full" "$mount_pid"
