#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes, writes, closes and removes a file so many times: churn.py PATH COUNT."""

import os
import sys

path, count = sys.argv[1], int(sys.argv[2])
for i in range(count):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    os.write(fd, b"x" * 3000)
    if i & 1:
        os.fsync(fd)
    os.close(fd)
    os.unlink(path)
