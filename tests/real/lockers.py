#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Locks of two views of one file against each other.

	lockers.py try FILE START LENGTH [r|w|f]	exits 1 where somebody has it
	lockers.py wait FILE START LENGTH		until it is there
	lockers.py hold FILE START LENGTH [r|w|f]	prints "held", until stdin ends
	lockers.py cut FILE START LENGTH A B		the same, but gives [A, B) up
	lockers.py count FILE TIMES			adds one to the number in FILE, locked
"""

import fcntl
import os
import sys

what, path = sys.argv[1:3]
fd = os.open(path, os.O_RDWR | os.O_CREAT)


def lock(start, length, kind="w", wait=False):
    flags = fcntl.LOCK_SH if kind == "r" else fcntl.LOCK_EX
    flags |= 0 if wait else fcntl.LOCK_NB
    try:
        if kind == "f":
            fcntl.flock(fd, flags)
        else:
            fcntl.lockf(fd, flags, length, start)
    except BlockingIOError:
        sys.exit(1)


def until_stdin_ends():
    print("held", flush=True)
    sys.stdin.read()


def add_one():
    lock(0, 0, wait=True)
    number = int(os.pread(fd, 20, 0) or b"0") + 1
    os.pwrite(fd, b"%08d" % number, 0)
    fcntl.lockf(fd, fcntl.LOCK_UN)


if what == "count":
    for _ in range(int(sys.argv[3])):
        add_one()
    sys.exit(0)
first, count = int(sys.argv[3]), int(sys.argv[4])
if what == "cut":
    lock(first, count)
    a, b = int(sys.argv[5]), int(sys.argv[6])
    fcntl.lockf(fd, fcntl.LOCK_UN, b - a, a)
    until_stdin_ends()
else:
    lock(first, count, sys.argv[5] if len(sys.argv) > 5 else "w", what == "wait")
    if what == "hold":
        until_stdin_ends()
