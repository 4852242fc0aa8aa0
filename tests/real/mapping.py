# SPDX-License-Identifier: MIT
"""A shared writable mapping against read, write and the file behind the mount.

    mapping.py FILE BEHIND
"""
import mmap
import os
import sys

path, behind = sys.argv[1], sys.argv[2]
SIZE = 1 << 20
fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
os.write(fd, bytes(range(256)) * (SIZE // 256))
with mmap.mmap(fd, SIZE, mmap.MAP_SHARED) as area:
    assert area[300:310] == bytes(range(44, 54)), "the mapping has other bytes"
    os.pwrite(fd, b"written", 5000)
    assert area[5000:5007] == b"written", "a write is not in the mapping"
    area[100000:100006] = b"mapped"
    assert os.pread(fd, 6, 100000) == b"mapped", "a store is not in a read"
    area[SIZE - 1] = 0x7e
    area.flush()
    with open(behind, "rb") as f:
        data = f.read()
    assert data[100000:100006] == b"mapped", "msync did not reach the server"
    assert data[5000:5007] == b"written"
    assert data[SIZE - 1] == 0x7e
    area[200:203] = b"end"
os.close(fd)
fd = os.open(path, os.O_RDONLY)
os.fsync(fd)
assert os.pread(fd, 3, 200) == b"end", "a store was lost at the end of the mapping"
os.close(fd)
with open(behind, "rb") as f:
    f.seek(200)
    assert f.read(3) == b"end", "the last store did not reach the server by fsync"
