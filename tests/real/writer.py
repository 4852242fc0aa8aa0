# SPDX-License-Identifier: MIT
"""Writes files that can be checked later, and checks them.

    writer.py write FOLDER FILES PROGRESS   writes, counting finished files in PROGRESS
    writer.py check FOLDER FILES            every byte of every file

Each file is made, written in pieces, read back in part, synced and renamed to
its name, as a program that must not lose anything does it.
"""
import os
import random
import sys

PIECE = 60000


def content(number):
    return random.Random(number).randbytes(PIECE * (1 + number % 5) + number)


def write(folder, files, progress):
    for number in range(files):
        data = content(number)
        path = os.path.join(folder, f"file-{number}")
        fd = os.open(path + ".part", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view[:PIECE]):]
        assert os.pread(fd, 1000, 100) == data[100:1100], f"{path}: read back other bytes"
        os.fsync(fd)
        os.close(fd)
        os.rename(path + ".part", path)
        with open(progress, "w", encoding="ascii") as f:
            f.write(str(number + 1))


def check(folder, files):
    for number in range(files):
        with open(os.path.join(folder, f"file-{number}"), "rb") as f:
            assert f.read() == content(number), f"file-{number} has other bytes"
    names = sorted(os.listdir(folder))
    assert len(names) == files, f"{len(names)} names instead of {files}: {names[:5]}"


if sys.argv[1] == "write":
    write(sys.argv[2], int(sys.argv[3]), sys.argv[4])
else:
    check(sys.argv[2], int(sys.argv[3]))
