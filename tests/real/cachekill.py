#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files whose fsynced contents are written down, for a mount that is killed.

    cachekill.py load DIR JOURNAL SEED     works on DIR until that fails
    cachekill.py verify DIR JOURNAL EXPORT compares, and prints how many were

The journal has a line "begin NAME" before a file is changed, and "done NAME
HASH" after its fsync returned.  What is done must be read with that hash, on the
mount and at the server; of what was begun nothing is known, except that the
mount reads what the server has.
"""

import hashlib
import os
import random
import sys
import threading

FILES = 24
THREADS = 4
SIZE_MAX = 600000


def read_journal(path):
    """name -> hash, or None where a change was begun and not done."""
    state = {}
    if os.path.exists(path):
        with open(path, encoding="ascii") as f:
            for line in f:
                word, name, *rest = line.split()
                state[name] = rest[0] if word == "done" else None
    return state


def read_file(path):
    with open(path, "rb") as f:
        return f.read()


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Load:
    def __init__(self, folder, journal, seed):
        # Open, so that nothing goes to the folder below once the mount is gone.
        self.folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.state = read_journal(journal)
        self.journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.seed = seed
        self.wrong = []
        self.locks = [threading.Lock() for _ in range(FILES)]

    def note(self, *words):
        os.write(self.journal, (" ".join(words) + "\n").encode("ascii"))

    def change(self, rng, name, data):
        """The new contents, written in one of several ways."""
        how = rng.randrange(4) if data is not None else 0
        flags = os.O_RDWR | os.O_CREAT
        if how == 0:
            data = rng.randbytes(rng.randrange(SIZE_MAX))
            flags |= os.O_TRUNC
        fd = os.open(name, flags, 0o600, dir_fd=self.folder)
        try:
            if how == 0:
                self.write(fd, data, 0)
            elif how == 1:
                data = data[:rng.randrange(len(data) + 1)]
                os.ftruncate(fd, len(data))
            else:
                at = len(data) if how == 2 else rng.randrange(len(data) + 1)
                piece = rng.randbytes(rng.randrange(1, 50000))
                self.write(fd, piece, at)
                data = data[:at] + piece + data[at + len(piece):]
            os.fsync(fd)
        finally:
            os.close(fd)
        return data, ("rewrite", "cut", "append", "write")[how]

    @staticmethod
    def write(fd, data, at):
        while data:
            n = os.pwrite(fd, data, at)
            data, at = data[n:], at + n

    def check(self, name):
        """What the mount reads of a file nobody changes; None: not known."""
        wanted = self.state.get(name)
        if wanted is None:
            return None
        with open(os.open(name, os.O_RDONLY, dir_fd=self.folder), "rb") as f:
            data = f.read()
        if digest(data) != wanted:
            self.wrong.append(name)
        return data

    def work(self, number):
        rng = random.Random(self.seed * 100 + number)
        try:
            while not self.wrong:
                i = rng.randrange(FILES)
                with self.locks[i]:
                    name = f"f{i}"
                    data = self.check(name)
                    if rng.randrange(3) == 0:
                        continue
                    self.note("begin", name)
                    self.state[name] = None
                    data, how = self.change(rng, name, data)
                    self.state[name] = digest(data)
                    self.note("done", name, self.state[name], how, str(len(data)))
        except OSError:
            pass  # the mount is dead

    def run(self):
        threads = [threading.Thread(target=self.work, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in self.wrong:
            print(f"{name} was read wrong under load")
        return 1 if self.wrong else 0


def verify(folder, journal, export):
    wrong = 0
    state = read_journal(journal)
    with open(journal, encoding="ascii") as f:
        last = {line.split()[1]: line.strip() for line in f}
    for name, wanted in sorted(state.items()):
        server = os.path.join(export, name)
        if wanted is None and not os.path.exists(server):
            continue
        theirs = read_file(server)
        ours = read_file(os.path.join(folder, name))
        if wanted is not None and digest(theirs) != wanted:
            print(f"{name}: what was synced is not at the server, {len(theirs)} bytes there;"
                  f" {last[name]}")
            wrong += 1
        if ours != theirs:
            at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), -1)
            print(f"{name}: read wrong, first at {at}, {len(ours)} of {len(theirs)} bytes")
            wrong += 1
    print(sum(1 for wanted in state.values() if wanted is not None))
    return 1 if wrong else 0


def main():
    if sys.argv[1] == "load":
        return Load(sys.argv[2], sys.argv[3], int(sys.argv[4])).run()
    return verify(*sys.argv[2:5])


sys.exit(main())
