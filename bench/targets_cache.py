# SPDX-License-Identifier: MIT
"""Disk caches in front of one share of Samba, for bench/run --cache: rclone, unetfs
plain and with a sealed cache, and the plain directory.

Nothing is in the kernel's memory when a mount is new: neither the server's files
nor those of the cache.  The limit is then the disk itself, by the plain directory.
"""

import json
import os
import secrets
import shutil
import subprocess
import time

from targets import BUILD, Plain
from targets_smb import Rclone, UnetfsSmb

MIB = 1 << 20


def taken(folder):
    """Bytes on the disk below a folder."""
    return sum(os.lstat(os.path.join(at, name)).st_blocks * 512
               for at, _, names in os.walk(folder) for name in names)


class Cached:
    """The files are there before; fresh(empty=True) also forgets what is cached."""

    def __init__(self, folder):
        super().__init__(folder)
        self.folder = os.path.join(folder, self.name + "-cache")
        self.made = False

    def prepare(self, works):
        """Makes the files that are to be read."""
        made = set()
        for work in works:
            if work.path not in made:
                subprocess.run([os.path.join(BUILD, "bench", "unetfs-load"), *work.options,
                                "write" if work.what == "read" else "create",
                                os.path.join(self.export, work.path)],
                               check=True, stdout=subprocess.DEVNULL)
            made.add(work.path)

    def fresh(self, empty=False):
        self.unmount()
        if empty:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3\n")
        super().fresh()

    def unmount(self):
        if hasattr(super(), "unmount"):
            super().unmount()

    def facts(self):
        """What is left when all was done."""
        rss = 0
        for pid in self.pids()[:1]:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                rss = next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS"))
        self.unmount()
        return {"memory": rss, "cache": taken(self.folder)}


class CachedPlain(Cached, Plain):
    """The directory itself, not in memory."""


class RcloneFull(Cached, Rclone):
    """rclone mount with --vfs-cache-mode full."""

    name = "rclone-full"
    keep = True

    def cache(self):
        return self.folder


class UnetfsCached(Cached, UnetfsSmb):
    """unetfs with a disk cache."""

    name = "unetfs"
    key = ""

    @property
    def more(self):
        return f",cachedir={self.folder}{self.key}"

    def downloads(self):
        """Requests for data that this mount has sent."""
        told = subprocess.run([os.path.join(BUILD, "unetfs"), "status", "--json", self.path],
                              check=True, stdout=subprocess.PIPE, text=True).stdout
        return json.loads(told)["stats"]["download_slices"]

    def facts(self):
        facts = super().facts()
        begin = time.monotonic()
        done = subprocess.run([os.path.join(BUILD, "unetfs"), "cache", "check", "--json",
                               *self.check_options(), self.folder], check=True,
                              stdout=subprocess.PIPE, text=True)
        blocks = json.loads(done.stdout)["blocks"]
        facts["check_s_per_gib"] = (time.monotonic() - begin) / (blocks * 4096 / (1 << 30))
        facts["overhead"] = facts["cache"] / (blocks * 4096) - 1
        return facts

    def check_options(self):
        return []


class UnetfsSealed(UnetfsCached):
    """unetfs with a sealed disk cache."""

    name = "sealed"

    def __init__(self, folder):
        super().__init__(folder)
        self.file = os.path.join(folder, "cache.key")
        with open(os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
            f.write(secrets.token_hex(32).encode())
        self.key = f",cachekey={self.file}"

    def check_options(self):
        return ["--cachekey", self.file]


TARGETS = [CachedPlain, RcloneFull, UnetfsCached, UnetfsSealed]
