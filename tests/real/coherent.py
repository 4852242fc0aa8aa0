#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Several views of one file: nobody sees old or mixed bytes.

coherent.py SEED ROUNDS NAME DIR... [-- COMMAND]

In each round one view (a mount, or COMMAND LOCAL NAME, which stores a file) gives
all blocks of the file the number of the round, in place or anew; then every mount
opens it, looks at its size and reads all of it.  Each mount also keeps the file
open and reads through that: there the new number has to come within the time that
a lease break takes, and never goes back.
"""

import os
import random
import subprocess
import sys
import tempfile
import time

BLOCK = 4096
LATE_S = 5


def content(number, blocks):
    return (b"%015d\n" % number) * (BLOCK // 16) * blocks


def number_of(data):
    """Of all blocks; None where they differ."""
    first = data[:16]
    if len(data) % 16 or data != first * (len(data) // 16):
        return None
    return int(first)


def read_all(path, size):
    with open(path, "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size != size:
            return -1
        return number_of(file.read(size + 1))


def store(view, name, number, blocks, again):
    data = content(number, blocks)
    if callable(view):
        view(data, name)
        return
    path = os.path.join(view, name)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | (0 if again else os.O_TRUNC))
    os.write(fd, data)
    os.ftruncate(fd, len(data))
    os.close(fd)


def by_command(command):
    def put(data, name):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            subprocess.run(command + [file.name, name], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return put


def held_reads(fds, number, size, checks):
    until = time.monotonic() + LATE_S
    late = set(fds)
    while late:
        for fd in list(late):
            seen = number_of(os.pread(fd, size, 0))
            checks[0] += 1
            if seen == number:
                late.discard(fd)
        if late and time.monotonic() > until:
            sys.exit(f"round {number}: an open file still shows something older")
        if late:
            os.sched_yield()


def main():
    args = sys.argv[1:]
    command = args[args.index("--") + 1:] if "--" in args else []
    if command:
        args = args[:args.index("--")]
    seed, rounds, name, dirs = int(args[0]), int(args[1]), args[2], args[3:]
    print("seed", seed)
    rng = random.Random(seed)
    views = dirs + ([by_command(command)] if command else [])
    checks = [0]
    store(dirs[0], name, 0, 1, False)
    fds = [os.open(os.path.join(d, name), os.O_RDONLY) for d in dirs]
    for number in range(1, rounds + 1):
        blocks = rng.choice([1, 2, 7, 40])
        store(rng.choice(views), name, number, blocks, rng.random() < 0.7)
        for where in rng.sample(dirs, len(dirs)):
            seen = read_all(os.path.join(where, name), blocks * BLOCK)
            checks[0] += 1
            if seen != number:
                sys.exit(f"round {number}: {where} shows {seen}")
        held_reads(fds, number, blocks * BLOCK, checks)
    for fd in fds:
        os.close(fd)
    print(f"{checks[0]} reads of {rounds} versions, none old or mixed")


if __name__ == "__main__":
    main()
