# SPDX-License-Identifier: MIT
"""Ways to a share of Samba, for bench/run: smbclient, smbnetfs, rclone, unetfs.

All use one smbd, on the usual port of the loopback,
because smbnetfs knows no other; each has a share of its own.  The server lasts
as long as the program.
"""

import atexit
import os
import re
import secrets
import shutil
import socket
import subprocess
import time

from targets import Mounted, Plain, Unetfs, wait_until

ADDRESS = "127.0.0.1"
USER = "root"
CONF = """[global]
server role = standalone server
workgroup = LAB
netbios name = BENCH
interfaces = lo
bind interfaces only = yes
smb ports = 445
disable netbios = yes
lock directory = {dir}/lock
state directory = {dir}/state
cache directory = {dir}/cache
pid directory = {dir}/pid
private dir = {dir}/private
ncalrpc dir = {dir}/ncalrpc
passdb backend = tdbsam:{dir}/private/passdb.tdb
log file = {dir}/log.%m
server min protocol = SMB3_00
smb2 leases = yes
durable handles = yes
kernel oplocks = no
kernel share modes = no
posix locking = no
load printers = no
disable spoolss = yes
case sensitive = yes
"""


def answers(port):
    try:
        socket.create_connection((ADDRESS, port), 5).close()
    except OSError:
        return False
    return True


class Server:
    """The smbd that all targets share."""

    only = None

    @classmethod
    def get(cls, folder):
        cls.only = cls.only or cls(folder)
        return cls.only

    def __init__(self, folder):
        self.dir = os.path.join(folder, "smbd")
        self.password = secrets.token_hex(12)
        self.login = os.path.join(self.dir, "login")
        self.conf = os.path.join(self.dir, "smb.conf")
        for name in ("lock", "state", "cache", "pid", "private", "ncalrpc", "home/.smb"):
            os.makedirs(os.path.join(self.dir, name), mode=0o700)
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(CONF.format(dir=self.dir))
        with open(os.open(self.login, os.O_WRONLY | os.O_CREAT, 0o600), "w",
                  encoding="utf-8") as f:
            f.write(f"username={USER}\npassword={self.password}\ndomain=LAB\n")
        subprocess.run(["smbpasswd", "-c", self.conf, "-a", "-s", USER], check=True, text=True,
                       input=f"{self.password}\n{self.password}\n", stdout=subprocess.DEVNULL)
        self.process = None
        if answers(445):
            raise SystemExit(f"bench: somebody uses port 445 of {ADDRESS}")

    def share(self, name, path):
        with open(self.conf, "a", encoding="utf-8") as f:
            f.write(f"[{name}]\npath = {path}\nread only = no\n"
                    "create mask = 07777\ndirectory mask = 07777\n")

    def start(self):
        """After the last share."""
        if self.process:
            return
        with open(os.path.join(self.dir, "out"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(["smbd", "-F", "-s", self.conf],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        atexit.register(self.stop)
        wait_until(lambda: answers(445), "smbd does not answer")

    def stop(self):
        # It made a group of its own.
        os.killpg(self.process.pid, 15)
        self.process.wait()
        Server.only = None

    def pids(self):
        """Those that serve somebody."""
        found = subprocess.run(["ss", "-tnpH", "state", "established",
                                f"src {ADDRESS} and sport = :445"],
                               stdout=subprocess.PIPE, text=True, check=False).stdout
        return sorted({int(pid) for pid in re.findall(r"pid=(\d+)", found)})


class Shared:
    """What is on the share of its name."""

    def __init__(self, folder):
        super().__init__(folder)
        self.server = Server.get(folder)
        self.server.share(self.name, self.export)

    def fresh(self):
        self.server.start()
        super().fresh()

    def server_pids(self):
        return self.server.pids()

    def requests(self):
        """Segments with data that the client has sent: one for each small request."""
        mine = {f"pid={pid}" for pid in self.pids()}
        told = subprocess.run(["ss", "-tinpHO", "state", "established", "dport = :445"],
                              stdout=subprocess.PIPE, text=True, check=False).stdout
        return sum(int(re.search(r"data_segs_out:(\d+)", line).group(1))
                   for line in told.splitlines()
                   if mine & set(re.findall(r"pid=\d+", line)) and "data_segs_out" in line)


class Smbclient(Shared, Plain):
    """smbclient: whole files, no mount."""

    name = "smbclient"

    def measure(self, work):
        """One file there or back; nothing else can be asked of it."""
        size = int(work.options[work.options.index("-s") + 1]) if "-s" in work.options else 0
        if work.name not in ("sequential write 1 MiB", "sequential read 1 MiB, cold"):
            return {}
        local = self.export + ".local"
        if not os.path.exists(local):
            with open(local, "wb") as f:
                for _ in range(size >> 20):
                    f.write(os.urandom(1 << 20))
        command = f"put {local} file" if work.what == "write" else "get file /dev/null"
        begin = time.monotonic()
        done = subprocess.run(["smbclient", "-s", self.server.conf, "-A", self.server.login,
                               f"//{ADDRESS}/{self.name}", "-c", command],
                              stdout=self.log, stderr=self.log, check=False)
        if done.returncode:
            return {"error": f"smbclient ended with {done.returncode}"}
        return {"bytes": size, "ops": size >> 20, "seconds": time.monotonic() - begin}


class Smbnetfs(Shared, Mounted):
    """smbnetfs."""

    name = "smbnetfs"

    def __init__(self, folder):
        super().__init__(folder)
        self.root = self.path
        self.path = os.path.join(self.root, ADDRESS, self.name)

    def command(self):
        home = os.path.join(self.server.dir, "home")
        conf = os.path.join(home, ".smb", "smbnetfs.conf")
        with open(os.open(conf, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as f:
            f.write(f"auth \"{USER}\" \"{self.server.password}\"\n")
        shutil.copy(self.server.conf, os.path.join(home, ".smb", "smb.conf"))
        return ["env", f"HOME={home}", "smbnetfs", "-f", "-o", f"config={conf}", self.root]

    def mount_point(self):
        return self.root

    def umount_command(self):
        return ["fusermount3", "-u", self.root]


class Rclone(Shared, Mounted):
    """rclone mount, with the cache it needs for writing at random places."""

    name = "rclone"
    keep = False

    def command(self):
        obscured = subprocess.run(["rclone", "obscure", "-"], input=self.server.password,
                                  stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        conf = os.path.join(self.server.dir, "rclone.conf")
        with open(os.open(conf, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as f:
            f.write(f"[s]\ntype = smb\nhost = {ADDRESS}\nuser = {USER}\npass = {obscured}\n"
                    "domain = LAB\n")
        if not self.keep:
            shutil.rmtree(self.cache(), ignore_errors=True)
        return ["rclone", "--config", conf, "mount", f"s:{self.name}", self.path,
                "--vfs-cache-mode", "full", "--cache-dir", self.cache(), "--vfs-write-back", "0"]

    def cache(self):
        return os.path.join(self.server.dir, "rclone-cache")

    def unsent(self):
        """Does it still have to send something?"""
        for folder, _, names in os.walk(os.path.join(self.cache(), "vfsMeta")):
            for name in names:
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    if '"Dirty": true' in f.read():
                        return True
        return False

    def unmount(self):
        wait_until(lambda: not self.unsent(), "rclone does not send its files", 120)
        super().unmount()


class UnetfsSmb(Shared, Unetfs):
    """unetfs, signed."""

    name = "smb"
    more = ""

    def source(self):
        return f"//{ADDRESS}/{self.name}"

    def command(self):
        self.options = f"credentials={self.server.login}{self.more}"
        return super().command()


class UnetfsSmbSealed(UnetfsSmb):
    """unetfs, encrypted."""

    name = "sealed"
    more = ",seal"


TARGETS = [Plain, Smbclient, Smbnetfs, Rclone, UnetfsSmb, UnetfsSmbSealed]
