#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Memory that does not fit: writes and verifies a pattern, round after round.

pressure.py MIB PROGRESS STOP

maps MIB of anonymous memory, fills it with what its place and the round say, and in
each further round checks every block before it writes the next pattern there.  After
each round its number is in PROGRESS.  Ends when STOP is there, after a last check;
with 0 if every byte was right.
"""
import hashlib
import mmap
import os
import sys

BLOCK = 65536


def pattern(place, number):
    """A block that no other place and no other round has."""
    return hashlib.sha256(b"%d %d" % (place, number)).digest() * (BLOCK // 32)


def check(memory, place, number):
    if memory[place * BLOCK : (place + 1) * BLOCK] != pattern(place, number):
        sys.exit(f"block {place} is not what round {number} wrote")


def main():
    blocks = int(sys.argv[1]) * (1 << 20) // BLOCK
    memory = mmap.mmap(-1, blocks * BLOCK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    number = 0
    while not os.path.exists(sys.argv[3]):
        number += 1
        for place in range(blocks):
            if number > 1:
                check(memory, place, number - 1)
            memory[place * BLOCK : (place + 1) * BLOCK] = pattern(place, number)
        with open(sys.argv[2] + ".new", "w", encoding="ascii") as out:
            out.write(f"{number}\n")
        os.rename(sys.argv[2] + ".new", sys.argv[2])
    for place in range(blocks):
        check(memory, place, number)
    print(f"{number} rounds over {blocks * BLOCK >> 20} MiB")


main()
