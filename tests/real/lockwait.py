# SPDX-License-Identifier: MIT
"""One process holds a lock, another waits for it and gets it when it is free.

    lockwait.py flock|lockf|whole FILE

whole: record locks of a server that locks whole files.
"""
import errno
import fcntl
import os
import sys

kind, path = sys.argv[1], sys.argv[2]


def lock(fd, how, start=0):
    if kind == "flock":
        fcntl.flock(fd, how)
    else:
        fcntl.lockf(fd, how, 10, start)


def refused(fd, start=0):
    try:
        lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, start)
    except OSError as e:
        assert e.errno in (errno.EAGAIN, errno.EACCES), e
        return True
    return False


fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
lock(fd, fcntl.LOCK_EX)
from_child, to_parent = os.pipe()
child = os.fork()
if child == 0:
    mine = os.open(path, os.O_RDWR)
    assert refused(mine), "a lock was given twice"
    if kind == "lockf":
        assert not refused(mine, 100), "a lock reaches beyond its range"
    os.write(to_parent, b"r")
    lock(mine, fcntl.LOCK_EX)
    os.write(to_parent, b"g")
    os._exit(0)
os.close(to_parent)
assert os.read(from_child, 1) == b"r", "the other process failed"
lock(fd, fcntl.LOCK_UN)
assert os.read(from_child, 1) == b"g", "the waiting process was not woken"
assert os.waitpid(child, 0)[1] == 0
