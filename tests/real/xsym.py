# SPDX-License-Identifier: MIT
"""Symbolic links as files, the way mfsymlinks keeps them.

    xsym.py tree FOLDER         makes such files of all links in it
    xsym.py check FILE TARGET   is FILE one that leads to TARGET?
"""
import hashlib
import os
import sys

SIZE = 1067


def content(target):
    head = b"XSym\n%04d\n" % len(target) + hashlib.md5(target).hexdigest().encode() + b"\n"
    return (head + target + b"\n").ljust(SIZE)[:SIZE]


def convert(folder):
    for where, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(where, name)
            if os.path.islink(path):
                target = os.readlink(os.fsencode(path))
                os.unlink(path)
                with open(path, "wb") as f:
                    f.write(content(target))


if sys.argv[1] == "tree":
    convert(sys.argv[2])
else:
    with open(sys.argv[2], "rb") as file:
        assert file.read() == content(os.fsencode(sys.argv[3])), "it is another file"
