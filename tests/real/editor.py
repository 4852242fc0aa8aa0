# SPDX-License-Identifier: MIT
"""Saves a document as editors do, again and again, and looks at it each time.

    editor.py FILE BEHIND TIMES

Write a temporary file beside it, fsync, rename over it, fsync the folder.  A
reader through the mount and one behind it must see the new text at once.
"""
import os
import sys

path, behind, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
folder = os.path.dirname(path)
for i in range(times):
    text = (f"version {i}\n" * (100 + 37 * i)).encode()
    temporary = f"{path}.{i}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    view = memoryview(text)
    while view:
        view = view[os.write(fd, view[:1000]):]
    os.fsync(fd)
    os.close(fd)
    if i % 2 and os.path.exists(path):
        os.link(path, path + "~")
    os.rename(temporary, path)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)
    for name in (path, behind):
        with open(name, "rb") as f:
            assert f.read() == text, f"{name} is not version {i}"
    if os.path.exists(path + "~"):
        os.unlink(path + "~")
