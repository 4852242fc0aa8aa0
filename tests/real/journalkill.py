#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files of which every finished call is written down, for a mount that is killed.

    journalkill.py load DIR NOTES SEED   works on DIR until that fails
    journalkill.py verify DIR NOTES      compares, and prints how many calls ended

What a thread does follows from the seed alone.  NOTES has a line for each call
that ended, and NOTES.before what the files were at the start.  After the kill each
file must be what the calls that ended made of it; of the one call of a thread that
was under way each byte may be there or not.
"""

import os
import pickle
import random
import re
import sys
import threading

THREADS = 4
FILES = 3
SIZE_MAX = 400000


def read_all(folder):
    files = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            files[name] = f.read()
    return files


def plan(seed, thread, k):
    """The k-th call of a thread: a verb, a file, and numbers."""
    rng = random.Random(f"{seed} {thread} {k}")
    name = f"t{thread}-{rng.randrange(FILES)}"
    verb = rng.choices(["write", "append", "cut", "rename", "remove", "sync"],
                       [60, 20, 5, 4, 2, 6])[0]
    return verb, name, rng.randrange(SIZE_MAX), rng.randrange(1, 30000), rng.randrange(1 << 30)


def applied(files, call):
    """What the files are after the call, which does not change files."""
    verb, name, at, size, key = call
    after = dict(files)
    data = after.get(name, b"")
    if verb in ("write", "append"):
        at = len(data) if verb == "append" else at
        piece = random.Random(key).randbytes(size)
        data += bytes(max(0, at - len(data)))
        after[name] = data[:at] + piece + data[at + size:]
    elif verb == "cut":
        after[name] = data[:at] + bytes(max(0, at - len(data)))
    elif verb == "rename" and name in after:
        after[name + "-moved"] = after.pop(name)
    elif verb == "remove":
        after.pop(name, None)
    return after


def do(folder, files, call):
    """The same with the files of the mount; returns what they are."""
    verb, name, at, size, key = call
    after = applied(files, call)
    if verb == "rename":
        if name in files:
            os.rename(name, name + "-moved", src_dir_fd=folder, dst_dir_fd=folder)
        return after
    if verb == "remove":
        if name in files:
            os.unlink(name, dir_fd=folder)
        return after
    if verb == "sync" and name not in files:
        return after
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o600, dir_fd=folder)
    try:
        if verb == "cut":
            os.ftruncate(fd, at)
        elif verb == "sync":
            os.fsync(fd)
        else:
            at = len(files.get(name, b"")) if verb == "append" else at
            piece, done = random.Random(key).randbytes(size), 0
            while done < size:
                done += os.pwrite(fd, piece[done:], at + done)
    finally:
        # What it would say was said by the calls before.
        try:
            os.close(fd)
        except OSError:
            pass
    return after


class Load:
    def __init__(self, folder, notes, seed):
        # Open, so that nothing goes to the folder below once the mount is gone.
        self.folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.files = read_all(folder)
        with open(notes + ".before", "wb") as f:
            pickle.dump((seed, self.files), f)
        self.notes = os.open(notes, os.O_WRONLY | os.O_TRUNC | os.O_CREAT | os.O_APPEND, 0o600)
        self.seed = seed
        self.wrong = []

    def work(self, thread):
        mine = {n: d for n, d in self.files.items() if n.startswith(f"t{thread}-")}
        k = 0
        try:
            while True:
                mine = do(self.folder, mine, plan(self.seed, thread, k))
                os.write(self.notes, f"{thread} {k}\n".encode("ascii"))
                k += 1
                if k % 8 == 0:
                    self.look(mine)
        except OSError as error:
            if error.errno not in (5, 103, 107):  # EIO, ECONNABORTED, ENOTCONN
                self.wrong.append(f"thread {thread}, call {k}: {error}")

    def look(self, mine):
        for name, data in mine.items():
            fd = os.open(name, os.O_RDONLY, dir_fd=self.folder)
            try:
                found = b""
                while piece := os.pread(fd, 1 << 20, len(found)):
                    found += piece
            finally:
                os.close(fd)
            if found != data:
                self.wrong.append(f"{name} reads wrong")

    def run(self):
        threads = [threading.Thread(target=self.work, args=(i,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("\n".join(self.wrong))
        return 1 if self.wrong else 0


def mixed(found, old, new):
    """Is each byte, and the size, that of one of the two?"""
    if found == old or found == new:
        return True
    if found is None or (old is None and new is None):
        return False
    old, new = old or b"", new or b""
    if len(found) not in (len(old), len(new)) and not len(old) <= len(found) <= len(new):
        return False
    end = max(len(old), len(new))
    old, new = old.ljust(end, b"\0"), new.ljust(end, b"\0")
    return all(found[i] in (old[i], new[i]) for i in range(len(found)))


def verify(folder, notes):
    with open(notes + ".before", "rb") as f:
        seed, files = pickle.load(f)
    ended = dict.fromkeys(range(THREADS), 0)
    with open(notes, encoding="ascii") as f:
        for line in f:
            if line.endswith("\n"):
                ended[int(line.split()[0])] += 1
    found, wrong = read_all(folder), []
    for thread in range(THREADS):
        before = {n: d for n, d in files.items() if n.startswith(f"t{thread}-")}
        for k in range(ended[thread]):
            before = applied(before, plan(seed, thread, k))
        call = plan(seed, thread, ended[thread])
        after = applied(before, call)
        for name in sorted(set(before) | set(after)):
            if not mixed(found.get(name), before.get(name), after.get(name)):
                wrong.append(f"{name}: {describe(found.get(name), before.get(name))}, during "
                             f"{call[:4]}, after {ended[thread]} calls")
    strange = [n for n in found if not re.fullmatch(r"t\d-\d(-moved)?", n)]
    if strange:
        wrong.append(f"strange files: {sorted(strange)}")
    print("\n".join(wrong + [str(sum(ended.values()))]))
    return 1 if wrong else 0


def describe(found, want):
    if found is None or want is None:
        return f"{'missing' if found is None else 'there'}"
    first = next((i for i, (a, b) in enumerate(zip(found, want)) if a != b), None)
    return f"{len(found)} bytes for {len(want)}, differs from {first}"


def main():
    if sys.argv[1] == "load":
        return Load(sys.argv[2], sys.argv[3], sys.argv[4]).run()
    return verify(sys.argv[2], sys.argv[3])


if __name__ == "__main__":
    sys.exit(main())
