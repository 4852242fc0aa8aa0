# SPDX-License-Identifier: MIT
"""Damages a cache folder: damage.py FOLDER SEED.

Each object's file is left alone, or one of the things below happens to it.
"""
import os
import random
import sys

folder, seed = sys.argv[1], int(sys.argv[2])
random.seed(seed)
precious = os.path.join(os.path.dirname(folder), "precious")
if not os.path.exists(precious):
    with open(precious, "w", encoding="ascii") as f:
        f.write("precious\n")

files = []
for place, _, names in os.walk(folder):
    if place != folder:
        files += [os.path.join(place, name) for name in sorted(names)]
files.sort()


def flip(name):
    with open(name, "r+b") as f:
        size = os.path.getsize(name)
        for _ in range(1 + size // 500000):
            at = random.randrange(size)
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1 << random.randrange(8)]))


def cut(name):
    os.truncate(name, random.randrange(os.path.getsize(name)))


def swap(name):
    other = random.choice(files)
    os.rename(name, name + ".x")
    if os.path.exists(other):
        os.rename(other, name)
    os.rename(name + ".x", other)


def link_in(name):
    os.unlink(name)
    os.link(precious, name)


def symlink_in(name):
    os.unlink(name)
    os.symlink(precious, name)


def fifo(name):
    os.unlink(name)
    os.mkfifo(name)


for name in files:
    if os.path.isfile(name) and not os.path.islink(name) and os.path.getsize(name):
        random.choice([flip, flip, cut, swap, os.unlink, link_in, symlink_in, fifo,
                       lambda name: None])(name)
